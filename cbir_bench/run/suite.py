"""Suite files: TOML in, every setting of every axis out, or every mistake at once."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cbir_bench.core.arrays import Space
from cbir_bench.core.component import Setting, setting_of
from cbir_bench.core.errors import CbirBenchError, SettingError, UnknownNameError, did_you_mean
from cbir_bench.core.registry import (
    DATASETS,
    INDEXES,
    MODELS,
    QUANTIZERS,
    RERANKERS,
    TRANSFORMS,
)
from cbir_bench.measure.settings import MeasureSettings
from cbir_bench.metrics.names import MetricName
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.run.axes import Kind, Problem, expand, expand_options, explain
from cbir_bench.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cbir_bench.core.registry import Registry
    from cbir_bench.run.axes import Path as TablePath

Table = dict[str, Any]
DEFAULT_METRICS: Final = ("map_at_r", "ap", "hit_rate@1", "precision@10", "knn_recall@10")


class SuiteError(SettingError):
    """A suite file cannot be run; the message lists every problem with its line."""


class StopAt(BaseModel):
    """``[search.stop_at]``: when dearer search settings of the same index are left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    knn_recall: Annotated[float, Field(gt=0, le=1)] | None = None
    latency_us: Annotated[float, Field(gt=0)] | None = None


class SearchTable(BaseModel):
    """``[search]``: what is asked of every index; each a value or a list of values."""

    model_config = ConfigDict(extra="forbid", strict=True)
    space: Space | Annotated[list[Space], Field(min_length=1)] = "cosine"
    k: (
        Annotated[int, Field(ge=1)]
        | Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    ) = 100
    n_threads: (
        Annotated[int, Field(ge=1)]
        | Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    ) = 1
    replicates: Annotated[int, Field(ge=1)] = 1
    stop_at: StopAt = StopAt()


class SuiteFile(BaseModel):
    """The top level of a suite file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]
    description: str = ""
    metrics: Annotated[list[str], Field(min_length=1)] = list(DEFAULT_METRICS)
    dataset: Annotated[list[Table], Field(min_length=1)]
    model: Annotated[list[Table], Field(min_length=1)]
    protocol: Annotated[list[Table], Field(min_length=1)] = [
        {"use": "query-set"},
        {"use": "full-base"},
    ]
    transform: Annotated[list[Table], Field(min_length=1)] = [{"use": "none"}]
    quantizer: Annotated[list[Table], Field(min_length=1)] = [{"use": "none"}]
    index: Annotated[list[Table], Field(min_length=1)]
    reranker: Annotated[list[Table], Field(min_length=1)] = [{"use": "none"}]
    search: SearchTable = SearchTable()
    measure: Table = {}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A valid suite: for each stage the settings to combine, in the order of the file.

    Of an index that does not repeat itself ``replicates`` are built; ``stop_at`` leaves out search settings.
    """

    name: str
    description: str
    source: str
    datasets: tuple[Setting, ...]
    models: tuple[tuple[Setting, Setting | None], ...]
    transforms: tuple[Setting, ...]
    protocols: tuple[Setting, ...]
    quantizers: tuple[Setting, ...]
    indexes: tuple[Setting, ...]
    rerankers: tuple[Setting, ...]
    spaces: tuple[Space, ...]
    ks: tuple[int, ...]
    n_threads: tuple[int, ...]
    replicates: int
    stop_at: StopAt
    measure: Setting
    metrics: tuple[str, ...]

    def summary(self) -> str:
        """Return the number of points on each axis: "1 data set x 4 models x ..."."""
        counts = {
            "data set": self.datasets,
            "model": self.models,
            "transform": self.transforms,
            "protocol": self.protocols,
            "quantizer": self.quantizers,
            "index setting": self.indexes,
            "re-ranker": self.rerankers,
            "space": self.spaces,
            "k": self.ks,
            "thread count": self.n_threads,
        }
        if len(self.transforms) == 1 and self.transforms[0].use == "none":
            del counts["transform"]
        parts = [f"{len(c)} {noun}{'s' if len(c) > 1 else ''}" for noun, c in counts.items()]
        total = prod(map(len, counts.values()))
        return f"{' x '.join(parts)} = {total} trial{'s' if total > 1 else ''}"


