"""Tables say what a number is of, and why there is none."""

from __future__ import annotations

import io
import sys

import numpy as np

from cbir_bench.run import progress
from cbir_bench.scoring import score_embeddings, score_hits
from cbir_bench.scoring.progress import Waiting


def test_every_average_stands_under_its_own_name():
    """Macro, class, micro and weighted differ here, so that none can be taken for another."""
    vectors = np.array([[0], [1], [2], [10], [11.5], [10.2], [1.5], [30]], np.float32)
    labels = ["a", "a", "a", "b", "b", "a", "b", "c"]

    scored = score_embeddings(vectors, labels, space="l2", metrics="ndcg@3,precision@2")

    value = scored.values["ndcg@3"]
    head, row = scored.table().splitlines()[2:4]
    expected = [value.mean, value.by_class.value, value.micro.value, value.weighted.value]
    assert head.split() == ["metric", "macro", "95", "%", "interval", "class", "micro", "weighted"]
    assert len(set(expected)) == 4
    cells = row.split()
    assert [cells[1], *cells[5:]] == [f"{number:.4f}" for number in expected]
    assert (
        "Averages over 7 queries of 2 classes; 1 left out, for which nothing is relevant."
        in str(scored)
    )


def test_averages_that_nobody_can_have_have_no_column():
    """Hits tell of no classes."""
    table = score_hits([[1, 0], [0, 1]], 1, metrics="mrr@2").table()

    assert "class" not in table
    assert "0.7500" in table


def test_progress_is_silent_where_nobody_looks(monkeypatch):
    """And on a terminal it waits until there is something to wait for."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    with Waiting("Search") as waiting:
        waiting(0.5)

    assert not sys.stderr.getvalue()


def test_progress_is_shown_on_a_terminal_after_a_moment(monkeypatch):
    """With the time that is left."""
    told = []

    class Live:
        def __enter__(self):
            return self

        def stage(self, name, total):
            told.append((name, total))

        def step(self, done, detail):
            told.append(done)

        def close(self):
            told.append("closed")

    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "LiveProgress", Live)
    monkeypatch.setattr("cbir_bench.scoring.progress._PATIENCE_SECONDS", 0)

    with Waiting("Search") as waiting:
        waiting(0.25)
        waiting(0.5)

    assert told == [("Search", 100), 25, 50, "closed"]
