"""Torch modules, imported when a model is made: nothing here is loaded to list the models."""
