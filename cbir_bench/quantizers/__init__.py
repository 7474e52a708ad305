"""Codecs that belong to no index library, one per file."""
