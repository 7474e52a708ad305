"""Photos listed in tables."""

import numpy as np
import pytest

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.datasets.csv_table import CsvTable


def labels(dataset):
    sets = dataset.labels
    return [
        [sets.names[c] for c in sets.codes[sets.starts[i] : sets.starts[i + 1]]]
        for i in range(len(sets))
    ]


@pytest.fixture
def photos(album):
    """Three pictures, a.jpg, b.jpg and sub/c.png, beside which the tests write tables."""
    album.write("a.jpg", "b.jpg", "sub/c.png")
    return album


def open_table(album, text, **options):
    album.put("photos/list.csv", text)
    return CsvTable(**{"table": "photos/list.csv", **options}).open(album.context)


def test_a_table_beside_its_photos_needs_no_option(photos):
    """Usual names of columns are found, and everything is in the test split."""
    dataset = open_table(photos, "label,path\ncat,a.jpg\ndog,sub/c.png\n")

    assert dataset.ids == ("a.jpg", "sub/c.png")
    assert labels(dataset) == [["cat"], ["dog"]]
    assert set(dataset.splits) == {Split.TEST}
    assert dataset.name == "photos"


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg, cat, 7\nb.jpg, dog, 8\n",
        "a.jpg\tcat\nb.jpg\tdog\n",
        "a.jpg;cat\n\nb.jpg;dog",
        "a.jpg cat\r\nb.jpg dog\r\n",
        "\ufeffa.jpg|cat\nb.jpg|dog\n",
        '"a.jpg","cat"\n"b.jpg","dog"\n',
        'a.jpg, "cat", "black, white"\nb.jpg, "dog", "brown"\n',
        "Image_Path,Class\na.jpg,cat\nb.jpg,dog\n",
    ],
)
def test_usual_dialects_are_found(photos, text):
    """Spaces after commas, tabs, Windows line ends, byte order marks, quotes, with or without header."""
    dataset = open_table(photos, text)

    assert dataset.ids == ("a.jpg", "b.jpg")
    assert labels(dataset) == [["cat"], ["dog"]]


@pytest.mark.parametrize("column", ["coarse", "3"])
def test_a_column_is_given_by_name_or_number(photos, column):
    """Fine and coarse classes stand in the same table."""
    dataset = open_table(
        photos, "path,fine,coarse\na.jpg,tabby,cat\nb.jpg,pug,dog\n", label_column=column
    )

    assert labels(dataset) == [["cat"], ["dog"]]


def test_several_labels_in_a_cell(photos):
    """Tags: what is shared decides how relevant an item is."""
    dataset = open_table(photos, "path,label\na.jpg,red | shoe\nb.jpg,shoe|\n", label_separator="|")

    assert labels(dataset) == [["red", "shoe"], ["shoe"]]


def test_coarse_class_camera_and_group(photos):
    """Each is told by a column of its own; empty cells of camera and group are nothing known."""
    text = (
        "path,label,kind,cam,shot\na.jpg,tabby,cat,2,\nb.jpg,pug,dog,,x\nsub/c.png,lynx,cat,1,x\n"
    )

    dataset = open_table(
        photos, text, coarse_column="kind", camera_column="cam", group_column="shot"
    )

    coarse = dataset.labels_called("coarse")
    assert [coarse.names[c] for c in coarse.first()] == ["cat", "dog", "cat"]
    assert dataset.cameras.tolist() == [1, -1, 0]
    assert dataset.groups.tolist() == [-1, 0, 0]


def test_columns_that_nobody_names_are_not_read(photos):
    """Data sets of before keep their hash, and with it everything that was computed from them."""
    plain = open_table(photos, "path,label\na.jpg,x\nb.jpg,y\n")
    wide = open_table(photos, "path,label,coarse,camera,group\na.jpg,x,z,1,1\nb.jpg,y,z,1,1\n")

    assert plain.content_hash == wide.content_hash
    assert (wide.more_labels, wide.cameras, wide.groups) == ({}, None, None)


