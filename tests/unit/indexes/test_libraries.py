"""What each adapter refuses, and what becomes of a library's short or marked answers."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cbir_bench.core.arrays import NO_ITEM
from cbir_bench.core.component import create
from cbir_bench.core.errors import MissingPackageError, SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes import svs
from cbir_bench.indexes.answers import padded
from cbir_bench.indexes.library import load


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("hnswlib", {"ef_search": 9}, "Set ef_search to 10 or more"),
        ("nmslib", {"ef_search": 9}, "Set ef_search to 10 or more"),
        ("annoy", {"search_k": 9}, "Set search_k to 10 or more, or to 0"),
        ("nmslib-sw-graph", {"ef_search": 9}, "Set ef_search to 10 or more"),
        ("nmslib-sw-graph", {"nn": 9, "ef_construction": 8}, "Set ef_construction to 9 or more"),
        ("nmslib-napp", {"n_pivots": 401}, "Set n_pivots to 400 or less"),
        ("nmslib-napp", {"n_pivots": 8}, "n_pivots_indexed = 32 but n_pivots = 8"),
        ("nmslib-napp", {"n_pivots": 64, "n_pivots_searched": 65}, "Set n_pivots_searched to 64"),
        ("nmslib-napp", {"n_pivots": 64, "min_times": 33}, "Set min_times to 32 or less"),
        ("svs", {"search_window": 9}, "Set search_window to 10 or more"),
        ("svs", {"search_capacity": 9}, "Set it to 64 or more, or to 0"),
        ("svs", {"max_degree": 8, "prune_to": 9}, "Set prune_to to 8 or less, or to 0"),
        ("svs", {"alpha": 0.9}, "Set alpha to 1 or more, or to 0"),
        ("usearch", {"ef_search": 9}, "Set ef_search to 10 or more"),
        ("usearch", {"storage": "i8"}, 'or .search. space = "cosine"'),
        ("voyager", {"ef_search": 9}, "Set ef_search to 10 or more"),
        ("voyager", {"storage": "float8"}, 'or .search. space = "cosine"'),
        ("ngt", {"outgoing": 10}, "Set both above 0, or both to 0"),
        ("pynndescent", {"n_neighbors": 400}, "set n_neighbors below 400"),
        ("scann", {"reorder": 9}, "Set reorder to 10 or more"),
        ("scann", {"leaves": 8, "leaves_to_search": 9}, "Set leaves_to_search to 8 or less"),
        ("scann", {"leaves": 401}, "leaves = 401 of a base of 400 items. Set leaves to about 20"),
        ("scann", {"dims_per_block": 17}, "Set dims_per_block to 16 or less"),
        ("scann", {"leaves": 8, "leaves_to_search": 8, "soar_lambda": 1.5}, "Set soar_lambda = 0"),
        ("scann", {"leaves": 0, "spherical": True}, "does nothing without leaves"),
        ("scann", {"scoring": "brute_force", "hash_type": "lut256"}, 'without scoring = "ah"'),
        ("scann", {"reorder_type": "none", "reorder": 50}, "without a reorder_type"),
        ("scann", {"hash_type": "lut256", "leaves": 0}, "trains 256 codes per block on a base"),
    ],
)
def test_settings_that_cannot_work_are_a_sentence(name, options, said):
    """ScaNN ends its process, the others silently do something else."""
    n_base = 200 if options.get("hash_type") == "lut256" else 400

    with pytest.raises(SettingError, match=said):
        create(INDEXES, name, options).check(k=10, n_base=n_base, dim=16, space="l2")


def test_a_missing_library_is_named_with_the_command(monkeypatch):
    """faiss is installed under another name than it is imported."""
    monkeypatch.setitem(sys.modules, "faiss", None)

    with pytest.raises(MissingPackageError, match="pip install faiss-cpu"):
        load("faiss")


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("ngtpy", "ngt"),
        ("pynndescent", "pynndescent"),
        ("svs", "svs"),
        ("usearch", "usearch"),
        ("usearch.index", "usearch"),
        ("voyager", "voyager"),
    ],
)
def test_an_extra_library_is_named_with_its_extra(module, extra, monkeypatch):
    """Their packages are called otherwise, and an extra names the version that works."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingPackageError, match=rf"pip install 'cbir-bench\[{extra}\]'"):
        load(module)


