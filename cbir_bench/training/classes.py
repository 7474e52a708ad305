"""Which class each image is of, what is trained on and what is validated on, and the rows of every batch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import DataError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cbir_bench.core.training_data import TrainingData
    from cbir_bench.training.recipe import TrainingRecipe

_BLOCK: Final = 64
"""Steps that are drawn at once."""


class ClassItems(NamedTuple):
    """Images whose class has at least two of them.

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

    def of_classes(self, chosen: NDArray[np.int64]) -> ClassItems:
        """Return the images of some of the classes, numbered anew."""
        kept = np.isin(self.classes, chosen)
        names, compact = np.unique(self.classes[kept], return_inverse=True)
        return ClassItems(self.rows[kept], compact.astype(np.int64), len(names), self.n_left_out)


class Material(NamedTuple):
    """What a training run works on.

    Attributes:
        training: what is trained on.
        validation: what is validated on, classes of its own numbering; None if there is nothing.
        n_held_out: classes of the training split that are validated on instead.
    """

    training: ClassItems
    validation: ClassItems | None
    n_held_out: int


def class_items(data: TrainingData, split: Split) -> ClassItems:
    """Return the images of a split whose class has at least two of them.

    Images with the same labels are of one class: where items have a fine and a coarse label,
    classes are the fine ones.
    """
    rows = data.rows(split)
    labels = data.labels.take(rows)
    sets = [
        tuple(labels.codes[a:b]) for a, b in zip(labels.starts, labels.starts[1:], strict=False)
    ]
    number = {one: i for i, one in enumerate(sorted(set(sets)))}
    classes = np.array([number[one] for one in sets], np.int64)
    several = np.bincount(classes, minlength=1)[classes] > 1
    names, compact = np.unique(classes[several], return_inverse=True)
    return ClassItems(
        rows=rows[several],
        classes=compact.astype(np.int64),
        n_classes=len(names),
        n_left_out=int((~several).sum()),
    )


def choose_material(data: TrainingData, recipe: TrainingRecipe) -> Material:
    """Return what is trained on and what is validated on; reads labels, and no image.

    That is the validation split where it has two classes of two images, else ``recipe.held_out`` of the
    training classes, drawn by the recipe's seed.

    Raises:
        DataError: if no class of the training split has two images.
        SettingError: if the split has too few classes for a batch, or the recipe asks for validations
            and there is nothing to validate on.
    """
    training = class_items(data, Split.TRAIN)
    if not training.n_classes:
        raise _nothing_to_learn(data.name, training.n_left_out)
    validation = class_items(data, Split.VAL)
    if validation.n_classes > 1:
        recipe.check(training.n_classes)
        return Material(training, validation, 0)
    n_held_out = _n_held_out(training.n_classes, recipe)
    recipe.check(training.n_classes - n_held_out, n_held_out)
    if recipe.validate_every and not n_held_out:
        raise SettingError(
            f"validate_every = {recipe.validate_every} needs images to validate on, but {data.name!r} has no "
            "validation split with two classes of two images. Set held_out = 0.1, say, to keep "
            "some of the training classes for it, or leave validate_every out."
        )
    if not n_held_out:
        return Material(training, None, 0)
    order = np.random.default_rng([recipe.seed, 1]).permutation(training.n_classes)
    held_out, rest = order[:n_held_out], order[n_held_out:]
    return Material(training.of_classes(rest), training.of_classes(held_out), n_held_out)


def _n_held_out(n_classes: int, recipe: TrainingRecipe) -> int:
    """Return how many classes to hold out: none, or at least two, since among one all is found."""
    if not recipe.held_out:
        return 0
    return min(n_classes, max(2, round(recipe.held_out * n_classes)))


def _nothing_to_learn(name: str, n_alone: int) -> DataError:
    if not n_alone:
        return DataError(f"{name!r} has no training images. Give it a training split.")
    return DataError(
        f"Each of the {n_alone} training images of {name!r} is the only one of its class, so there is no "
        "pair to learn from. Give classes two images or more."
    )


class Batches:
    """The images of every step: pytorch-metric-learning's M-per-class batches, drawn from the recipe's seed.

    They are drawn in blocks, each from a seed of its own, so that any step can be asked for at once
    and memory does not grow with their number.

    Args:
        classes: ``(n_images,)`` from 0 without gaps.
        recipe: says how many classes and images there are in a batch.
    """

    def __init__(self, classes: NDArray[np.int64], recipe: TrainingRecipe) -> None:
        from pytorch_metric_learning.samplers import MPerClassSampler

        self._sampler = MPerClassSampler(
            classes,
            m=recipe.batch_images,
            batch_size=recipe.batch_size,
            length_before_new_iter=_BLOCK * recipe.batch_size,
        )
        self._labels = list(self._sampler.labels)
        self._seed, self._batch_size = recipe.seed, recipe.batch_size
        self._number = -1
        self._block = np.empty((0, recipe.batch_size), np.int64)

    def of(self, step: int) -> NDArray[np.int64]:
        """Return the ``(batch_size,)`` places in ``classes`` of a step, counted from 0."""
        number, within = divmod(step, _BLOCK)
        if number != self._number:
            self._number, self._block = number, self._draw(number)
        places: NDArray[np.int64] = self._block[within]
        return places

    def _draw(self, number: int) -> NDArray[np.int64]:
        self._sampler.labels = list(self._labels)  # which the last block has shuffled
        with _seeded_sampler(self._seed, number):
            return np.fromiter(self._sampler, np.int64).reshape(_BLOCK, self._batch_size)


@contextmanager
def _seeded_sampler(seed: int, block: int) -> Iterator[None]:
    """Let pytorch-metric-learning draw from a seed of its own, by its documented hook."""
    from pytorch_metric_learning.utils import common_functions

    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = np.random.RandomState([seed, block])
    try:
        yield
    finally:
        common_functions.NUMPY_RANDOM = before
