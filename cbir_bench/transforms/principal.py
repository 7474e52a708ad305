"""Principal directions of vectors, computed exactly. Pearson, "On lines and planes of closest fit", 1901."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from cbir_bench.core.errors import InvalidArrayError, SettingError
from cbir_bench.transforms.blocks import blocks_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.transforms.blocks import Block

_ROUNDING: Final = float(np.finfo(np.float32).eps)


class Principal(NamedTuple):
    """The directions in which vectors vary most.

    Attributes:
        mean: ``(dim,)`` of the vectors.
        directions: ``(n_directions, dim)`` orthonormal, largest variance first; the largest number of each
            by magnitude is positive.
        variances: ``(n_directions,)`` along each, divided by n - 1.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    variances: NDArray[np.float64]

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Principal:
        """Return what ``_asdict`` gave, read from a file."""
        return cls(*(np.asarray(arrays[name], np.float64) for name in cls._fields))

    def project(self, block: Block) -> Block:
        """Return ``(n, n_directions)`` how far each vector lies from the mean along each direction.

        Raises:
            SettingError: if the vectors have other dimensions than those that were learnt from.
        """
        if block.shape[1] != len(self.mean):
            raise SettingError(
                f"The directions were learnt from vectors of {len(self.mean)} dimensions, but these have "
                f"{block.shape[1]}. Learn and apply them with the same model."
            )
        projected: Block = (block - self.mean) @ self.directions.T
        return projected


def principal_directions(vectors: Matrix, dim: int) -> Principal:
    """Return the first principal directions of vectors.

    In float64 from all of them, not from a sample: by the covariance, which one pass over blocks adds up,
    or by singular values where there are fewer vectors than dimensions. Takes ``8 * n_dimensions ** 2``
    bytes a few times, for however many vectors.

    Args:
        vectors: ``(n, n_dimensions)``, memory-mapped ones too.
        dim: how many directions.

    Raises:
        SettingError: if the vectors do not vary in so many directions.
        InvalidArrayError: if one holds NaN or infinity.
    """
    n, n_dimensions = vectors.shape
    _check_dim(dim, n, n_dimensions)
    mean = _mean(vectors)
    if n < n_dimensions:
        _, singular, directions = np.linalg.svd(vectors - mean, full_matrices=False)
        variances = singular**2 / (n - 1)
    else:
        variances, columns = np.linalg.eigh(_covariance(vectors, mean))
        variances, directions = variances[::-1], columns[:, ::-1].T
    _check_variances(variances, dim, mean)
    return Principal(
        mean, _with_signs(directions[:dim]), np.ascontiguousarray(variances[:dim], np.float64)
    )


def _check_dim(dim: int, n: int, n_dimensions: int) -> None:
    if dim > n_dimensions:
        raise SettingError(
            f"The transform keeps dim = {dim}, but the vectors have {n_dimensions} dimensions. "
            f"Set dim to {n_dimensions} or less."
        )
    if dim > n - 1:
        raise SettingError(
            f"The transform keeps dim = {dim}, but {n} training vectors vary in {n - 1} directions at most. "
            + (f"Set dim to {n - 1} or less." if n > 1 else "Give the training split more images.")
        )


def _mean(vectors: Matrix) -> NDArray[np.float64]:
    total = np.zeros(vectors.shape[1])
    for rows, block in blocks_of(vectors):
        bad = np.flatnonzero(~np.isfinite(block).all(1))
        if len(bad):
            raise InvalidArrayError(
                f"Row {rows.start + bad[0]} of the training vectors holds NaN or infinity. "
                "Check the model's weights and its input."
            )
        total += block.sum(0)
    return total / len(vectors)


def _covariance(vectors: Matrix, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    products = np.zeros((len(mean), len(mean)))
    for _, block in blocks_of(vectors):
        centred = block - mean
        products += centred.T @ centred
    return products / (len(vectors) - 1)


def _check_variances(variances: NDArray[np.float64], dim: int, mean: NDArray[np.float64]) -> None:
    """Refuse directions that rounding alone decides: another machine would find others."""
    noise = _ROUNDING**2 * (variances[0] + np.max(mean**2))  # float64 adds far less of its own
    rank = int(np.count_nonzero(variances > noise))
    if dim > rank:
        raise SettingError(
            f"The transform keeps dim = {dim}, but the training vectors vary in {rank} directions: "
            f"eigenvalue {rank + 1} of {len(variances)}, counted from the largest, is 0. "
            f"Set dim to {rank} or less."
            if rank
            else "The training vectors are all the same, so they have no directions. Check the model."
        )


def _with_signs(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.argmax(np.abs(directions), axis=1, keepdims=True)
    return np.ascontiguousarray(
        directions * np.sign(np.take_along_axis(directions, largest, axis=1))
    )
