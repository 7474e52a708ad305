"""The store: one JSON file and one Parquet file per trial."""
