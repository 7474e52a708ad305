"""Every picture is decoded once before a data set is used, and remembered until its file changes."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from cbir_bench.core.hashing import key_of
from cbir_bench.datasets.pictures import UnreadableError, decode, read_bytes
from cbir_bench.datasets.remember import remember

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cbir_bench.datasets.archive import Source

_MAX_THREADS: Final = 8
_LISTED: Final = 10


class Checked(NamedTuple):
    """What became of some pictures.

    Attributes:
        sha256: of the file of each readable picture, by name.
        problems: why each of the others cannot be read, by name.
    """

    sha256: dict[str, str]
    problems: dict[str, str]


def check_pictures(tree: Source, names: Sequence[str], cache: Path) -> Checked:
    """Return the hash or the problem of each picture.

    Readable pictures are remembered in ``cache`` with the stamp of their file (size and time, or size and
    checksum in an archive), so that a second look costs a look at the folder; the others are tried again.
    """
    book = cache / "checked" / f"{key_of(str(tree.path.resolve()))}.json"
    known = _load(book)
    stamps = {name: tree.stamp(name) for name in names}
    fresh = [name for name, stamp in stamps.items() if known.get(name, ("", ""))[0] != stamp]
    problems: dict[str, str] = {}
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        for name, (sha256, problem) in zip(
            fresh, threads.map(lambda n: _try(tree, n), fresh), strict=True
        ):
            if problem:
                problems[name] = problem
            else:
                known[name] = (str(stamps[name]), sha256)
    if len(problems) < len(fresh):
        remember(book, lambda file: file.write(json.dumps(known).encode()))
    return Checked({name: known[name][1] for name in names if name not in problems}, problems)


def problem_list(problems: dict[str, str]) -> str:
    """Return the first ten problems with their names, and how many more there are."""
    shown = [f"{name} ({why})" for name, why in list(problems.items())[:_LISTED]]
    more = len(problems) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _try(tree: Source, name: str) -> tuple[str, str]:
    if tree.stamp(name) is None:
        return "", "there is no such file"
    try:
        data = read_bytes(tree, name)
        decode(data)
    except UnreadableError as error:
        return "", str(error)
    return hashlib.sha256(data).hexdigest(), ""


def _load(book: Path) -> dict[str, tuple[str, str]]:
    """Return what is remembered; nothing if the file is absent or torn, as it can be made again."""
    try:
        table = json.loads(book.read_text(encoding="utf-8"))
        return {str(name): (str(stamp), str(sha256)) for name, (stamp, sha256) in table.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
