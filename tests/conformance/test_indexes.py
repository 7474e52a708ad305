"""Every registered index keeps the promises of ``cbir_bench.core.index``."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbir_bench.core.arrays import NO_ITEM, SPACES, unit_rows
from cbir_bench.core.component import create, describe, field_types, help_texts, setting_of
from cbir_bench.core.errors import MissingPackageError, SettingError
from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.library import PACKAGES
from cbir_bench.indexes.svs import has_codes

N, DIM, K = 500, 24, 10

NAPP = {"n_pivots": 64, "n_pivots_indexed": 16}
LEAVES = {"leaves": 16, "min_partition": 1}
GENEROUS: dict[str, dict[str, Any]] = {
    "annoy": {"search_k": 100_000},
    "faiss": {"factory": "IVF16,Flat", "nprobe": 16},
    "faiss-binary": {"factory": "BIVF16", "nprobe": 16},
    "hnswlib": {"ef_search": 300},
    "ngt": {"epsilon": 0.5, "search_edges": 100},
    "nmslib": {"ef_search": 300},
    "nmslib-napp": {**NAPP, "n_pivots_searched": 64, "min_times": 1},
    "nmslib-sw-graph": {"ef_search": 300},
    "nmslib-vp-tree": {},
    "pynndescent": {"epsilon": 0.8},
    "scann": {**LEAVES, "leaves_to_search": 16, "reorder": N},
    "svs": {"search_window": 300},
    "usearch": {"ef_search": 300},
    "voyager": {"ef_search": 300},
}
"""Options with which an approximate index has to find nearly every true neighbour."""
COARSE: dict[str, dict[str, Any]] = {
    "annoy": {"search_k": K},
    "faiss": {"factory": "IVF16,Flat", "nprobe": 1},
    "faiss-binary": {"factory": "BIVF16", "nprobe": 1},
    "hnswlib": {"ef_search": K},
    "ngt": {"epsilon": -0.5, "search_edges": 3},
    "nmslib": {"ef_search": K},
    "nmslib-napp": {**NAPP, "n_pivots_searched": 2, "min_times": 1},
    "nmslib-sw-graph": {"ef_search": K},
    "nmslib-vp-tree": {"max_leaves": 1},
    "pynndescent": {"epsilon": 0.0},
    "scann": {**LEAVES, "leaves_to_search": 1, "reorder": K},
    "svs": {"search_window": K},
    "usearch": {"ef_search": K},
    "voyager": {"ef_search": K},
}
"""The same build with the cheapest search."""
STORAGE: dict[str, dict[str, float]] = {
    "svs": {"float16": 0.98, "lvq8": 0.9, "lvq4x4": 0.9, "lvq4x8": 0.9, "lvq8x8": 0.9, "lvq4": 0.5},
    "usearch": {"bf16": 0.98, "f16": 0.98, "i8": 0.95},
    "voyager": {"e4m3": 0.9, "float8": 0.95},
    "ngt": {"float16": 0.98},
}
"""Smaller types of stored vectors, with the share of the true neighbours that each still finds."""
FACTORIES = {
    "Flat": {},
    "SQ8": {},
    "SQfp16": {},
    "PQ12np": {},
    "PQ24x4fs,Refine(SQfp16)": {"k_factor": 16.0},
    "IVF16,SQ8": {"nprobe": 16},
    "IVF16,PQ12x4fs,RFlat": {"nprobe": 16, "k_factor": 16.0},
    "OPQ12,IVF16,PQ12x4fs,Refine(SQ8)": {"nprobe": 16, "k_factor": 16.0},
    "HNSW16,Flat": {"ef_search": 300},
    "HNSW16,SQ8": {"ef_search": 300},
    "SQ4": {},
    "SQ6": {},
    "SQbf16": {},
    "RaBitQ": {},
    "RaBitQ4": {},
    "RaBitQfs4": {},
    "IVF16,RaBitQ4": {"nprobe": 16},
    "RR,IVF16,RaBitQ,RFlat": {"nprobe": 16, "k_factor": 16.0},
    "IVF16,RaBitQfs,Refine(SQfp16)": {"nprobe": 16, "k_factor": 16.0},
    "IVF16_HNSW8,Flat": {"nprobe": 16},
    "IVF16(IVF4,Flat),Flat": {"nprobe": 16, "quantizer_nprobe": 4},
    "IVF64(RCQ2x3),Flat": {"nprobe": 64},
    "IVF16,FlatPanorama4": {"nprobe": 16},
    "NSG16,Flat": {"search_length": 300},
    "RQ6x4,RFlat": {"k_factor": 16.0},
    "PRQ2x3x4,RFlat": {"k_factor": 16.0},
    "PLSQ2x2x4,RFlat": {"k_factor": 16.0},
    "IVF16,EDEN4": {"nprobe": 16},
    "IDMap,SQ8": {},
    "HR,SQ8": {},
}
"""Factory strings, with the share of the true neighbours below that each has to find."""
RECALL = {
    "SQ8": 0.95,
    "IVF16,SQ8": 0.95,
    "HNSW16,SQ8": 0.95,
    "PQ12np": 0.5,
    "OPQ12,IVF16,PQ12x4fs,Refine(SQ8)": 0.95,
    "SQ4": 0.55,
    "SQ6": 0.85,
    "SQbf16": 0.95,
    "RaBitQ": 0.35,
    "RaBitQ4": 0.85,
    "RaBitQfs4": 0.85,
    "IVF16,RaBitQ4": 0.85,
    "RQ6x4,RFlat": 0.95,
    "PRQ2x3x4,RFlat": 0.9,
    "PLSQ2x2x4,RFlat": 0.8,
    "IVF16,EDEN4": 0.85,
    "IDMap,SQ8": 0.95,
    "HR,SQ8": 0.95,
    "BIVF16": 0.25,
}

CASES = [(name, GENEROUS.get(name, {})) for name in INDEXES.names() if name != "null"]
CASES += [("faiss", {"factory": f, **options}) for f, options in FACTORIES.items()]
CASES += [(n, {**GENEROUS[n], "storage": s}) for n, kinds in STORAGE.items() for s in kinds]
APPROXIMATE = sorted(GENEROUS)
DIALS = {n: set(COARSE[n]) & INDEXES.get(n).EFFORT for n in APPROXIMATE}
SIGNS = {"faiss-binary": 0.2}
"""Indexes that see one bit per dimension, with the share of the neighbours that they still find."""
COMPILE_FOR_LONG = {"pynndescent"}
"""Libraries that take many seconds to start, so that no other has to wait for them."""


def data(space):
    """Return base and queries of one space; lengths differ unless it is "cosine"."""
    random = np.random.default_rng(0)
    base = random.standard_normal((N, DIM)) * random.uniform(0.3, 3.0, (N, 1))
    queries = random.standard_normal((40, DIM))
    base, queries = base.astype(np.float32), queries.astype(np.float32)
    if space == "cosine":
        base, queries = unit_rows(base), unit_rows(queries)
    base.flags.writeable = False
    queries.flags.writeable = False
    return base, queries


def truth(base, queries, space, k=K):
    """The true neighbours, computed in float64."""
    base, queries = base.astype(np.float64), queries.astype(np.float64)
    if space == "l2":
        similarity = -((queries[:, None] - base[None]) ** 2).sum(2)
    else:
        similarity = queries @ base.T
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def made(name, options=None, *, n_base=N, space="cosine", k=K, dim=DIM):
    """Return a component; skip where its library is not installed."""
    component = create(INDEXES, name, options or {})
    for module in component.REQUIRES:
        if importlib.util.find_spec(module) is None:
            pytest.skip(
                str(MissingPackageError(f"The index {name!r}", PACKAGES.get(module, module)))
            )
    if name == "svs" and str((options or {}).get("storage")).startswith("lvq") and not has_codes():
        pytest.skip("SVS makes codes on Intel processors only")
    component.check(k=k, n_base=n_base, dim=dim, space=space)
    return component


def small(name):
    """Options for a base of 500 where the defaults are for larger ones."""
    return GENEROUS.get(name, {})


def one_by_one(component, handle, queries, k=K):
    search = component.single(handle, k)
    return np.concatenate([component.unpack(search(q), k) for q in component.prepare(queries)])


def recall(ids, true):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(ids, true, strict=True)])


@pytest.fixture(params=INDEXES.names())
def name(request):
    return request.param


def test_every_option_has_a_help_text_a_default_and_a_type(name):
    """Options are the sweep axes: suites are validated and explained from these."""
    component = INDEXES.get(name)

    texts = help_texts(component)
    types = field_types(component)

    assert set(texts) == {f.name for f in fields(component)}
    assert all(len(text) > 15 for text in texts.values())
    assert set(texts) == set(types)
    assert describe(name, component()) == name


def test_search_options_are_options(name):
    """A misspelt one would build anew for every value of it."""
    component = INDEXES.get(name)

    assert {f.name for f in fields(component)} >= component.SEARCH_PARAMS
    assert component.SEARCH_PARAMS >= component.EFFORT
    assert frozenset(SPACES) >= component.SPACES
    assert component.SPACES


def test_a_setting_builds_the_component_again(name):
    """The record's key stands for the whole component."""
    component = create(INDEXES, name, small(name))

    setting = setting_of(name, component)

    assert create(INDEXES, setting.use, setting.values) == component


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v).replace(" ", ""))
def test_the_true_neighbours_are_found_in_every_space_it_claims(name, options, space):
    """Spaces mean the same in every library, inner product of vectors of any length included."""
    if space not in INDEXES.get(name).SPACES:
        pytest.skip(f"{name} does not search {space}")
    if space != "cosine" and options.get("storage") in {"i8", "float8"}:
        pytest.skip("these hold unit vectors only, and other spaces are refused")
    component = made(name, options, space=space)
    base, queries = data(space)

    handle = component.build(base, space, 1)
    component.configure(handle, 1)
    actual = one_by_one(component, handle, queries)

    wanted = 1.0 if component.EXACT else RECALL.get(options.get("factory"), 0.98)
    wanted = SIGNS.get(name, wanted)
    wanted = STORAGE.get(name, {}).get(options.get("storage"), wanted)
    assert recall(actual, truth(base, queries, space)) >= wanted


