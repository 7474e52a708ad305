"""What a plan tells before anything is measured: junk, near-duplicates, metrics without a value."""

from __future__ import annotations

import pytest
from e2e.tiny import write_photos

from cbir_bench.core.component import LATER
from cbir_bench.protocols import PROTOCOLS
from cbir_bench.run.listing import list_one
from cbir_bench.run.notes import data_notes
from cbir_bench.run.places import Places
from cbir_bench.run.plan import make_plan
from cbir_bench.run.preview import preview
from cbir_bench.run.suite import read_suite

SUITE = """
name = "notes"
metrics = ["ap", "precision@2", "ap@5", "map_at_r", "knn_recall@5"]
[[dataset]]
use = "csv"
table = "photos/list.csv"
coarse_column = "kind"
camera_column = "camera"
[[model]]
use = "pixels"
[[index]]
use = "exact"
[search]
k = 6
[[protocol]]
use = "full-base"
"""


@pytest.fixture
def place(tmp_path):
    """Twelve photos of four classes in two kinds, by three cameras; the last is a copy of the first."""
    write_photos(tmp_path / "photos", n_classes=4, n_images=3)
    first, last = tmp_path / "photos/class0/0.png", tmp_path / "photos/class3/2.png"
    last.write_bytes(first.read_bytes())
    rows = [f"class{c}/{i}.png,{c},{c // 2},{(c * 3 + i) % 2}" for c in range(4) for i in range(3)]
    (tmp_path / "photos/list.csv").write_text("\n".join(["path,label,kind,camera", *rows]) + "\n")
    return tmp_path


def plan_of(place, options="", suite=SUITE):
    """Return the plan of the suite with options of its protocol."""
    (place / "s.toml").write_text(suite + options)
    return make_plan(read_suite(place / "s.toml"), Places.of(place / "s.toml", (), place / "cache"))


def test_junk_that_may_cost_a_metric_its_value_is_told_with_the_k_that_saves_it(place):
    """Rankings get shorter when junk is removed, by as much as the ranking happens to hold."""
    notes = data_notes(plan_of(place, 'labels = "coarse"'))

    (shortened,) = (note for note in notes if "may have no value" in note)
    assert shortened == (
        "photos, full-base(labels=coarse): ap@5 may have no value: rankings of k = 6 results lose up to 2 of "
        "them to junk. Set k = 8 or more in the suite's [search] table."
    )
    assert any("12 of 12 queries have junk in the base, up to 2 items" in note for note in notes)


def test_a_plan_without_junk_says_nothing_of_it(place):
    """Silence means that nothing is removed."""
    assert data_notes(plan_of(place, 'same_camera = "keep"')) == []


def test_pictures_are_compared_where_their_duplicates_are_to_be_excluded(place):
    """Both points of the axis are told how many there are; only one excludes them."""
    plan = plan_of(place, 'same_camera = "keep"\nnear_duplicates = ["keep", "exclude"]')

    notes = data_notes(plan)
    keep, exclude = (truth.junk for truth in plan.opened[0].truths.values())

    assert notes[0] == (
        "photos: 2 of 12 items of the test split are near-duplicates of each other, in 1 group of up to 2."
    )
    assert keep is None
    assert exclude.counts.tolist() == [1, *[0] * 10, 1]
    assert "2 of 12 queries have junk in the base, up to 1 item:" in notes[1]


def test_pictures_are_not_compared_unless_asked_for(place):
    """Every picture would be decoded."""
    plan_of(place)

    assert not (place / "cache/data/looks").exists()


def test_fine_and_coarse_stand_side_by_side(place):
    """One run answers both questions."""
    plan = plan_of(place, 'same_camera = "keep"\nlabels = ["fine", "coarse"]')

    text = preview(plan, Places.of(place / "s.toml", (), place / "cache"))

    assert (
        "full-base(labels=fine, same_camera=keep): 12 queries, 12 in the base, 2 to 2 relevant"
        in text
    )
    assert "(labels=coarse, same_camera=keep): 12 queries, 12 in the base, 5 to 5 relevant" in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_option_is_shown_with_its_help(name):
    """`cbir-bench list protocols NAME` is the reference."""
    text = list_one("protocols", name)

    later = [
        option for option, f in PROTOCOLS[name].__dataclass_fields__.items() if f.metadata == LATER
    ]
    if name != "text-query":  # which was new with all its options
        assert {"labels", "graded", "same_camera", "near_duplicates"} <= set(later)
    for option in PROTOCOLS[name].__dataclass_fields__:
        line, help_text = text[text.index(f"  {option}: ") :].splitlines()[:2]
        assert " = " in line
        assert len(help_text.strip()) > 20
