"""All losses of a network: a ranking loss for each ranked branch, a classifier for each classified one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cbir_bench.core.errors import SettingError
from cbir_bench.training.losses import make_ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Image
    from cbir_bench.training.recipe import TrainingRecipe


class Branches(Protocol):
    """What a network gives to train by.

    Attributes:
        ranked: vectors of length 1, each ``(n, ranked_dims[i])``, that the recipe's loss is applied to.
        classified: features, each ``(n, classified_dims[i])``, that tell the classes apart linearly.
    """

    @property
    def ranked(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def classified(self) -> Sequence[Any]: ...  # noqa: D102


class Trainable(Protocol):
    """What the trainer needs of a torch module, besides being one.

    A module may also have ``branches(pixels)``, which returns ``Branches``, with their lengths in
    ``ranked_dims`` and ``classified_dims``; without it, its vectors are the only ranked branch. A part
    called ``backbone`` can be trained at a rate of its own. Where ``pretrained`` is true, its weights have
    learnt from images before, and a recipe that names no learning rate takes smaller steps.

    Attributes:
        dim: length of its vectors.
        device: where it is to be trained, "cpu" or "cuda".
    """

    dim: int
    device: str

    def prepare(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """Return images of any size as ``(n, 3, height, width)`` uint8, all of one size."""
        ...

    def __call__(self, pixels: Any) -> Any:
        """Return ``(n, dim)`` vectors of length 1 of ``(n, 3, height, width)`` values in 0 to 255."""
        ...


class _Plain(NamedTuple):
    """The branches of a network that has no others."""

    ranked: tuple[Any]
    classified: tuple[()] = ()


def _dims(network: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the lengths of the ranked and of the classified branches."""
    if hasattr(network, "branches"):
        return tuple(network.ranked_dims), tuple(network.classified_dims)
    return (network.dim,), ()


def branches_of(network: Any, pixels: Any) -> Branches:
    """Return the branches of a batch."""
    if hasattr(network, "branches"):
        branches: Branches = network.branches(pixels)
        return branches
    return _Plain((network(pixels),))


class Objective:
    """The sum of a network's losses.

    Attributes:
        losses: a module of the ranking losses, whose weights stand for classes.
        classifiers: a module of the linear classifiers.

    Args:
        network: a ``Trainable``.
        recipe: names the ranking loss, and how the classifiers are smoothed.
        n_classes: classes that are trained on.

    Raises:
        SettingError: if the recipe changes how classifiers learn, and there is none.
    """

    def __init__(self, network: Any, recipe: TrainingRecipe, n_classes: int) -> None:
        from torch import nn

        ranked, classified = _dims(network)
        if not classified:
            _refuse_smoothing(recipe)
        self._rankings = [make_ranking(recipe, n_classes, dim) for dim in ranked]
        self._recipe = recipe
        self.losses = nn.ModuleList([ranking.loss for ranking in self._rankings])
        self.classifiers = nn.ModuleList([nn.Linear(dim, n_classes) for dim in classified])

    def to(self, device: str) -> None:
        """Move all weights."""
        self.losses.to(device)
        self.classifiers.to(device)

    def __call__(self, branches: Branches, classes: Any) -> tuple[Any, float]:
        """Return the loss of a batch, computed in float32, and the share of light pairs.

        Args:
            branches: of the batch.
            classes: ``(n,)`` from 0.

        Returns:
            A scalar tensor, and the mean over the ranked branches (see ``light``); NaN for losses
            that are never zero.
        """
        total, shares = 0.0, []
        for ranking, vectors in zip(self._rankings, branches.ranked, strict=True):
            exact = vectors.float()
            indices = ranking.mine(exact, classes)
            total = total + ranking.loss(exact, classes, indices)
            shares.append(ranking.light(ranking.loss, exact, classes, indices))
        for classifier, features in zip(self.classifiers, branches.classified, strict=True):
            total = total + self._classification(classifier(features.float()), classes)
        known = [share for share in shares if not math.isnan(share)]
        return total, sum(known) / len(known) if known else math.nan

    def _classification(self, logits: Any, classes: Any) -> Any:
        from torch.nn.functional import cross_entropy

        sharp = logits / self._recipe.softmax_temperature
        return cross_entropy(sharp, classes, label_smoothing=self._recipe.label_smoothing)


def _refuse_smoothing(recipe: TrainingRecipe) -> None:
    """Refuse options of the classifiers for a network that has none."""
    for option in ("label_smoothing", "softmax_temperature"):
        if getattr(recipe, option) != getattr(type(recipe), option):
            raise SettingError(
                f"{option} = {getattr(recipe, option)} does nothing, since the network has no classifier "
                "beside its ranking loss. Leave it out, or choose a head that has one (cgd, bdb)."
            )
