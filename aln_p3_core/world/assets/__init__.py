"""Meshes of everything that moves, and what they measure."""
