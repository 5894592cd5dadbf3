"""What the explainer node is made of."""
