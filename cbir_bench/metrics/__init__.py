"""Retrieval metrics: pure functions of positive ranks."""
