"""In which number format the forward pass is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from cbir_bench.core.errors import SettingError

_CPU_FLAGS: Final = ("amx_bf16", "avx512_bf16")
_CPUINFO: Final = Path("/proc/cpuinfo")


def choose_precision(wanted: str, device: str) -> str:
    """Return "float32", "bfloat16" or "float16".

    Args:
        wanted: one of them, or "auto": "bfloat16" where the hardware computes in it, else "float32".
        device: "cpu" or "cuda".

    Raises:
        SettingError: for "float16" without a GPU.
    """
    on_gpu = device.startswith("cuda")
    if wanted == "float16" and not on_gpu:
        raise SettingError(
            f'precision = "float16" needs a GPU, but the model runs on the device {device!r}. '
            'Set precision = "bfloat16" or "auto".'
        )
    if wanted != "auto":
        return wanted
    has_it = _gpu_has_bfloat16(device) if on_gpu else _cpu_has_bfloat16()
    return "bfloat16" if has_it else "float32"


def _gpu_has_bfloat16(device: str) -> bool:
    import torch

    return bool(torch.cuda.get_device_capability(device) >= (8, 0))


def _cpu_has_bfloat16() -> bool:
    try:
        known = _CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return any(flag in known for flag in _CPU_FLAGS)


def autocast(precision: str, device: str) -> Any:
    """Return a context in which a forward pass is computed in a number format."""
    import torch

    kind = torch.device(device).type
    lower = getattr(torch, precision) if precision != "float32" else torch.bfloat16
    return torch.autocast(kind, lower, enabled=precision != "float32")


def gradient_scaler(precision: str) -> Any:
    """Return what keeps float16 gradients from vanishing; it does nothing for other formats."""
    import torch

    return torch.amp.GradScaler("cuda", enabled=precision == "float16")
