"""What `cbir-bench plan` prints: what there is to do, and what it will take on disk."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from cbir_bench.core.dataset import Split
from cbir_bench.embeddings.store import EmbeddingStore
from cbir_bench.protocols.summary import summarise
from cbir_bench.run.learned import LearnedStore
from cbir_bench.run.notes import data_notes
from cbir_bench.run.pruning import Pruner
from cbir_bench.training.store import CheckpointStore

if TYPE_CHECKING:
    from cbir_bench.run.artefacts import Artefact
    from cbir_bench.run.places import Places
    from cbir_bench.run.plan import Opened, Plan

_FLOAT_BYTES: Final = 4
_USUAL_DIM: Final = 512
_RECORD_BYTES: Final = 4000
"""JSON of one record, and the fixed part of its Parquet file."""


def preview(plan: Plan, places: Places) -> str:
    """Return the plan in words: data, embeddings, builds, trials, disk. Starts nothing."""
    lines = [f"Suite {plan.suite.name}: {plan.suite.summary()}", ""]
    for opened in plan.opened:
        lines += _data_lines(opened)
    lines += [f"  note: {note}" for note in data_notes(plan)]
    lines += ["", *_embedding_lines(plan, places), ""]
    lines += [*_build_lines(plan), "", *_disk_lines(plan, places)]
    return "\n".join(lines)


def _data_lines(opened: Opened) -> list[str]:
    counts = Counter(Split(int(split)).name.lower() for split in opened.data.splits)
    parts = ", ".join(f"{n} {name}" for name, n in counts.items())
    lines = [f"{opened.data.name}: {len(opened.data)} images ({parts})"]
    for protocol, truth in opened.truths.items():
        size = summarise(truth)
        lines.append(
            f"  {protocol}: {size.n_queries} queries, {size.n_base} in the base, "
            f"{size.least_relevant} to {size.most_relevant} relevant to a query"
        )
    return lines


def _embedding_lines(plan: Plan, places: Places) -> list[str]:
    store, weights = EmbeddingStore(places.embeddings), CheckpointStore(places.weights)
    learned = LearnedStore(places.learned)
    lines = []
    for artefact in plan.artefacts:
        name = str(artefact.model)
        if artefact.source is not None:
            name = f"{name}, {artefact.transform}"
        lines.append(
            f"embeddings {artefact.key}: {name} on {artefact.dataset}: "
            f"{_state(artefact, store, weights, learned)}"
        )
    return lines


def _state(
    artefact: Artefact, store: EmbeddingStore, weights: CheckpointStore, learned: LearnedStore
) -> str:
    """Return what is left to do for frozen vectors, the first thing first."""
    if store.has(artefact.key):
        return "frozen"
    steps = []
    if not store.has(artefact.plain.key):
        if artefact.checkpoint_key and not weights.has(artefact.checkpoint_key):
            steps.append("train")
        if artefact.fit_key and not learned.has(artefact.fit_key):
            steps.append("fit")
        steps.append("freeze")
    if artefact.source is not None:
        teacher = artefact.teacher
        if teacher is not None and not store.has(teacher.key):
            steps.append("freeze the training split")
        steps.append("transform")
    *first, last = steps
    return f"to {', '.join(first)} and {last}" if first else f"to {last}"


def _build_lines(plan: Plan) -> list[str]:
    builds = Counter(str(build.trials[0].index) for build in plan.builds)
    trials = Counter(str(trial.index) for trial in plan.trials)
    uses = Counter(trial.index.use for trial in plan.trials)
    built = Counter(build.trials[0].index.use for build in plan.builds)
    lines = [
        f"{len(plan.builds)} index builds for {len(trials)} index settings, {len(plan.trials)} trials"
    ]
    lines += [f"  {use}: {built[use]} builds, {n} trials" for use, n in uses.items()]
    lines += [*_replicate_lines(plan), *_stop_lines(plan)]
    return lines if builds else []


def _replicate_lines(plan: Plan) -> list[str]:
    n = sum(build.trials[0].replicate > 0 for build in plan.builds)
    if not n:
        return []
    return [f"  {n} of them repeat builds that differ from time to time (replicates)"]


def _stop_lines(plan: Plan) -> list[str]:
    """Return what may be left out, and how much of the plan that is at most."""
    stop = plan.suite.stop_at.model_dump(exclude_none=True)
    if not stop:
        return []
    pruners = {build.key: Pruner(plan.suite.stop_at) for build in plan.builds}
    n_most = 0
    for build in plan.builds:
        for trial in build.trials:
            n_most += pruners[build.key].reason(trial) is not None
            pruners[build.key].note(trial, 1.0, float("inf"))
    conditions = " or ".join(f"{name} = {value:g}" for name, value in stop.items())
    text = f"up to {n_most} trials are left out once a cheaper one has {conditions}"
    return [f"  search settings run from cheap to dear; {text}"]


def _disk_lines(plan: Plan, places: Places) -> list[str]:
    store = EmbeddingStore(places.embeddings)
    dims = {a.key: a.model.values.get("embedding_dim") or _USUAL_DIM for a in plan.artefacts}
    rows = {o.setting: len(o.data.rows(Split.TEST)) for o in plan.opened}
    embeddings = sum(
        rows[a.dataset] * dims[a.key] * _FLOAT_BYTES for a in plan.artefacts if not store.has(a.key)
    )
    per_query = 8 * len(plan.suite.metrics) + 40
    records = sum(
        _RECORD_BYTES + len(b.opened.truths[t.protocol].query_rows) * per_query // 2
        for b in plan.builds
        for t in b.trials
    )
    scratch = max(2 * rows[a.dataset] * dims[a.key] * _FLOAT_BYTES for a in plan.artefacts)
    return [
        f"Disk, estimated: {_mebibytes(embeddings)} of embeddings to freeze in {places.embeddings},",
        f"  {_mebibytes(records)} of records, {_mebibytes(scratch)} for a moment while measuring",
        f"  (vectors of {_USUAL_DIM} dimensions assumed where a model's options name none).",
    ]


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"
