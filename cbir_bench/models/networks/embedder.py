"""From prepared batches to vectors: on a GPU without waiting for it, at several sizes, mirrored, or both."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import torch

from cbir_bench.core.errors import SettingError
from cbir_bench.models.networks.folding import folded
from cbir_bench.models.networks.heads import unit
from cbir_bench.models.preparation import Preparation, Pyramid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from cbir_bench.core.arrays import Matrix
    from cbir_bench.models.networks.embedding import EmbeddingNetwork
    from cbir_bench.models.preparation import Squares

Batch: TypeAlias = "Squares | tuple[Squares, ...]"
"""What ``prepare`` gives: the images at one size, or at each of several."""

_DTYPES: Final = {
    "float32": None,
    "tf32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_GPU_ONLY: Final = ("tf32", "float16")
_BEHIND: Final = 1
"""How many batches a GPU may be computing while the vectors of an earlier one are handed out."""


class NetworkEmbedder:
    """A network with its weights in place, moved to where it runs.

    Args:
        network: gives vectors of pixels; it is moved to its ``device`` and set to evaluation. Vectors are
            computed by a copy of it whose batch norms are folded.
        sizes: how images are prepared; the vectors of several sizes are added up, each of length 1, and
            scaled to length 1 again (Radenovic, Tolias and Chum, TPAMI 2019, section 5.2).
        flip: whether the vectors of the mirrored images are added, too.
        precision: what the network computes in: "float32", "bfloat16", "float16", or "tf32": float32 whose
            products keep 10 bits of mantissa, which torch's convolutions do on a GPU unless they are told not
            to.

    Raises:
        SettingError: if the device does not compute in that precision.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        sizes: tuple[Preparation, ...],
        *,
        flip: bool = False,
        precision: str = "float32",
    ) -> None:
        if precision in _GPU_ONLY and network.device == "cpu":
            raise SettingError(
                f'precision = "{precision}" needs a CUDA device. Set it to "float32" or "bfloat16".'
            )
        self.network = network.to(device=network.device, memory_format=torch.channels_last).eval()
        self._ready = folded(self.network, sizes[0].size)
        self.dim = network.dim
        self.prepare = sizes[0] if len(sizes) == 1 else Pyramid(sizes)
        self._flip = flip
        self._dtype, self._tf32 = _DTYPES[precision], precision == "tf32"

    def embed(self, batches: Iterable[Batch]) -> Iterator[Matrix]:
        """Yield the vectors of each batch of prepared images.

        A GPU is given a batch before the vectors of the one before are fetched, so that it always
        has work to do.
        """
        n_behind = _BEHIND if self.network.device == "cuda" else 0
        computing: deque[_Computing] = deque()
        for batch in batches:
            computing.append(self._begin(batch))
            if len(computing) > n_behind:
                yield computing.popleft().finished()
        while computing:
            yield computing.popleft().finished()

    def _begin(self, batch: Batch) -> _Computing:
        """Start the computation of a batch; on a GPU this does not wait for the result."""
        sizes = batch if isinstance(batch, tuple) else (batch,)
        device, dtype = self.network.device, self._dtype
        with (
            torch.inference_mode(),
            torch.autocast(device, dtype, enabled=dtype is not None),
            tf32_is(allowed=self._tf32),
        ):
            versions = [self._ready(one) for pixels in sizes for one in self._versions(pixels)]
            vectors = versions[0] if len(versions) == 1 else unit(torch.stack(versions).sum(dim=0))
            return _Computing.of(vectors)

    def _versions(self, pixels: Squares) -> Iterator[Tensor]:
        images = torch.from_numpy(pixels)
        if self.network.device == "cuda":
            images = images.pin_memory().to("cuda", non_blocking=True)
        yield images
        if self._flip:
            yield images.flip(3)


@contextmanager
def tf32_is(*, allowed: bool) -> Iterator[None]:
    """Let convolutions and matrix products of a GPU round float32 to 10 bits of mantissa, or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=allowed):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Computing(NamedTuple):
    """Vectors on their way.

    Attributes:
        vectors: in the memory of the CPU; not to be read before ``arrived``.
        arrived: an event of the GPU; None where there is nothing to wait for.
    """

    vectors: Tensor
    arrived: Any

    @classmethod
    def of(cls, vectors: Tensor) -> _Computing:
        if vectors.device.type != "cuda":
            return cls(vectors, None)
        target = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        target.copy_(vectors, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return cls(target, arrived)

    def finished(self) -> Matrix:
        if self.arrived is not None:
            self.arrived.synchronize()
        vectors: Matrix = self.vectors.numpy()
        return vectors
