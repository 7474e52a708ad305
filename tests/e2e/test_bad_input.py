"""Bad input gives one clear sentence, exit code 2, no traceback, and loses nothing."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
from e2e.tiny import SUITE, cbir_bench, command, environment
from PIL import Image


def refused(place, *arguments):
    """Run a command that has to be refused and return its sentence."""
    actual = cbir_bench(place, *arguments)
    assert actual.returncode == 2, actual.stdout + actual.stderr
    assert "Traceback" not in actual.stderr
    return actual.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('use = "hnswlib"', 'use = "hnswlb"', ["tiny.toml:19", "Did you mean 'hnswlib'?"]),
        ("ef_search =", "ef_serch =", ["tiny.toml:21", "Did you mean 'ef_search'?"]),
        ("m = 8", 'm = "8"', ["tiny.toml:20", "'8'", "integer"]),
        ("[16, 32]", "[4, 32]", ["hnswlib", "ef_search"]),
        ("k = 8", "k = 8\nspce = 'ip'", ["There is no key 'spce'", "Did you mean 'space'?"]),
        ("precision@2", "precison@2", ["Did you mean 'precision'?"]),
        ("precision@2", "precision@20", ["precision@20", "k = 8"]),
        ("n_passes = 2", "n_passes = 0", ["n_passes", "0"]),
        ("n_passes = 2", "timeout_seconds = inf", ["timeout_seconds", "inf", "finite"]),
        ("n = 2", "n = 20", ["alpha-qe", "n = 20", "k = 8"]),
        ('root = "photos"', 'root = "fotos"', ["fotos", "--data-dir"]),
        ("k = 8", "k = 800", ["k = 800", "Set [search] k to"]),
        ('name = "tiny"', "", ["no name"]),
        (
            '[[model]]\nuse = "pixels"',
            "[[model]]",
            ["This model has no name", "colour_histogram, given_vectors"],
        ),
        ("[[dataset]]", "[[dataset", ["not valid TOML", "line 5"]),
    ],
)
def test_a_mistake_in_a_suite_is_one_sentence(place, old, new, words):
    """The sentence names what was found and what to do."""
    assert old in SUITE
    (place / "tiny.toml").write_text(SUITE.replace(old, new))

    actual = refused(place, "run", "tiny.toml")

    for word in words:
        assert word in actual


def test_all_mistakes_are_listed_at_once(place):
    """One round of corrections is enough."""
    text = (
        SUITE.replace("hnswlib", "hnswlb")
        .replace("n = 2", "n = 0")
        .replace('SQ8"', 'SQ8"\nfoo = 1')
    )
    (place / "tiny.toml").write_text(text)

    actual = refused(place, "validate", "tiny.toml")

    assert "3 problems" in actual


def test_truncated_and_unreadable_images_are_all_named(place):
    """A run that silently lost images would report wrong numbers."""
    whole = (place / "photos/class0/0.png").read_bytes()
    (place / "photos/class0/0.png").write_bytes(whole[: len(whole) // 2])
    (place / "photos/class1/1.png").write_bytes(b"not a picture")

    actual = refused(place, "run", "tiny.toml")

    assert "class0/0.png" in actual
    assert "class1/1.png" in actual
    assert 'on_bad_image = "skip"' in actual


def test_bad_images_are_left_out_when_the_suite_says_so(place):
    """The skip is a decision of the user, and it is reported."""
    (place / "photos/class1/1.png").write_bytes(b"not a picture")
    (place / "tiny.toml").write_text(
        SUITE.replace('root = "photos"', 'root = "photos"\non_bad_image = "skip"')
    )

    actual = cbir_bench(place, "run", "tiny.toml")

    assert actual.returncode == 0, actual.stderr
    assert "class1/1.png" in actual.stderr


def test_an_empty_folder_is_refused(place):
    """There is nothing to search."""
    (place / "empty").mkdir()
    (place / "tiny.toml").write_text(SUITE.replace('"photos"', '"empty"'))

    assert "empty" in refused(place, "run", "tiny.toml")


def test_a_class_with_one_image_is_counted_and_never_averaged_as_zero(place):
    """Nothing is relevant to its image under full-base, so it has no average precision."""
    (place / "photos/lonely").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    Image.fromarray(pixels).save(place / "photos/lonely/0.png")

    actual = cbir_bench(place, "plan", "tiny.toml")

    assert actual.returncode == 0, actual.stderr
    assert (
        "1 of 37 queries has nothing relevant in the base and no part in any average"
        in actual.stdout
    )


def test_a_suite_that_does_not_exist_is_refused_with_the_nearest_name(place):
    """Shipped suites are known by name."""
    assert "Did you mean 'quickstart'?" in refused(place, "run", "quickstrt")


def test_a_report_of_a_folder_that_is_no_run_is_refused(place):
    """Nothing to draw is not an empty report."""
    (place / "nothing").mkdir()

    assert "nothing" in refused(place, "report", "nothing")


def test_plan_starts_nothing(place):
    """It may be run on a laptop before the long run on a server."""
    actual = cbir_bench(place, "plan", "tiny.toml")

    assert actual.returncode == 0, actual.stderr
    assert "32 trials" in actual.stdout
    assert not (place / "results").exists()
    assert not (place / "cache" / "embeddings").exists()


def test_a_file_name_that_is_no_utf8_is_named(place):
    """It can be no item's id; the user has to know which file it is."""
    folder = os.fsencode(place / "photos/class0")
    (place / "photos/class0/0.png").rename(os.fsdecode(folder + b"/caf\xe9.png"))

    assert "caf\\xe9.png' in" in refused(place, "run", "tiny.toml")


def test_any_locale_can_read_any_name(place):
    """A service's environment often has no locale at all."""
    (place / "photos/class0").rename(place / "photos/Größe <b>|1")
    variables = {**environment(place), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    actual = subprocess.run(
        command("plan", "tiny.toml"), cwd=place, env=variables, capture_output=True, check=False
    )

    assert actual.returncode == 0, actual.stderr
