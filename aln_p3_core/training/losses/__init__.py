"""The terms of the driver's loss, one per file."""
