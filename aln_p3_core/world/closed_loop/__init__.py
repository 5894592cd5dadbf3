"""Routes driven in closed loop, measured and drawn."""
