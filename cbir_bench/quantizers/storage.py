"""How the numbers that a reduction leaves are stored: by a quantiser of single numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cbir_bench.core.errors import SettingError
from cbir_bench.quantizers.float16 import Float16Quantizer
from cbir_bench.quantizers.int8 import Int8Quantizer
from cbir_bench.quantizers.none import NoQuantizer

if TYPE_CHECKING:
    from cbir_bench.core.quantizer import Quantizer

Store: TypeAlias = Literal["float32", "float16", "int8"]
_STORES: Final[dict[str, Quantizer]] = {
    "float32": NoQuantizer(),
    "float16": Float16Quantizer(),
    "int8": Int8Quantizer(),
}


def storage(store: Store) -> Quantizer:
    """Return the quantiser that stores numbers so."""
    return _STORES[store]


def check_dims(name: str, dims: int, dim: int | None) -> None:
    """Refuse to keep more dimensions than there are.

    Raises:
        SettingError: if ``dims`` is beyond ``dim``.
    """
    if dim is not None and dims > dim:
        raise SettingError(
            f"{name} keeps dims = {dims} dimensions, but the vectors have {dim}. "
            f"Set dims to {dim} or less."
        )
