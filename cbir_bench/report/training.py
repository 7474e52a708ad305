"""How the models of a run learnt: a table, and a panel of curves for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cbir_bench.report import numbers
from cbir_bench.report.markdown import escape, table
from cbir_bench.report.style import plotting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MOST_PANELS: Final = 48
"""Models whose curves are drawn; all are in the table."""
_COLUMNS: Final = 4
_WIDTH, _ROW, _HEAD, _FOOT = 12.0, 2.3, 0.85, 0.9
"""Inches."""
_DPI: Final = 110
_LOSS, _LIGHT, _HELD_OUT = "#222222", "#D55E00", "#0072B2"
_ON_TOP: Final[dict[str, Any]] = {"clip_on": False, "zorder": 3}
"""So that curves at 0 and 1 lie on the frame, not under it."""
_TITLE: Final = 40
"""Characters of a line of a panel's title."""
IDLE: Final = "steps without any"
"""The column that counts steps in which a miner found nothing."""
_LIGHT_MEANS: Final = (
    "A pair or triplet is light if it has no loss: what is alike is already near, what is not is already "
    "far. The more of what is drawn is light, the less there is to learn from it."
)
_SEMI_HARD: Final = (
    "A semi-hard miner draws only triplets that have a loss, so that the share of light ones is 0 by "
    "definition."
)
_FIRST_AND_LAST: Final = 0.1
"""Share of the steps that "at first" and "at last" are means over."""


class Drawn(NamedTuple):
    """A figure in its two formats."""

    caption: str
    svg: Path
    png: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """How one model learnt.

    Attributes:
        model, dataset: labels.
        loss_name, miner: of its recipe.
        losses: ``(n_steps,)``.
        light: ``(n_steps,)`` share of the drawn pairs or triplets that had no loss; NaN where a loss has
            no such thing, or the miner found nothing.
        idle: share of the steps in which the miner found nothing, in [0, 1]; NaN without a miner, or
            in a log of before light pairs were counted.
        metric: what held-out classes are scored by; empty without validation.
        held_out: ``(n_validations, 2)`` step and score.
        best_step: the step whose weights were kept.
        cpu_seconds: of the steps.
        note: what else a reader should know.
        learnt: whether the loss fell.
    """

    model: str
    dataset: str
    loss_name: str
    miner: str
    losses: NDArray[np.float64]
    light: NDArray[np.float64]
    idle: float
    metric: str
    held_out: NDArray[np.float64]
    best_step: int
    cpu_seconds: float
    note: str
    learnt: bool = True

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> Curves:
        """Return the curves in what a run folder tells of a model that was trained."""
        log, recipe = model["training"]["log"], model["training"]["recipe"]
        validations = log.get("validations") or []
        metric = next(iter(validations[0]["scores"]), "") if validations else ""
        losses = _floats(log["losses"])
        light = _floats(log.get("light") or [])
        mined = recipe.get("miner", "") not in {"", "none"} and len(light) == len(losses) > 0
        held_out = [(v["step"], v["scores"].get(metric, math.nan)) for v in validations]
        return cls(
            model=str(model["label"]),
            dataset=str(model["dataset"]),
            loss_name=str(recipe.get("loss", "")),
            miner=str(recipe.get("miner", "")),
            losses=losses,
            light=light if len(light) == len(losses) else np.full(len(losses), math.nan),
            idle=float(np.mean(np.isnan(light) & (losses == 0))) if mined else math.nan,
            metric=metric,
            held_out=np.array(held_out, float).reshape(-1, 2),
            best_step=int(log.get("best_step") or len(losses)),
            cpu_seconds=float(log["cpu_seconds"]),
            note="stopped early" if log.get("stopped_early") else "",
            learnt=bool(model["training"].get("learnt", True)),
        )

    def at_first(self, values: NDArray[np.float64]) -> float:
        """Return the mean over the first tenth of the steps; NaN where there is nothing."""
        return _mean(values[: self._n_ends])

    def at_last(self, values: NDArray[np.float64]) -> float:
        """Return the mean over the last tenth of the steps; NaN where there is nothing."""
        return _mean(values[len(values) - self._n_ends :])

    @property
    def _n_ends(self) -> int:
        return max(1, round(_FIRST_AND_LAST * len(self.losses)))


