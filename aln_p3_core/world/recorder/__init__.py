"""Writes drives as data sets in the nuScenes schema."""
