"""Scores as tables of text that read the same on a terminal and in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cbir_bench.metrics.bootstrap import N_RESAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cbir_bench.core.record import Estimate, MetricValue
    from cbir_bench.scoring.compared import Differences
    from cbir_bench.scoring.scored import About, Scored

_NONE: Final = "-"
_HEADERS: Final = ("metric", "macro", "95 % interval", "class", "micro", "weighted")
_DIFFERENCES: Final = (
    "metric",
    "difference",
    "95 % interval",
    "p",
    "p (Holm)",
    "better",
    "equal",
    "worse",
)


def score_table(scored: Scored) -> str:
    """Return the averages of every metric, one a line; what has no value is explained below."""
    rows = [_row(name, value) for name, value in scored.values.items()]
    rows = [_HEADERS, *rows]
    empty = [i for i in range(1, len(_HEADERS)) if all(row[i] == _NONE for row in rows[1:])]
    kept = [[cell for i, cell in enumerate(row) if i not in empty] for row in rows]
    undefined = [
        f"{name}: {value.undefined}" for name, value in scored.values.items() if value.undefined
    ]
    lines = [title(scored.about), "", *aligned(kept), "", _counts(scored)]
    return "\n".join([*lines, *scored.notes, *undefined])


def difference_table(differences: Differences) -> str:
    """Return the difference of every metric, one a line."""
    rows = [
        (
            name,
            f"{one.difference:+.4f}",
            _NONE if one.low is None or one.high is None else f"{one.low:+.4f} to {one.high:+.4f}",
            f"{one.p_value:.4f}",
            f"{differences.adjusted[name]:.4f}",
            str(one.n_wins),
            str(one.n_ties),
            str(one.n_losses),
        )
        for name, one in differences.comparisons.items()
    ]
    last = "better, equal, worse: queries. p: two-sided randomisation test; p (Holm): over all metrics here."
    return "\n".join([*aligned([_DIFFERENCES, *rows]), "", last])


def title(about: About) -> str:
    """Return one line on protocol, sizes and space."""
    base = "" if about.n_base is None else f" in {about.n_base:,} items"
    queries = f"{about.n_queries:,} queries"
    if about.protocol == "full-base" and about.n_queries == about.n_base:
        searched = f"{queries}, each against all others"
    else:
        searched = f"{queries}{base}"
    protocol = "given rankings" if about.protocol is None else about.protocol
    parts = [f"{protocol}: {searched}"]
    if about.space is not None:
        parts.append(f"{about.dim} dimensions, {about.space}, exact search")
    elif about.depth is not None:
        parts.append(f"rankings of {about.depth:,} results")
    else:
        parts.append("complete rankings")
    return f"{'; '.join(parts)}; relevance by {about.labels}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of cells in even columns, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _row(name: str, value: MetricValue) -> tuple[str, ...]:
    if value.mean is None:
        return (name, *[_NONE] * (len(_HEADERS) - 1))
    has_interval = value.low is not None and value.high is not None
    return (
        name,
        f"{value.mean:.4f}",
        f"{value.low:.4f} to {value.high:.4f}" if has_interval else _NONE,
        *(_cell(one) for one in (value.by_class, value.micro, value.weighted)),
    )


def _cell(estimate: Estimate | None) -> str:
    return _NONE if estimate is None else f"{estimate.value:.4f}"


def _counts(scored: Scored) -> str:
    """Return a line on how many queries the averages are over, and what the interval is."""
    defined = [value for value in scored.values.values() if value.mean is not None]
    if not defined:
        return "No query has a value."
    parts = [f"Averages over {defined[0].n_queries:,} queries"]
    if defined[0].n_classes:
        parts.append(f" of {_many(defined[0].n_classes, 'class', 'classes')}")
    if defined[0].n_left_out:
        parts.append(f"; {defined[0].n_left_out:,} left out, for which nothing is relevant")
    about = scored.about
    draws = f"{N_RESAMPLES:,} draws, seed {about.seed}"
    return f"{''.join(parts)}. Interval: 95 % BCa bootstrap over {about.resample}, {draws}."


def _many(n: int, one: str, more: str) -> str:
    return f"{n:,} {one if n == 1 else more}"


def join_blocks(blocks: Iterable[str]) -> str:
    """Return blocks of text with two blank lines between them."""
    return "\n\n\n".join(blocks)