def test_codes_of_svs_are_refused_on_other_processors(monkeypatch):
    """SVS ends the process there, so that not even a reason would be left."""
    monkeypatch.setattr(svs, "has_codes", lambda: False)

    with pytest.raises(SettingError, match=r'Set storage = "float16" or "float32"'):
        create(INDEXES, "svs", {"storage": "lvq8"}).check(k=10, n_base=400, dim=16, space="l2")


@pytest.mark.parametrize(
    ("ids", "distances", "expected"),
    [
        ([3, 2, 0, 1], [0.1, 0.2, 0.3, 0.4], [3, 2, 0, 1]),
        ([3, 2, 0, 0], [0.1, 0.2, 0.0, 0.0], [3, 2, NO_ITEM, NO_ITEM]),
        ([3, 0, 2, 0], [0.1, 0.2, 0.3, 0.0], [3, 0, 2, NO_ITEM]),
        ([3, 2, 1, 0], [0.1, 0.2, 0.3, 0.0], [3, 2, 1, NO_ITEM]),
        ([3, 2, 1, 0], [0.9, 0.2, 0.1, 0.0], [3, 2, 1, 0]),
        ([5, 4, 0, 0], [-2.0, -3.0, 0.0, 0.0], [5, 4, NO_ITEM, NO_ITEM]),
        ([5, 4, 0, 0], [0.0, 0.0, 0.0, 0.0], [5, 4, 0, NO_ITEM]),
        ([0, 0, 0, 0], [0.0, 0.0, 0.0, 0.0], [0, NO_ITEM, NO_ITEM, NO_ITEM]),
    ],
)
def test_zeros_that_svs_fills_up_with_become_padding(ids, distances, expected):
    """It fills up with id 0 at distance 0, which would be the first item many times."""
    raw = np.array([ids], np.uint64), np.array([distances], np.float32)

    actual = create(INDEXES, "svs", {}).unpack(raw, 4)

    assert actual.tolist() == [expected]


def test_keys_that_usearch_did_not_find_become_padding():
    """It says how many it found, and leaves zeros behind them."""
    raw = np.array([[4, 2, 0], [0, 1, 0]], np.uint64), np.zeros((2, 3)), np.array([3, 2]), 9, 9

    actual = create(INDEXES, "usearch", {}).unpack(raw, 3)

    assert actual.tolist() == [[4, 2, 0], [0, 1, NO_ITEM]]


def test_no_file_of_an_ngt_build_is_left_behind(tmp_path, monkeypatch):
    """A worker ends without cleaning up, so a sweep would fill the disk."""
    pytest.importorskip("ngtpy", reason="pip install 'cbir-bench[ngt]'", exc_type=ImportError)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "saved").mkdir()
    index = create(INDEXES, "ngt", {})
    base = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)

    index.save(index.build(base, "l2", 1), tmp_path / "saved")

    assert list((tmp_path / "temporary").iterdir()) == []
    assert list((tmp_path / "saved").iterdir()) != []


@pytest.mark.parametrize(
    "stretch", [{"alpha_left": 9.0}, {"alpha_right": 9.0}, {"exp_left": 3}, {"exp_right": 3}]
)
def test_stretched_pruning_of_a_vp_tree_finds_less(stretch):
    """Without it the tree is exact; every stretch has to reach it by itself."""
    base = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32) * 100
    exact, stretched = (
        create(INDEXES, "nmslib-vp-tree", {"bucket_size": 5, **options})
        for options in ({}, stretch)
    )
    handle = exact.build(base, "l2", 1)
    answers = []
    for index in (exact, stretched, exact):
        index.configure(handle, 1)
        answers.append(index.unpack(index.batch(handle, 10)(base + 10), 10))

    assert (answers[0] == answers[2]).all()
    assert (answers[0] != answers[1]).any()


