"""Named, seeded situations that matter for planning."""
