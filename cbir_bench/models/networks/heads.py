"""Heads: from pooled features, or a map of them, to the vectors that are frozen, ranked and classified."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor, nn


class Branches(NamedTuple):
    """What a network gives while it is trained.

    Attributes:
        ranked: the ranking loss is applied to each: ``(n, ranked_dims[i])`` vectors of length 1.
        classified: a softmax classifier is trained on each: ``(n, classified_dims[i])`` features.
    """

    ranked: tuple[Tensor, ...]
    classified: tuple[Tensor, ...]


class Head(Protocol):
    """A torch module on top of what pooling gives.

    Attributes:
        dim: length of the vectors.
        ranked_dims, classified_dims: lengths of what ``branches`` gives.
    """

    dim: int
    ranked_dims: tuple[int, ...]
    classified_dims: tuple[int, ...]

    def __call__(self, described: Tensor) -> Tensor:
        """Return ``(n, dim)`` vectors, of any length."""
        ...

    def branches(self, described: Tensor) -> Branches:
        """Return what the losses are applied to."""
        ...


def unit(vectors: Tensor) -> Tensor:
    """Return the rows as float32 of length 1."""
    return nn.functional.normalize(vectors.float(), dim=1)


class PlainHead(nn.Module):
    """The pooled features as they are."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.ranked_dims: tuple[int, ...] = (dim,)
        self.classified_dims: tuple[int, ...] = ()

    def forward(self, described: Tensor) -> Tensor:
        """Return what is given."""
        return described

    def branches(self, described: Tensor) -> Branches:
        """Return the one vector."""
        return Branches((unit(described),), ())


class LinearHead(nn.Linear):
    """A linear map of the pooled features."""

    def __init__(self, n_pooled: int, dim: int) -> None:
        super().__init__(n_pooled, dim)
        self.dim = dim
        self.ranked_dims: tuple[int, ...] = (dim,)
        self.classified_dims: tuple[int, ...] = ()

    def branches(self, described: Tensor) -> Branches:
        """Return the one vector."""
        return Branches((unit(self(described)),), ())