def test_a_batch_answers_as_single_queries_do(name):
    """Quality is taken from the batch, latency from single calls: it has to be the same search."""
    component = made(name, small(name))
    base, queries = data("cosine")
    handle = component.build(base, "cosine", 1)
    component.configure(handle, 1)

    batch = component.batch(handle, K)

    if batch is None:
        pytest.skip(f"{name} has no batch search")
    actual = component.unpack(batch(queries), K)
    np.testing.assert_array_equal(actual, one_by_one(component, handle, queries))


def test_answers_are_rows_of_int64(name):
    """Whatever the library returns, the ranking needs one shape and one type."""
    component = made(name, small(name))
    base, queries = data("cosine")
    handle = component.build(base, "cosine", 1)
    component.configure(handle, 1)

    actual = component.unpack(component.single(handle, K)(component.prepare(queries)[0]), K)

    assert actual.shape == (1, K)
    assert actual.dtype == np.int64
    assert len(set(actual[0])) == K


def test_all_items_can_be_asked_for(name):
    """k = n is legal; what is not found is padding at the end, never an invented id."""
    options = dict(small(name))
    options.update({o: N for o in ("ef_search", "search_window") if o in options})
    component = made(name, options, k=N)
    base, queries = data("cosine")
    handle = component.build(base, "cosine", 1)
    component.configure(handle, 1)

    rankings = [one_by_one(component, handle, queries[:3], N)]
    if (batch := component.batch(handle, N)) is not None:
        rankings.append(component.unpack(batch(queries[:3]), N))

    for actual in rankings:
        assert actual.shape == (3, N)
        for row in actual:
            found = row[row != NO_ITEM]
            assert (row[: len(found)] == found).all(), "padding before a result"
            assert len(set(found)) == len(found)
            assert len(found) > 0.9 * N


