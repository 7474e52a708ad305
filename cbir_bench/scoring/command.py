"""What ``cbir-bench score`` does: read, check, score, write files, and return what to print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from cbir_bench.core.errors import SettingError
from cbir_bench.core.paths import expand_user
from cbir_bench.protocols.summary import summarise
from cbir_bench.records.atomic import write_file
from cbir_bench.scoring.compared import differences
from cbir_bench.scoring.document import as_json, as_parquet, read_per_query
from cbir_bench.scoring.options import DEPTH, flag, json_of
from cbir_bench.scoring.progress import Waiting
from cbir_bench.scoring.scored import About, Scored, Units, scored_ranking
from cbir_bench.scoring.tables import join_blocks
from cbir_bench.scoring.wanted import REVISITED, of_ranking, parse_metrics, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cbir_bench.metrics.complete import Device
    from cbir_bench.metrics.names import MetricName
    from cbir_bench.scoring.compared import Differences
    from cbir_bench.scoring.loading import Search, Section
    from cbir_bench.scoring.options import Options
    from cbir_bench.scoring.trec import Lists

_FILES = ("json", "per_query", "write_run", "write_qrels")
_READ = (
    "embeddings", "labels", "queries", "query_labels", "cameras", "query_cameras", "revisited",
    "distractors", "run", "qrels",
)  # fmt: skip


class _Outcome(NamedTuple):
    """Scores of the same queries, one for each kind of labels or difficulty, and the queries' names."""

    sections: list[Scored]
    queries: tuple[str, ...]


def score(options: Options) -> str:
    """Score what the options name, write the files that they ask for, and return tables of text.

    Raises:
        CbirBenchError: if anything is missing, unreadable or undefined.
    """
    names = None if options.metrics is None else parse_metrics(options.metrics)
    _check_folders(options)
    outcome = _of_run(options, names) if options.kind == "run" else _of_vectors(options, names)
    compared = list(_compared(options, outcome))
    if options.json:
        write_file(expand_user(options.json), as_json(outcome.sections, compared, json_of(options)))
    if options.per_query:
        write_file(expand_user(options.per_query), as_parquet(outcome.sections, outcome.queries))
    blocks = [one.table() for one in outcome.sections]
    for one, found in zip(outcome.sections, compared, strict=False):
        blocks.append(
            f"Against {options.against}; relevance by {one.about.labels}\n\n{found.table()}"
        )
    return join_blocks(blocks)


def _check_folders(options: Options) -> None:
    """Refuse files that cannot be written, or should not be, before anything is computed."""
    if options.against and not expand_user(options.against).is_file():
        raise SettingError(
            f"--against {options.against} does not exist. Give a file that --per-query wrote."
        )
    taken = {expand_user(text).resolve(): option for option, text in _inputs(options)}
    given = [(name, getattr(options, name)) for name in _FILES if getattr(options, name)]
    for name, text in given:
        path = expand_user(text)
        other = taken.setdefault(path.resolve(), name)
        if other != name:
            raise SettingError(
                f"{flag(name)} {text} is the file of {flag(other)}, too, and would replace it. "
                "Give another one."
            )
        if path.is_dir():
            raise SettingError(f"{flag(name)} {text} is a folder. Give the path of a file in it.")
        if not path.parent.is_dir():
            raise SettingError(
                f"{flag(name)} {text} is in the folder {str(path.parent)!r}, which does not exist. "
                "Make it first."
            )
        if path.exists() and not path.is_file():  # /dev/null would be replaced by a file
            raise SettingError(
                f"{flag(name)} {text} is no file that could be written anew. Give the path of a file."
            )


def _inputs(options: Options) -> Iterator[tuple[str, str]]:
    """Yield the files that are read, each with its option."""
    for option in _READ:
        text = getattr(options, option)
        if text:
            yield option, text.rpartition(".npz:")[0] + ".npz" if ".npz:" in text else text


def _of_vectors(options: Options, names: Sequence[MetricName] | None) -> _Outcome:
    """Return the scores of exact search."""
    from cbir_bench.scoring.loading import load_revisited, load_search
    from cbir_bench.scoring.search import chosen, score_search

    if options.write_qrels or options.write_run:
        _refuse_several(options)
    search = load_revisited(options) if options.kind == "revisited" else load_search(options)
    similarities = search.vectors.similarities(search.rows)
    sections = []
    for section in search.sections:
        usual = names
        if names is None and options.kind == "revisited":
            usual = within(REVISITED, len(section.truth.base_rows))
        with Waiting(f"Search ({section.labels})") as waiting:
            scored = score_search(
                similarities,
                section.truth,
                chosen(usual, section.truth, cameras=search.cameras),
                labels=section.labels,
                clusters="classes" if options.resample == "classes" else None,
                seed=options.seed,
                curves=options.curves,
                device=_device(options),
                on_progress=waiting,
                notes=search.notes,
            )
        sections.append(scored)
    _write_trec(options, search, search.sections[0])
    return _Outcome(sections, search.queries)