def test_a_library_that_lacks_something_itself_says_so(monkeypatch, tmp_path):
    """Telling the user to install what is installed would send him in circles."""
    (tmp_path / "half_a_library.py").write_text("import something_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="something_that_is_not_there"):
        load("half_a_library")


def test_short_lists_are_padded_at_the_end():
    """annoy, nmslib and ScaNN return fewer ids where their search led nowhere."""
    actual = padded([[3, 1], np.array([], np.uint32), np.arange(9)], 4)

    assert actual.tolist() == [[3, 1, NO_ITEM, NO_ITEM], [NO_ITEM] * 4, [0, 1, 2, 3]]


def test_scann_marks_of_missing_results_become_padding():
    """Its batch search fills up with id 0 and NaN, which would be the first item many times."""
    ids = np.array([[5, 7, 0, 0]], np.uint32)
    distances = np.array([[0.9, 0.5, np.nan, np.nan]], np.float32)

    actual = create(INDEXES, "scann", {}).unpack((ids, distances), 4)

    assert actual.tolist() == [[5, 7, NO_ITEM, NO_ITEM]]


@pytest.mark.parametrize(
    "options",
    [
        {"scoring": "brute_force", "leaves": 0},
        {"scoring": "brute_force", "leaves": 4, "leaves_to_search": 4},
        {"leaves": 0, "hash_type": "lut256"},
        {"leaves": 4, "leaves_to_search": 4, "soar_lambda": 1.5, "quantize_centroids": True},
        {"leaves": 4, "leaves_to_search": 4, "reorder_type": "int8", "spherical": True},
        {"leaves": 4, "leaves_to_search": 4, "reorder_type": "bfloat16"},
        {"leaves": 4, "leaves_to_search": 4, "reorder_type": "none", "dims_per_block": 1},
        {"leaves": 4, "leaves_to_search": 4, "random_init": True, "anisotropic_threshold": 0.0},
    ],
    ids=str,
)
def test_every_stage_of_scann_can_be_built(options):
    """Its options are put into a text that only ScaNN itself can check."""
    index = create(INDEXES, "scann", options)
    base = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    index.check(k=5, n_base=300, dim=16, space="cosine")

    handle = index.build(base, "cosine", 1)
    index.configure(handle, 1)
    actual = index.unpack(index.batch(handle, 5)(base[:50]), 5)

    assert (actual[:, 0] == np.arange(50)).mean() > 0.9


def test_several_threads_answer_as_one():
    """The parallel batch search of each library is another function than the serial one."""
    base = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    for name in ("faiss", "hnswlib", "nmslib", "scann"):
        options = {"leaves": 4, "leaves_to_search": 4} if name == "scann" else {}
        index = create(INDEXES, name, options)
        handle = index.build(base, "l2", 1)
        answers = []
        for n_threads in (1, 2):
            index.configure(handle, n_threads)
            answers.append(index.unpack(index.batch(handle, 5)(base[:64]), 5))

        np.testing.assert_array_equal(answers[0], answers[1], err_msg=name)


@pytest.mark.parametrize(
    ("options", "changed"),
    [({"delaunay_type": 0}, True), ({"post": 2}, True), ({"optimized": False}, False)],
)
def test_options_of_nmslib_reach_it(options, changed):
    """nmslib ignores nothing silently, but takes texts and numbers by name only."""
    base = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    sizes = []
    for chosen in ({}, options):
        index = create(INDEXES, "nmslib", {"m": 4, "ef_search": 10, **chosen})
        handle = index.build(base, "l2", 1)
        index.configure(handle, 1)
        sizes.append(index.theoretical_bytes(300, 8))
        ids = index.unpack(index.batch(handle, 1)(base), 1)
        assert (ids[:, 0] == np.arange(300)).mean() > 0.9

    assert (sizes[0] == sizes[1]) is changed
