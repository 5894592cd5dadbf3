"""Planners that drive in the world: baselines, the expert, a trained driver."""