def _of_run(options: Options, names: Sequence[MetricName] | None) -> _Outcome:
    """Return the scores of a TREC run."""
    from cbir_bench.scoring.trec import read_run

    lists = read_run(options.run or "")
    if options.depth is not None:
        lists = lists.cut(options.depth)
    if options.qrels:
        return _by_qrels(options, names, lists)
    return _by_labels(options, names, lists)


def _by_qrels(options: Options, names: Sequence[MetricName] | None, lists: Lists) -> _Outcome:
    from cbir_bench.scoring.held import against_qrels
    from cbir_bench.scoring.trec import read_qrels

    if options.resample == "classes":
        raise SettingError("Qrels tell of no classes. Use --resample queries.")
    held = against_qrels(lists, read_qrels(options.qrels or ""), options.n_base)
    positives = held.positives
    about = About(
        n_queries=len(held.queries),
        n_base=options.n_base,
        labels="qrels",
        depth=positives.depth,
        seed=options.seed,
    )
    wanted = names or of_ranking(positives.depth, graded=positives.gains is not None)
    units = Units(n_relevant=positives.n_relevant)
    scored = scored_ranking(wanted, positives, units, about, held.notes, refuse=names is not None)
    return _Outcome([scored], held.queries)


def _by_labels(options: Options, names: Sequence[MetricName] | None, lists: Lists) -> _Outcome:
    """Return the scores of a run whose documents and queries are items of tables."""
    from cbir_bench.scoring.held import matched, notes_on
    from cbir_bench.scoring.loading import load_items, sides, uses_cameras
    from cbir_bench.scoring.search import resampled, units_of
    from cbir_bench.scoring.truths import truth_of

    base, queries = load_items(options)
    cameras = uses_cameras(options, base)
    found = matched(lists, base, queries)
    rows = None if queries is not None else found.query_rows
    clusters: Literal["classes"] | None = "classes" if options.resample == "classes" else None
    sections = []
    for labels in base.labels:
        own, asking = sides(base, queries, labels, cameras=cameras)
        truth = truth_of(own, asking, rows=rows, graded=options.graded, what=labels)
        positives = truth.positives(found.ids)
        about = About(
            n_queries=len(found.ids),
            n_base=len(base),
            protocol="full-base" if queries is None else "query-set",
            labels=labels,
            depth=positives.depth,
            resample=resampled(clusters),
            seed=options.seed,
        )
        wanted = names or of_ranking(positives.depth, graded=positives.gains is not None)
        notes = (*summarise(truth).notes(), *notes_on(lists))
        units = units_of(truth, clusters)
        sections.append(
            scored_ranking(wanted, positives, units, about, notes, refuse=names is not None)
        )
    whose = queries or base
    return _Outcome(sections, tuple(whose.named(int(row)) for row in found.query_rows))


def _compared(options: Options, outcome: _Outcome) -> Iterator[Differences]:
    """Yield how each section differs from that of another system's file; nothing without one."""
    if not options.against:
        return
    for one in outcome.sections:
        theirs = read_per_query(options.against, one, outcome.queries)
        yield differences(theirs, one.per_query, clusters=one.units.clusters, seed=options.seed)


def _write_trec(options: Options, search: Search, section: Section) -> None:
    from cbir_bench.scoring.export import qrels_file, run_file

    if options.write_run:
        content = run_file(
            search.vectors.similarities(search.rows),
            section.truth,
            options.depth or DEPTH,
            search.queries,
            search.documents,
        )
        write_file(expand_user(options.write_run), content)
    if options.write_qrels:
        content = qrels_file(section.truth, search.queries, search.documents)
        write_file(expand_user(options.write_qrels), content)


def _refuse_several(options: Options) -> None:
    """Refuse more than one ground truth, where a file holds one."""
    several = len(options.label_column) > 1
    if options.kind == "revisited":
        several = len(options.difficulty) != 1 or "all" in options.difficulty
    if several:
        what = "--difficulty" if options.kind == "revisited" else "--label-column"
        raise SettingError(
            f"TREC files hold one ground truth, but there are several. Choose one with {what}."
        )


def _device(options: Options) -> Device:
    devices: dict[str | None, Device] = {
        None: "auto", "auto": "auto", "numpy": "numpy", "cpu": "cpu", "cuda": "cuda",
    }  # fmt: skip
    return devices[options.device]
