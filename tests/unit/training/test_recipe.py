"""The recipe refuses what cannot work before anything is read."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cbir_bench.core.component import help_texts
from cbir_bench.core.errors import SettingError
from cbir_bench.training.recipe import TrainingRecipe


def test_every_option_has_a_help_text() -> None:
    """`cbir-bench list` shows it."""
    assert set(help_texts(TrainingRecipe)) == {field.name for field in fields(TrainingRecipe)}


def test_a_miner_that_a_loss_cannot_use_is_refused_with_those_it_can() -> None:
    """ArcFace compares with class centres, not with images."""
    with pytest.raises(SettingError) as caught:
        TrainingRecipe(loss="arcface", miner="hard")

    assert str(caught.value) == (
        'miner = "hard" does not go with loss = "arcface". Set it to one of: auto, none.'
    )


def test_an_option_that_a_loss_has_not_is_refused_with_the_losses_that_have_it() -> None:
    """It would change the key and nothing else."""
    with pytest.raises(SettingError) as caught:
        TrainingRecipe(loss="triplet", temperature=0.1)

    assert str(caught.value) == (
        'temperature = 0.1 does nothing with loss = "triplet". Leave it out, or choose a loss that has '
        "it: n-pair, cross-entropy."
    )


def test_patience_needs_validations_to_count() -> None:
    """A single one, at the end, can stop nothing."""
    with pytest.raises(SettingError, match="patience = 3 counts validations"):
        TrainingRecipe(patience=3)


@pytest.mark.parametrize("option", ["classes_per_batch", "images_per_class"])
def test_a_batch_without_anything_to_compare_is_refused(option) -> None:
    """A single class has no negatives, a single image no positive."""
    with pytest.raises(SettingError, match=f"{option} = 1 leaves nothing to compare with"):
        TrainingRecipe(**{option: 1})


@pytest.mark.parametrize(("loss", "shape"), [("triplet", (32, 4)), ("arcface", (64, 2))])
def test_a_batch_has_the_losss_own_shape_unless_told_otherwise(loss, shape) -> None:
    """Class weights learn from many classes, pairs from several images of each."""
    own, other = TrainingRecipe(loss=loss), TrainingRecipe(loss=loss, classes_per_batch=5)

    assert (own.batch_classes, own.batch_images) == shape
    assert own.batch_size == 128
    assert (other.batch_classes, other.batch_images) == (5, shape[1])


@pytest.mark.parametrize(
    ("loss", "miner"),
    [
        ("triplet", "semi-hard"),
        ("contrastive", "none"),
        ("multi-similarity", "multi-similarity"),
        ("arcface", "none"),
    ],
)
def test_auto_is_the_miner_of_the_losss_authors(loss, miner) -> None:
    """The same training under both names."""
    assert TrainingRecipe(loss=loss).chosen_miner == miner
    assert TrainingRecipe(loss=loss, miner=miner).chosen_miner == miner
