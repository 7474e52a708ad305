"""Vectors out of files: each item gets its own, as float32, or a sentence says why not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.model import GivenVectors, Learned
from cbir_bench.files.writing import write_embeddings
from cbir_bench.models.given_vectors import VectorsFromFile

IDS = [f"class/{i}.jpg" for i in range(6)]
VECTORS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
WANTED = [IDS[4], IDS[0], IDS[5]]
ROWS = [4, 0, 5]
FILES = ["e.npz", "e.parquet", "e.safetensors", "e.npy"]


@pytest.fixture
def context(tmp_path):
    """A place to find files."""
    return DataContext(folders=(tmp_path,), cache=tmp_path)


@pytest.fixture
def given(tmp_path, context):
    """Return what gets the vectors of some items out of a file, written first if vectors are given."""

    def vectors(file="e.npz", write=None, wanted=WANTED, test=True, **options):
        if write is not None:
            write_embeddings(tmp_path / file, write, IDS[: len(write)], ["a"] * len(write))
        return VectorsFromFile(file=file, **options).vectors(context, wanted, test=test)

    return vectors


def test_it_is_what_the_run_asks_for():
    """Such a model is told apart by the method that it has."""
    assert isinstance(VectorsFromFile(), GivenVectors)


@pytest.mark.parametrize("file", FILES)
def test_each_item_gets_its_own_vector(given, file):
    """The order of the file is nobody's business."""
    actual = given(file, VECTORS)

    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual, VECTORS[ROWS])


@pytest.mark.parametrize("file", ["e.safetensors", "e.npy"])
def test_all_vectors_in_their_order_stay_on_disk(given, file):
    """A copy of ten million would not fit."""
    actual = given(file, VECTORS, wanted=IDS)

    assert isinstance(actual, np.memmap)
    np.testing.assert_array_equal(actual, VECTORS)


def test_a_table_of_text_has_ids_and_dimensions(tmp_path, given):
    """Ids that look like numbers stay as they are written."""
    frame = pd.DataFrame(VECTORS, columns=["d0", "d1", "d2", "d3"])
    frame.assign(id=["007", "7", "1e3", "a", "b", "c"]).to_csv(tmp_path / "e.csv", index=False)

    actual = given("e.csv", wanted=["7", "007", "1e3"])

    np.testing.assert_allclose(actual, VECTORS[[1, 0, 2]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "\n".join(IDS)),
        ("ids.txt", "\n".join(IDS) + "\r\n"),
        ("ids.csv", "\n".join(["id,note", *(f"{one},x" for one in IDS)])),
        ("ids.csv", "\n".join(["path", *IDS])),
    ],
)
def test_ids_may_be_in_a_file_of_their_own(tmp_path, given, name, content):
    """The commonest way: numpy.save beside a list of files."""
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / name).write_text(content)

    actual = given("v.npy", ids=name)

    np.testing.assert_array_equal(actual, VECTORS[ROWS])


@pytest.mark.parametrize("own", [True, False])
def test_the_column_of_ids_may_be_called_otherwise(tmp_path, given, own):
    """In the file itself, or in another one."""
    table = pd.DataFrame({"filename": IDS, "id": range(6)})
    if own:
        table = table.assign(embedding=VECTORS.tolist())
    else:
        np.save(tmp_path / "v.npy", VECTORS)
    table.to_parquet(tmp_path / "e.parquet")
    options = {"file": "e.parquet"} if own else {"file": "v.npy", "ids": "e.parquet"}

    actual = given(**options, id_column="filename")

    np.testing.assert_array_equal(actual, VECTORS[ROWS])


def test_one_array_of_several(tmp_path, given):
    """Of two models, say; ids are those of all."""
    np.savez(tmp_path / "e.npz", a=VECTORS, b=VECTORS[:, :2], ids=IDS)

    np.testing.assert_array_equal(given("e.npz:b"), VECTORS[ROWS, :2])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.uint8])
def test_other_numbers_become_float32(tmp_path, given, dtype):
    """Bytes and halves are how vectors are kept."""
    values = (VECTORS * 20 + 80).astype(dtype)
    np.savez(tmp_path / "e.npz", v=values, ids=IDS)

    actual = given()

    np.testing.assert_array_equal(actual, values[ROWS].astype(np.float32))


