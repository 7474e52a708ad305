"""Grey and coloured textures that SIFT finds something in, and training data made of them."""

from __future__ import annotations

import numpy as np

from cbir_bench.core.dataset import LabelSets, Split
from cbir_bench.core.training_data import TrainingData


def texture(seed, height=90, width=120):
    """Return blots of about six pixels, in random colours."""
    draw = np.random.default_rng(seed)
    blots = draw.integers(0, 256, (height // 6 + 1, width // 6 + 1, 3))
    image = blots.repeat(6, axis=0).repeat(6, axis=1)[:height, :width]
    return np.clip(image + draw.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def uniform(level=90, height=40, width=50):
    """Return an image that shows nothing."""
    return np.full((height, width, 3), level, np.uint8)


class Images:
    """A source that remembers what was read."""

    def __init__(self, images):
        self.images, self.read_rows = images, []

    def read(self, rows):
        """See ``core.dataset.ImageSource``."""
        self.read_rows.extend(rows)
        return [self.images[row] for row in rows]


def training_data(images, n_validation=0):
    """Return images to learn from; the first ones are for validation."""
    n_train = len(images) - n_validation
    return TrainingData(
        name="textures",
        ids=tuple(str(i) for i in range(len(images))),
        labels=LabelSets.of(["a"] * len(images)),
        splits=np.array([Split.VAL] * n_validation + [Split.TRAIN] * n_train, np.int8),
        images=Images(images),
    )


def silent(n_done, n_total):
    """Say nothing about the progress."""