@pytest.mark.parametrize("column", ["coarse_column", "camera_column", "group_column"])
def test_the_hash_follows_the_columns_that_are_named(photos, column):
    """Another camera is another truth."""
    one, other = (
        open_table(photos, f"path,label,x\na.jpg,1,{x}\nb.jpg,1,q\n", **{column: "x"})
        for x in ("p", "q")
    )

    assert one.content_hash != other.content_hash


def test_split_and_role_columns(photos):
    """An empty role leaves the side to the protocol."""
    text = "path,label,split,role\na.jpg,x,Train,\nb.jpg,x,test,query\nsub/c.png,x,test,gallery\n"

    dataset = open_table(photos, text)

    assert dataset.splits.tolist() == [Split.TRAIN, Split.TEST, Split.TEST]
    assert dataset.roles.tolist() == [Role.ANY, Role.QUERY, Role.BASE]


def test_a_split_column_may_name_the_sides(photos):
    """In-shop clothes: one column says train, query or gallery."""
    dataset = open_table(
        photos, "path,label,evaluation\na.jpg,x,query\nb.jpg,x,gallery\n", split_column="evaluation"
    )

    assert dataset.splits.tolist() == [Split.TEST, Split.TEST]
    assert dataset.roles.tolist() == [Role.QUERY, Role.BASE]


def test_a_table_for_each_split(photos):
    """The usual files train.txt, val.txt and test.txt."""
    photos.put("photos/train.txt", "a.jpg 1")
    photos.put("photos/val.txt", "b.jpg 1")
    photos.put("photos/test.txt", "sub/c.png 2")

    dataset = CsvTable(
        root="photos", train_table="train.txt", val_table="val.txt", test_table="test.txt"
    ).open(photos.context)

    assert dataset.ids == ("a.jpg", "b.jpg", "sub/c.png")
    assert dataset.splits.tolist() == [Split.TRAIN, Split.VAL, Split.TEST]


def test_tables_in_an_archive(photos):
    """Paths start from the table's own folder there, below whatever folder the archive has on top."""
    photos.put("photos/lists/test.csv", "a.jpg,1\nx.jpg,2\n")
    photos.put("photos/lists/x.jpg", (photos.root / "photos/b.jpg").read_bytes())
    photos.pack("photos", "all.zip")
    photos.pack("photos", "wrapped.zip", top="top/")

    plain = CsvTable(root="all.zip", table="lists/test.csv").open(photos.context)
    photos.put("photos/lists/test.csv", "x.jpg,2\n")
    photos.pack("photos", "wrapped.zip", top="top/")
    wrapped = CsvTable(root="wrapped.zip", table="lists/test.csv").open(photos.context)

    assert plain.name == "all"
    assert plain.ids == ("a.jpg", "x.jpg")
    assert np.array_equal(plain.images.read([1])[0], wrapped.images.read([0])[0])


def test_a_table_apart_from_its_photos(photos):
    """Photos on a read-only share, one's own list elsewhere."""
    photos.put("mine.csv", "a.jpg,1\nsub\\c.png,2\n")

    dataset = CsvTable(root="photos", table="mine.csv").open(photos.context)

    assert dataset.ids == ("a.jpg", "sub\\c.png")


def test_every_counts_over_all_rows(photos):
    """As for folders: each n-th in the table's order."""
    dataset = open_table(photos, "a.jpg,1\nb.jpg,1\nsub/c.png,2\n", every=2)

    assert dataset.ids == ("a.jpg", "sub/c.png")


def test_the_header_may_be_told(photos):
    """Paths without a picture's suffix look like names of columns."""
    photos.put("photos/plain", (photos.root / "photos/a.jpg").read_bytes())

    dataset = open_table(photos, "plain,1\n", header="no")

    assert dataset.ids == ("plain",)


