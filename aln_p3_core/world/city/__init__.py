"""Roads, signals and scenery of a city."""
