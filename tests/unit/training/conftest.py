"""A small data set of colours and a small network to train on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from cbir_bench.core.dataset import Dataset, LabelSets


class ColourNetwork(torch.nn.Module):
    """The mean colour of an image through two layers; all that the trainer asks of a network."""

    dim = 4
    device = "cpu"

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(3, 16),
                torch.nn.BatchNorm1d(16),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.1),
                torch.nn.Linear(16, self.dim),
            )

    def prepare(self, images):
        return np.stack([image.transpose(2, 0, 1) for image in images])

    def forward(self, pixels):
        return torch.nn.functional.normalize(self.layers(pixels.mean(dim=(2, 3)) / 255), dim=1)


@dataclass
class Colours:
    """Images of one noisy colour for each class; remembers what was read."""

    classes: np.ndarray
    seen: list[int]

    def read(self, rows):
        self.seen += rows
        return [self.draw(row) for row in rows]

    def draw(self, row):
        colour = np.random.default_rng([1, self.classes[row]]).integers(40, 216, 3)
        noise = np.random.default_rng([2, row]).integers(-40, 40, (6, 6, 3))
        return (colour + noise).astype(np.uint8)


@pytest.fixture
def make_dataset():
    """Make a data set: for each class of the training split, how many images; five of TEST at the end."""

    def make(*counts: int, labels=None) -> Dataset:
        classes = np.repeat(np.arange(len(counts) + 1), [*counts, 5])
        splits = np.where(classes == len(counts), 2, 0).astype(np.int8)
        return Dataset(
            name="colours",
            ids=tuple(map(str, range(len(classes)))),
            labels=LabelSets.of(labels or [f"class{c}" for c in classes]),
            splits=splits,
            roles=np.zeros(len(classes), np.int8),
            images=Colours(classes, []),
            content_hash="colours",
        )

    return make


@pytest.fixture
def make_network():
    """Make a small network from a seed."""
    return ColourNetwork
