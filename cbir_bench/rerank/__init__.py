"""Re-rankers, one per file."""
