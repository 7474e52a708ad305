"""Models and pooling, one per file: from images to vectors."""
