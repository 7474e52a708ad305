"""TREC files: whatever stands between columns and in whatever order the lines are."""

from __future__ import annotations

import numpy as np
import pytest
from unit.metrics.builders import clustered, full_base

from cbir_bench.core.arrays import unit_rows
from cbir_bench.core.dataset import LabelSets
from cbir_bench.core.errors import DataError
from cbir_bench.metrics.complete import complete_ranks
from cbir_bench.metrics.similarity import Similarities
from cbir_bench.protocols.truth import leave_one_out
from cbir_bench.scoring import export
from cbir_bench.scoring.export import falling, qrels_file, run_file
from cbir_bench.scoring.held import against_qrels
from cbir_bench.scoring.trec import read_qrels, read_run

RUN = "q1 Q0 d1 1 0.9 x\nq1 Q0 d2 2 0.8 x\nq2 Q0 d1 1 0.7 x\n"


def written(path, text):
    """Write a file and return its name."""
    path.write_text(text)
    return str(path)


def listed(lists):
    """Return what a run lists, as (query, document) names in order."""
    pairs = zip(lists.query, lists.document, strict=True)
    return [(lists.queries[q], lists.documents[d]) for q, d in pairs]


@pytest.mark.parametrize(
    "text",
    [
        RUN,
        RUN.replace(" ", "\t"),
        RUN.replace(" ", "   "),
        RUN.replace("\n", "\r\n"),
        RUN.replace("\n", " \n"),
        f"\n{RUN}\n\n",
        "".join(reversed(RUN.splitlines(keepends=True))),
        RUN.replace("0.8", "8e-1"),
    ],
    ids=["spaces", "tabs", "wide", "windows", "trailing", "blank lines", "reversed", "exponent"],
)
def test_every_layout_is_read(tmp_path, text):
    """Tools differ in what they write."""
    actual = read_run(written(tmp_path / "run", text))

    assert sorted(listed(actual)) == [("q1", "d1"), ("q1", "d2"), ("q2", "d1")]
    assert [d for q, d in listed(actual) if q == "q1"] == ["d1", "d2"]


def test_the_order_is_that_of_scores_not_of_ranks(tmp_path):
    """trec_eval's rule: the column of ranks is not looked at."""
    text = "q Q0 low 1 1 x\nq Q0 high 2 2 x\nq Q0 mid 3 1.5 x\n"

    actual = read_run(written(tmp_path / "run", text))

    assert [document for _, document in listed(actual)] == ["high", "mid", "low"]
    assert actual.rank.tolist() == [1, 2, 3]


def test_ties_go_by_name_ascending_and_are_counted(tmp_path):
    """Any order of lines gives the same ranking."""
    lines = ["q Q0 b 1 1 x", "q Q0 a 2 1 x", "q Q0 c 3 1 x", "q Q0 z 4 2 x", "p Q0 a 1 1 x"]
    texts = ["\n".join(lines), "\n".join(reversed(lines))]

    actual = [read_run(written(tmp_path / str(i), text)) for i, text in enumerate(texts)]

    for run in actual:
        assert [d for q, d in listed(run) if q == "q"] == ["z", "a", "b", "c"]
        assert run.n_ties == 2


def test_a_line_without_a_document_is_no_result(tmp_path):
    """Two blanks beside each other hide that a column is missing."""
    text = f"{RUN}q2 Q0  2 0.6 x\n"

    with pytest.raises(DataError, match=r"Line 4 of .* has 5 columns"):
        read_run(written(tmp_path / "run", text))


@pytest.mark.parametrize("number", ["1_0", "\u0661", str(2**63)])
def test_numbers_that_python_alone_reads_are_refused(tmp_path, number):
    """Another reader would stop there, or take the number for another."""
    with pytest.raises(DataError, match=r"Line 1 .* no whole number"):
        read_qrels(written(tmp_path / "qrels", f"q1 0 d1 {number}\n"))


def test_a_plus_is_part_of_a_number(tmp_path):
    """So trec_eval reads it."""
    text = "q1 0 d1 +2\nq1 0 d2 -1\n"

    assert read_qrels(written(tmp_path / "qrels", text)).gain.tolist() == [2, -1]


def test_quotation_marks_are_letters(tmp_path):
    """TREC files know no quoting."""
    actual = read_run(written(tmp_path / "run", 'q Q0 d"1 1 2 x\nq Q0 "d2 2 1 x\n'))

    assert [document for _, document in listed(actual)] == ['d"1', '"d2']


