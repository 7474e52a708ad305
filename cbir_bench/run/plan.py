"""From a suite to trials: data sets opened, every combination made, what cannot work refused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cbir_bench.core.component import Setting, create
from cbir_bench.core.dataset import Split
from cbir_bench.core.errors import SettingError
from cbir_bench.core.hashing import key_of
from cbir_bench.core.registry import DATASETS, INDEXES, QUANTIZERS, RERANKERS
from cbir_bench.core.trial import Trial
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.run.artefacts import Subject, artefact_of, check_learning
from cbir_bench.run.near_duplicates import with_groups
from cbir_bench.run.pruning import by_effort

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from cbir_bench.core.dataset import Dataset
    from cbir_bench.core.ground_truth import GroundTruth
    from cbir_bench.run.artefacts import Artefact
    from cbir_bench.run.places import Places
    from cbir_bench.run.suite import Suite

_MOST_PROBLEMS: Final = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A data set at hand, with the ground truth of each protocol."""

    setting: Setting
    data: Dataset
    truths: dict[Setting, GroundTruth]


@dataclass(frozen=True, kw_only=True, eq=False)
class Build:
    """One index build and the trials that use it, in one worker process.

    Attributes:
        key: names the build.
        part: trials of one part share data set, model, protocol, quantiser and space, and hence the
            vectors.
        opened: the data set.
        artefact: the frozen embeddings.
        trials: every search setting, re-ranker and k of the build.
    """

    key: str
    part: str
    opened: Opened
    artefact: Artefact
    trials: tuple[Trial, ...]

    @property
    def truth(self) -> GroundTruth:
        """Who is relevant to whom, under the protocol of its trials."""
        return self.opened.truths[self.trials[0].protocol]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Everything a suite asks for."""

    suite: Suite
    opened: tuple[Opened, ...]
    artefacts: tuple[Artefact, ...]
    builds: tuple[Build, ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial, in the order of measuring."""
        return tuple(trial for build in self.builds for trial in build.trials)


def make_plan(suite: Suite, places: Places) -> Plan:
    """Open the data sets of a suite and return its plan. Trains, freezes and builds nothing.

    Raises:
        DataError: if a data set cannot be opened.
        SettingError: if settings cannot work together or with the size of the data.
    """
    opened = tuple(_open(setting, suite, places) for setting in suite.datasets)
    check_settings(suite, _sizes(opened))
    artefacts: list[Artefact] = []
    builds: list[Build] = []
    for one, model, transform in product(opened, suite.models, suite.transforms):
        subject = Subject(one.setting, one.data, *model)
        check_learning(subject, transform)
        artefact = artefact_of(subject, places, transform)
        artefacts.append(artefact)
        builds += _builds(suite, one, artefact)
    return Plan(suite=suite, opened=opened, artefacts=tuple(artefacts), builds=tuple(builds))


def _open(setting: Setting, suite: Suite, places: Places) -> Opened:
    data = create(DATASETS, setting.use, setting.values).open(places.context)
    if any(p.values.get("near_duplicates") == "exclude" for p in suite.protocols):
        data = with_groups(data, places.context.cache)
    rows = data.rows(Split.TEST)
    truths = {p: PROTOCOLS[p.use](**p.values).ground_truth(data, rows) for p in suite.protocols}
    return Opened(setting=setting, data=data, truths=truths)


def _builds(suite: Suite, opened: Opened, artefact: Artefact) -> list[Build]:
    parts = product(suite.protocols, suite.quantizers, suite.spaces)
    builds: dict[str, list[Trial]] = {}
    part_of: dict[str, str] = {}
    for protocol, quantizer, space in parts:
        for (n_threads, index, replicate), k, reranker in product(
            _indexes(suite), suite.ks, suite.rerankers
        ):
            trial = Trial(
                dataset=opened.setting,
                model=artefact.model,
                transform=artefact.transform,
                training=artefact.training,
                quantizer=quantizer,
                index=index,
                reranker=reranker,
                protocol=protocol,
                space=space,
                k=k,
                n_threads=n_threads,
                data_hash=opened.data.content_hash,
                embeddings_key=artefact.key,
                measure=suite.measure,
                metrics=suite.metrics,
                replicate=replicate,
            )
            key, part = _keys(trial)
            part_of[key] = part
            builds.setdefault(key, []).append(trial)
    return [
        Build(
            key=key,
            part=part_of[key],
            opened=opened,
            artefact=artefact,
            trials=tuple(by_effort(trials)),
        )
        for key, trials in builds.items()
    ]


