"""Texts that ask for images: one for each class, made of its name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.protocols.items import dataset

from cbir_bench.core.component import describe, help_texts
from cbir_bench.core.dataset import LabelSets, Role, Split
from cbir_bench.core.errors import DataError, SettingError
from cbir_bench.core.item_lists import ItemLists
from cbir_bench.core.judgements import Judgements
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.protocols.summary import summarise
from cbir_bench.protocols.text_query import TextQuery

label_sets = st.lists(
    st.lists(st.sampled_from(["a", "b", "a_b", "a-b", "c"]), min_size=1, max_size=3, unique=True),
    min_size=1,
    max_size=12,
)


def truth_of(data, **options):
    """Return the ground truth of the test split."""
    return TextQuery(**options).ground_truth(data, data.rows(Split.TEST))


def test_each_class_of_the_test_split_asks_once():
    """A class that is only trained on has nothing to find."""
    data = dataset(["pear", "fig", "fig", "plum"], splits=[2, 2, 2, 0])

    actual = truth_of(data)

    assert actual.query_texts == ("a photo of a fig", "a photo of a pear")
    assert actual.query_rows.tolist() == [0, 1]
    assert actual.n_relevant.tolist() == [2, 1]


def test_all_images_of_the_test_split_are_the_base():
    """Rows are positions in the test split, as embeddings hold it; roles play no part."""
    data = dataset("xabb", splits=[0, 2, 2, 2], roles=[0, Role.QUERY, Role.BASE, Role.QUERY])

    actual = truth_of(data)

    assert actual.base_rows.tolist() == [0, 1, 2]
    assert [actual.relevant(q).tolist() for q in range(2)] == [
        [True, False, False],
        [False, True, True],
    ]
    assert not actual.leave_one_out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("golden_delicious", "golden delicious"),
        ("Fruit/Apple/Granny-Smith", "Fruit Apple Granny Smith"),
        ("__a--b__", "a b"),
        ("7", "7"),
        ("Zoë's café", "Zoë's café"),
        ("{}", "{}"),
        ("{0.__class__}", "{0. class }"),
        ("100%s", "100%s"),
        ("双 鱼\t座", "双 鱼 座"),
    ],
)
def test_names_are_read_as_words(name, text):
    """Folders are named for computers; nothing in a name is taken for a part of the template."""
    assert truth_of(dataset([name])).query_texts == (f"a photo of a {text}",)


def test_separators_can_be_kept():
    """A T-shirt is no shirt called T."""
    data = dataset(["T-shirt", "long_sleeve"])

    actual = truth_of(data, separators="_", template="{}, worn")

    assert actual.query_texts == ("T-shirt, worn", "long sleeve, worn")


def test_other_braces_of_a_template_stay():
    """They are words like others."""
    assert truth_of(dataset(["a"]), template="{x} {}").query_texts == ("{x} a",)


def test_classes_that_read_the_same_are_one_query():
    """Two equal texts with different right answers could not both be right."""
    actual = truth_of(dataset(["a_b", "a-b", "c", ("a_b", "a-b")]))

    assert actual.query_texts == ("a photo of a a b", "a photo of a c")
    assert actual.n_relevant.tolist() == [3, 1]


@given(label_sets)
def test_an_image_is_relevant_to_the_name_of_each_of_its_labels(sets):
    """Loop by loop, as the definition says it."""
    actual = truth_of(dataset([tuple(one) for one in sets]), template="{}")

    words = [{name.replace("_", " ").replace("-", " ") for name in one} for one in sets]
    asked = sorted(set().union(*words))
    assert actual.query_texts == tuple(asked)
    for query, text in enumerate(asked):
        assert actual.relevant(query).tolist() == [text in one for one in words]


def test_an_image_with_fewer_other_labels_gains_more():
    """The Jaccard overlap of the asked label with those of the image."""
    data = dataset([("shoe",), ("red", "shoe"), ("flat", "red", "shoe"), ("red",)])
    truth = truth_of(data, graded=True)
    shoe = truth.query_texts.index("a photo of a shoe")

    actual = truth.relevant_items(slice(shoe, shoe + 1))

    assert actual.items.tolist() == [0, 1, 2]
    np.testing.assert_allclose(actual.gains, [1, 1 / 2, 1 / 3])


def test_coarse_classes_can_be_asked_for():
    """With the same images in the base."""
    data = dataset(["a", "b", "c"], more_labels={"coarse": LabelSets.of(["fruit", "fruit", "nut"])})

    actual = truth_of(data, labels="coarse")

    assert actual.query_texts == ("a photo of a fruit", "a photo of a nut")
    assert actual.n_relevant.tolist() == [2, 1]


def test_the_order_of_items_decides_nothing():
    """Only which image has which label does."""
    labels = ["b", "a", "c", "a"]

    forward, backward = truth_of(dataset(labels)), truth_of(dataset(labels[::-1]))

    assert forward.query_texts == backward.query_texts
    assert forward.n_relevant.tolist() == backward.n_relevant.tolist()


@pytest.mark.parametrize("template", ["a photo", "a {} or a {}", "", "{ }"])
def test_a_template_has_one_place_for_the_name(template):
    """Without one every query would be the same text."""
    with pytest.raises(SettingError, match=r"Write \{\} once"):
        TextQuery(template=template)


def test_a_name_without_a_word_is_an_error():
    """'a photo of a ' asks for anything."""
    with pytest.raises(DataError, match="'--' of 'shoes' is made of separators alone"):
        truth_of(dataset(["a", "--"]))


def test_a_nameless_class_that_is_not_asked_for_is_none():
    """Only the test split asks."""
    assert truth_of(dataset(["a", "--"], splits=[2, 0])).query_texts == ("a photo of a a",)


def test_other_labels_that_are_not_there_are_an_error():
    """The message lists those that are."""
    with pytest.raises(DataError, match="no labels called 'coarse'"):
        truth_of(dataset("ab"), labels="coarse")


def test_lists_of_people_answer_images_only():
    """Nobody has said what is relevant to a text."""
    empty = ItemLists.of([[], []])
    data = dataset("ab", judgements=Judgements(easy=empty, hard=empty, junk=empty))

    with pytest.raises(DataError, match='Use the protocol "query-set"'):
        truth_of(data)


def test_a_reader_is_told_what_was_asked():
    """The words decide the numbers as much as the model does."""
    (note,) = summarise(truth_of(dataset("aabb"))).notes()

    assert note == "Queries are texts, the first is 'a photo of a a'."


def test_it_is_found_by_name_and_explains_its_options():
    """As suite files write it."""
    assert PROTOCOLS["text-query"] is TextQuery
    assert set(help_texts(TextQuery)) == {"template", "separators", "labels", "graded"}
    assert describe("text-query", TextQuery(template="{}")) == "text-query(template={})"
