"""Words about a drive, derived from its facts."""
