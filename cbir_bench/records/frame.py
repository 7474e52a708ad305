"""All records of a run as one tidy table: a row per trial, units in the names of the columns."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import RecordError
from cbir_bench.core.record import (
    PERCENTILES,
    BuildCost,
    Estimate,
    Latency,
    MetricValue,
    Record,
)
from cbir_bench.records.models import read_models
from cbir_bench.records.plan import read_plan
from cbir_bench.records.store import RecordStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from cbir_bench.core.component import Setting

COMPONENTS: Final = (
    "dataset",
    "model",
    "transform",
    "quantizer",
    "index",
    "reranker",
    "protocol",
)
_LATENCY: Final = tuple(f.name for f in fields(Latency) if f.name != "intervals")
_NO_NUMBERS: Final = ("build_key", "loads_identically", "load_problem")
_BUILD: Final = tuple(f.name for f in fields(BuildCost) if f.name not in _NO_NUMBERS)
_OBJECTS: Final = ("environment", "warnings", "batches", "loads", "quiet")
_BOUNDS: Final = {"low": 0, "high": 1}
_AVERAGES: Final = ("by_class", "micro", "weighted")
_COUNTS: Final = ("n_queries", "n_classes", "n_left_out")
_OF_MODEL: Final = ("n_parameters", "images_per_second", "training_cpu_seconds", "training_seconds")
_NOT_MEASURED: Final = MetricValue(mean=None, undefined="not measured")
_NAN: Final = math.nan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What a run measured.

    Attributes:
        name: of its folder.
        points: one row per trial with a record, in the order of the plan; see ``read_run``.
        metrics: names of the metrics, in the suite's order.
        n_planned: trials in the plan.
        n_left_over: records that no trial of the plan has: an earlier version of the suite wrote them.
        models: what ``read_models`` returned, with each model's ``label`` as in ``points``, for those
            models that are in ``points``, in their order.
    """

    name: str
    points: pd.DataFrame
    metrics: tuple[str, ...]
    n_planned: int
    n_left_over: int
    models: tuple[dict[str, Any], ...] = ()


def read_run(run_folder: Path) -> Run:
    """Return the records of a run's plan as a table.

    Columns: ``trial_id``, ``status``, ``reason``, ``log_tail``; ``dataset``, ``model``, ``transform``,
    ``quantizer``, ``index``, ``reranker``, ``protocol`` (labels, made unique where different settings
    share one) and the same with ``_use`` (registered names); ``embeddings_key``, ``space``, ``k``,
    ``n_threads``, ``n_base``, ``n_queries``, ``dim``, ``bytes_per_vector``, ``codebook_bytes``,
    ``batch_qps``, ``prepare_seconds``, ``prepare_bytes``; of the model ``n_parameters``,
    ``images_per_second`` (while its embeddings were frozen), ``training_cpu_seconds``,
    ``training_seconds``; all fields of ``Latency`` and ``BuildCost``, with ``p50_us.low``,
    ``p50_us.high``, ... for the intervals; ``replicate``; for
    every metric ``M`` the columns ``M``, ``M.low``, ``M.high`` (the macro average), the same for
    ``M.by_class``, ``M.micro`` and ``M.weighted``, ``M.n_queries``, ``M.n_classes``, ``M.n_left_out``,
    ``M.undefined``; and the objects ``environment``, ``warnings``, ``batches``, ``loads`` and ``quiet``
    as in ``Record``. What a trial does not have is NaN.

    Raises:
        RecordError: if the folder is no run, or one of its records is torn.
    """
    plan = read_plan(run_folder)
    store = RecordStore(run_folder)
    present = set(store.ids())
    records = [store.read(trial_id) for trial_id in plan if trial_id in present]
    metrics = tuple(dict.fromkeys(name for r in records for name in (*r.trial.metrics, *r.metrics)))
    models = read_models(run_folder)
    points = to_frame(records, metrics, models)
    return Run(
        name=run_folder.resolve().name,
        points=points,
        metrics=metrics,
        n_planned=len(plan),
        n_left_over=len(present - set(plan)),
        models=_labelled(models, points),
    )


def _labelled(
    models: Mapping[str, dict[str, Any]], points: pd.DataFrame
) -> tuple[dict[str, Any], ...]:
    shown = points.drop_duplicates("embeddings_key").to_dict("records")
    return tuple(
        {**models[row["embeddings_key"]], "label": row["model"], "dataset": row["dataset"]}
        for row in shown
        if row["embeddings_key"] in models
    )