def curves_of(models: Sequence[Mapping[str, Any]]) -> list[Curves]:
    """Return the curves of the models that were trained; a model with several transforms stands once."""
    trained = [Curves.of(model) for model in models if model.get("training")]
    return list({(one.dataset, one.model): one for one in trained}.values())


def training_table(curves: Sequence[Curves]) -> str:
    """Return a row per trained model as Markdown; columns in which nothing stands are left out."""
    columns = {
        "data set": [escape(one.dataset) for one in curves],
        "model": [escape(one.model) for one in curves],
        "loss": [escape(one.loss_name) for one in curves],
        "miner": [escape(one.miner) for one in curves],
        "steps": [numbers.count(len(one.losses)) for one in curves],
        "loss at last": [_loss(one.at_last(one.losses)) for one in curves],
        "light at first": [_share(one.at_first(one.light)) for one in curves],
        "light at last": [_share(one.at_last(one.light)) for one in curves],
        IDLE: [_share(one.idle) for one in curves],
        "held-out classes": [_best(one) for one in curves],
        "CPU time": [numbers.duration(one.cpu_seconds) for one in curves],
    }
    if len({one.dataset for one in curves}) == 1:
        del columns["data set"]
    if not _any_idle(curves):
        del columns[IDLE]
    shown = {name: cells for name, cells in columns.items() if set(cells) - {numbers.MISSING, ""}}
    right = [
        i for i, name in enumerate(shown) if name not in {"data set", "model", "loss", "miner"}
    ]
    return table(list(shown), list(zip(*shown.values(), strict=True)), right)


def training_notes(curves: Sequence[Curves]) -> str:
    """Return how to read the table as Markdown, with a word on those columns alone that it has."""
    if not curves:
        return ""
    notes = []
    if any(np.isfinite(one.light).any() for one in curves):
        notes += [_LIGHT_MEANS, '"At first" and "at last" are means over the first and last tenth']
    else:
        notes.append('"At last" is the mean over the last tenth')
    notes[-1] += " of the steps."
    if any((one.loss_name, one.miner) == ("triplet", "semi-hard") for one in curves):
        notes.append(_SEMI_HARD)
    if _any_idle(curves):
        notes.append(
            f'"{IDLE.capitalize()}" is the share of the steps in which the miner found nothing that '
            "the model could learn from."
        )
    if any(len(one.held_out) for one in curves):
        notes.append("Scores are of the validation split, or of training classes held out.")
    text = " ".join(notes)
    stuck = [escape(one.model) for one in curves if not one.learnt]
    if stuck:
        warning = f"**The loss of {len(stuck)} of {len(curves)} models did not fall**: {', '.join(stuck)}."
        text = f"{warning} They may be worse than untrained; lower their learning_rate.\n\n{text}"
    return text


def draw_training(curves: Sequence[Curves], out_folder: Path) -> Drawn | None:
    """Draw a panel for each trained model into ``out_folder/figures``; None if nothing was trained."""
    if not curves:
        return None
    folder = out_folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / "training.svg", folder / "training.png"
    with plotting():
        figure = make_training_figure(curves)
        figure.savefig(svg, format="svg", metadata={"Date": None})
        figure.savefig(png, format="png", metadata={"Software": None})
    return Drawn("How the models learnt", svg, png)


