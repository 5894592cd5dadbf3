"""What the driver node is made of."""