def to_frame(
    records: Sequence[Record],
    metrics: Sequence[str],
    models: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return a row per record; ``read_run`` lists the columns.

    Args:
        records: of the trials.
        metrics: names of metrics to have columns for.
        models: what ``read_models`` returned.

    Raises:
        RecordError: if a metric is called like another column.
    """
    import pandas as pd

    labels = _unique_labels(records)
    rows = [
        _row(record, labels)
        | _model_columns(models.get(record.trial.embeddings_key, {}))
        | _metric_columns(record, metrics)
        for record in records
    ]
    columns = list(_row_columns()) + [column for name in metrics for column in _columns_of(name)]
    if len(set(columns)) < len(columns):
        raise RecordError(
            f"A metric is called like a column of the table: {sorted(set(metrics) & set(columns))}. "
            "Rename it."
        )
    return pd.DataFrame(rows, columns=columns)


def _row_columns() -> tuple[str, ...]:
    names = [name for component in COMPONENTS for name in (component, f"{component}_use")]
    sizes = ("space", "k", "n_threads", "n_base", "n_queries", "dim")
    kept = ("bytes_per_vector", "codebook_bytes")
    bounds = [f"{name}.{end}" for name in PERCENTILES for end in _BOUNDS]
    costs = (
        *_LATENCY,
        *bounds,
        "batch_qps",
        *_NO_NUMBERS,
        *_BUILD,
        "prepare_seconds",
        "prepare_bytes",
    )
    head = ("trial_id", "status", "reason", "log_tail", "replicate")
    tail = (*_OF_MODEL, "embeddings_key", *_OBJECTS)
    return (*head, *names, *sizes, *kept, *costs, *tail)


def _columns_of(metric: str) -> tuple[str, ...]:
    averages = (metric, *(f"{metric}.{average}" for average in _AVERAGES))
    numbers = [f"{average}{end}" for average in averages for end in ("", ".low", ".high")]
    return (*numbers, *(f"{metric}.{part}" for part in (*_COUNTS, "undefined")))


def _row(record: Record, labels: dict[str, dict[Any, str]]) -> dict[str, Any]:
    trial = record.trial
    row: dict[str, Any] = {"trial_id": trial.id, "space": trial.space, "k": trial.k}
    for name in COMPONENTS:
        row[name] = labels[name][_identity(record, name)]
        row[f"{name}_use"] = getattr(trial, name).use
    for name in ("status", "reason", "log_tail", "n_base", "n_queries", "dim"):
        row[name] = getattr(record, name)
    for name in (
        "bytes_per_vector",
        "codebook_bytes",
        "batch_qps",
        "prepare_seconds",
        "prepare_bytes",
    ):
        row[name] = _number(getattr(record, name))
    row |= {name: _number(getattr(record.latency, name, None)) for name in _LATENCY}
    row |= {name: _number(getattr(record.build, name, None)) for name in _BUILD}
    row |= _interval_columns(record)
    row["build_key"] = record.build.build_key if record.build else ""
    row["loads_identically"] = record.build.loads_identically if record.build else None
    row["load_problem"] = record.build.load_problem if record.build else ""
    row["replicate"] = trial.replicate
    row["n_threads"] = trial.n_threads
    row["embeddings_key"] = trial.embeddings_key
    return row | {name: getattr(record, name) for name in _OBJECTS}


def _interval_columns(record: Record) -> dict[str, float]:
    intervals = record.latency.intervals if record.latency else {}
    return {
        f"{name}.{end}": _number(intervals.get(name, (None, None))[place])
        for name in PERCENTILES
        for end, place in _BOUNDS.items()
    }


def _model_columns(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run folder tells of the model behind a trial; NaN where it tells nothing."""
    log = (model.get("training") or {}).get("log", {})
    values = (
        model.get("n_parameters"),
        model.get("images_per_second"),
        log.get("cpu_seconds"),
        log.get("seconds"),
    )
    return dict(zip(_OF_MODEL, map(_number, values), strict=True))


def _metric_columns(record: Record, metrics: Iterable[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in metrics:
        value = record.metrics.get(name, _NOT_MEASURED)
        macro = (value.mean, value.low, value.high)
        others = [_ends(getattr(value, average)) for average in _AVERAGES]
        numbers = [_number(number) for ends in (macro, *others) for number in ends]
        counts = [getattr(value, count) for count in _COUNTS]
        row |= dict(zip(_columns_of(name), [*numbers, *counts, value.undefined], strict=True))
    return row


def _ends(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)


def _number(value: float | None) -> float:
    return _NAN if value is None else float(value)


def _identity(record: Record, component: str) -> tuple[Setting, ...]:
    """Return what a label stands for; how a model was trained is part of which model it is."""
    trial = record.trial
    settings = (
        (trial.model, trial.training) if component == "model" else (getattr(trial, component),)
    )
    return tuple(setting for setting in settings if setting is not None)


def _unique_labels(records: Iterable[Record]) -> dict[str, dict[Any, str]]:
    """Return a display name for every setting of each component, the same for no two of them."""
    labels = {}
    for component in COMPONENTS:
        settings = dict.fromkeys(_identity(record, component) for record in records)
        sharing = defaultdict(list)
        for setting in settings:
            sharing[str(setting[0])].append(setting)
        labels[component] = {
            setting: label
            for shared, group in sharing.items()
            for setting, label in zip(group, _told_apart(shared, group), strict=True)
        }
    return labels


def _told_apart(label: str, group: Sequence[tuple[Setting, ...]]) -> list[str]:
    """Return the label for each setting of a group, with the options in which they differ."""
    if len(group) == 1:
        return [label]
    flat = [_options(settings) for settings in group]
    names = dict.fromkeys(name for one in flat for name in one)
    differing = [name for name in names if len({str(one.get(name)) for one in flat}) > 1]
    return [
        f"{label} ({', '.join(f'{name}={one[name]}' for name in differing if name in one)})"
        for one in flat
    ]


def _options(settings: Sequence[Setting]) -> dict[str, Any]:
    """Return the options of a component; those of a model's training follow under longer names."""
    options = settings[0].to_json()
    for training in settings[1:]:
        options |= {f"training.{name}": value for name, value in training.to_json().items()}
    return options
