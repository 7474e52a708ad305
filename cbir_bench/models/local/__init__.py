"""Local descriptors, a vocabulary of visual words, and the vectors that sum up an image by them."""
