"""The slow system: words about a driving scene, from the driver's own tokens (docs/explainer.md)."""
