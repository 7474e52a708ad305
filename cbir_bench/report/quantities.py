"""The columns of tables: what each is called, how it is written, what it means, which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from cbir_bench.report import numbers
from cbir_bench.report.markdown import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A column of a table.

    Attributes:
        column: its name in the table of records.
        header: its name in reports.
        meaning: its definition, for the reader.
        better: which direction is better; "neither" for what only identifies a row.
        write: from a value to Markdown.
        interval: whether the 95 % interval of a mean is written too.
        bounds: whether the 95 % interval of a percentile is.
        negligible: a column in which nothing is above this is left out of tables.
    """

    column: str
    header: str
    meaning: str
    better: Literal["higher", "lower", "neither"] = "lower"
    write: Callable[[Any], str] = escape
    interval: bool = False
    bounds: bool = False
    negligible: float = 0.0

    def cells(self, points: pd.DataFrame) -> list[str]:
        """Return the cell of each row."""
        names = [self.column, f"{self.column}.low", f"{self.column}.high"]
        if self.interval:
            return [numbers.with_interval(*row) for row in points[names].itertuples(index=False)]
        if self.bounds:
            return [numbers.with_bounds(*row) for row in points[names].itertuples(index=False)]
        return [self.write(value) for value in points[self.column]]


MODEL: Final = Quantity(column="model", header="model", meaning="", better="neither")
DIM: Final = Quantity(column="dim", header="dim", meaning="", better="neither", write=numbers.count)
SETTINGS: Final = tuple(
    Quantity(column=column, header=header, meaning="", better="neither")
    for column, header in (
        ("index", "index"),
        ("quantizer", "quantiser"),
        ("reranker", "re-ranker"),
    )
)
OF_MODEL: Final = (
    Quantity(
        column="n_parameters",
        header="parameters",
        write=numbers.thousands,
        meaning="numbers that the model has learnt",
    ),
    Quantity(
        column="training_cpu_seconds",
        header="training, CPU",
        write=numbers.duration,
        meaning="CPU time of all training steps, without reading images and validation",
    ),
    Quantity(
        column="images_per_second",
        header="images/s",
        write=numbers.rate,
        better="higher",
        meaning="images that were read, prepared and embedded in a second while freezing",
    ),
)
AXES: Final = {
    "transform": Quantity(column="transform", header="transform", meaning="", better="neither"),
    "space": Quantity(column="space", header="space", meaning="", better="neither"),
    "k": Quantity(column="k", header="k", meaning="", better="neither", write=numbers.count),
    "n_threads": Quantity(
        column="n_threads", header="threads", meaning="", better="neither", write=numbers.count
    ),
}
COSTS: Final = (
    Quantity(
        column="p50_us",
        header="p50",
        write=numbers.microseconds,
        meaning="median over queries of the time of a single query, re-ranking included, one thread "
        "(each query's median over passes)",
    ),
    Quantity(
        column="p99_us",
        header="p99",
        write=numbers.microseconds,
        meaning="99th percentile over queries of the same",
    ),
    Quantity(
        column="qps",
        header="queries/s",
        write=numbers.rate,
        better="higher",
        meaning="single queries per second: 1 / mean over queries of their median time over passes",
    ),
    Quantity(
        column="batch_qps",
        header="batch queries/s",
        write=numbers.rate,
        better="higher",
        meaning="queries per second when many are asked in one call, in the largest batches measured",
    ),
    Quantity(
        column="build_seconds",
        header="build",
        write=numbers.duration,
        meaning="wall time of building the index, shared by all search settings of the build",
    ),
    Quantity(
        column="index_bytes", header="index size", write=numbers.size, meaning="saved index on disk"
    ),
    Quantity(
        column="private_growth_bytes",
        header="memory",
        write=numbers.size,
        meaning="growth of the worker's private memory over the build",
    ),
    Quantity(
        column="peak_build_bytes",
        header="build peak",
        write=numbers.size,
        meaning="most memory in use during the build, above what was in use before, by the kernel",
    ),
    Quantity(
        column="prepare_seconds",
        header="prepare",
        write=numbers.duration,
        meaning="base-side work of the re-ranker, once per build",
        negligible=1e-3,
    ),
)

_MEANINGS: Final = {
    "ap": "average precision over the whole ranking, or its first k with @k: precision at each relevant "
    "result, summed, divided by the number of relevant items",
    "map_at_r": "precision at the relevant results among the first R, summed, divided by R, the number "
    "of relevant items (Musgrave et al., 2020)",
    "hit_rate": "1 if anything relevant is among the first k (metric learning calls it Recall@k)",
    "recall": "relevant items among the first k, divided by all relevant items",
    "precision": "share of the first k that is relevant",
    "r_precision": "share of the first R that is relevant, R being the number of relevant items",
    "mrr": "1 / rank of the first relevant result",
    "ndcg": "discounted gain of the first k, divided by that of the best possible order",
    "knn_recall": "share of the exact nearest neighbours found; it knows no labels, and a re-ranker "
    "that improves on them lowers it",
}


def metric(name: str, *, interval: bool = True) -> Quantity:
    """Return the column of a metric."""
    return Quantity(
        column=name,
        header=name,
        better="higher",
        write=numbers.fraction,
        interval=interval,
        meaning=_MEANINGS.get(name.split("@", maxsplit=1)[0], "as its own documentation says"),
    )


def telling_apart(points: pd.DataFrame, axes: Iterable[str]) -> list[Quantity]:
    """Return the columns that name points: the index, and whatever else is not the same for all."""
    others = [*SETTINGS[1:], *(AXES[name] for name in axes)]
    varied = [quantity for quantity in others if len(points[quantity.column].unique()) > 1]
    several_models = len(points["model"].unique()) > 1
    return [*([MODEL] if several_models else []), SETTINGS[0], *varied]


def rows_of(points: pd.DataFrame, quantities: Iterable[Quantity]) -> list[tuple[str, ...]]:
    """Return the cells of each row."""
    return list(zip(*(quantity.cells(points) for quantity in quantities), strict=True))


def aligned_right(quantities: Sequence[Quantity]) -> list[int]:
    """Return which columns hold numbers."""
    return [i for i, quantity in enumerate(quantities) if quantity.write is not escape]
