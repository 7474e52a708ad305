"""Files of vectors, ids and labels as people keep them: npy, npz, Parquet, safetensors and tables of text."""
