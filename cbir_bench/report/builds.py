"""What builds of indexes cost: time, bytes on disk and in memory, and whether they survive being saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cbir_bench.report import numbers
from cbir_bench.report.choice import HARNESS
from cbir_bench.report.markdown import escape, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from cbir_bench.report.choice import Section

MOST_ROWS: Final = 16
"""Of more builds the main page shows those of Pareto-optimal points, and no more than these."""
_OF_BUILD: Final = (
    "build_key",
    "replicate",
    "dataset",
    "protocol",
    "model",
    "transform",
    "quantizer",
    "index",
    "space",
    "n_threads",
    "n_base",
    "dim",
    "build_seconds",
    "train_seconds",
    "add_seconds",
    "build_cpu_seconds",
    "save_seconds",
    "load_seconds",
    "loads_identically",
    "load_problem",
    "index_bytes",
    "theoretical_bytes",
    "saved_to_theory",
    "private_growth_bytes",
    "peak_build_bytes",
    "sampled_peak_bytes",
    "loaded_bytes",
    "input_bytes",
)
_COSTS: Final[tuple[tuple[str, str, Callable[[float], str]], ...]] = (
    ("build_seconds", "build", numbers.duration),
    ("train_seconds", "train", numbers.duration),
    ("add_seconds", "add", numbers.duration),
    ("build_cpu_seconds", "CPU", numbers.duration),
    ("index_bytes", "saved", numbers.size),
    ("saved_to_theory", "/ theory", numbers.ratio),
    ("private_growth_bytes", "memory", numbers.size),
    ("peak_build_bytes", "peak", numbers.size),
    ("sampled_peak_bytes", "peak, sampled", numbers.size),
    ("loaded_bytes", "loaded", numbers.size),
    ("save_seconds", "save", numbers.duration),
    ("load_seconds", "load", numbers.duration),
)
NOTE: Final = (
    "Builds: train and add are steps of the build, where the library has two. / theory: saved bytes, divided "
    "by what the library's parameters imply. Memory: growth of the worker's private memory. Peak: above what "
    "was in use before, by the kernel; sampled: of private memory alone. Loaded: growth of a fresh process "
    "that loads the saved index and searches it, mapped files included. Same answers: whether that process "
    "answered alike. All builds are in builds.csv."
)


def builds_of(points: pd.DataFrame) -> pd.DataFrame:
    """Return a row per build in the order of the plan, named by what its search settings share.

    Args:
        points: rows of trials of any status; those without a build are left out.
    """
    built = points[points["build_key"] != ""]
    names = {key: build_name(rows.unique()) for key, rows in built.groupby("build_key")["index"]}
    firsts = built.drop_duplicates("build_key")
    firsts = firsts.assign(
        index=firsts["build_key"].map(names),
        saved_to_theory=firsts["index_bytes"] / firsts["theoretical_bytes"].where(lambda n: n > 0),
    )
    return firsts[list(_OF_BUILD)]


def builds_table(section: Section) -> str:
    """Return the builds of a section as Markdown; empty if there are none."""
    builds = builds_of(section.replicates[section.replicates["index_use"] != HARNESS])
    n_builds = len(builds)
    if not n_builds:
        return ""
    if n_builds > MOST_ROWS:
        builds = _of_optimal(section, builds)[:MOST_ROWS]
    columns = _columns(builds, section.axes)
    headers = [header for header, _ in columns]
    right = [i for i, header in enumerate(headers) if header in {cost[1] for cost in _COSTS}]
    text = table(headers, list(zip(*(cells for _, cells in columns), strict=True)), right)
    if len(builds) < n_builds:
        text += (
            f"\n\nThese are {numbers.count(len(builds))} builds that Pareto-optimal points search; all "
            f"{numbers.count(n_builds)} are in builds.csv."
        )
    return text


def build_name(labels: Iterable[str]) -> str:
    """Return the label of an index with the options that all labels have in common.

    ``hnswlib(m=16, ef_search=32)`` and ``hnswlib(m=16, ef_search=64)`` share ``hnswlib(m=16)``. Where
    labels differ in more than options it is the first of them.
    """
    parsed = [_parts(label) for label in labels]
    head, options = parsed[0]
    if any(other != head for other, _ in parsed):
        return f"{head}({', '.join(options)})" if options else head
    shared = [option for option in options if all(option in others for _, others in parsed)]
    return f"{head}({', '.join(shared)})" if shared else head.rstrip()


def _parts(label: str) -> tuple[str, list[str]]:
    """Return what stands before the last pair of brackets, and the options in them."""
    if not label.endswith(")"):
        return label, []
    depth = 0
    for place in range(len(label) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(label[place], 0)
        if not depth:
            return label[:place], label[place + 1 : -1].split(", ")
    return label, []


def _of_optimal(section: Section, builds: pd.DataFrame) -> pd.DataFrame:
    optimal = section.points.loc[section.points["pareto"], "trial_id"]
    replicates = section.replicates
    keys = replicates.loc[replicates["trial_id"].isin(optimal), "build_key"]
    return builds[builds["build_key"].isin(keys)]


def _columns(builds: pd.DataFrame, axes: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return headers and cells: what tells builds apart, and the costs that any build has."""
    names = [("model", "model"), ("index", "index"), ("quantizer", "quantiser")]
    names += [(axis, axis) for axis in axes if axis != "k"]
    columns = [
        (header, [escape(value) for value in builds[name]])
        for name, header in names
        if name == "index" or len(builds[name].unique()) > 1
    ]
    replicates = _replicates(builds)
    columns += [("replicate", replicates)] if any(replicates) else []
    columns += [
        (header, [write(value) for value in builds[name]])
        for name, header, write in _COSTS
        if builds[name].notna().any()
    ]
    if builds["loads_identically"].notna().any():
        columns.append(("same answers", [_yes(value) for value in builds["loads_identically"]]))
    return columns


def _replicates(builds: pd.DataFrame) -> list[str]:
    """Return which of several builds each row is; empty for those that were built once."""
    names = ["model", "transform", "quantizer", "index", "space", "n_threads"]
    counts = builds.groupby(names, sort=False)["build_key"].transform("size")
    return [
        f"{numbers.count(replicate + 1)} of {numbers.count(count)}" if count > 1 else ""
        for replicate, count in zip(builds["replicate"], counts, strict=True)
    ]


def _yes(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, numbers.MISSING)
