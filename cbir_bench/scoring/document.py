"""Scores as files: JSON with every average and interval, Parquet with every query."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench import __version__
from cbir_bench.core.errors import DataError
from cbir_bench.core.paths import expand_user
from cbir_bench.measure.environment import versions
from cbir_bench.metrics.bootstrap import N_RESAMPLES
from cbir_bench.metrics.comparison import N_PERMUTATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cbir_bench.core.arrays import Scores
    from cbir_bench.core.record import Estimate, MetricValue
    from cbir_bench.scoring.compared import Differences
    from cbir_bench.scoring.scored import Scored

SCHEMA_VERSION: Final = 1
_PACKAGES: Final = ("numpy", "numba", "scipy", "torch", "pyarrow")
_ABOUT: Final = ("query", "labels", "class", "n_relevant")


def as_json(
    sections: Sequence[Scored],
    compared: Sequence[Differences],
    options: Mapping[str, Any],
) -> bytes:
    """Return scores as JSON: see ``docs/score.schema.json``.

    Args:
        sections: scores of the same queries by one kind of labels, or difficulty, each.
        compared: differences from another system, for each section; empty without one.
        options: what was asked for.
    """
    about = sections[0].about
    document = {
        "schema_version": SCHEMA_VERSION,
        "program": {"name": "cbir-bench", "version": __version__},
        "versions": {"python": platform.python_version(), **versions(_PACKAGES)},
        "options": options,
        "protocol": about.protocol,
        "n_queries": about.n_queries,
        "n_base": about.n_base,
        "dim": about.dim,
        "space": about.space,
        "depth": about.depth,
        "interval": {
            "level": 0.95,
            "method": "BCa bootstrap",
            "over": about.resample,
            "n_resamples": N_RESAMPLES,
            "seed": about.seed,
        },
        "metrics": [
            _metric(name, one.about.labels, value)
            for one in sections
            for name, value in one.values.items()
        ],
        "curves": [
            {"name": name, "labels": one.about.labels, "x": curve.x.tolist(), "y": curve.y.tolist()}
            for one in sections
            for name, curve in one.curves.items()
        ],
        "comparison": [
            item
            for one, found in zip(sections, compared, strict=False)
            for item in _comparison(one.about.labels, found)
        ],
        "notes": [
            {"labels": one.about.labels, "note": note} for one in sections for note in one.notes
        ],
    }
    return (json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def as_parquet(sections: Sequence[Scored], queries: Sequence[str]) -> bytes:
    """Return the value of every query as a Parquet file, section after section.

    Its columns: query, labels, class (null where there is none), n_relevant, and one for each metric, null
    where a query has nothing relevant.

    Args:
        sections: scores of the same queries.
        queries: what the queries are called.
    """
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    for one in sections:
        units = one.units
        classes = [None] * len(queries)
        if units.classes is not None:
            classes = [units.class_names[code] for code in units.classes]
        columns = {
            "query": pa.array(queries, pa.string()),
            "labels": pa.repeat(one.about.labels, len(queries)),
            "class": pa.array(classes, pa.string()),
            "n_relevant": pa.array(units.n_relevant, pa.int64()),
        }
        scores = {name: pa.array(s, from_pandas=True) for name, s in one.per_query.items()}
        tables.append(pa.table({**columns, **scores}))
    sink = pa.BufferOutputStream()
    parquet.write_table(
        pa.concat_tables(tables, promote_options="default"), sink, compression="zstd"
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_per_query(path: str, scored: Scored, queries: Sequence[str]) -> dict[str, Scores]:
    """Return what another system scored on the same queries, by metric, in the order of ours.

    Args:
        path: of a file that ``as_parquet`` wrote.
        scored: ours, of one section.
        queries: what the queries are called.

    Raises:
        DataError: if it is no such file, or not of the same queries and relevant items.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(expand_user(path))
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise DataError(
            f"{path} cannot be read: {why}. Give a file that --per-query wrote."
        ) from error
    lacking = [name for name in _ABOUT if name not in table.column_names]
    if lacking:
        raise DataError(f"{path} has no column {lacking[0]!r}. Give a file that --per-query wrote.")
    labels = scored.about.labels
    mine = table.filter(pa.compute.equal(table["labels"], labels))
    place = {name: row for row, name in enumerate(mine["query"].to_pylist())}
    if set(place) != set(queries):
        lost = next((q for q in queries if q not in place), None) or next(
            q for q in place if q not in queries
        )
        where = "ours" if lost in place else path
        raise DataError(
            f"The query {lost!r} (labels {labels!r}) is missing in {where}. "
            "Compare systems on the same queries."
        )
    rows = np.array([place[name] for name in queries], np.int64)
    relevant = mine["n_relevant"].to_numpy()[rows]
    if not np.array_equal(relevant, scored.units.n_relevant):
        raise DataError(
            f"Queries of {path} have other numbers of relevant items than ours. Compare systems that were "
            "held against the same labels and base."
        )
    names = [name for name in mine.column_names if name not in _ABOUT]
    return {name: mine[name].to_numpy().astype(np.float64)[rows] for name in names}


def _metric(name: str, labels: str, value: MetricValue) -> dict[str, Any]:
    macro = None
    if value.mean is not None:
        macro = {"value": value.mean, "low": value.low, "high": value.high}
    return {
        "name": name,
        "labels": labels,
        "macro": macro,
        "class": _estimate(value.by_class),
        "micro": _estimate(value.micro),
        "weighted": _estimate(value.weighted),
        "n_queries": value.n_queries,
        "n_classes": value.n_classes,
        "n_left_out": value.n_left_out,
        "undefined": value.undefined or None,
    }


def _estimate(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _comparison(labels: str, found: Differences) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "labels": labels,
            "difference": {"value": one.difference, "low": one.low, "high": one.high},
            "p_value": one.p_value,
            "p_holm": found.adjusted[name],
            "n_permutations": N_PERMUTATIONS,
            "n_better": one.n_wins,
            "n_equal": one.n_ties,
            "n_worse": one.n_losses,
            "n_queries": one.n_queries,
        }
        for name, one in found.comparisons.items()
    ]
