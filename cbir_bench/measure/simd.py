"""What a library was compiled for against what the processor has: many wheels ignore most of it.

Libraries that know are asked (faiss, NumPy, usearch). Of all others the machine code is looked through for
floating-point instructions that only wide registers have. A byte pattern can match by chance, once in
about 10^6 bytes; a library that uses such instructions has hundreds.
"""

from __future__ import annotations

import re
import struct
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cbir_bench.measure.cpu import cpu_flags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import BinaryIO

LEVELS: Final = ("avx", "fma", "avx512f")
"""What is told apart, narrowest first, as /proc/cpuinfo calls it: 256 bits at once, multiply and add in
one instruction (every processor that has it has AVX2, too), 512 bits at once."""
_MAPS: Final = Path("/proc/self/maps")
_X86_64: Final = 62
_CODE, _EXECUTABLE = 1, 4
_SECTION: Final = struct.Struct("<IIQQQQ")
_MOST_BYTES: Final = 4 << 20
_PIECES: Final = 64
"""Of a large library so many pieces are looked at, evenly spaced: kernels may stand anywhere."""
_LEAST_HITS: Final = 10
_LEAST_DENSITY: Final = 1 / (64 << 10)
"""Matches per byte of code. Random bytes have a third of it, code without such instructions 10^-6."""


def library_simd(module: ModuleType) -> dict[str, Any] | None:
    """Return for which instructions an imported library was compiled; takes up to some 0.2 s.

    Args:
        module: the library's top module.

    Returns:
        A JSON object, or None where nobody can tell (another processor than x86-64, no machine code):
        ``compiled``, levels of ``LEVELS`` that its code has; ``unused``, those that the processor has and
        the code does not; ``beyond``, those that the code has and the processor does not (harmless where
        the library chooses while it runs); ``in_use``, what the library itself says; ``how``, "asked" or
        "machine code".
    """
    ask = _ASKED.get(module.__name__)
    with suppress(Exception):  # whatever another version of the library lacks, its code is there
        if ask is not None:
            return _compared(*ask(module), "asked")
    found = levels_of_files(code_files(module))
    return None if found is None else _compared(found, None, "machine code")


def code_files(module: ModuleType) -> tuple[Path, ...]:
    """Return the files of machine code of a package that this process has loaded."""
    if not module.__file__:
        return ()
    place = Path(module.__file__).resolve()
    if place.suffix != ".py":
        return (place,)
    loaded = _mapped_files()
    inside = sorted(place.parent.rglob("*.so"))
    return tuple(file for file in inside if loaded is None or file in loaded)


def levels_of_files(files: Iterable[Path]) -> frozenset[str] | None:
    """Return the levels in the code of any of the files; None if none holds code for x86-64."""
    found: frozenset[str] | None = None
    for file in files:
        levels = code_levels(file)
        if levels is not None:
            found = levels | (found or frozenset())
        if found == frozenset(LEVELS):
            break
    return found


@cache
def code_levels(file: Path) -> frozenset[str] | None:
    """Return the levels that a file of machine code has instructions of; None if it is not for x86-64."""
    with suppress(OSError, struct.error), file.open("rb") as opened:
        code = _sample(opened, _executable(opened))
        if code:
            return frozenset(level for level in LEVELS if _has(code, _PATTERNS[level]))
    return None


def _compared(compiled: frozenset[str], in_use: str | None, how: str) -> dict[str, Any]:
    flags = cpu_flags()
    return {
        "compiled": [level for level in LEVELS if level in compiled],
        "unused": [level for level in LEVELS if level in flags and level not in compiled],
        "beyond": [level for level in LEVELS if level in compiled and level not in flags],
        "in_use": in_use,
        "how": how,
    }


def _ask_faiss(faiss: Any) -> tuple[frozenset[str], str]:
    """Return what faiss can choose from, and what it chose."""
    options = set(faiss.get_compile_options().split())
    compiled = {"avx", "fma"} if {"AVX2", "AVX512"} & options else set()
    if any(option.startswith("AVX512") for option in options):
        compiled |= {"avx", "fma", "avx512f"}
    if hasattr(faiss, "SIMDConfig"):
        return frozenset(compiled), faiss.SIMDConfig.get_level_name()
    loaded = sorted(name for name in sys.modules if name.startswith("faiss.swigfaiss"))
    return frozenset(compiled), loaded[-1].removeprefix("faiss.")


def _ask_numpy(numpy: Any) -> tuple[frozenset[str], str]:
    """Return what NumPy's own loops were compiled for, and what of it this processor runs."""
    simd = numpy.show_config(mode="dicts")["SIMD Extensions"]
    known = [*simd["baseline"], *simd["found"], *simd["not found"]]
    compiled = set()
    if any(name in {"AVX2", "FMA3", "X86_V3"} for name in known):
        compiled |= {"avx", "fma"}
    if any(name.startswith("AVX512") or name == "X86_V4" for name in known):
        compiled |= {"avx512f"}
    if not compiled:
        raise LookupError(known)  # names of another version
    return frozenset(compiled), ([*simd["baseline"], *simd["found"]] or ["baseline"])[-1]


