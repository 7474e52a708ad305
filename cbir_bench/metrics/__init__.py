"""Retrieval metrics: pure functions of positive ranks, one file each, and what turns vectors into ranks."""