def make_training_figure(curves: Sequence[Curves]) -> Any:
    """Return the Matplotlib figure: loss on its own axis, shares and scores on one from 0 to 1."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = curves[:MOST_PANELS]
    n_columns = min(_COLUMNS, len(drawn))
    n_rows = -(-len(drawn) // n_columns)
    height = _HEAD + _FOOT + _ROW * n_rows
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    figure.subplots_adjust(
        left=0.055, right=0.95, wspace=0.6, hspace=0.65,
        top=1 - _HEAD / height, bottom=_FOOT / height,
    )  # fmt: skip
    several = len({one.dataset for one in drawn}) > 1
    for axes, one in zip(grid.flat, drawn, strict=False):
        _draw(axes, one, f"{one.model} on {one.dataset}" if several else one.model)
    for axes in list(grid.flat)[len(drawn) :]:
        axes.axis("off")
    _explain(figure, drawn, len(curves) - len(drawn))
    return figure


def _draw(axes: Any, one: Curves, title: str) -> None:
    steps = np.arange(1, len(one.losses) + 1)
    axes.set_title(_wrapped(title), fontsize=7, fontweight="bold")
    axes.plot(steps, _smooth(one.losses), color=_LOSS, lw=1.1, **_ON_TOP)
    axes.set_ylim(bottom=min(0.0, float(np.nanmin(one.losses))))
    axes.set_xlabel("step", fontsize=7, labelpad=1)
    axes.set_ylabel("loss", fontsize=7, labelpad=2)
    axes.tick_params(labelsize=6.5, length=2)
    axes.grid(visible=False)
    has_light = bool(np.isfinite(one.light).any())
    if not has_light and not len(one.held_out):
        return
    words = [*(["share"] if has_light else []), *([one.metric] if len(one.held_out) else [])]
    shares = _right_axis(axes, ", ".join(words))
    if has_light:
        shares.plot(steps, _smooth(one.light), color=_LIGHT, lw=1.1, ls=(0, (4, 1.5)), **_ON_TOP)
    if len(one.held_out):
        kept = one.held_out[one.held_out[:, 0] == one.best_step]
        shares.plot(*one.held_out.T, color=_HELD_OUT, lw=0.9, marker="o", ms=3, **_ON_TOP)
        shares.plot(*kept.T, color=_HELD_OUT, ls="", marker="o", ms=6, mfc="none", **_ON_TOP)


def _right_axis(axes: Any, label: str) -> Any:
    """Return a second axis from 0 to 1 over the same steps."""
    shares = axes.twinx()
    shares.grid(visible=False)
    shares.set_ylim(0, 1)
    shares.set_yticks([0, 0.5, 1])
    shares.set_ylabel(label, fontsize=7, labelpad=2)
    shares.tick_params(labelsize=6.5, length=2)
    shares.spines["right"].set_visible(True)
    return shares


def _wrapped(title: str) -> str:
    """Return a title on at most two lines; what tells models apart stands at its end and stays."""
    if len(title) > 2 * _TITLE:
        title = f"{title[: _TITLE // 2]}…{title[-(3 * _TITLE // 2 - 4) :]}"
    return "\n".join(wrap(title, _TITLE)[:2])


def _explain(figure: Any, curves: Sequence[Curves], n_hidden: int) -> None:
    height = figure.get_figheight()
    figure.text(
        0.012,
        1 - 0.25 / height,
        "How the models learnt",
        fontsize=12,
        fontweight="bold",
        va="center",
    )
    parts = [(_LOSS, "solid: loss by step (left axis)")]
    if any(np.isfinite(one.light).any() for one in curves):
        parts.append((_LIGHT, "dashed: share of the drawn pairs or triplets without loss (right)"))
    metrics = sorted({one.metric for one in curves if one.metric})
    if metrics:
        text = f"dots: {', '.join(metrics)} on held-out classes (right); ringed: the weights kept"
        parts.append((_HELD_OUT, text))
    if n_hidden:
        parts.append(("#444444", f"{n_hidden} more models are in the table only"))
    for place, (colour, text) in enumerate(parts):
        figure.text(
            0.012 + 0.33 * place, 0.2 / height, text, fontsize=7.5, color=colour, va="bottom"
        )


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over a window of a twentieth of the steps, shorter at the ends; NaN stays out."""
    half = len(values) // 40
    known = np.isfinite(values)
    sums = np.concatenate([[0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    n = counts[high] - counts[low]
    return np.where(n > 0, (sums[high] - sums[low]) / np.maximum(n, 1), math.nan)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([math.nan if value is None else value for value in values], float)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _any_idle(curves: Sequence[Curves]) -> bool:
    return any(one.idle > 0 for one in curves)


def _loss(value: float) -> str:
    return numbers.significant(value) if math.isfinite(value) else numbers.MISSING


def _share(value: float) -> str:
    if not math.isfinite(value):
        return numbers.MISSING
    decimals = 1 if 0 < value < 0.005 else 0
    return f"{value:.{decimals}%}".replace("%", " %")


def _best(one: Curves) -> str:
    """Return the best score on held-out classes and its step."""
    if not len(one.held_out):
        return numbers.MISSING
    step, score = one.held_out[np.nanargmax(one.held_out[:, 1])]
    note = f", {one.note}" if one.note else ""
    return f"{escape(one.metric)} {numbers.fraction(score)} at step {step:,.0f}{note}"