def _indexes(suite: Suite) -> list[tuple[int, Setting, int]]:
    """Return numbers of threads, indexes and replicates; those that repeat themselves are built once."""
    combined = []
    for n_threads, index in product(suite.n_threads, suite.indexes):
        repeats = create(INDEXES, index.use, index.values).repeats(n_threads)
        combined += [(n_threads, index, r) for r in range(1 if repeats else suite.replicates)]
    return combined


def _keys(trial: Trial) -> tuple[str, str]:
    """Return the keys of the trial's build and of the vectors that it indexes."""
    table = trial.to_json()
    vectors = ("dataset", "data_hash", "embeddings_key", "protocol", "quantizer", "space")
    part: dict[str, Any] = {name: table[name] for name in vectors}
    search = INDEXES.get(trial.index.use).SEARCH_PARAMS
    index = {name: value for name, value in table["index"].items() if name not in search}
    build = {**part, "index": index, "n_threads": trial.n_threads}
    if trial.replicate:
        build["replicate"] = trial.replicate
    return key_of(build), key_of(part)


class Size(NamedTuple):
    """How large one data set is under one protocol; None where it is not known yet."""

    where: str
    n_base: int | None
    leave_one_out: bool


def check_settings(suite: Suite, sizes: Sequence[Size]) -> None:
    """Refuse what can be known to fail before any work is done.

    Raises:
        SettingError: with every problem.
    """
    problems: dict[str, None] = {}
    for size, setting in product(sizes, suite.quantizers):
        quantizer = create(QUANTIZERS, setting.use, setting.values)
        check_quantizer = partial(quantizer.check, n=size.n_base, dim=None)
        _collect(problems, f"{setting} on {size.where}", check_quantizer)
    for index in suite.indexes:
        spaces = INDEXES.get(index.use).SPACES
        if not spaces & set(suite.spaces):
            problems[f"{index}: {lacks_space(index.use, suite.spaces[0], spaces)}"] = None
    for size, k, space in product(sizes, suite.ks, suite.spaces):
        most = None if size.n_base is None else size.n_base - size.leave_one_out
        if most is not None and k > most:
            text = f"k = {k}, but a query of {size.where} can find {most} items."
            problems[f"{text} Set [search] k to {most} or less."] = None
            continue
        depths: dict[int, str] = {}
        for setting in suite.rerankers:
            reranker = create(RERANKERS, setting.use, setting.values)
            _collect(problems, str(setting), partial(reranker.check, k=k, space=space))
            depths.setdefault(reranker.depth(k) + size.leave_one_out, str(setting))
        for index, (asked, why) in product(suite.indexes, depths.items()):
            if space not in INDEXES.get(index.use).SPACES:
                continue  # its trials are refused; it may search by another space of the suite
            check = create(INDEXES, index.use, index.values).check
            before = "" if asked == k + size.leave_one_out else f" before {why}"
            _collect(
                problems,
                f"{index} on {size.where}{before}",
                partial(check, k=asked, n_base=size.n_base, dim=None, space=space),
            )
    if problems:
        shown = list(problems)[:_MOST_PROBLEMS]
        more = len(problems) - len(shown)
        tail = f"\n  and {more} more" if more else ""
        raise SettingError("The suite cannot run as it is:\n  " + "\n  ".join(shown) + tail)


def lacks_space(use: str, space: str, spaces: Collection[str]) -> str:
    """Return the sentence for an index that does not search by a space."""
    return (
        f"{use} does not search by {space}. Set [search] space to {' or '.join(sorted(spaces))}, or choose "
        "another index."
    )


def _sizes(opened: Iterable[Opened]) -> list[Size]:
    return [
        Size(f"{one.data.name}, {protocol}", len(truth.base_rows), truth.leave_one_out)
        for one in opened
        for protocol, truth in one.truths.items()
    ]


def _collect(problems: dict[str, None], where: str, check: Callable[[], None]) -> None:
    try:
        check()
    except SettingError as error:
        problems[f"{where}: {error}"] = None