def read_suite(path: Path) -> Suite:
    """Return the suite in a file.

    Raises:
        SuiteError: with every problem, each with its line, its path and a suggestion.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"The suite {path} cannot be read: {error}.") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"The suite {path} is not valid TOML: {error}.") from error
    return _suite(tables, text, path.name)


def _suite(tables: Table, text: str, filename: str) -> Suite:
    problems, file = _top_level(tables)
    sections = {name: _section(name, kind, tables, problems) for name, kind in _kinds().items()}
    models = _models(tables, problems)
    measure = _measure(tables, problems)
    metrics = tables.get("metrics", list(DEFAULT_METRICS))
    problems += _metric_problems(metrics, min(_axis(file.search.k)) if file else None)
    problems += _stop_problems(file)
    if problems or file is None:
        lines = [
            f"{filename}:{_line(text, p.path)}: {_dotted(p.path)}{p.message}" for p in problems
        ]
        count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise SuiteError(f"The suite {filename} has {count}:\n  " + "\n  ".join(lines))
    return Suite(
        name=file.name,
        description=file.description,
        source=text,
        datasets=sections["dataset"],
        models=models,
        transforms=sections["transform"],
        protocols=sections["protocol"],
        quantizers=sections["quantizer"],
        indexes=sections["index"],
        rerankers=sections["reranker"],
        spaces=_axis(file.search.space),
        ks=_axis(file.search.k),
        n_threads=_axis(file.search.n_threads),
        replicates=file.search.replicates,
        stop_at=file.search.stop_at,
        measure=measure,
        metrics=tuple(str(MetricName.parse(name)) for name in file.metrics),
    )


def _axis(value: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else (value,)


def _top_level(tables: Table) -> tuple[list[Problem], SuiteFile | None]:
    try:
        return [], SuiteFile.model_validate(tables)
    except ValidationError as error:
        return [_top_problem(e) for e in error.errors()], None


def _top_problem(error: Any) -> Problem:
    path = tuple(
        p
        for p in error["loc"]
        if not ((isinstance(p, str) and "[" in p) or p in {"int", "literal"})
    )
    if error["type"] == "extra_forbidden":
        model: type[BaseModel] = SearchTable if path[0] == "search" else SuiteFile
        if path[:2] == ("search", "stop_at"):
            model = StopAt
        known = model.model_fields
        name = str(path[-1])
        hint = f"{did_you_mean(name, known)} Known: {', '.join(known)}."
        return Problem(path, f"There is no key {name!r} here.{hint}")
    if error["type"] == "missing":
        brackets = "{}" if path == ("name",) else "[[{}]]"
        return Problem((), f"The suite has no {path[-1]}. Add {brackets.format(path[-1])}.")
    return Problem(path, explain(error, error["input"]))


def _kinds() -> dict[str, Kind]:
    def get_protocol(name: str) -> type[Any]:
        if name not in PROTOCOLS:
            raise UnknownNameError("protocol", name, PROTOCOLS)
        return PROTOCOLS[name]

    registries: dict[str, Registry[Any]] = {
        "dataset": DATASETS,
        "transform": TRANSFORMS,
        "quantizer": QUANTIZERS,
        "index": INDEXES,
        "reranker": RERANKERS,
    }
    kinds = {
        section: Kind(noun=registry.noun, get=registry.get, names=registry.names)
        for section, registry in registries.items()
    }
    kinds["protocol"] = Kind(noun="protocol", get=get_protocol, names=PROTOCOLS.keys)
    return kinds


def _section(
    section: str, kind: Kind, tables: Table, problems: list[Problem]
) -> tuple[Setting, ...]:
    default = SuiteFile.model_fields[section].default
    found: dict[Setting, None] = {}
    for path, table in _tables(tables, section, default):
        settings, wrong = expand(kind, table, path)
        problems += wrong
        found.update(dict.fromkeys(settings))
    return tuple(found)


def _tables(
    tables: Table, section: str, default: Any = None
) -> Iterable[tuple[TablePath, Mapping[str, Any]]]:
    """Yield the tables of a section; what is no table was reported by the top level."""
    value = tables.get(section, default)
    if isinstance(value, list):
        for place, table in enumerate(value):
            if isinstance(table, dict):
                yield (section, place), table


def _models(tables: Table, problems: list[Problem]) -> tuple[tuple[Setting, Setting | None], ...]:
    kind = Kind(
        noun=MODELS.noun,
        get=MODELS.get,
        names=MODELS.names,
        extra=frozenset({"use", "label", "training"}),
    )
    found: dict[tuple[Setting, Setting | None], None] = {}
    for path, table in _tables(tables, "model"):
        settings, wrong = expand(kind, table, path)
        recipes, wrong_recipe = _recipes(table, path)
        problems += [*wrong, *wrong_recipe]
        for setting in settings:
            if "training" in table and not MODELS.get(setting.use).TRAINABLE:
                text = f"The model {setting.use!r} has nothing to train. Drop this table."
                problems.append(Problem((*path, "training"), text))
            trained = "training" in table or setting.values.get("weights") == "train"
            for recipe in recipes if trained else [None]:
                found[_named(setting, recipe, table), recipe] = None
    return _told_apart(list(found))


def _told_apart(
    models: Sequence[tuple[Setting, Setting | None]],
) -> tuple[tuple[Setting, Setting | None], ...]:
    """Return models under labels that name what they were trained by, where two share one."""
    sharing = Counter(str(setting) for setting, _ in models)
    recipes: dict[str, list[dict[str, Any]]] = {}
    for setting, recipe in models:
        recipes.setdefault(str(setting), []).append(_all_options(recipe))
    return tuple(
        (_with(setting, _differing(_all_options(recipe), recipes[str(setting)])), recipe)
        if sharing[str(setting)] > 1
        else (setting, recipe)
        for setting, recipe in models
    )


def _differing(options: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the options that are not the same everywhere."""
    return {
        name: value
        for name, value in options.items()
        if any(other.get(name) != value for other in others)
    }


