"""A small data set of colours and small networks to train on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from cbir_bench.core.dataset import LabelSets, Split
from cbir_bench.core.training_data import TrainingData


class ColourNetwork(torch.nn.Module):
    """The mean colour of an image through two layers; all that the trainer asks of a network."""

    dim = 4
    device = "cpu"

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.backbone = torch.nn.Sequential(
                torch.nn.Linear(3, 16),
                torch.nn.BatchNorm1d(16),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.1),
            )
            self.head = torch.nn.Linear(16, self.dim)

    def prepare(self, images):
        return np.stack([image.transpose(2, 0, 1) for image in images])

    def features(self, pixels):
        return self.backbone(pixels.float().mean(dim=(2, 3)) / 255)

    def forward(self, pixels):
        return torch.nn.functional.normalize(self.head(self.features(pixels)), dim=1)


class ColourBranches(NamedTuple):
    """Two ranked branches and a classified one."""

    ranked: tuple[torch.Tensor, ...]
    classified: tuple[torch.Tensor, ...]


class BranchedNetwork(ColourNetwork):
    """The same with branches; the final vector is the first of them."""

    ranked_dims = (4, 16)
    classified_dims = (16,)

    def branches(self, pixels):
        features = self.features(pixels)
        unit = torch.nn.functional.normalize
        return ColourBranches((unit(self.head(features)), unit(features)), (features,))


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


def make_colours(*counts: int, val: tuple[int, ...] = (), labels=None) -> TrainingData:
    """Make a data set: for each class of the training and the validation split, how many images."""
    classes = np.repeat(np.arange(len(counts) + len(val)), [*counts, *val]).astype(np.int64)
    splits = np.where(classes < len(counts), Split.TRAIN, Split.VAL).astype(np.int8)
    return TrainingData(
        name="colours",
        ids=tuple(map(str, range(len(classes)))),
        labels=LabelSets.of(labels or [f"class{c:03d}" for c in classes]),
        splits=splits,
        images=Colours(classes, []),
    )


@pytest.fixture
def make_data():
    """Make a data set of colours."""
    return make_colours


@pytest.fixture
def make_network():
    """Make a small network from a seed."""
    return ColourNetwork


@pytest.fixture
def make_branched():
    """Make a small network with branches from a seed."""
    return BranchedNetwork
