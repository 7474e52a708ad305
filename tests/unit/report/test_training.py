"""How models learnt: the table's numbers, and a panel for each."""

from __future__ import annotations

import math

import numpy as np
import pytest
from unit.report.synthetic import Point, record_of, write_run

from cbir_bench.records.models import write_model
from cbir_bench.report.training import (
    MOST_PANELS,
    Curves,
    curves_of,
    make_training_figure,
    training_notes,
    training_table,
)
from cbir_bench.report.write import write_report


def trained(label="ResNet", *, light=True, validated=True, n_steps=100):
    """Return what a run folder tells of a model whose loss falls from 1 to 0 while pairs become light."""
    steps = np.linspace(0, 1, n_steps)
    scores = [{"step": n_steps // 2, "scores": {"map_at_r": 0.6, "hit_rate@1": 0.8}}]
    scores.append({"step": n_steps, "scores": {"map_at_r": 0.4, "hit_rate@1": 0.7}})
    log = {
        "losses": (1 - steps).tolist(),
        "light": steps.tolist() if light else [None] * n_steps,
        "validations": scores if validated else [],
        "best_step": n_steps // 2,
        "stopped_early": validated,
        "cpu_seconds": 61.5,
        "seconds": 33.0,
    }
    recipe = {"loss": "contrastive", "miner": "random" if light else "none"}
    return {
        "key": "e" * 16,
        "label": label,
        "dataset": "products",
        "training": {"recipe": recipe, "log": log},
    }


def cells(table, row=0):
    """Return a row of a Markdown table by the names of its columns."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return dict(zip(lines[0], lines[2 + row], strict=True))


def test_the_table_shows_how_pairs_became_light():
    """Means over the first and the last tenth: 10 of 100 steps from 0 to 1 are .045 and .955."""
    actual = cells(training_table(curves_of([trained()])))

    assert actual["light at first"] == "5 %"
    assert actual["light at last"] == "95 %"
    assert actual["loss at last"] == "0.0455"
    assert actual["held-out classes"] == "map_at_r 0.600 at step 50, stopped early"
    assert actual["CPU time"] == "61.5 s"


def test_columns_in_which_nothing_stands_are_left_out():
    """A classification loss has no pairs, and not everybody validates."""
    actual = cells(training_table(curves_of([trained(light=False, validated=False)])))

    assert {"light at first", "light at last", "held-out classes"}.isdisjoint(actual)


def mined(loss, miner, light, losses):
    """Return a trained model with these values of every step."""
    model = trained(validated=False)
    model["training"]["recipe"] = {"loss": loss, "miner": miner}
    model["training"]["log"] |= {"light": light, "losses": losses}
    return model


def test_steps_in_which_the_miner_found_nothing_are_counted():
    """Nothing was learnt in them, and neither their loss nor their light triplets say so."""
    some = mined("triplet", "semi-hard", [0.0, None, None, 0.0], [0.1, 0.0, 0.0, 0.2])
    table = training_table(curves_of([some, trained("contrastive")]))

    assert [cells(table, row)["steps without any"] for row in (0, 1)] == ["50 %", "0 %"]


@pytest.mark.parametrize(
    ("miner", "light", "losses"),
    [
        ("none", [None] * 4, [0.0] * 4),
        ("random", [1.0, None, 1.0, 0.5], [0.0, 0.3, 0.0, 0.2]),
        ("random", [], [0.0] * 4),
    ],
    ids=["no miner", "light or without such a thing", "an old log"],
)
def test_a_loss_of_zero_alone_is_no_step_without_any(miner, light, losses):
    """All pairs may have been light, or there was nothing to mine."""
    curves = curves_of([mined("contrastive", miner, light, losses)])

    assert "steps without any" not in cells(training_table(curves))
    assert "Steps without any" not in training_notes(curves)


def test_the_notes_speak_of_what_the_table_has():
    """A sentence about a column that is not there sends the reader looking for it."""
    plain = training_notes(curves_of([trained(light=False, validated=False)]))
    full = training_notes(curves_of([trained()]))
    semi = training_notes(curves_of([mined("triplet", "semi-hard", [0.0, None], [0.1, 0.0])]))

    assert plain == '"At last" is the mean over the last tenth of the steps.'
    assert "first and last tenth of the steps" in full
    assert "held out" in full
    assert "by definition" not in full
    assert "by definition" in semi
    assert '"Steps without any"' in semi
    assert "held out" not in semi


def test_the_right_axis_is_there_for_shares_and_scores_alone():
    """An empty axis from 0 to 1 looks like one for the loss."""
    models = [trained(light=light, validated=scored) for light in (1, 0) for scored in (1, 0)]
    labels = []
    for model in models:
        figure = make_training_figure(curves_of([model]))
        labels.append([axes.get_ylabel() for axes in figure.axes])
        assert figure.axes[0].get_xlabel() == "step"

    assert labels == [
        ["loss", "share, map_at_r"],
        ["loss", "share"],
        ["loss", "map_at_r"],
        ["loss"],
    ]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_zero_or_one_is_seen_on_the_frame(share):
    """Half of its line would be cut off, and the frame drawn over the rest."""
    model = mined("triplet", "random", [share] * 50, [0.5] * 50)

    figure = make_training_figure(curves_of([model]))

    (line,) = figure.axes[1].lines
    assert not line.get_clip_on()
    assert line.get_zorder() > figure.axes[1].spines["bottom"].get_zorder()


def test_a_model_under_several_transforms_is_one_training():
    """It was trained once."""
    one, other = trained(), {**trained(), "key": "f" * 16}

    assert len(curves_of([one, other, {"label": "pixels", "training": None}])) == 1


def test_every_model_has_its_panel():
    """Losses have scales of their own, so no two share an axis."""
    curves = curves_of([trained(f"model {i}") for i in range(6)])

    actual = make_training_figure(curves)

    titled = [axes.get_title() for axes in actual.axes if axes.get_title()]
    assert titled == [f"model {i}" for i in range(6)]


def test_too_many_models_are_counted_not_drawn():
    """A figure of a thousand panels shows nothing."""
    curves = curves_of([trained(f"model {i}", n_steps=3) for i in range(MOST_PANELS + 2)])

    actual = make_training_figure(curves)

    assert any("2 more models" in text.get_text() for text in actual.texts)


def test_a_log_of_before_light_pairs_were_counted_is_read():
    """Checkpoints outlive versions of this package."""
    model = trained()
    for name in ("light", "validations", "best_step", "stopped_early"):
        del model["training"]["log"][name]

    actual = Curves.of(model)

    assert np.isnan(actual.light).all()
    assert math.isnan(actual.at_last(actual.light))
    assert actual.metric == ""


@pytest.mark.parametrize("n_steps", [1, 2, 7])
def test_short_trainings_are_drawn_too(n_steps):
    """A smoke test of three steps still has a report."""
    figure = make_training_figure(curves_of([trained(n_steps=n_steps)]))

    line = figure.axes[0].lines[0]
    assert len(line.get_xdata()) == n_steps
    assert np.isfinite(line.get_ydata()).all()


def test_the_report_has_the_table_and_the_same_figure_every_time(tmp_path):
    """Figures are compared by version control."""
    folder = write_run(tmp_path / "run", [record_of(Point())])
    write_model(folder, trained())

    files = write_report(folder, tmp_path / "report")
    write_report(folder, tmp_path / "again")

    text = files[0].read_text(encoding="utf-8")
    assert "## Training" in text
    assert "figures/training.png" in text
    first = (tmp_path / "report" / "figures" / "training.svg").read_bytes()
    assert first == (tmp_path / "again" / "figures" / "training.svg").read_bytes()


def test_a_model_whose_loss_did_not_fall_is_named_first():
    """It is a number like any other in the tables, but nobody should choose by it."""
    stuck = trained("tuned")
    stuck["training"]["learnt"] = False

    actual = training_notes(curves_of([trained(), stuck]))

    assert actual.startswith("**The loss of 1 of 2 models did not fall**: tuned.")
    assert "did not fall" not in training_notes(curves_of([trained()]))