@pytest.mark.parametrize("other", ["a.jpg,y,\nb.jpg,x,\n", "a.jpg,x,query\nb.jpg,x,\n"])
def test_the_hash_follows_labels_and_roles(photos, other):
    """The same pictures with another truth give other results."""
    first, second = (
        open_table(photos, f"path,label,role\n{rows}") for rows in ("a.jpg,x,\nb.jpg,x,\n", other)
    )

    assert first.content_hash != second.content_hash


def test_missing_files_are_named_and_counted(photos):
    """A wrong root makes them all missing; a typo only one."""
    with pytest.raises(DataError) as caught:
        open_table(photos, "a.jpg,1\nno.jpg,1\nneither.jpg,2\n")

    assert (
        "2 of 3 images of 'photos' cannot be read: no.jpg (there is no such file), neither.jpg"
        in str(caught.value)
    )


def test_missing_files_may_be_skipped(photos):
    """Lists of links age."""
    dataset = open_table(photos, "a.jpg,1\nno.jpg,1\n", on_bad_image="skip")

    assert dataset.ids == ("a.jpg",)
    assert dataset.notes == ("1 images left out: no.jpg (there is no such file)",)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "path,label\na.jpg,1\n",
            {"label_column": "lable"},
            "no column 'lable'. Did you mean 'label'? Columns",
        ),
        (
            "a.jpg,1\n",
            {"label_column": "label"},
            "no header and no column 'label'. Give a number from 1 to 2",
        ),
        ("a.jpg,1\n", {"label_column": "3"}, "no column '3'"),
        ("a.jpg,1\n", {"path_column": "0"}, "no column '0'"),
        ("path,label\n", {}, "has no row"),
        ("", {}, "has no row"),
        ("a.jpg,1\nb.jpg\n", {}, "Line 2 of the table 'photos/list.csv' has 1 columns"),
        ("a.jpg,1\nb.jpg,\n", {}, "has nothing in column 2"),
        ("path,label,kind\na.jpg,1,\n", {"coarse_column": "kind"}, "has nothing in column 3"),
        ("path,label\na.jpg,1\n", {"camera_column": "cam"}, "no column 'cam'"),
        ("a.jpg,|\n", {"label_separator": "|"}, "has no label"),
        (
            "path,label,split\na.jpg,1,tset\n",
            {},
            "has the split 'tset'. Did you mean 'test'? Known: base",
        ),
        (
            "path,label,role\na.jpg,1,querry\n",
            {},
            "has the role 'querry'. Did you mean 'query'? Known: base",
        ),
        ("a.jpg,1\na.jpg,2\n", {}, "Two items of the data set 'photos' have the id 'a.jpg'"),
        ("path,label,split\na.jpg,1,train\n", {}, "no item in its test split"),
        (b"a.jpg,caf\xe9\n", {}, "is no UTF-8 text"),
    ],
)
def test_bad_tables_are_refused_in_words(photos, text, options, message):
    """Each with the line, the value and what to do."""
    with pytest.raises(DataError) as caught:
        open_table(photos, text, **options)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "a.csv", "test_table": "b.csv"}, "a table and a table for one split"),
        ({"delimiter": ",,"}, "cannot stand between columns"),
        ({"delimiter": "\n"}, "cannot stand between columns"),
    ],
)
def test_settings_that_contradict_are_refused(options, message):
    """Before anything is read."""
    with pytest.raises(SettingError, match=message):
        CsvTable(**options)


def test_no_table_is_refused(album):
    """The default cannot know your table."""
    with pytest.raises(SettingError, match="csv has no table"):
        CsvTable().open(album.context)


@pytest.mark.parametrize("table", ["gone.csv", "photos"])
def test_a_table_that_is_no_file_is_named(photos, table):
    """Mostly a wrong path."""
    with pytest.raises(DataError, match=table):
        CsvTable(root="photos", table=table).open(photos.context)