def test_gains_are_graded_and_what_is_not_above_zero_is_not_relevant(tmp_path):
    """As for trec_eval: judged and not relevant, or worse, is not junk."""
    run = read_run(written(tmp_path / "run", RUN))
    qrels = read_qrels(written(tmp_path / "qrels", "q1 0 d1 -2\nq1 0 d2 3\nq1 0 d7 1\nq2 0 d1 0\n"))

    actual = against_qrels(run, qrels).positives

    assert actual.n_relevant.tolist() == [2, 0]
    assert actual.ranks.tolist() == [2]
    assert actual.gains.tolist() == [3.0]
    assert actual.grades.values.tolist() == [3.0, 1.0]
    assert (actual.grades.highest, actual.depth) == (3.0, 2)


def test_scores_fall_in_float32_whatever_ties_there_are():
    """Readers that round to float32 and order ties by id cannot change the order."""
    similarity = np.array([[1.0, 1.0, 1.0, 0.5, 0.5], [1e-46, 0.0, 0.0, -0.0, -1e-46]])

    actual = falling(similarity)

    assert actual.dtype == np.float32
    assert (np.diff(actual, axis=1) < 0).all()
    np.testing.assert_allclose(actual, similarity, atol=1e-6)


def test_distinct_scores_are_kept():
    """They are moved only where they have to be."""
    similarity = np.sort(np.random.default_rng(0).random((3, 50)).astype(np.float32))[:, ::-1]

    np.testing.assert_array_equal(falling(similarity.astype(np.float64)), similarity)


def test_what_was_exported_has_the_ranks_of_exact_search(tmp_path):
    """Duplicates tie exactly, and still come back in the same order."""
    vectors, labels = clustered(60, 6, 5, seed=1)
    vectors[30:35] = vectors[3]
    truth = full_base(labels)
    unit = unit_rows(vectors)
    similarities = Similarities(queries=unit, base=unit, space="cosine")
    names = [str(row) for row in range(60)]
    (tmp_path / "run").write_bytes(run_file(similarities, truth, 59, names, names))
    (tmp_path / "qrels").write_bytes(qrels_file(truth, names, names))

    held = against_qrels(
        read_run(str(tmp_path / "run")), read_qrels(str(tmp_path / "qrels")), n_base=59
    )

    expected = complete_ranks(similarities, truth)
    rows = [int(name) for name in held.queries]
    counts = np.diff(held.positives.starts)
    assert held.positives.depth is None
    for place, row in enumerate(rows):
        mine = held.positives.ranks[held.positives.starts[place] :][: counts[place]]
        theirs = expected.ranks[expected.starts[row] : expected.starts[row + 1]]
        np.testing.assert_array_equal(mine, theirs)


def test_queries_may_be_in_another_order_than_in_the_qrels(tmp_path):
    """Each keeps its own ranks."""
    run = read_run(written(tmp_path / "run", RUN))
    qrels = read_qrels(written(tmp_path / "qrels", "q2 0 d1 1\nq1 0 d2 1\n"))

    actual = against_qrels(run, qrels)

    assert actual.queries == ("q2", "q1")
    assert actual.positives.ranks.tolist() == [1, 2]


def test_junk_makes_no_exported_list_shorter(tmp_path):
    """What stands below it moves up, also from below the depth that was asked for."""
    vectors, labels = clustered(40, 6, 2, seed=1)
    sets = LabelSets.of(labels)
    truth = leave_one_out(sets, cameras=np.zeros(40, np.int64), queries=np.arange(40))
    unit = unit_rows(vectors)
    similarities = Similarities(queries=unit, base=unit, space="cosine")
    names = [str(row) for row in range(40)]
    (tmp_path / "run").write_bytes(run_file(similarities, truth, 5, names, names))

    actual = read_run(str(tmp_path / "run"))

    classes = sets.first()
    assert np.bincount(actual.query).tolist() == [5] * 40
    for query, document in listed(actual):
        assert classes[int(query)] != classes[int(document)]


def test_qrels_are_written_in_blocks_of_queries(tmp_path, monkeypatch):
    """Millions of lines need not be in memory as numbers at once."""
    truth = full_base(["a", "b", "a", "b", "c"])
    names = [f"i{row}" for row in range(5)]
    whole = qrels_file(truth, names, names)
    monkeypatch.setattr(export, "_QUERIES_AT_ONCE", 2)

    actual = qrels_file(truth, names, names)

    assert actual == whole == b"i0 0 i2 1\ni1 0 i3 1\ni2 0 i0 1\ni3 0 i1 1\n"
