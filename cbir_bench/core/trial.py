"""The noun Trial: one frozen, hashable point of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.component import Setting
from cbir_bench.core.hashing import canonical_json, key_of

if TYPE_CHECKING:
    from cbir_bench.core.arrays import Space

TRIAL_VERSION: Final = 2
"""Part of every trial's id; raised when the meaning of a measurement changes."""
NO_TRANSFORM: Final = Setting(use="none", options="{}", label="none")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Everything that decides a measurement.

    Attributes:
        dataset, model, quantizer, index, reranker, protocol: the components and their options.
        transform: what is done to the frozen vectors before anything else.
        training: how the model was trained, if it was trained here.
        space: the similarity that is searched.
        k: results reported per query.
        n_threads: threads of build and batch search; single queries always use one.
        data_hash: the data set's content hash.
        embeddings_key: the content address of the frozen vectors.
        measure: how it is measured (passes, warm-up, sample of queries, seed, limits).
        metrics: names of the metrics, in the suite's order.
        replicate: counts the builds of an index that does not repeat itself, from 0.
    """

    dataset: Setting
    model: Setting
    training: Setting | None
    quantizer: Setting
    index: Setting
    reranker: Setting
    protocol: Setting
    space: Space
    k: int
    n_threads: int
    data_hash: str
    embeddings_key: str
    measure: Setting
    metrics: tuple[str, ...]
    transform: Setting = NO_TRANSFORM
    replicate: int = 0

    @property
    def id(self) -> str:
        """16 hexadecimal digits that name the trial's record."""
        return key_of({"trial_version": TRIAL_VERSION, **self.to_json()})

    def to_json(self) -> dict[str, Any]:
        """Return the trial as a JSON object without labels, transforms that are none and replicate 0."""
        table = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        if self.transform == NO_TRANSFORM:
            del table["transform"]
        if not self.replicate:
            del table["replicate"]
        return table

    def labels(self) -> dict[str, str]:
        """Return the display name of each component."""
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: str(s) for name, s in settings.items() if isinstance(s, Setting)}

    @classmethod
    def from_json(cls, table: dict[str, Any], labels: dict[str, str]) -> Trial:
        """Return the trial that ``to_json`` and ``labels`` wrote."""
        values = {"transform": NO_TRANSFORM.to_json(), "replicate": 0, **table}
        for f in fields(cls):
            value = values[f.name]
            if isinstance(value, dict):
                options = {name: v for name, v in value.items() if name != "use"}
                values[f.name] = Setting(
                    use=value["use"],
                    options=canonical_json(options),
                    label=labels.get(f.name, ""),
                )
        values["metrics"] = tuple(values["metrics"])
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Setting):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value
