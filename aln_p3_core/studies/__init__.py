"""Studies: variants of one training, side by side, with what is measured written down before they run."""