def test_more_results_than_items_are_refused(name):
    """Libraries answer that in five different ways."""
    component = create(INDEXES, name, small(name))

    with pytest.raises(SettingError, match=r"501 results but the base has 500 items"):
        component.check(k=N + 1, n_base=N, dim=DIM, space="cosine")


def test_a_check_without_sizes_starts_nothing(name):
    """A suite is validated before any embedding exists."""
    create(INDEXES, name, {}).check(k=K, n_base=None, dim=None, space="cosine")


def test_the_base_is_not_changed(name):
    """It is shared by all indexes of a sweep."""
    component = made(name, small(name))
    base, queries = data("cosine")
    before = base.tobytes()

    handle = component.build(base, "cosine", 1)
    component.configure(handle, 1)
    one_by_one(component, handle, queries[:2])

    assert base.tobytes() == before


def test_the_index_outlives_its_base(name):
    """The mapped input is counted apart from the index, so the index has to have its own copy."""
    component = made(name, small(name))
    base, queries = data("cosine")
    passing = np.array(base)
    handle = component.build(passing, "cosine", 1)
    component.configure(handle, 1)
    before = one_by_one(component, handle, queries)

    passing[:] = np.nan
    del passing

    np.testing.assert_array_equal(one_by_one(component, handle, queries), before)


