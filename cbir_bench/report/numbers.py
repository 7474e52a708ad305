"""Numbers as people read them: three digits, a unit, and never a rounded 1.000 that is none."""

from __future__ import annotations

import math
from typing import Final

MISSING: Final = "–"  # noqa: RUF001  an en dash, as tables in print have it


def significant(value: float, digits: int = 3) -> str:
    """Return a number with some significant digits, thousands separated, no exponent."""
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    if abs(rounded) >= 10 ** (digits - decimals):  # 9.996 became 10.00
        decimals -= 1
    return f"{rounded:,.{max(0, decimals)}f}"


def duration(seconds: float) -> str:
    """Return a time with the unit that suits it, from ns to h."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds == 0:
        return "0 s"
    for limit, factor, unit in (
        (1e-6, 1e9, "ns"),
        (1e-3, 1e6, "µs"),
        (1, 1e3, "ms"),
        (180, 1, "s"),
    ):
        if seconds < limit * 0.9995:
            return f"{significant(seconds * factor)} {unit}"
    if seconds < 10_800:
        return f"{significant(seconds / 60)} min"
    return f"{significant(seconds / 3600)} h"


def microseconds(value: float) -> str:
    """Return a time that is given in microseconds."""
    return duration(value * 1e-6)


def size(n_bytes: float) -> str:
    """Return a number of bytes with a binary prefix."""
    if not math.isfinite(n_bytes):
        return MISSING
    value, units = float(n_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(value) >= 999.5 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{significant(value)} {units[0]}"


def rate(per_second: float) -> str:
    """Return a rate without its unit."""
    return significant(per_second) if math.isfinite(per_second) else MISSING


def ratio(value: float) -> str:
    """Return a quotient with two decimals, three digits from 10 on."""
    if not math.isfinite(value):
        return MISSING
    return f"{value:.2f}" if value < 10 else significant(value)


def count(n: float) -> str:
    """Return a whole number."""
    return f"{n:,.0f}" if math.isfinite(n) else MISSING


def fraction(value: float) -> str:
    """Return a value of [0, 1] with three decimals, more where it would round to a bound it is not at."""
    if not math.isfinite(value):
        return MISSING
    for decimals in range(3, 7):
        text = f"{value:.{decimals}f}"
        if float(text) not in {0.0, 1.0} or value in {0.0, 1.0}:
            break
    return text


def with_interval(mean: float, low: float, high: float) -> str:
    """Return a mean and its interval: ``0.812 [0.801, 0.823]``."""
    if not math.isfinite(low) or not math.isfinite(high):
        return fraction(mean)
    return f"{fraction(mean)} [{fraction(low)}, {fraction(high)}]"


def with_bounds(us: float, low: float, high: float) -> str:
    """Return a time in microseconds and its interval: ``72.3 µs [70.9 µs, 1.02 ms]``.

    A unit that all share is written once; an end that is not known is a dash.
    """
    text = microseconds(us)
    if not math.isfinite(low) and not math.isfinite(high):
        return text
    unit = text.rpartition(" ")[2]
    ends = ", ".join(microseconds(end).removesuffix(f" {unit}") for end in (low, high))
    return f"{text} [{ends}]"


def thousands(n: float) -> str:
    """Return a large count in thousands or millions: ``373 k``, ``25.6 M``."""
    if not math.isfinite(n):
        return MISSING
    for limit, unit in ((999.5e6, "G"), (999.5e3, "M"), (999.5, "k")):
        if n >= limit:
            return f"{significant(n / (limit / 999.5 * 1000))} {unit}"
    return count(n)
