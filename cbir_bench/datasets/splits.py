"""What folders and columns call the splits and roles, and how classes are divided where they do not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from cbir_bench.core.dataset import Role, Split
from cbir_bench.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable


class Part(NamedTuple):
    """The split of an item, and its role there."""

    split: Split
    role: Role = Role.ANY


ROLES: Final = {
    "query": Role.QUERY,
    "queries": Role.QUERY,
    "base": Role.BASE,
    "database": Role.BASE,
    "gallery": Role.BASE,
    "index": Role.BASE,
}
PARTS: Final = {
    "train": Part(Split.TRAIN),
    "training": Part(Split.TRAIN),
    "val": Part(Split.VAL),
    "valid": Part(Split.VAL),
    "validation": Part(Split.VAL),
    "test": Part(Split.TEST),
    "testing": Part(Split.TEST),
    **{name: Part(Split.TEST, role) for name, role in ROLES.items()},
}
"""By name in lower case. Queries and base are sides of the test split."""


def part_of(name: str) -> Part | None:
    """Return the part that a folder or a cell names, in any case of letters; None if it names none."""
    return PARTS.get(name.strip().lower())


def read_part(name: str, where: str) -> Part:
    """Return the part that a cell names.

    Raises:
        DataError: if it names none; the message says where.
    """
    found = part_of(name)
    if found is None:
        raise DataError(_unknown("split", name, where, PARTS))
    return found


def read_role(name: str, where: str) -> Role:
    """Return the role that a cell names; an empty cell leaves it to the protocol.

    Raises:
        DataError: if it names none; the message says where.
    """
    wanted = name.strip().lower()
    if wanted and wanted not in ROLES:
        raise DataError(_unknown("role", name, where, ROLES))
    return ROLES.get(wanted, Role.ANY)


def folder_above(label: str) -> str:
    """Return the folder that a class's folder lies in, or the class itself where it lies in none."""
    return label.rpartition("/")[0] or label


def choose(names: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Return a share of the names, rounded down, in an order that the seed alone decides.

    The order comes from a hash of each name, so that it is the same everywhere and a name more or less
    leaves the others in theirs.
    """
    ordered = sorted(
        set(names), key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest()
    )
    return frozenset(ordered[: int(len(ordered) * share)])


def _unknown(noun: str, name: str, where: str, known: Iterable[str]) -> str:
    known = sorted(known)
    return f"{where} has the {noun} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
