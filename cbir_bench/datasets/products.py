"""Procedural product photographs: many instances in families of look-alikes, each seen many times."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from cbir_bench.core.dataset import COARSE, Dataset, LabelSets, Role, Split
from cbir_bench.core.hashing import key_of
from cbir_bench.core.registry import DATASETS
from cbir_bench.datasets.scene import Level, photograph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir_bench.core.arrays import Image
    from cbir_bench.core.dataset import DataContext

GENERATOR_VERSION: Final = 1
"""Part of the content hash; raised when any pixel of any image changes."""
VARIANTS: Final = 4
"""Look-alikes per family."""


class Product(NamedTuple):
    """An instance class: which artwork it has. Independent of how many classes are asked for."""

    family: int
    variant: int

    @classmethod
    def of(cls, split: Split, place: int) -> Product:
        """Return the ``place``-th product of a split; families are dealt to the splits in turn."""
        return cls(place // VARIANTS * len(Split) + split, place % VARIANTS)

    @property
    def label(self) -> str:
        """The name of the class."""
        return f"family{self.family:04d}-variant{self.variant}"

    @property
    def number(self) -> int:
        """The number of the class, part of its images' ids."""
        return self.family * VARIANTS + self.variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """Draws the images of products when asked for; row ``i`` is view ``i % n_views`` of one product."""

    products: tuple[Product, ...]
    n_views: int
    size: int
    level: Level
    seed: int

    def read(self, rows: Sequence[int]) -> list[Image]:
        """Return the images of some rows; fastest where the views of a product are asked for together."""
        return [self._draw(*divmod(int(row), self.n_views)) for row in rows]

    def _draw(self, place: int, view: int) -> Image:
        return photograph(self.seed, *self.products[place], view, size=self.size, level=self.level)


@DATASETS.register("products")
@dataclass(frozen=True, kw_only=True)
class Products:
    """Photographs of invented products; an image is a pure function of seed, class, view, size and level.

    Every family has four variants that share shape, texture and layout and differ in colours and
    details; the family is the coarse class. Classes and whole families of the splits are disjoint. Views
    differ in perspective, rotation, scale, lamp, shading, clutter, occlusion, focus and noise.

    Attributes:
        n_train_classes: instance classes to train with.
        n_val_classes: instance classes to choose settings with.
        n_test_classes: instance classes to evaluate with.
        n_views: images of each class.
        size: side of the square images in pixels, 16 to 512.
        level: how far the views of a class differ: easy, medium or hard.
        seed: another seed, another world of products.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    n_train_classes: Annotated[int, Ge(0)] = 300
    n_val_classes: Annotated[int, Ge(0)] = 0
    n_test_classes: Annotated[int, Ge(1)] = 300
    n_views: Annotated[int, Ge(1)] = 10
    size: Annotated[int, Ge(16), Le(512)] = 64
    level: Level = "easy"
    seed: Annotated[int, Ge(0)] = 0

    def open(self, context: DataContext) -> Dataset:  # noqa: ARG002  the protocol's; nothing is read
        """Return the data set at once: images are drawn when they are read."""
        counts = (self.n_train_classes, self.n_val_classes, self.n_test_classes)
        splits = np.repeat(np.array(Split, np.int8), counts)
        products = tuple(
            Product.of(split, place)
            for split, n in zip(Split, counts, strict=True)
            for place in range(n)
        )
        labels = LabelSets.of(p.label for p in products for _ in range(self.n_views))
        return Dataset(
            name="products",
            ids=tuple(
                f"class{p.number:05d}/view{v:03d}" for p in products for v in range(self.n_views)
            ),
            labels=labels,
            more_labels={COARSE: labels.renamed(lambda label: label.partition("-")[0])},
            splits=np.repeat(splits, self.n_views),
            roles=np.full(len(products) * self.n_views, Role.ANY, np.int8),
            images=Photographs(
                products=products,
                n_views=self.n_views,
                size=self.size,
                level=self.level,
                seed=self.seed,
            ),
            content_hash=key_of({"products": GENERATOR_VERSION, **asdict(self)}),
        )
