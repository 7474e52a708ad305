"""Anyone's photos in folders: labels, splits, archives, and every way in which they are broken."""

import multiprocessing
import os
import pickle

import numpy as np
import pytest

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.datasets import checking
from cbir_bench.datasets.archive import open_tree
from cbir_bench.datasets.image_folder import ImageFolder


def labels(dataset):
    return [dataset.labels.names[code] for code in dataset.labels.first()]


def open_photos(album, **options):
    return ImageFolder(**{"root": "photos", **options}).open(album.context)


def test_a_folder_is_a_class_and_all_is_test(album):
    """The simplest layout needs no option."""
    album.write("cat/b.jpg", "cat/a.jpg", "dog/c.png")

    dataset = open_photos(album)

    assert dataset.name == "photos"
    assert dataset.ids == ("cat/a.jpg", "cat/b.jpg", "dog/c.png")
    assert labels(dataset) == ["cat", "cat", "dog"]
    assert set(dataset.splits) == {Split.TEST}
    assert set(dataset.roles) == {Role.ANY}


def test_split_folders_decide(album):
    """Any usual name, in any case of letters."""
    album.write("Train/cat/a.jpg", "valid/cat/b.jpg", "TEST/dog/c.jpg")

    dataset = open_photos(album)

    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "Train/cat/a.jpg": Split.TRAIN,
        "valid/cat/b.jpg": Split.VAL,
        "TEST/dog/c.jpg": Split.TEST,
    }
    assert sorted(set(labels(dataset))) == ["cat", "dog"]


def test_query_and_gallery_are_sides_of_the_test_split(album):
    """Market-1501 and its like come so."""
    album.write("train/1/a.jpg", "query/2/b.jpg", "gallery/2/c.jpg")

    dataset = open_photos(album)

    part = dict(zip(dataset.ids, zip(dataset.splits, dataset.roles, strict=True), strict=True))
    assert part == {
        "train/1/a.jpg": (Split.TRAIN, Role.ANY),
        "query/2/b.jpg": (Split.TEST, Role.QUERY),
        "gallery/2/c.jpg": (Split.TEST, Role.BASE),
    }


def test_nested_folders_are_one_label(album):
    """Two folders called "red" below different kinds are different classes."""
    album.write("test/shoe/red/a.jpg", "test/hat/red/b.jpg")

    assert labels(open_photos(album)) == ["hat/red", "shoe/red"]


def test_nested_folders_without_splits_are_one_label(album):
    """The same holds where no split folder comes first."""
    album.write("shoe/red/a.jpg", "hat/red/b.jpg")

    assert labels(open_photos(album)) == ["hat/red", "shoe/red"]


def test_the_folder_above_a_class_is_its_coarse_class(album):
    """A class that lies in no other folder is its own."""
    album.write("hat/a.jpg", "shoe/boot/b.jpg", "shoe/boot/high/c.jpg", "shoe/sandal/d.jpg")

    coarse = open_photos(album).labels_called("coarse")

    assert [coarse.names[c] for c in coarse.first()] == ["hat", "shoe", "shoe/boot", "shoe"]


def test_plain_class_folders_have_no_coarse_classes(album):
    """A coarse class that is the fine one would be the same number twice."""
    album.write("hat/a.jpg", "shoe/b.jpg")

    assert open_photos(album).more_labels == {}


def test_lonely_folders_at_the_top_are_walked_through(album):
    """Archives usually hold one folder with everything, and a licence beside."""
    album.write("one/two/train/cat/a.jpg", "one/two/test/cat/b.jpg")
    album.put("photos/one/LICENSE", "free")

    dataset = open_photos(album)

    assert labels(dataset) == ["cat", "cat"]
    assert sorted(dataset.splits) == [Split.TRAIN, Split.TEST]
    assert dataset.notes == ("1 files that are no images were ignored (no suffix 1)",)


def test_the_only_class_keeps_its_name(album):
    """Walking on would leave its photos without a class."""
    album.write("cat/a.jpg", "cat/b.jpg")

    assert labels(open_photos(album)) == ["cat", "cat"]


def test_the_only_split_stays_a_split(album):
    """A lonely "test" folder is no wrapper."""
    album.write("test/cat/a.jpg")

    assert labels(open_photos(album)) == ["cat"]


def test_merge_puts_all_splits_into_the_test(album):
    """A reference over all photos needs them in one split, under their class alone."""
    album.write("train/cat/a.jpg", "query/cat/b.jpg", "test/dog/c.jpg")

    dataset = open_photos(album, splits="merge")

    assert labels(dataset) == ["cat", "dog", "cat"] or labels(dataset) == ["cat", "cat", "dog"]
    assert set(dataset.splits) == {Split.TEST}
    assert set(dataset.roles) == {Role.ANY}


def test_none_takes_every_folder_for_a_class(album):
    """Somebody's classes may be called "index" and "base"."""
    album.write("index/a.jpg", "base/b.jpg")

    assert labels(open_photos(album, splits="none")) == ["base", "index"]


