"""Transforms of frozen vectors, one per file; what they learn, they learn from the training split."""
