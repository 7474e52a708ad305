"""Freezing: vectors computed once, stored under a content address, verified when read."""