def test_split_folders_among_others_are_refused(album):
    """Guessing would put a class called "base" into the base, silently."""
    album.write("base/a.jpg", "cat/b.jpg")

    with pytest.raises(DataError, match=r"called like splits \(base\) beside others \(cat\)\. Set"):
        open_photos(album)


def test_classes_are_divided_by_a_fraction(album):
    """Unseen classes are the honest test; a class is never on both sides."""
    album.write(*(f"c{i}/{j}.jpg" for i in range(8) for j in range(2)))

    dataset = open_photos(album, train_fraction=0.5)
    other = open_photos(album, train_fraction=0.5, seed=1)

    train = {labels(dataset)[row] for row in dataset.rows(Split.TRAIN)}
    test = {labels(dataset)[row] for row in dataset.rows(Split.TEST)}
    assert (len(train), len(test), train & test) == (4, 4, set())
    assert dataset.content_hash != other.content_hash


def test_a_fraction_beside_split_folders_is_refused(album):
    """Two rules for one thing: one of them would do nothing."""
    album.write("train/cat/a.jpg", "test/cat/b.jpg")

    with pytest.raises(SettingError, match=r'Set splits = "merge"'):
        open_photos(album, train_fraction=0.5)


def test_every_takes_each_nth_in_path_order_over_all_splits(album):
    """Published numbers on subsets are defined so."""
    album.write("train/a/1.jpg", "train/a/2.jpg", "test/a/3.jpg", "test/a/4.jpg", "test/b/5.jpg")

    dataset = open_photos(album, every=2)

    assert dataset.ids == ("test/a/3.jpg", "test/b/5.jpg", "train/a/2.jpg")


def test_a_zip_archive_reads_like_its_folder(album):
    """Nobody should have to unpack; only the ids' top folder differs."""
    album.write("cat/a.jpg", "dog/b.png")
    album.pack("photos", "photos.zip", top="top/")

    folder, archive = open_photos(album), open_photos(album, root="photos.zip")

    assert labels(folder) == labels(archive)
    assert archive.ids == ("top/cat/a.jpg", "top/dog/b.png")
    one, other = folder.images.read([0, 1]), archive.images.read([0, 1])
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_nothing_but_the_path_travels_to_another_process(album):
    """An open archive cannot be sent, its pictures should not be."""
    album.write("cat/a.jpg")
    album.pack("photos", "photos.zip")
    images = open_photos(album, root="photos.zip").images

    copied = pickle.loads(pickle.dumps(images))

    assert len(pickle.dumps(images)) < 1000
    assert np.array_equal(copied.read([0])[0], images.read([0])[0])


def test_a_forked_process_opens_the_archive_for_itself(album):
    """Two processes that share a file's position read garbage now and then."""
    album.write("cat/a.jpg")
    album.pack("photos", "photos.zip")
    tree = open_tree(album.root / "photos.zip")
    inherited = tree._archive()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: there.send((tree._archive() is inherited, tree.read("cat/a.jpg"))),
        daemon=True,
    )

    process.start()
    shared, data = here.recv() if here.poll(20) else (True, b"")
    process.join(20)

    assert not shared
    assert data == (album.root / "photos/cat/a.jpg").read_bytes()


def test_bad_images_are_all_named_at_once(album):
    """Fixing one per run is a bad afternoon; ten are listed, the rest counted."""
    album.write("cat/good.jpg")
    for i in range(12):
        album.put(f"photos/cat/bad{i:02d}.jpg", b"no picture")

    with pytest.raises(DataError) as caught:
        open_photos(album)

    message = str(caught.value)
    assert message.startswith(
        "12 of 13 images of 'photos' cannot be read: cat/bad00.jpg (it is no "
    )
    assert message.count("it is no picture") == 10
    assert 'and 2 more. Replace them, or set on_bad_image = "skip"' in message


def test_skipped_images_are_in_the_notes(album):
    """Leaving out is fine; hiding it is not."""
    album.write("cat/a.jpg", "cat/b.jpg")
    album.put("photos/cat/c.jpg", (album.root / "photos/cat/a.jpg").read_bytes()[:300])

    dataset = open_photos(album, on_bad_image="skip")

    assert dataset.ids == ("cat/a.jpg", "cat/b.jpg")
    assert dataset.notes[0].startswith("1 images left out: cat/c.jpg (")


def test_nothing_but_bad_images_is_refused_even_when_skipping(album):
    """An empty data set helps nobody."""
    album.put("photos/cat/a.jpg", b"")

    with pytest.raises(DataError, match="No image of 'photos' can be read"):
        open_photos(album, on_bad_image="skip")


def test_a_second_look_decodes_nothing(album, monkeypatch):
    """A thousand photos take seconds to check; a run starts often."""
    album.write("cat/a.jpg", "dog/b.jpg")
    first = open_photos(album)

    monkeypatch.setattr(checking, "decode", lambda data: pytest.fail("decoded again"))
    second = open_photos(album)

    assert second.content_hash == first.content_hash