def _ask_usearch(usearch: Any) -> tuple[frozenset[str], str]:
    """Return what usearch can choose from (generations of processors), and what it chose."""
    names = set(usearch.hardware_acceleration_compiled().split(", "))
    compiled = {"avx", "fma"} if names & {"haswell", "skylake"} else set()
    compiled |= {"avx512f"} if "skylake" in names else set()
    return frozenset(compiled), usearch.hardware_acceleration()


_ASKED: Final[dict[str, Callable[[Any], tuple[frozenset[str], str]]]] = {
    "faiss": _ask_faiss,
    "numpy": _ask_numpy,
    "usearch": _ask_usearch,
}


def _mapped_files() -> frozenset[Path] | None:
    """Return the files that this process has mapped; None where the system does not say."""
    with suppress(OSError):
        lines = _MAPS.read_text().splitlines()
        return frozenset(Path(line[line.index("/") :]) for line in lines if "/" in line)
    return None


def _executable(file: BinaryIO) -> list[tuple[int, int]]:
    """Return where the executable sections of an ELF file for x86-64 begin, and how long each is.

    Raises:
        struct.error: if the file is cut off.
    """
    head = file.read(64)
    if head[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", head, 18)[0] != _X86_64:
        return []
    (table,) = struct.unpack_from("<Q", head, 40)
    entry_bytes, n_entries = struct.unpack_from("<HH", head, 58)
    file.seek(table)
    entries = file.read(entry_bytes * n_entries)
    sections = (_SECTION.unpack_from(entries, i * entry_bytes) for i in range(n_entries))
    return [
        (start, size)
        for _, kind, flags, _, start, size in sections
        if kind == _CODE and flags & _EXECUTABLE
    ]


def _sample(file: BinaryIO, sections: list[tuple[int, int]]) -> bytes:
    """Return the code of some sections, or of a large one pieces of it."""
    code = []
    for start, size in sections:
        n_pieces = 1 if size <= _MOST_BYTES else _PIECES
        length = min(size, _MOST_BYTES // n_pieces)
        step = (size - length) // max(1, n_pieces - 1)
        for i in range(n_pieces):
            file.seek(start + i * step)
            code.append(file.read(length))
    return b"".join(code)


def _has(code: bytes, pattern: re.Pattern[bytes]) -> bool:
    return len(pattern.findall(code)) >= max(_LEAST_HITS, _LEAST_DENSITY * len(code))


def _any_of(*bits: tuple[int, tuple[int, ...]]) -> bytes:
    """Return a class of bytes: those whose bits under each mask are one of the values."""
    fitting = (b for b in range(256) if all(b & mask in values for mask, values in bits))
    return b"[" + b"".join(b"\\x%02x" % b for b in fitting) + b"]"


_SUM: Final = rb"[\x58\x59\x5c]"
"""Add, multiply, subtract."""
_FUSED: Final = rb"[\x98\xa8\xb8]"
"""Multiply and add, in the three orders of operands."""
_PATTERNS: Final[dict[str, re.Pattern[bytes]]] = {
    # VEX prefix of two bytes, or three with the first opcode map: 256 bits, packed single precision.
    "avx": re.compile(
        b"\\xc5" + _any_of((0x07, (4,))) + _SUM
        + b"|\\xc4" + _any_of((0x1F, (1,))) + _any_of((0x87, (4,))) + _SUM
        + b"|\\xc4" + _any_of((0x1F, (2,))) + _any_of((0x87, (5,))) + _FUSED,
        re.DOTALL,
    ),
    # VEX prefix of three bytes with the second opcode map, of any width; 0x99 and so on are of one number.
    "fma": re.compile(
        b"\\xc4" + _any_of((0x1F, (2,))) + _any_of((0x83, (1,))) + rb"[\x98\x99\xa8\xa9\xb8\xb9]"
        + b"|\\x62" + _any_of((0x0F, (2,))) + _any_of((0x87, (5,))) + b"[\\x00-\\xff]" + _FUSED,
        re.DOTALL,
    ),
    # EVEX prefix with the length 512.
    "avx512f": re.compile(
        b"\\x62" + _any_of((0x0F, (1,))) + _any_of((0x87, (4,))) + _any_of((0x60, (0x40,))) + _SUM
        + b"|\\x62" + _any_of((0x0F, (2,))) + _any_of((0x87, (5,))) + _any_of((0x60, (0x40,))) + _FUSED,
        re.DOTALL,
    ),
}  # fmt: skip
