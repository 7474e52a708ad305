"""Adapters of index libraries, one per file."""
