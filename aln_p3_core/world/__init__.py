"""The embedded world: city, traffic, six rendered cameras, closed loop, and a recorder in the nuScenes schema."""
