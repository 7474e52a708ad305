"""What ``cbir-bench score`` was asked for, and which options go together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from cbir_bench.core.errors import SettingError

Kind: TypeAlias = Literal["embeddings", "revisited", "run"]
DEPTH: Final = 1000
THRESHOLD: Final = 0.98


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of the command by name; None, "", () or False where they were not given.

    Raises:
        SettingError: if an option is missing, excludes another, or would have no effect.
    """

    embeddings: str | None = None
    labels: str | None = None
    label_column: tuple[str, ...] = ()
    label_separator: str | None = None
    queries: str | None = None
    query_labels: str | None = None
    protocol: str | None = None
    space: str | None = None
    n_queries: int | None = None
    graded: bool = False
    cameras: str | None = None
    query_cameras: str | None = None
    same_camera: str | None = None
    near_duplicates: str | None = None
    duplicate_threshold: float | None = None
    revisited: str | None = None
    difficulty: tuple[str, ...] = ()
    distractors: str | None = None
    run: str | None = None
    qrels: str | None = None
    depth: int | None = None
    n_base: int | None = None
    metrics: str | None = None
    resample: str | None = None
    seed: int = 0
    device: str | None = None
    json: str | None = None
    curves: bool = False
    per_query: str | None = None
    against: str | None = None
    write_run: str | None = None
    write_qrels: str | None = None

    def __post_init__(self) -> None:
        if not (self.embeddings or self.run):
            raise SettingError(
                "There is nothing to score. Give --embeddings with --labels, or --run with --qrels."
            )
        self._refuse_others()
        for option, needed in _NEEDS:
            if self._given(option) and not any(self._given(one) for one in needed):
                wanted = " or ".join(map(flag, needed))
                raise SettingError(
                    f"{flag(option)} goes with {wanted}. Give it too, or leave {flag(option)} out."
                )
        self._check_truth()
        self._check_protocol()

    @property
    def kind(self) -> Kind:
        """What is scored."""
        if self.run:
            return "run"
        return "revisited" if self.revisited else "embeddings"

    def _given(self, option: str) -> bool:
        return getattr(self, option) not in (None, (), False)

    def _refuse_others(self) -> None:
        """Refuse what belongs to another kind of input."""
        refused = _REFUSED[self.kind]
        for option in (field.name for field in fields(self)):
            if option in refused and self._given(option):
                raise SettingError(
                    f"{flag(option)} and {flag(_SIGN[self.kind])} exclude each other. Leave one of them out."
                )

    def _check_truth(self) -> None:
        """Refuse input that says nothing, or says it twice, about who is relevant to whom."""
        if self.kind == "run" and bool(self.qrels) == bool(self.labels):
            found = "both --qrels and --labels" if self.qrels else "neither --qrels nor --labels"
            raise SettingError(f"--run has {found} to tell what is relevant. Give one of them.")
        if self.kind == "run" and self.qrels and self.query_labels:
            raise SettingError(
                "--qrels and --query-labels exclude each other. Leave one of them out."
            )
        if self.kind == "embeddings" and self.query_labels and not self.queries:
            raise SettingError("--query-labels needs --queries. Give both.")

    def _check_protocol(self) -> None:
        if self.protocol == "full-base" and self.queries:
            raise SettingError(
                "Under --protocol full-base every item is a query, so that --queries are too many. "
                "Leave one of them out."
            )
        if self.protocol == "query-set" and not self.queries:
            raise SettingError("--protocol query-set needs --queries. Give them, or use full-base.")


def flag(option: str) -> str:
    """Return an option as it is written on the command line."""
    return f"--{option.replace('_', '-')}"


_SIGN: Final[dict[Kind, str]] = {"embeddings": "embeddings", "revisited": "revisited", "run": "run"}
_OF_LABELS: Final = (
    "labels label_column label_separator query_labels protocol n_queries graded cameras query_cameras "
    "same_camera near_duplicates duplicate_threshold"
)
_OF_VECTORS: Final = (
    "embeddings queries protocol space n_queries near_duplicates duplicate_threshold revisited distractors "
    "device curves write_run write_qrels difficulty"
)
_REFUSED: Final[dict[Kind, frozenset[str]]] = {
    "embeddings": frozenset({"qrels", "n_base"}),
    "revisited": frozenset({*_OF_LABELS.split(), "qrels", "n_base"}),
    "run": frozenset(_OF_VECTORS.split()),
}
_LABELLED: Final = ("labels", "embeddings")
"""A file of embeddings may bring labels of its own."""
_NEEDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("revisited", ("queries",)),
    ("difficulty", ("revisited",)),
    ("distractors", ("revisited",)),
    ("label_column", _LABELLED),
    ("label_separator", _LABELLED),
    ("query_labels", _LABELLED),
    ("cameras", _LABELLED),
    ("query_cameras", ("query_labels", "queries")),
    ("graded", _LABELLED),
    ("same_camera", _LABELLED),
    ("duplicate_threshold", ("near_duplicates",)),
    ("n_base", ("qrels",)),
    ("curves", ("json",)),
    ("depth", ("run", "write_run")),
)


def json_of(options: Options) -> dict[str, Any]:
    """Return the options that were given, by name."""
    found = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value not in (None, (), False)
    }
