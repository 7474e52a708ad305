"""Every registered index keeps the promises of ``cbir_bench.core.index``."""

from __future__ import annotations

import importlib.util
from dataclasses import fields, replace

import numpy as np
import pytest

from cbir_bench.core.arrays import NO_ITEM, SPACES, unit_rows
from cbir_bench.core.component import create, describe, field_types, help_texts, setting_of
from cbir_bench.core.errors import SettingError
from cbir_bench.core.registry import INDEXES

N, DIM, K = 500, 24, 10

GENEROUS = {
    "annoy": {"search_k": 100_000},
    "faiss": {"factory": "IVF16,Flat", "nprobe": 16},
    "hnswlib": {"ef_search": 300},
    "nmslib": {"ef_search": 300},
    "scann": {"leaves": 16, "leaves_to_search": 16, "min_partition": 1, "reorder": N},
}
"""Options with which an approximate index has to find nearly every true neighbour."""
COARSE = {
    "annoy": {"search_k": K},
    "faiss": {"factory": "IVF16,Flat", "nprobe": 1},
    "hnswlib": {"ef_search": K},
    "nmslib": {"ef_search": K},
    "scann": {"leaves": 16, "leaves_to_search": 1, "min_partition": 1, "reorder": K},
}
"""The same build with the cheapest search."""
DIALS = {"search_k", "nprobe", "ef_search", "leaves_to_search", "reorder"}
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
}
"""Factory strings, with the share of the true neighbours below that each has to find."""
RECALL = {
    "SQ8": 0.95,
    "IVF16,SQ8": 0.95,
    "HNSW16,SQ8": 0.95,
    "PQ12np": 0.5,
    "OPQ12,IVF16,PQ12x4fs,Refine(SQ8)": 0.95,
}

CASES = [(name, GENEROUS.get(name, {})) for name in INDEXES.names() if name != "null"]
CASES += [("faiss", {"factory": f, **options}) for f, options in FACTORIES.items()]
APPROXIMATE = sorted(GENEROUS)


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


def made(name, options=None, n_base=N, space="cosine", k=K):
    """Return a component; skip where its library is not installed."""
    component = create(INDEXES, name, options or {})
    for module in component.REQUIRES:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    component.check(k=k, n_base=n_base, dim=DIM, space=space)
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
    component = made(name, options, space=space)
    if space not in component.SPACES:
        pytest.skip(f"{name} does not search {space}")
    base, queries = data(space)

    handle = component.build(base, space, 1)
    component.configure(handle, 1)
    actual = one_by_one(component, handle, queries)

    wanted = 1.0 if component.EXACT else RECALL.get(options.get("factory"), 0.99)
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
    options.update({"ef_search": N} if "ef_search" in options else {})
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
    [(name, option) for name in APPROXIMATE for option in COARSE[name] if option in DIALS],
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
