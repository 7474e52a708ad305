"""What quantisers cost in quality and save in bytes, under exact search: a table, and panels for a figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from cbir_bench.records.store import RecordStore
from cbir_bench.report import numbers, quantities
from cbir_bench.report.choice import EXACT, PLAIN
from cbir_bench.report.markdown import escape, table
from cbir_bench.report.panels import Panel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cbir_bench.report.choice import Section

FEWEST: Final = 3
"""Fewer quantisers are compared faster among the operating points."""
_REFINE: Final = "refine"
"""The re-ranker that looks again at a second store."""
_FAMILIES: Final = {
    "none": "float",
    "float16": "float",
    "bfloat16": "float",
    "int8": "int",
    "int4": "int",
}
"""Quantisers that differ in their number of bits alone; any other is a family of its own."""
_SHARE_DRAWN: Final = 0.6
"""Quality, as a share of the panel's best, below which points are in the table only."""
_NORMAL_95: Final = 1.959964


class Difference(NamedTuple):
    """A mean over queries of how much better one system is than another, with its 95 % interval."""

    mean: float
    low: float
    high: float


def quantizer_points(section: Section) -> pd.DataFrame:
    """Return the points that show quantisers alone: exact search, plain or with a second look.

    Empty, and without more columns, if there are fewer than ``FEWEST`` quantisers. Added columns:
    ``code_bytes`` and ``bytes_per_image`` (with the second store), ``bits_per_dimension`` and
    ``compression`` against float32, both with the second store, and ``family``.
    """
    points = section.points
    known = points["reranker_use"].isin([PLAIN, _REFINE]) & points["bytes_per_vector"].notna()
    points = points[(points["index_use"] == EXACT) & known]
    names = ["model", *section.axes, "quantizer", "reranker"]
    points = points.drop_duplicates(names)  # points come best first
    if not section.metric or points["quantizer"].nunique() < FEWEST:
        return points.iloc[:0]
    total = points["bytes_per_vector"] + points["prepare_bytes"].fillna(0) / points["n_base"]
    return points.assign(
        code_bytes=points["bytes_per_vector"],
        bytes_per_image=total,
        bits_per_dimension=8 * total / points["dim"],
        compression=4 * points["dim"] / total,
        family=points["quantizer_use"].map(lambda use: _FAMILIES.get(use, use)),
    )


def compared_quantizers(section: Section, run_folder: Path) -> pd.DataFrame:
    """Return ``quantizer_points`` in the order of the table, with their difference to float32.

    Added columns: ``difference``, ``difference.low`` and ``difference.high``, of the main metric, paired by
    query; NaN where there is no float32, and for itself. Reads the points' values per query. Empty, and
    without these columns, where there is too little to compare.
    """
    points = quantizer_points(section)
    if points.empty:
        return points
    keys = ["model", *section.axes]
    ordered = points.assign(
        _plain=points["reranker_use"] != PLAIN,
        _place=points.groupby(keys, sort=False).ngroup(),
    ).sort_values(
        ["_place", "code_bytes", "quantizer", "_plain", "bytes_per_image"],
        ascending=[True, False, True, True, True],
    )
    store = RecordStore(run_folder)
    found: dict[str, Difference] = {}
    for _, rows in ordered.groupby(keys, sort=False):
        found |= _differences(rows, section.metric, store)
    columns = pd.DataFrame(
        [found[name] for name in ordered["trial_id"]],
        index=ordered.index,
        columns=["difference", "difference.low", "difference.high"],
    )
    return ordered.drop(columns=["_plain", "_place"]).join(columns)


def quantizers_table(section: Section, points: pd.DataFrame) -> str:
    """Return what ``compared_quantizers`` gave as Markdown, with a sentence on how to read it.

    Args:
        section: for its metrics and axes.
        points: the rows.
    """
    several = len(points["model"].unique()) > 1
    refined = bool((points["reranker_use"] != PLAIN).any())
    columns = [quantities.MODEL] if several else []
    columns += [quantities.AXES[name] for name in section.axes]
    columns += [quantities.SETTINGS[1]]
    columns += [quantities.SETTINGS[2], *_SIZES] if refined else [_SIZES[0]]
    columns += [*_RATIOS]
    columns += [_ONCE] if (points["codebook_bytes"] > 0).any() else []
    columns += [quantities.metric(section.metric)]
    headers = [column.header for column in columns]
    cells = [column.cells(points) for column in columns]
    headers.append("difference to float32")
    names = ["difference", "difference.low", "difference.high"]
    cells.append([_signed(*row) for row in points[names].itertuples(index=False)])
    right = [*quantities.aligned_right(columns), len(headers) - 1]
    if section.recall:
        recall = quantities.metric(section.recall, interval=False)
        headers.append(recall.header)
        cells.append(recall.cells(points))
        right.append(len(headers) - 1)
    shown = table(headers, list(zip(*cells, strict=True)), right)
    return f"{shown}\n\n{_note(section, refined=refined)}"


