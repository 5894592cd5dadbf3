"""What the view node is made of."""
