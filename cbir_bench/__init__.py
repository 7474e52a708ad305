"""Benchmark whole image-search systems: model, pooling, quantiser, index and re-ranker together."""

__version__ = "0.1.0"
