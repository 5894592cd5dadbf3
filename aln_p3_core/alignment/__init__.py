"""The three alignments of the driver with the explainer (P1A, P2A, P3A): training only, absent from inference."""
