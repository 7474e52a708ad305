"""Which class each training image is of, and the rows of every batch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbir_bench.core.dataset import Split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.training.recipe import TrainingRecipe


class TrainingItems(NamedTuple):
    """What is trained on.

    Attributes:
        rows: ``(n_images,)`` rows of the data set, ascending.
        classes: ``(n_images,)`` the class of each, from 0 without gaps.
        n_classes: how many.
        n_left_out: images left out because theirs is the only one of its class.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    n_classes: int
    n_left_out: int


def training_items(dataset: TrainingData) -> TrainingItems:
    """Return the images of the training split whose class has at least two of them.

    Images with the same labels are of one class: where items have a fine and a coarse label,
    classes are the fine ones.
    """
    rows = dataset.rows(Split.TRAIN)
    labels = dataset.labels.take(rows)
    sets = [
        tuple(labels.codes[a:b]) for a, b in zip(labels.starts, labels.starts[1:], strict=False)
    ]
    number = {one: i for i, one in enumerate(sorted(set(sets)))}
    classes = np.array([number[one] for one in sets], np.int64)
    several = np.bincount(classes, minlength=1)[classes] > 1
    names, compact = np.unique(classes[several], return_inverse=True)
    return TrainingItems(
        rows=rows[several],
        classes=compact.astype(np.int64),
        n_classes=len(names),
        n_left_out=int((~several).sum()),
    )


def batches(classes: NDArray[np.int64], recipe: TrainingRecipe) -> NDArray[np.int64]:
    """Return the images of every step: ``(steps, batch_size)`` places in ``classes``.

    The batches are pytorch-metric-learning's M-per-class batches, drawn from the recipe's seed.
    """
    from pytorch_metric_learning.samplers import MPerClassSampler

    sampler = MPerClassSampler(
        classes,
        m=recipe.images_per_class,
        batch_size=recipe.batch_size,
        length_before_new_iter=recipe.steps * recipe.batch_size,
    )
    with _seeded_sampler(recipe.seed):
        return np.fromiter(sampler, np.int64).reshape(recipe.steps, recipe.batch_size)


@contextmanager
def _seeded_sampler(seed: int) -> Iterator[None]:
    """Let pytorch-metric-learning draw from a seed of its own, by its documented hook."""
    from pytorch_metric_learning.utils import common_functions

    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = np.random.RandomState(seed)
    try:
        yield
    finally:
        common_functions.NUMPY_RANDOM = before