def test_brain_floats_become_float32(tmp_path, given):
    """What torch saves from half a model; NumPy has no such type."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    halves = torch.from_numpy(VECTORS).bfloat16()
    save_file({"v": halves}, tmp_path / "e.safetensors", {"ids": json.dumps(IDS)})

    actual = given("e.safetensors")

    np.testing.assert_array_equal(actual, halves[ROWS].float().numpy())


def test_items_without_a_vector_are_named_and_counted(given):
    """With what the file calls its own, since a prefix is the usual reason."""
    wanted = ["0.jpg", IDS[1], "2.jpg"]

    with pytest.raises(DataError, match=r"2 of 3 items: '0.jpg', '2.jpg'\. .* 'class/0.jpg', "):
        given(write=VECTORS, wanted=wanted)


def test_an_id_that_is_there_twice_is_refused(tmp_path, given):
    """Which of the two would be a matter of chance."""
    np.savez(tmp_path / "e.npz", v=VECTORS, ids=[*IDS[:5], IDS[0]])

    with pytest.raises(DataError, match=r"the id 'class/0.jpg' twice"):
        given()


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "NaN"), (-np.inf, "NaN, infinity"), (0, "only zeros")]
)
def test_vectors_that_cannot_be_compared_are_named(given, value, what):
    """By their items, not by their rows."""
    spoilt = VECTORS.copy()
    spoilt[4] = value

    with pytest.raises(DataError, match=rf"{what}.* for 1 of 3 items: 'class/4.jpg'\."):
        given(write=spoilt)


def test_numbers_beyond_float32_are_named(tmp_path, given):
    """They would become infinity without a word."""
    large = VECTORS.astype(np.float64)
    large[0, 0] = 1e39
    np.savez(tmp_path / "e.npz", v=large, ids=IDS)

    with pytest.raises(DataError, match=r"too large for float32 for 1 of 3 items: 'class/0.jpg'"):
        given()


def test_large_whole_numbers_are_refused(tmp_path, given):
    """They are ids or labels, not vectors, and would be rounded."""
    np.savez(tmp_path / "e.npz", v=np.arange(24).reshape(6, 4) + 2**24, ids=IDS)

    with pytest.raises(DataError, match="whole numbers beyond 16,777,216"):
        given()


def test_bad_vectors_of_other_items_do_not_matter(given):
    """One file may hold all splits, and one split may be wanted."""
    spoilt = VECTORS.copy()
    spoilt[1] = np.nan

    np.testing.assert_array_equal(given(write=spoilt), VECTORS[ROWS])


def test_vectors_without_ids_are_nobodys(tmp_path, given):
    """The order in which somebody listed a folder is not the order of ours."""
    np.save(tmp_path / "v.npy", VECTORS)

    with pytest.raises(DataError, match=r'no ids.* ids = FILE .* match = "row"'):
        given("v.npy", wanted=IDS)


def test_rows_in_order_have_to_be_asked_for(tmp_path, given):
    """Then as many as there are items are taken as they are."""
    np.save(tmp_path / "v.npy", VECTORS)

    actual = given("v.npy", wanted=list("abcdef"), match="row")

    np.testing.assert_array_equal(actual, VECTORS)


def test_rows_in_order_have_to_be_as_many_as_items(tmp_path, given):
    """One more or less would move all that follow."""
    np.save(tmp_path / "v.npy", VECTORS)

    with pytest.raises(DataError, match="6 vectors for 3 items"):
        given("v.npy", match="row")


def test_rows_in_order_are_those_of_the_test_items(tmp_path, given):
    """As many training items would be given them too, and a whitening would be learnt from the test."""
    np.save(tmp_path / "v.npy", VECTORS)

    with pytest.raises(DataError, match=r"vectors of the test items alone.* ids with match = .id."):
        given("v.npy", wanted=list("abcdef"), match="row", test=False)


def test_training_items_are_found_by_their_ids(given):
    """That is what a transform learns from."""
    actual = given(write=VECTORS, test=False)

    np.testing.assert_array_equal(actual, VECTORS[ROWS])


def test_as_many_ids_as_vectors(tmp_path, given):
    """A list of another folder."""
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "ids.txt").write_text("\n".join(IDS[:5]))

    with pytest.raises(DataError, match="5 ids for 6 vectors"):
        given("v.npy", ids="ids.txt")


@pytest.mark.parametrize("file", FILES)
def test_another_file_is_another_model(tmp_path, context, file):
    """Frozen vectors of before would be used for those of now."""
    model = VectorsFromFile(file=file)
    hashes = set()
    for vectors, ids in ((VECTORS, IDS), (VECTORS + 1, IDS), (VECTORS, IDS[::-1])):
        write_embeddings(tmp_path / file, vectors, ids, ["a"] * 6)
        hashes.add(model.weights_hash(context))
        assert model.weights_hash(context) in hashes

    assert len(hashes) == 3


def test_another_list_of_ids_is_another_model(tmp_path, context):
    """It changes whose vectors they are."""
    np.save(tmp_path / "v.npy", VECTORS)
    model = VectorsFromFile(file="v.npy", ids="ids.txt")
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    before = model.weights_hash(context)
    (tmp_path / "ids.txt").write_text("\n".join(IDS[::-1]))

    assert model.weights_hash(context) != before


def test_it_neither_embeds_nor_trains(context):
    """What is not in the file is nowhere."""
    with pytest.raises(SettingError, match="embeds no images"):
        VectorsFromFile(file="e.npz").embedder(context, Learned())
    with pytest.raises(SettingError, match="nothing to train"):
        VectorsFromFile(file="e.npz").network(context)


@pytest.mark.parametrize("options", [{"ids": "x.txt"}, {"id_column": "x"}])
def test_ids_that_nobody_would_look_at_are_refused(options):
    """An option that does nothing hides a mistake."""
    with pytest.raises(SettingError, match=r'match = "row"'):
        VectorsFromFile(file="e.npz", match="row", **options)


def test_a_file_is_needed(context):
    """The default is what `list` shows."""
    with pytest.raises(SettingError, match="no file"):
        VectorsFromFile().weights_hash(context)


@pytest.mark.parametrize(
    "array", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros((2, 0)), np.eye(2) * 1j]
)
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, given, array):
    """Labels, images, complex numbers."""
    np.save(tmp_path / "v.npy", array)

    with pytest.raises(DataError, match="Give a matrix of numbers"):
        given("v.npy", match="row")
