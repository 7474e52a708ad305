"""`cbir-bench train` and `cbir-bench freeze`: weights and vectors alone, without any index."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from cbir_bench.core.component import create, field_types, setting_of
from cbir_bench.core.errors import CbirBenchError, SettingError
from cbir_bench.core.model import FittedModel
from cbir_bench.core.registry import DATASETS, MODELS
from cbir_bench.core.spec import parse_spec
from cbir_bench.datasets.image_folder import ImageFolder
from cbir_bench.files.writing import write_embeddings
from cbir_bench.run.artefacts import Subject, artefact_of
from cbir_bench.run.axes import Kind, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from cbir_bench.core.component import Setting
    from cbir_bench.core.dataset import LabelSets
    from cbir_bench.run.artefacts import Artefact
    from cbir_bench.run.making import Maker
    from cbir_bench.run.places import Places
    from cbir_bench.run.suite import Suite

_SUFFIXES: Final = (".npz", ".parquet", ".safetensors", ".npy")
_LONGEST_NAME: Final = 180
"""Bytes; file systems take 255."""
_ODD: Final = re.compile(r"[^\w.=-]+")


class Line(NamedTuple):
    """What is told of one artefact: cells of a table by the names of its columns, or a problem."""

    cells: dict[str, str]
    problem: str = ""


def artefacts_of_suite(suite: Suite, places: Places) -> list[Artefact]:
    """Return the artefacts of every data set, model and transform of a suite.

    Raises:
        DataError: if a data set cannot be opened, or a file of weights is not there.
    """
    opened = [
        (setting, create(DATASETS, setting.use, setting.values).open(places.context))
        for setting in suite.datasets
    ]
    return [
        artefact_of(Subject(setting, data, *model), places, transform)
        for (setting, data), model, transform in product(opened, suite.models, suite.transforms)
    ]


def artefacts_of_folder(
    folder: Path, models: Sequence[str], places: Places, *, skip_bad_images: bool = False
) -> list[Artefact]:
    """Return the artefacts of a folder or archive of images under models that a line of text names.

    Raises:
        SettingError: if no model is named, one is not valid, or one has to learn something first.
        DataError: if the images or a file of weights cannot be read.
    """
    if not models:
        raise SettingError(
            f"{str(folder)!r} holds images, but no model is named that could embed them. Add --model, for "
            "example --model 'timm(backbone=resnet50, weights=hub)'."
        )
    chosen = [_model(text, folder) for text in models]
    images = ImageFolder(
        root=str(folder.resolve()),
        splits="merge",
        on_bad_image="skip" if skip_bad_images else "stop",
    )
    setting = setting_of("image_folder", images, folder.resolve().name)
    data = images.open(places.context)
    return [artefact_of(Subject(setting, data, model), places) for model in chosen]


def _model(text: str, folder: Path) -> Setting:
    """Return the model that a line of text names, checked as in a suite.

    Raises:
        SettingError: if it is not valid, or has to learn something first.
    """
    spec = parse_spec(text)
    types = field_types(MODELS.get(spec.use))
    options = {
        name: spec.written[name] if types.get(name) is str else value
        for name, value in spec.options.items()
    }
    kind = Kind(noun=MODELS.noun, get=MODELS.get, names=MODELS.names)
    settings, problems = expand(kind, {"use": spec.use, **options}, ())
    if problems:
        named = [f"{'.'.join(map(str, p.path))}: " if p.path else "" for p in problems]
        said = " ".join(f"{n}{p.message}" for n, p in zip(named, problems, strict=True))
        raise SettingError(f"--model {text!r}: {said}")
    (model,) = settings
    component = create(MODELS, model.use, model.values)
    fits = isinstance(component, FittedModel) and component.needs_fit
    if fits or model.values.get("weights") == "train":
        raise SettingError(
            f"{model} has to learn from a training split first, but all images of {str(folder)!r} are taken "
            "as one set here. Write a suite whose data set has a training split, and give that to "
            "`cbir-bench freeze`."
        )
    return model


def train_all(artefacts: Iterable[Artefact], maker: Maker) -> list[Line]:
    """Train what is not trained yet; a model that fails is told of, and the others go on.

    Raises:
        SettingError: if there is nothing to train.
        CbirBenchError: if the only model, or every one, cannot be trained.
    """
    trained = list({a.checkpoint_key: a.plain for a in artefacts if a.checkpoint_key}.values())
    if not trained:
        raise SettingError(
            "No model of the suite is trained. Add a [model.training] table below a model."
        )
    return _told_of_each(trained, lambda artefact: _trained_cells(artefact, maker))


def _trained_cells(artefact: Artefact, maker: Maker) -> dict[str, str]:
    """Train a model, and return what to tell of it."""
    path = maker.checkpoint(artefact)
    log = maker.weights_store.log(artefact.checkpoint_key or "")
    best = next((v["scores"] for v in log.validations if v["step"] == log.best_step), {})
    return {
        "steps": str(len(log.losses)),
        "loss at last": f"{_mean_of_last(log.losses):.3f}",
        "held-out classes": ", ".join(f"{name} {value:.3f}" for name, value in best.items()),
        "CPU s": f"{log.cpu_seconds:.0f}",
        "weights": str(path),
    }


def _mean_of_last(losses: Sequence[float]) -> float:
    """Return the mean over the last tenth of the steps, as the report has it."""
    last = losses[-max(1, round(len(losses) / 10)) :]
    return sum(last) / len(last)


def _told_of_each(
    artefacts: Sequence[Artefact], make: Callable[[Artefact], dict[str, str]]
) -> list[Line]:
    """Return a line of each artefact, made or not.

    Raises:
        CbirBenchError: of the first, if none could be made.
    """
    lines: list[Line] = []
    errors: list[CbirBenchError] = []
    for artefact in artefacts:
        cells = {"data set": str(artefact.dataset), "model": str(artefact.model)}
        if artefact.source is not None:
            cells["model"] += f", {artefact.transform}"
        try:
            lines.append(Line(cells | make(artefact)))
        except CbirBenchError as error:
            errors.append(error)
            lines.append(Line(cells, str(error)))
    if len(errors) == len(lines):
        raise errors[0]
    return lines


def freeze_all(
    artefacts: Sequence[Artefact], maker: Maker, targets: Sequence[Path | None]
) -> list[Line]:
    """Freeze what is not frozen yet, and export it; a model that fails is told of, the others go on.

    Args:
        artefacts: what to freeze.
        maker: makes it.
        targets: the file to export each to; None exports nothing.

    Raises:
        CbirBenchError: if the only artefact, or every one, cannot be frozen.
    """
    target_of = dict(zip((id(a) for a in artefacts), targets, strict=True))
    return _told_of_each(artefacts, lambda a: _frozen_cells(a, maker, target_of[id(a)]))


def _frozen_cells(artefact: Artefact, maker: Maker, target: Path | None) -> dict[str, str]:
    """Freeze and export, and return what to tell of it."""
    frozen = maker.embeddings(artefact)
    rate = frozen.made_from.get("images_per_second")
    if target is not None:
        items = artefact.items
        ids = [items.ids[row] for row in frozen.rows]
        write_embeddings(target, frozen.vectors, ids, _names(items.labels.take(frozen.rows)))
    return {
        "images": str(len(frozen.rows)),
        "dim": str(frozen.vectors.shape[1]),
        "images/s": f"{rate:,.0f}" if rate else "",
        "vectors": str(target or maker.embeddings_store.root / artefact.key),
    }


def _names(labels: LabelSets) -> list[str] | list[list[str]]:
    """Return the label of each item, or its labels where some have several."""
    if labels.single:
        return [labels.names[code] for code in labels.codes]
    bounds = zip(labels.starts, labels.starts[1:], strict=False)
    return [[labels.names[code] for code in labels.codes[a:b]] for a, b in bounds]


def targets_of(
    artefacts: Sequence[Artefact], out: Path | None, kind: str | None
) -> list[Path | None]:
    """Return the file to export each artefact to.

    Args:
        artefacts: what is exported.
        out: a file; or a folder, in which each is called after data set, model and transform; None
            exports nothing.
        kind: the ending of files in a folder ("parquet").

    Raises:
        SettingError: if one file is to hold several artefacts, its name does not say what it is, or its
            folder is not there.
        OSError: if the folder cannot be made.
    """
    if out is None:
        if kind:
            raise SettingError("--format says how to write files, but not where. Add --out FOLDER.")
        return [None] * len(artefacts)
    if out.is_dir() or not (out.suffix or out.exists()):
        out.mkdir(parents=True, exist_ok=True)
        return list(_files_in(out, artefacts, f".{kind or 'npz'}"))
    if out.suffix not in _SUFFIXES:
        raise SettingError(
            f"The name of {str(out)!r} does not say what to write. Give a file that ends in "
            f"{', '.join(_SUFFIXES)}, or a folder."
        )
    if kind and out.suffix != f".{kind}":
        raise SettingError(
            f"--out {str(out)!r} and --format {kind} say different things. Leave --format out."
        )
    if not out.parent.is_dir():
        raise SettingError(
            f"{str(out)!r} is in the folder {str(out.parent)!r}, which does not exist. Make it first."
        )
    if len(artefacts) > 1:
        raise SettingError(
            f"{str(out)!r} is one file, but there are {len(artefacts)} embeddings to write. Give a "
            "folder with --out, and the kind of file with --format."
        )
    return [out]


def _files_in(folder: Path, artefacts: Sequence[Artefact], suffix: str) -> Iterator[Path]:
    """Yield a file for each artefact, no two alike."""
    taken: set[str] = set()
    for artefact in artefacts:
        parts = [str(artefact.dataset), str(artefact.model)]
        if artefact.source is not None:
            parts.append(str(artefact.transform))
        whole = "--".join(_ODD.sub("-", part).strip("-") for part in parts).encode()
        name = whole[:_LONGEST_NAME].decode(errors="ignore")
        if name in taken:
            name = f"{name}-{artefact.key}"
        taken.add(name)
        yield folder / f"{name}{suffix}"


def as_text(lines: Sequence[Line]) -> str:
    """Return the lines as a table of aligned columns, and each problem below it."""
    done = [line.cells for line in lines if not line.problem]
    columns = [name for name in done[0] if any(cells[name] for cells in done)] if done else []
    rows = [columns, *([cells[name] for name in columns] for cells in done)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
        if row
    ]
    problems = [
        f"{line.cells['model']} on {line.cells['data set']}: {line.problem}"
        for line in lines
        if line.problem
    ]
    return "\n".join([*text, *problems])
