"""The shipped manifests, and the real archives that they describe."""

import re

import numpy as np
import pytest

from cbir_bench.core.dataset import DataContext, Split
from cbir_bench.core.errors import DataError, UnknownNameError
from cbir_bench.datasets.csv_table import CsvTable
from cbir_bench.datasets.image_folder import ImageFolder
from cbir_bench.datasets.manifests import find_manifest, manifests, read_manifest, recognise


@pytest.mark.parametrize("name", ["omniglot", "grocery160", "clothing160"])
def test_a_shipped_manifest_is_complete(name):
    """Nobody should use pictures without knowing whose they are."""
    manifest = find_manifest(name)

    assert all(
        (
            manifest.licence,
            manifest.source.startswith("https://"),
            manifest.citation,
            manifest.obtain,
        )
    )
    assert manifest.files
    for file in manifest.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.bytes > 0
        assert file.n_images > 0


@pytest.mark.parametrize("name", ["roxford5k", "rparis6k", "market1501"])
def test_a_manifest_of_files_that_others_give_out(name):
    """Their licence and their authors are named in every result all the same."""
    manifest = find_manifest(name)

    assert "not stated" in manifest.licence
    assert manifest.source.startswith("https://")
    assert manifest.citation
    assert manifest.source in manifest.note


def test_an_unknown_manifest_is_named():
    """With the nearest known one."""
    with pytest.raises(UnknownNameError, match="Did you mean 'omniglot'"):
        find_manifest("omniglott")


@pytest.mark.parametrize("text", ['titel = "x"', 'title = "x"'])
def test_a_manifest_with_wrong_keys_is_refused(tmp_path, text):
    """A typo in a key would drop a checksum."""
    path = tmp_path / "mine.toml"
    path.write_text(text)

    with pytest.raises(DataError, match="is not complete"):
        read_manifest(path)


def test_a_file_with_a_known_name_and_other_bytes_is_a_stranger(tmp_path):
    """A note about the licence of another file would be false."""
    path = tmp_path / "grocery160.zip"
    path.write_bytes(b"mine")

    assert recognise(path) is None
    assert recognise(tmp_path) is None


@pytest.fixture
def real(real_data, tmp_path):
    return DataContext(folders=(real_data,), cache=tmp_path)


def test_the_real_clothes(real):
    """The reference of 757 photos is every fifth over all splits, in sorted path order."""
    dataset = ImageFolder(root="clothing160.zip", splits="merge", every=5).open(real)

    assert len(dataset.rows(Split.TEST)) == len(dataset) == 757
    assert len(dataset.labels.names) == 10
    assert dataset.notes[0] == manifests()["clothing160"].note
    assert min(dataset.images.read([100])[0].shape[:2]) == 160


def test_the_real_groceries_know_both_kinds_of_classes(real):
    """Every fine class lies in one coarse class, so that both truths can be had in one run."""
    dataset = CsvTable(
        root="grocery160.zip", test_table="test.txt", label_column="2", coarse_column="3"
    ).open(real)

    fine, coarse = dataset.labels, dataset.labels_called("coarse")
    assert (len(fine.names), len(coarse.names)) == (81, 43)
    assert len(set(zip(fine.first(), coarse.first(), strict=True))) == 81


@pytest.mark.parametrize(("column", "n_classes"), [("2", 81), ("3", 43)])
def test_the_real_groceries(real, column, n_classes):
    """Spaces after commas, tables inside the archive, fine and coarse classes."""
    tables = {f"{split}_table": f"{split}.txt" for split in ("train", "val", "test")}

    dataset = CsvTable(root="grocery160.zip", label_column=column, every=7, **tables).open(real)

    whole = np.array([2640, 296, 2485])
    assert [len(dataset.rows(split)) for split in Split] == pytest.approx(whole / 7, abs=1)
    assert len(dataset.labels.names) == n_classes
    assert "Licence: MIT" in dataset.notes[0]