def _all_options(recipe: Setting | None) -> dict[str, Any]:
    """Return every option of a recipe, those at their defaults included."""
    return {} if recipe is None else asdict(TrainingRecipe(**recipe.values))


def _recipes(table: Mapping[str, Any], path: TablePath) -> tuple[list[Setting], list[Problem]]:
    options = table.get("training", {})
    path = (*path, "training")
    if not isinstance(options, dict):
        return [], [Problem(path, "It should be a table: write [model.training] below the model.")]
    return expand_options(TrainingRecipe, "training recipe", options, path, use="training")


def _named(setting: Setting, recipe: Setting | None, table: Mapping[str, Any]) -> Setting:
    """Return the model's setting under a label that tells the recipes of its table apart."""
    options = table.get("training", {})
    swept = [name for name, value in options.items() if isinstance(value, list) and len(value) > 1]
    if recipe is None or not swept:
        return setting
    values = _all_options(recipe)
    return _with(setting, {name: values[name] for name in swept})


def _with(setting: Setting, options: Mapping[str, Any]) -> Setting:
    """Return a setting whose label names some options more."""
    if not options:
        return setting
    chosen = ", ".join(f"{name}={value}" for name, value in options.items())
    label = str(setting)
    label = f"{label[:-1]}, {chosen})" if label.endswith(")") else f"{label} ({chosen})"
    return Setting(use=setting.use, options=setting.options, label=label)


def _measure(tables: Table, problems: list[Problem]) -> Setting:
    table = tables.get("measure", {})
    fallback = setting_of("measure", MeasureSettings())
    if not isinstance(table, dict):
        return fallback
    plural = {f.name for f in fields(MeasureSettings) if isinstance(f.default, tuple)}
    # A list is one value of these, and no axis.
    table = {name: _one_value(value) if name in plural else value for name, value in table.items()}
    lists = [n for n, value in table.items() if isinstance(value, list) and n not in plural]
    if lists:
        problems += [
            Problem(("measure", name), "How to measure is no axis. Give one value.")
            for name in lists
        ]
        return fallback
    settings, wrong = expand_options(
        MeasureSettings, "table [measure]", table, ("measure",), use="measure"
    )
    problems += wrong
    return settings[0] if settings else fallback


def _one_value(value: Any) -> list[Any]:
    return [tuple(value)] if isinstance(value, list) else [(value,)]


def _metric_problems(metrics: Any, least_k: int | None) -> list[Problem]:
    problems = []
    for place, text in enumerate(metrics if isinstance(metrics, list) else []):
        if not isinstance(text, str):
            continue
        path = ("metrics", place)
        try:
            name = MetricName.parse(text)
        except CbirBenchError as error:
            problems.append(Problem(path, str(error)))
            continue
        if name.k and least_k and name.k > least_k:
            hint = f"Set k = {name.k} or more, or cut the metric at {least_k}."
            problems.append(Problem(path, f"{name} is deeper than [search] k = {least_k}. {hint}"))
    return problems


def _stop_problems(file: SuiteFile | None) -> list[Problem]:
    """Return what is wrong with a stop that no metric can tell."""
    if file is None or file.search.stop_at.knn_recall is None:
        return []
    if any(name.startswith("knn_recall") for name in file.metrics):
        return []
    text = 'No metric tells it. Add "knn_recall@10", or another depth, to metrics.'
    return [Problem(("search", "stop_at", "knn_recall"), text)]


def _dotted(path: TablePath) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text.removeprefix('.')}: " if text else ""


def _line(text: str, path: TablePath) -> int:
    """Return the line of a path in the file, or of the nearest table above it."""
    lines = text.splitlines()
    first, last = _section_lines(lines, path)
    names = [str(part) for part in path if isinstance(part, str)]
    for name in reversed(names):
        pattern = re.compile(
            rf"\s*(\"?{re.escape(name)}\"?\s*=|\[+\s*([\w-]+\.)*{re.escape(name)}\s*\]+)"
        )
        found = next((i for i in range(first, last) if pattern.match(lines[i])), None)
        if found is not None:
            return found + 1
    return first + 1


def _section_lines(lines: list[str], path: TablePath) -> tuple[int, int]:
    """Return the range of lines that the table at the head of a path takes."""
    if len(path) < 2 or not isinstance(path[1], int):
        header = rf"\s*\[\s*{re.escape(str(path[0]))}\s*\]" if path else r"(?!)"
        first = next((i for i, line in enumerate(lines) if re.match(header, line)), 0)
        return first, len(lines)
    header = rf"\s*\[\[\s*{re.escape(str(path[0]))}\s*\]\]"
    headers = [i for i, line in enumerate(lines) if re.match(header, line)]
    if path[1] >= len(headers):
        return 0, len(lines)
    first = headers[path[1]]
    after = (i for i, line in enumerate(lines) if i > first and re.match(r"\s*\[\[", line))
    return first, next(after, len(lines))