def test_a_saved_index_has_a_size(name, tmp_path):
    """``index_bytes`` is what lies in the folder."""
    component = made(name, small(name))
    base, _ = data("cosine")
    handle = component.build(base, "cosine", 1)

    component.save(handle, tmp_path)

    size = sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file())
    assert size > 0 or name == "null"


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v).replace(" ", ""))
def test_the_expected_size_is_near_the_saved_one(name, options, tmp_path):
    """A formula that forgets the links or the ids would mislead whoever plans a machine."""
    if options.get("factory", "").startswith("OPQ"):
        pytest.skip("its training takes half a minute; the rotation is counted in the unit tests")
    component = made(name, options)
    n_base, dim = 3000, 24
    base = unit_rows(np.random.default_rng(0).standard_normal((n_base, dim)).astype(np.float32))
    expected = component.theoretical_bytes(n_base, dim)
    if expected is None:
        pytest.skip(f"nobody can say what {name} takes")

    component.save(component.build(base, "cosine", 1), tmp_path)

    size = sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file())
    # ScaNN packs two codes into a byte in memory, but not on disk.
    assert expected == pytest.approx(size, rel=0.1 if name == "scann" else 0.05)


@pytest.mark.parametrize("name", APPROXIMATE)
def test_search_options_change_the_search_without_a_build(name):
    """A sweep of five search settings costs one build."""
    coarse, fine = made(name, COARSE[name]), made(name, GENEROUS[name])
    base, queries = data("cosine")
    true = truth(base, queries, "cosine")
    handle = coarse.build(base, "cosine", 1)

    quality = []
    for component in (coarse, fine, coarse):
        component.configure(handle, 1)
        quality.append(recall(one_by_one(component, handle, queries), true))

    assert quality[0] < quality[1]
    assert quality[2] == quality[0]


@pytest.mark.parametrize(
    ("name", "dial"),
    [(n, option) for n in APPROXIMATE for option in sorted(DIALS[n])],
)
def test_each_dial_changes_the_search_by_itself(name, dial):
    """An option that does nothing hides behind another that does."""
    fine = made(name, GENEROUS[name])
    coarse = replace(fine, **{dial: COARSE[name][dial]})
    base, queries = data("cosine")
    true = truth(base, queries, "cosine")
    handle = fine.build(base, "cosine", 1)

    quality = []
    for component in (coarse, fine):
        component.configure(handle, 1)
        quality.append(recall(one_by_one(component, handle, queries), true))

    assert quality[0] < quality[1]


@pytest.mark.parametrize("name", APPROXIMATE)
def test_configuring_again_changes_nothing(name):
    """Every configuration sets all options: none may be left over from the trial before."""
    coarse, fine = made(name, COARSE[name]), made(name, GENEROUS[name])
    base, queries = data("cosine")
    handle = fine.build(base, "cosine", 1)
    fine.configure(handle, 1)
    before = one_by_one(fine, handle, queries)

    for component in (coarse, fine, fine):
        component.configure(handle, 1)

    np.testing.assert_array_equal(one_by_one(fine, handle, queries), before)


@pytest.mark.parametrize("name", APPROXIMATE)
def test_a_search_option_alone_keeps_the_build(name):
    """The plan groups trials by their build options: search options must not be among them."""
    coarse, fine = create(INDEXES, name, COARSE[name]), create(INDEXES, name, GENEROUS[name])

    search = {option: getattr(coarse, option) for option in coarse.SEARCH_PARAMS}

    assert replace(fine, **search) == coarse


@pytest.mark.parametrize(("name", "dial"), [(n, d) for n in APPROXIMATE for d in sorted(DIALS[n])])
def test_more_effort_finds_no_less(name, dial):
    """A sweep stops where more effort gains nothing; it must not stop at a dip."""
    low, high = COARSE[name][dial], GENEROUS[name].get(dial, N)
    between = (low + high) / 2 if isinstance(low, float) else round((low * high) ** 0.5)
    fine = made(name, GENEROUS[name])
    base, queries = data("cosine")
    true = truth(base, queries, "cosine")
    handle = fine.build(base, "cosine", 1)

    quality = []
    for value in (low, between, high):
        component = replace(fine, **{dial: value})
        component.configure(handle, 1)
        quality.append(recall(one_by_one(component, handle, queries), true))

    assert quality == sorted(quality)


@pytest.fixture(scope="module")
def fresh_answers(tmp_path_factory):
    """Return what two fresh processes answer: one that saves its indexes, one that loads them."""
    made_by_group = {}

    def answers(name):
        group = (name,) if name in COMPILE_FOR_LONG else tuple(installed() - COMPILE_FOR_LONG)
        if group not in made_by_group:
            made_by_group[group] = in_fresh_processes(group, tmp_path_factory.mktemp("fresh"))
        return {
            f"{task}-{key.partition('-')[2]}": found
            for task, by_key in made_by_group[group].items()
            for key, found in by_key.items()
            if int(key.partition("-")[0]) == group.index(name)
        }

    return answers