def test_a_changed_image_is_looked_at_again(album):
    """The cache knows size and time; the hash must follow the bytes."""
    album.write("cat/a.jpg", "dog/b.jpg")
    first = open_photos(album)
    path = album.root / "photos/cat/a.jpg"
    path.write_bytes((album.root / "photos/dog/b.jpg").read_bytes())
    os.utime(path, ns=(1, 1))

    second = open_photos(album)

    assert second.content_hash != first.content_hash


def test_a_torn_cache_is_made_again(album):
    """A cache may never be the reason why a run fails."""
    album.write("cat/a.jpg")
    first = open_photos(album)
    for book in (album.root / "cache" / "checked").iterdir():
        book.write_text('{"cat/a.jpg": 3')

    assert open_photos(album).content_hash == first.content_hash


def test_a_cache_that_cannot_be_written_is_done_without(album):
    """A read-only home costs time, not the run."""
    album.write("cat/a.jpg")
    album.put("cache", "a file where the folder should be")

    assert len(open_photos(album)) == 1


@pytest.mark.parametrize("change", ["label", "pixels", "split", "name"])
def test_the_hash_follows_everything(album, change):
    """Whatever could change a result has to change the key of its artefacts."""
    album.write("test/cat/a.jpg", "train/dog/b.jpg")
    first = open_photos(album).content_hash
    photos = album.root / "photos"
    moves = {
        "label": ("test/cat/a.jpg", "test/cow/a.jpg"),
        "split": ("train/dog/b.jpg", "val/dog/b.jpg"),
        "name": ("test/cat/a.jpg", "test/cat/z.jpg"),
    }
    if change == "pixels":
        (photos / "test/cat/a.jpg").write_bytes((photos / "train/dog/b.jpg").read_bytes())
    else:
        old, new = (photos / name for name in moves[change])
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)

    assert open_photos(album).content_hash != first


def test_images_outside_class_folders_are_named(album):
    """A photo beside the classes has no label; guessing one would poison the averages."""
    album.write("cat/a.jpg", "b.jpg")

    with pytest.raises(
        DataError, match=r"1 of 2 images in .* lie in no class folder, the first is 'b\.jpg'"
    ):
        open_photos(album)


def test_a_banner_beside_the_wrapped_classes_is_named(album):
    """It must not turn the wrapper's folders into classes."""
    album.write("top/banner.png", "top/train/cat/a.jpg", "top/test/cat/b.jpg")

    with pytest.raises(DataError, match="banner"):
        open_photos(album)


@pytest.mark.parametrize("fill", [[], ["readme.txt"]])
def test_a_folder_without_images_is_refused(album, fill):
    """Mostly a wrong path."""
    (album.root / "photos" / "cat").mkdir(parents=True)
    for name in fill:
        album.put(f"photos/{name}", "text")

    with pytest.raises(DataError, match="There is no image in"):
        open_photos(album)


def test_a_data_set_without_test_split_is_refused(album):
    """There would be nothing to search."""
    album.write("train/cat/a.jpg")

    with pytest.raises(DataError, match="no item in its test split"):
        open_photos(album)


def test_a_root_that_is_not_there_is_named(album):
    """The message says where it was looked for."""
    with pytest.raises(DataError, match="There is no 'photos'"):
        open_photos(album)


def test_no_root_is_refused():
    """The default cannot know where your photos are."""
    with pytest.raises(SettingError, match="image_folder has no root"):
        ImageFolder().open(None)


def test_a_file_that_is_no_archive_is_refused(album):
    """A half-downloaded zip has no table of contents."""
    album.put("photos.zip", b"PK\x03\x04half")

    with pytest.raises(DataError, match="neither a folder nor a readable zip archive"):
        open_photos(album, root="photos.zip")


def test_a_damaged_file_in_an_archive_is_named(album):
    """The archive's own checksum finds it."""
    album.write("cat/a.jpg", "cat/b.jpg")
    album.pack("photos", "photos.zip")
    path = album.root / "photos.zip"
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)

    with pytest.raises(
        DataError, match=r"1 of 2 images of 'photos' cannot be read: cat/a\.jpg \(.*CRC"
    ):
        open_photos(album, root="photos.zip")


def test_what_systems_leave_behind_is_no_image(album):
    """Finder writes ._a.jpg and __MACOSX into every archive."""
    album.write("cat/a.jpg", "cat/._a.jpg", "__MACOSX/cat/._a.jpg", ".git/x.jpg")
    album.pack("photos", "photos.zip")

    assert open_photos(album).ids == ("cat/a.jpg",)
    assert open_photos(album, root="photos.zip").ids == ("cat/a.jpg",)


def test_a_folder_that_links_to_itself_ends(album):
    """Links are followed, but no folder twice."""
    album.write("cat/a.jpg")
    (album.root / "photos/cat/again").symlink_to(album.root / "photos", target_is_directory=True)

    assert open_photos(album).ids == ("cat/a.jpg",)


def test_a_class_with_one_image_is_allowed(album):
    """The protocol counts the queries without an answer; the reader does not judge."""
    album.write("cat/a.jpg", "dog/b.jpg", "dog/c.jpg")

    assert len(open_photos(album)) == 3
