"""A suite file becomes a suite, or one message with every mistake and its line."""

from __future__ import annotations

import pytest

from cbir_bench.run.suite import SuiteError, read_suite

MINIMAL = """
name = "s"
[[dataset]]
use = "products"
[[model]]
use = "pixels"
[[index]]
use = "exact"
"""


def read(tmp_path, text):
    """Write a suite file and read it."""
    path = tmp_path / "s.toml"
    path.write_text(text)
    return read_suite(path)


def mistakes(tmp_path, text):
    """Return the lines of the message about a bad suite."""
    with pytest.raises(SuiteError) as caught:
        read(tmp_path, text)
    return str(caught.value).splitlines()[1:]


def test_what_is_left_out_has_a_default(tmp_path):
    """Four tables are a suite: both protocols, no quantiser, no re-ranker, cosine."""
    actual = read(tmp_path, MINIMAL)

    assert [p.use for p in actual.protocols] == ["query-set", "full-base"]
    assert [q.use for q in actual.quantizers] == ["none"]
    assert [r.use for r in actual.rerankers] == ["none"]
    assert (actual.spaces, actual.ks, actual.n_threads) == (("cosine",), (100,), (1,))
    assert "map_at_r" in actual.metrics


def test_every_axis_of_search_is_kept(tmp_path):
    """Space, k and threads sweep like everything else."""
    text = MINIMAL + '[search]\nspace = ["cosine", "l2"]\nk = [10, 20]\nn_threads = [1, 2]\n'

    actual = read(tmp_path, text)

    assert (actual.spaces, actual.ks, actual.n_threads) == (("cosine", "l2"), (10, 20), (1, 2))
    assert "= 16 trials" in actual.summary()


def test_each_training_recipe_is_a_model_of_its_own(tmp_path):
    """Two losses are two models, and their names tell them apart."""
    text = MINIMAL.replace(
        'use = "pixels"',
        'use = "timm"\nlabel = "R"\nweights = "train"\n[model.training]\nloss = ["triplet", "contrastive"]',
    )

    actual = read(tmp_path, text)

    assert len(actual.models) == 2
    assert len({str(model) for model, _ in actual.models}) == 2
    assert [recipe.values["loss"] for _, recipe in actual.models] == ["triplet", "contrastive"]


def test_a_recipe_for_a_model_that_is_not_trained_is_refused(tmp_path):
    """An option that does nothing would be a lie."""
    text = MINIMAL.replace('use = "pixels"', 'use = "pixels"\n[model.training]\nsteps = 5')

    actual = mistakes(tmp_path, text)

    assert len(actual) == 1
    assert "s.toml:7: model[0].training:" in actual[0]


def test_mistakes_of_every_section_come_with_their_line(tmp_path):
    """Editors jump to file:line."""
    text = MINIMAL.replace('"exact"', '"exct"').replace('"pixels"', '"pixels"\nsizee = 3')
    text += "[search]\nk = 0\n[measure]\nn_passes = 0\nn_pases = 1\n[[rerankr]]\n"

    actual = mistakes(tmp_path, text)

    found = {line.strip().split(": ")[0]: line for line in actual}
    assert set(found) == {
        "s.toml:7",
        "s.toml:9",
        "s.toml:11",
        "s.toml:13",
        "s.toml:14",
        "s.toml:15",
    }
    assert "Did you mean 'exact'?" in found["s.toml:9"]
    assert "Did you mean 'reranker'?" in found["s.toml:15"]
    assert "Did you mean 'n_passes'?" in found["s.toml:14"]


def test_how_to_measure_is_no_axis(tmp_path):
    """Numbers measured in different ways do not belong into one table."""
    actual = mistakes(tmp_path, MINIMAL + "[measure]\nn_passes = [1, 2]\n")

    assert "no axis" in actual[0]


def test_a_metric_deeper_than_the_ranking_is_refused(tmp_path):
    """It would be undefined for every trial, after all the work."""
    actual = mistakes(tmp_path, 'metrics = ["ap@50"]\n' + MINIMAL + "[search]\nk = [10, 100]\n")

    assert "ap@50 is deeper than [search] k = 10" in actual[0]


@pytest.mark.parametrize("text", ["", "name = 3", "name = 'a/b'\n", "dataset = 3\nname = 'x'"])
def test_rubbish_is_refused_without_a_traceback(tmp_path, text):
    """Whatever is in the file, the answer is a sentence."""
    assert mistakes(tmp_path, text)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    """A picture given by mistake."""
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xff\xd8\xff\xe0")

    with pytest.raises(SuiteError, match="cannot be read"):
        read_suite(path)


TRAINED = """
name = "trained"
[[dataset]]
use = "products"
[[model]]
use = "timm"
weights = "train"
[model.training]
{first}
{second}
[[index]]
use = "exact"
"""
OTHER = '[[model]]\nuse = "timm"\nweights = "train"\n[model.training]\nloss = "triplet"'


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        ('miner = ["auto", "hard"]', "", ["miner=auto)", "miner=hard)"]),
        ("margin = [0.0, 0.3]", "", ["margin=0.0)", "margin=0.3)"]),
        ('loss = "contrastive"', OTHER, ["loss=contrastive)", "loss=triplet)"]),
    ],
)
def test_models_that_differ_in_their_training_have_different_names(tmp_path, first, second, labels):
    """A default is a value of an axis like any other, and two tables may differ in a scalar alone."""
    path = tmp_path / "trained.toml"
    path.write_text(TRAINED.format(first=first, second=second))

    actual = [str(setting) for setting, _ in read_suite(path).models]

    assert len(set(actual)) == 2
    assert all(name.endswith(label) for name, label in zip(actual, labels, strict=True))
