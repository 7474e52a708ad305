"""The nouns that every stage shares, the registry and the errors. Imports NumPy only."""
