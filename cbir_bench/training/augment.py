"""Random changes to a batch of training images, on the tensors themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbir_bench.training.recipe import TrainingRecipe


def augment(pixels: Any, recipe: TrainingRecipe, generator: Any) -> Any:
    """Return ``(n, 3, height, width)`` float32 images from 0 to 255, each changed on its own.

    Args:
        pixels: ``(n, 3, height, width)`` uint8, on any device.
        recipe: says what is changed, and by how much.
        generator: a CPU generator, so that the same seed draws the same on every device.
    """
    images = pixels.float()
    if recipe.flip or recipe.zoom:
        images = _warped(images, recipe, generator)
    if recipe.colour:
        images = images * (1 + recipe.colour * _signed((len(images), 3, 1, 1), images, generator))
        images = images.clamp(0, 255)
    return images


def _signed(shape: tuple[int, ...], like: Any, generator: Any) -> Any:
    """Return random numbers in [-1, 1)."""
    import torch

    return (2 * torch.rand(shape, generator=generator) - 1).to(like.device)


def _warped(images: Any, recipe: TrainingRecipe, generator: Any) -> Any:
    """Return the images mirrored, scaled and shifted; beyond their border the edge goes on."""
    from torch.nn import functional

    n = len(images)
    theta = images.new_zeros(n, 2, 3)
    scale = 1 + recipe.zoom * _signed((n,), images, generator)
    mirror = _signed((n,), images, generator).sign() if recipe.flip else 1
    theta[:, 0, 0] = scale * mirror
    theta[:, 1, 1] = scale
    # In the grid's units the image is 2 wide, so this shifts by up to zoom times its side.
    theta[:, :, 2] = 2 * recipe.zoom * _signed((n, 2), images, generator)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