def by_family(section: Section) -> Section:
    """Return the section of ``quantizer_points`` with families in the place of indexes, for a figure."""
    from dataclasses import replace

    points = quantizer_points(section)
    family = points["family"]
    return replace(section, points=points.assign(index_use=family, build_key=family))


def quantizer_panels(section: Section, points: pd.DataFrame) -> list[Panel]:
    """Return the main metric and ``knn_recall`` against bytes per image, side by side."""
    plain = points["reranker_use"] == PLAIN
    exact = points[(points["quantizer_use"] == PLAIN) & plain]
    return [
        Panel(
            points=points,
            x="bytes_per_image",
            y=name,
            x_label="bytes per image",
            x_better="lower",
            level=float(exact[name].max()) if len(exact) else None,
            share=_SHARE_DRAWN,
        )
        for name in (section.metric, section.recall)
        if name
    ]


def _differences(rows: pd.DataFrame, metric: str, store: RecordStore) -> dict[str, Difference]:
    """Return each row's difference to float32 by trial."""
    nothing = Difference(math.nan, math.nan, math.nan)
    plain = (rows["quantizer_use"] == PLAIN) & (rows["reranker_use"] == PLAIN)
    references = list(rows.loc[plain, "trial_id"])
    if not references:
        return dict.fromkeys(rows["trial_id"], nothing)
    before = _scores(store, references[0], metric)
    found = {}
    for trial_id in rows["trial_id"]:
        after = None if trial_id in references else _scores(store, trial_id, metric)
        found[trial_id] = nothing if after is None or before is None else _paired(before, after)
    return found


def _scores(store: RecordStore, trial_id: str, metric: str) -> NDArray[np.float64] | None:
    return store.read(trial_id, arrays=True).arrays.get(metric)  # type: ignore[return-value]


def _paired(before: NDArray[np.float64], after: NDArray[np.float64]) -> Difference:
    """Return the mean difference over queries that both have a value for, and its normal interval."""
    differences = np.asarray(after, np.float64) - before
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2:
        return Difference(math.nan, math.nan, math.nan)
    mean = float(differences.mean())
    half = _NORMAL_95 * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return Difference(mean, mean - half, mean + half)


def _signed(mean: float, low: float, high: float) -> str:
    """Return a difference and its interval, with signs: ``-0.0122 [-0.0153, -0.0091]``."""
    if not math.isfinite(mean):
        return numbers.MISSING
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def _note(section: Section, *, refined: bool) -> str:
    text = (
        "Exact search over what the quantiser keeps; queries are not quantised. Compression is against 4 "
        "bytes per dimension, without what is kept once for all images (centroids, rotations). The "
        f"difference is that of {escape(section.metric)}, query by query, with its 95 % interval."
    )
    if refined:
        text += " What a re-ranker keeps for its second look counts in bits and compression."
    return text


def _short(value: float) -> str:
    """Return a number of up to three digits, without zeros at its end."""
    return f"{value:.3g}"


_SIZES: Final = (
    quantities.Quantity(
        column="code_bytes", header="bytes per image", meaning="", write=numbers.count
    ),
    quantities.Quantity(
        column="bytes_per_image", header="with second store", meaning="", write=numbers.count
    ),
)
_RATIOS: Final = (
    quantities.Quantity(
        column="bits_per_dimension", header="bits per dimension", meaning="", write=_short
    ),
    quantities.Quantity(
        column="compression", header="compression", meaning="", write=lambda x: f"{_short(x)}:1"
    ),
)
_ONCE: Final = quantities.Quantity(
    column="codebook_bytes", header="kept once", meaning="", write=numbers.size
)
