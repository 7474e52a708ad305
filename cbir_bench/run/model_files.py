"""What a run tells of its models: size, speed, and how they learnt."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cbir_bench.records.models import write_model
from cbir_bench.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cbir_bench.run.artefacts import Artefact
    from cbir_bench.run.making import Maker


def write_model_files(artefacts: Iterable[Artefact], maker: Maker, run_folder: Path) -> None:
    """Write ``models/KEY.json`` for all frozen embeddings of a run that are there.

    Raises:
        DataError: if a store is damaged.
    """
    for artefact in artefacts:
        if maker.has(artefact):
            write_model(run_folder, _table(artefact, maker))


def _table(artefact: Artefact, maker: Maker) -> dict[str, Any]:
    store = maker.embeddings_store
    transformed = store.table(artefact.key)
    made = store.table(artefact.plain.key)["made_from"] if store.has(artefact.plain.key) else {}
    fitted = artefact.fit_key
    learned = maker.learned_store.table(fitted)["made_from"] if fitted else {}
    return {
        "key": artefact.key,
        "dataset": str(artefact.dataset),
        "model": str(artefact.model),
        "transform": str(artefact.transform),
        "n_items": transformed["shape"][0],
        "dim": transformed["shape"][1],
        "n_parameters": made.get("n_parameters"),
        "freeze_seconds": made.get("freeze_seconds"),
        "images_per_second": made.get("images_per_second"),
        "fit_seconds": learned.get("fit_seconds"),
        "device": made.get("device"),
        "training": _training(artefact, maker),
    }


def _training(artefact: Artefact, maker: Maker) -> dict[str, Any] | None:
    key = artefact.checkpoint_key
    if key is None or artefact.training is None or not maker.weights_store.has(key):
        return None
    recipe = TrainingRecipe(**artefact.training.values)
    log = maker.weights_store.log(key)
    return {
        "recipe": {**asdict(recipe), "miner": recipe.chosen_miner},
        "log": log.to_json(),
        "learnt": log.learnt,
    }
