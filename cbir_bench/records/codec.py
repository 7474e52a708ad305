"""Records as JSON: sorted keys, and null wherever a number is not finite."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import RecordError
from cbir_bench.core.record import (
    SCHEMA_VERSION,
    Batch,
    BuildCost,
    Estimate,
    Latency,
    Load,
    MetricValue,
    Quiet,
    Record,
)
from cbir_bench.core.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable

_APART: Final = (
    "trial",
    "metrics",
    "latency",
    "batches",
    "loads",
    "quiet",
    "build",
    "arrays",
    "warnings",
    "schema_version",
)
"""Fields of a record that need more than copying."""
_AVERAGES: Final = ("by_class", "micro", "weighted")
_PLAIN: Final = tuple(f.name for f in fields(Record) if f.name not in _APART)


def to_json(record: Record) -> dict[str, Any]:
    """Return the record without its arrays as a JSON object."""
    table: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    table |= {
        "schema_version": record.schema_version,
        "trial_id": record.trial.id,
        "trial": record.trial.to_json(),
        "labels": record.trial.labels(),
        "metrics": {name: asdict(value) for name, value in record.metrics.items()},
        "latency": record.latency and asdict(record.latency),
        "batches": [asdict(batch) for batch in record.batches],
        "loads": [asdict(load) for load in record.loads],
        "quiet": record.quiet and asdict(record.quiet),
        "build": record.build and asdict(record.build),
        "warnings": list(record.warnings),
    }
    return {name: _plain(value) for name, value in table.items()}


def dump(table: dict[str, Any]) -> bytes:
    """Return the text of a JSON object; equal objects give equal bytes."""
    text = json.dumps(table, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # A file name that is no UTF-8 arrives as lone surrogates, whose escape is JSON's own.
    return f"{text}\n".encode("utf-8", "backslashreplace")


def load(content: bytes, trial_id: str) -> dict[str, Any]:
    """Return the JSON object of the record called ``trial_id``.

    Raises:
        RecordError: if the text is torn, of another schema, or the record of another trial.
    """
    try:
        table = json.loads(content)
    except ValueError as error:
        raise RecordError(
            f"The record {trial_id} is no JSON ({error}). Delete its files to measure it again."
        ) from error
    if not isinstance(table, dict) or "schema_version" not in table:
        raise RecordError(f"{trial_id}.json is no record. Move it out of the folder of records.")
    if table["schema_version"] != SCHEMA_VERSION:
        raise RecordError(
            f"The record {trial_id} has schema version {table['schema_version']}, this program reads "
            f"{SCHEMA_VERSION}. Use the version of cbir-bench that wrote it, or run into a new folder."
        )
    if table.get("trial_id") != trial_id:
        raise RecordError(
            f"{trial_id}.json holds the record of trial {table.get('trial_id')}. "
            "Delete it to measure the trial again."
        )
    return table


def from_json(table: dict[str, Any]) -> Record:
    """Return the record of a JSON object that ``load`` accepted, without arrays.

    Raises:
        RecordError: if a field is missing or unknown, or the trial is not the one that the id names.
    """
    try:
        trial = Trial.from_json(table["trial"], table["labels"])
        record = Record(
            trial=trial,
            metrics=_metrics(table["metrics"], trial.metrics),
            latency=table["latency"] and _latency(table["latency"]),
            batches=tuple(Batch(**batch) for batch in table["batches"]),
            loads=tuple(Load(**load) for load in table["loads"]),
            quiet=table["quiet"] and _quiet(table["quiet"]),
            build=table["build"] and BuildCost(**table["build"]),
            warnings=tuple(table["warnings"]),
            schema_version=table["schema_version"],
            **{name: table[name] for name in _PLAIN},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"The record {table.get('trial_id')} lacks a field or has one too many "
            f"({type(error).__name__}: {error}). Delete its files to measure it again."
        ) from error
    if trial.id != table["trial_id"]:
        raise RecordError(
            f"The record {table['trial_id']} was changed: its settings are those of trial {trial.id}. "
            "Delete its files to measure it again."
        )
    return record


def _metrics(table: dict[str, Any], order: Iterable[str]) -> dict[str, MetricValue]:
    """Return the metrics in the suite's order, which sorted keys have lost."""
    names = [*(name for name in order if name in table), *(n for n in table if n not in set(order))]
    return {name: _metric(table[name]) for name in names}


def _metric(table: dict[str, Any]) -> MetricValue:
    averages = {name: Estimate(**table[name]) for name in _AVERAGES if table.get(name)}
    return MetricValue(**table | averages)


def _plain(value: Any) -> Any:
    """Return the value with Python numbers for NumPy's, and None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _latency(table: dict[str, Any]) -> Latency:
    intervals = {name: (low, high) for name, (low, high) in table["intervals"].items()}
    numbers: dict[str, Any] = {
        name: math.nan if value is None else value
        for name, value in table.items()
        if name != "intervals"
    }
    return Latency(**numbers, intervals=intervals)


def _quiet(table: dict[str, Any]) -> Quiet:
    return Quiet(**{**table, "lost": tuple(table["lost"])})
