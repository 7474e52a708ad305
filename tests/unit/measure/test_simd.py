"""What a library was compiled for: read from machine code that an assembler manual gives."""

from __future__ import annotations

import struct
import types

import numpy as np
import pytest

from cbir_bench.measure import simd
from cbir_bench.measure.simd import code_levels, levels_of_files, library_simd

# Intel's manual, volume 2: operands are registers 0, 1, 2.
ADDPS_XMM = bytes.fromhex("0f58c1")
VADDSS = bytes.fromhex("c5f258c2")
VADDPS_XMM = bytes.fromhex("c5f058c2")
VADDPS_YMM = bytes.fromhex("c5f458c2")
VADDPS_YMM_HIGH = bytes.fromhex("c4c17458c2")  # a register beyond 7 takes the longer prefix
VFMADD_YMM = bytes.fromhex("c4e275b8c2")
VFMADD_SS = bytes.fromhex("c4e271b9c2")
VMULPS_ZMM = bytes.fromhex("62f1744859c2")
VFMADD_ZMM = bytes.fromhex("62f27548b8c2")
VMULPS_EVEX_YMM = bytes.fromhex("62f1742859c2")
NOTHING = b"\x90" * 16


def elf(code: bytes, machine: int = 62) -> bytes:
    """Return the smallest ELF file with one executable section, and one of data."""
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<H", head, 18, machine)
    data = VADDPS_YMM * 1000
    struct.pack_into("<Q", head, 40, 64 + len(code) + len(data))
    struct.pack_into("<HH", head, 58, 64, 2)
    text = struct.pack("<IIQQQQ", 0, 1, 4 | 2, 0, 64, len(code)) + bytes(24)
    rest = struct.pack("<IIQQQQ", 0, 1, 2, 0, 64 + len(code), len(data)) + bytes(24)
    return bytes(head) + code + data + text + rest


@pytest.fixture
def compiled(tmp_path):
    def write(code: bytes, name: str = "lib.so", **options):
        (tmp_path / name).write_bytes(elf(code, **options))
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("instruction", "levels"),
    [
        (ADDPS_XMM, set()),
        (VADDSS, set()),
        (VADDPS_XMM, set()),
        (VADDPS_YMM, {"avx"}),
        (VADDPS_YMM_HIGH, {"avx"}),
        (VFMADD_YMM, {"avx", "fma"}),
        (VFMADD_SS, {"fma"}),
        (VMULPS_ZMM, {"avx512f"}),
        (VFMADD_ZMM, {"fma", "avx512f"}),
        (VMULPS_EVEX_YMM, set()),
    ],
)
def test_instructions_are_recognised(compiled, instruction, levels):
    """128 bits at once is what every x86-64 has; only wider registers are news."""
    file = compiled((instruction + NOTHING) * 50)

    assert code_levels(file) == levels


def test_bytes_drawn_at_random_are_no_instructions(compiled):
    """A pattern of a few bytes matches by chance in any large file."""
    code = np.random.default_rng(0).integers(0, 256, 3 << 20, np.uint8).tobytes()

    assert code_levels(compiled(code)) == set()


def test_kernels_in_a_corner_of_a_large_library_are_found(compiled):
    """Only pieces of it are read."""
    code = NOTHING * (1 << 20) + VMULPS_ZMM * 200_000 + NOTHING * (1 << 18)

    assert code_levels(compiled(code)) == {"avx512f"}


def test_other_processors_and_other_files_tell_nothing(compiled, tmp_path):
    """None is not the same as nothing found."""
    (tmp_path / "text.so").write_text("no machine code")
    (tmp_path / "cut.so").write_bytes(elf(VADDPS_YMM)[:80])

    actual = [
        code_levels(compiled(VADDPS_YMM * 99, machine=183)),
        code_levels(tmp_path / "text.so"),
        code_levels(tmp_path / "cut.so"),
        code_levels(tmp_path / "absent.so"),
    ]

    assert actual == [None] * 4


def test_a_library_of_several_files_has_the_levels_of_all(compiled):
    """Kernels are often in a file of their own."""
    files = [compiled((ADDPS_XMM + NOTHING) * 50, "a.so"), compiled(VFMADD_YMM * 50, "b.so")]

    assert levels_of_files(files) == {"avx", "fma"}


def test_the_processor_is_held_against_the_code(compiled, monkeypatch):
    """Unused is what a rebuild could gain; beyond is what could crash."""
    monkeypatch.setattr(simd, "cpu_flags", lambda: frozenset({"avx", "fma"}))
    module = types.ModuleType("somebodys")
    module.__file__ = str(compiled((VMULPS_ZMM + VADDPS_YMM) * 50))

    actual = library_simd(module)

    assert actual["compiled"] == ["avx", "avx512f"]
    assert actual["unused"] == ["fma"]
    assert actual["beyond"] == ["avx512f"]
    assert actual["how"] == "machine code"


def test_pure_python_has_nothing_to_tell(tmp_path):
    """Nothing was compiled, so nothing was compiled badly."""
    module = types.ModuleType("somebodys")
    module.__file__ = str(tmp_path / "__init__.py")

    assert library_simd(module) is None


def test_numpy_is_asked():
    """Its loops are chosen while it runs, which its code alone does not tell."""
    actual = library_simd(np)

    assert actual["how"] == "asked"
    assert actual["in_use"]


def test_a_library_that_no_longer_answers_is_looked_through(compiled, monkeypatch):
    """Names inside libraries change; a doctor that crashes is no help."""
    module = types.ModuleType("faiss")
    module.__file__ = str(compiled(VADDPS_YMM * 50))

    assert library_simd(module)["how"] == "machine code"
