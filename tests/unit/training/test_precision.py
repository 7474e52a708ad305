"""The number format of the forward pass."""

from __future__ import annotations

import pytest
import torch

from cbir_bench.core.errors import SettingError
from cbir_bench.training import precision
from cbir_bench.training.precision import autocast, choose_precision, gradient_scaler
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.trainer import train


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512_bf16 amx_tile", "bfloat16"),
        ("fpu avx2 amx_bf16", "bfloat16"),
        ("fpu avx2 avx512f avx512_bf16_not", "float32"),
    ],
)
def test_auto_takes_bfloat16_where_the_cpu_computes_in_it(
    flags, expected, tmp_path, monkeypatch
) -> None:
    """Elsewhere it is emulated, and slower than float32."""
    (tmp_path / "cpuinfo").write_text(f"model name\t: x\nflags\t\t: {flags}\n")
    monkeypatch.setattr(precision, "_CPUINFO", tmp_path / "cpuinfo")

    assert choose_precision("auto", "cpu") == expected


def test_auto_is_float32_where_the_cpu_tells_nothing(tmp_path, monkeypatch) -> None:
    """Not every system has /proc."""
    monkeypatch.setattr(precision, "_CPUINFO", tmp_path / "nothing")

    assert choose_precision("auto", "cpu") == "float32"


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_auto_takes_bfloat16_on_gpus_since_ampere(capability, expected, monkeypatch) -> None:
    """Older ones have no unit for it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    assert choose_precision("auto", "cuda") == expected


def test_float16_on_a_cpu_is_refused(make_data, make_network) -> None:
    """It would be slow, and its gradients vanish."""
    recipe = TrainingRecipe(precision="float16", classes_per_batch=4)

    with pytest.raises(SettingError, match=r'"float16" needs a GPU.* Set precision = "bfloat16"'):
        train(make_network(), make_data(*[6] * 8), recipe)


def test_the_forward_pass_is_in_the_format() -> None:
    """And outside the block it is not."""
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)

    with autocast("bfloat16", "cpu"):
        inside = layer(x)
    with autocast("float32", "cpu"):
        exact = layer(x)

    assert inside.dtype == torch.bfloat16
    assert exact.dtype == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_only_float16_scales_its_gradients(name) -> None:
    """The others have float32's range."""
    assert not gradient_scaler(name).is_enabled()
