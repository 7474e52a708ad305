"""Files for the plots of ann-benchmarks, read as those plots read them."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from cbir_bench.core.arrays import NO_ITEM, unit_rows
from cbir_bench.core.errors import MissingPackageError, RecordError
from cbir_bench.records.ann_benchmarks import (
    Point,
    distances_of,
    slug,
    write_dataset,
    write_point,
)

pytest.importorskip("h5py", reason="pip install 'cbir-bench[hdf5]'")
from oracles.ann_benchmarks_reading import points

RANDOM = np.random.default_rng(0)
BASE = RANDOM.standard_normal((40, 6)).astype(np.float32)
QUERIES = RANDOM.standard_normal((5, 6)).astype(np.float32)


def exact(k: int):
    """Return the nearest by the length of the difference, by loops."""
    ids, found = [], []
    for q in QUERIES.astype(float):
        nearest = sorted((math.dist(q, b), i) for i, b in enumerate(BASE.astype(float)))[:k]
        ids.append([i for _, i in nearest])
        found.append([d for d, _ in nearest])
    return np.array(ids), np.array(found)


def point(ids, **changed) -> Point:
    plain = {
        "dataset": "tiny",
        "algorithm": "hnswlib",
        "build": {"m": 8},
        "query": {"ef_search": 20},
        "trial_id": "0" * 16,
        "space": "l2",
        "ids": ids,
        "distances": distances_of(QUERIES, BASE, ids, "l2"),
        "seconds": np.array([0.001, 0.002, 0.009]),
        "mean_seconds": 0.004,
        "build_seconds": 1.5,
        "index_bytes": 2048,
        "n_runs": 3,
        "asked": ids.shape[1],
    }
    return Point(**(plain | changed))


@pytest.fixture
def folder(tmp_path):
    """A folder with the data set of all points."""
    ids, found = exact(20)
    write_dataset(
        tmp_path, "tiny", "l2", base=BASE, queries=QUERIES, neighbours=ids, distances=found
    )
    return tmp_path


def test_the_plots_draw_what_was_measured(folder):
    """Recall, queries per second, percentiles, build and size in their units."""
    write_point(folder, point(exact(10)[0]))

    (actual,) = points(folder, "tiny", 10)["hnswlib"]

    assert actual.recall == 1.0
    assert actual.queries_per_second == pytest.approx(250.0)
    assert actual.p50_ms == pytest.approx(2.0)
    assert (actual.build, actual.candidates, actual.index_kb) == (1.5, 10.0, 2.0)
    assert actual.properties["name"] == "hnswlib(m=8, ef_search=20)"


def test_results_that_are_wrong_or_missing_lower_the_recall(folder):
    """What was not found is infinitely far away."""
    ids = exact(10)[0]
    ids[0, 9], ids[1, 5:] = exact(40)[0][0, -1], NO_ITEM

    write_point(folder, point(ids))

    (actual,) = points(folder, "tiny", 10)["hnswlib"]
    assert actual.recall == pytest.approx(1 - 6 / 50)
    assert actual.candidates == pytest.approx(45 / 5)


def test_points_that_differ_in_a_sign_do_not_overwrite_each_other(folder):
    """Names of files keep letters and digits alone."""
    ids = exact(5)[0]

    for trial, threshold in (("a" * 16, -0.5), ("b" * 16, 0.5)):
        write_point(folder, point(ids, query={"threshold": threshold}, trial_id=trial))

    assert len(points(folder, "tiny", 5)["hnswlib"]) == 2


def test_a_file_is_named_by_its_options(folder):
    """People look through such folders."""
    actual = write_point(folder, point(exact(5)[0]))

    assert actual.relative_to(folder).as_posix() == (
        f"tiny/5/hnswlib/m_8_ef_search_20_{'0' * 16}.hdf5"
    )


def test_many_options_still_make_a_name(folder):
    """File systems take 255 bytes."""
    options = {f"a_long_option_number_{i}": i for i in range(40)}

    actual = write_point(folder, point(exact(5)[0], build=options))

    assert len(actual.name) < 200


def test_writing_again_replaces(folder):
    """A second export is the same export."""
    ids = exact(5)[0]
    write_point(folder, point(ids))

    write_point(folder, replace(point(ids), build_seconds=9.0))

    (actual,) = points(folder, "tiny", 5)["hnswlib"]
    assert actual.build == 9.0
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize("space", ["cosine", "l2", "ip"])
def test_distances_are_as_ann_benchmarks_defines_them(space):
    """Their plots compare them with a tolerance of 0.001, whatever the scale."""
    base, queries = (unit_rows(BASE), unit_rows(QUERIES)) if space == "cosine" else (BASE, QUERIES)
    ids = np.array([[3, 7], [0, NO_ITEM], [1, 2], [5, 39], [NO_ITEM, NO_ITEM]])

    actual = distances_of(queries, base, ids, space)

    for row, q in enumerate(QUERIES.astype(float)):
        for place, item in enumerate(ids[row]):
            b = BASE[item].astype(float)
            dot = sum(x * y for x, y in zip(q, b, strict=True))
            expected = {
                "cosine": 1 - dot / (math.hypot(*q) * math.hypot(*b)),
                "l2": math.dist(q, b),
                "ip": -dot,
            }[space]
            expected = math.inf if item == NO_ITEM else expected
            assert actual[row, place] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_names_become_folders_safely():
    """Labels hold slashes and blanks."""
    assert slug("hnswlib(m=8) / ../x") == "hnswlib_m_8_..+x".replace("+", "_")
    assert slug("///") == "unnamed"


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    """A traceback helps nobody."""
    (tmp_path / "tiny").write_text("a file in the way")

    with pytest.raises(RecordError, match="--out"):
        write_point(tmp_path, point(exact(5)[0]))


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    """It is no dependency of everybody."""
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(MissingPackageError, match=r"cbir-bench\[hdf5\]"):
        write_point(tmp_path, point(exact(5)[0]))