def installed():
    names = set(INDEXES.names())
    modules = {n: INDEXES.get(n).REQUIRES for n in names}
    return {n for n in names if all(importlib.util.find_spec(m) for m in modules[n])}


def in_fresh_processes(names, folder):
    base, queries = data("cosine")
    np.save(folder / "base.npy", base)
    np.save(folder / "queries.npy", queries)
    cases = json.dumps([(name, COARSE.get(name, {})) for name in names])
    found = {}
    for task in ("save", "load"):
        script = str(Path(__file__).with_name("fresh_indexes.py"))
        subprocess.run(
            [sys.executable, "-P", script, str(folder), str(K), task, cases],
            check=True,
            timeout=600,
        )
        with np.load(folder / f"{task}.npz") as file:
            found[task] = dict(file)
    return found


def test_a_loaded_index_answers_as_the_saved_one(name, fresh_answers):
    """Who loads an index instead of building it has to get the same search, in another process."""
    made(name, COARSE.get(name, {}))

    actual = fresh_answers(name)

    np.testing.assert_array_equal(actual["load-loaded"], actual["save-built-1"])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_index_that_repeats_itself_does(name, n_threads, fresh_answers):
    """What does not repeat itself is built several times, so that its spread is seen."""
    component = made(name, COARSE.get(name, {}))
    if not component.repeats(n_threads):
        pytest.skip(f"{name} may differ from build to build with {n_threads} threads")

    actual = fresh_answers(name)

    first, second = (actual[f"{task}-built-{n_threads}"] for task in ("save", "load"))
    np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("ignore:Failed to correctly find n_neighbors")
@pytest.mark.parametrize("kind", ["duplicates", "constant"])
def test_ties_invent_no_items(name, kind):
    """Data sets hold copies of images; graphs of nothing else fall apart, but every id is one."""
    random = np.random.default_rng(0)
    distinct = random.standard_normal((50 if kind == "duplicates" else 1, DIM))
    base = unit_rows(np.repeat(distinct, N // len(distinct), axis=0).astype(np.float32))
    component = made(name, GENEROUS.get(name, {}))
    handle = component.build(base, "cosine", 1)
    component.configure(handle, 1)

    actual = one_by_one(component, handle, base[:: N // 5].copy())

    for row in actual:
        found = row[row != NO_ITEM]
        assert (row[: len(found)] == found).all(), "padding before a result"
        assert len(set(found)) == len(found) > 0
        assert ((found >= 0) & (found < N)).all()


@pytest.mark.parametrize("n_base", [1, 2])
def test_the_smallest_bases_are_searched_or_refused(name, n_base):
    """Whoever tries the tool on two images gets them, or a sentence."""
    base, _ = data("cosine")
    try:
        component = made(name, {}, n_base=n_base, k=n_base)
    except SettingError:
        return
    handle = component.build(base[:n_base], "cosine", 1)
    component.configure(handle, 1)

    actual = one_by_one(component, handle, base[:1], n_base)

    assert actual[0, 0] == 0
    assert sorted(actual[0]) == list(range(n_base))


def test_one_dimension_is_enough(name):
    """The smallest vectors there are; libraries pad them to their registers."""
    if name in {"null", *SIGNS} or "l2" not in INDEXES.get(name).SPACES:
        pytest.skip(f"{name} has nothing to tell apart here")
    base = np.random.default_rng(0).standard_normal((N, 1)).astype(np.float32)
    try:
        component = made(name, GENEROUS.get(name, {}), space="l2", dim=1)
    except SettingError:
        return
    handle = component.build(base, "l2", 1)
    component.configure(handle, 1)

    actual = one_by_one(component, handle, base[:30])

    assert recall(actual, truth(base, base[:30], "l2")) >= 0.95


def test_rows_apart_in_memory_are_read_as_they_are(name):
    """A view of every second column must not be read as if there were no gaps."""
    base, queries = data("cosine")
    gaps = [np.repeat(x, 2, axis=1) * np.tile(np.float32([1, 7]), DIM) for x in (base, queries)]
    component = made(name, GENEROUS.get(name, {}))
    answers = []
    for some_base, some_queries in ((base, queries), [x[:, ::2] for x in gaps]):
        handle = component.build(some_base, "cosine", 1)
        component.configure(handle, 1)
        answers.append(one_by_one(component, handle, some_queries))
        if (batch := component.batch(handle, K)) is not None:
            answers.append(component.unpack(batch(some_queries), K))

    # Not to the last id: nmslib draws other levels for the second index of a process.
    assert all(recall(found, answers[0]) > 0.97 for found in answers)
