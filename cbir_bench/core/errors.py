"""Every error that a user can cause: one sentence for what was found, one for what to do."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


_EXTRAS: Final = {
    "cv2": "sift",
    "h5py": "hdf5",
    "ngtpy": "ngt",
    "open_clip": "clip",
    "pynndescent": "pynndescent",
    "svs": "svs",
    "usearch": "usearch",
    "voyager": "voyager",
}
"""Which extra of this package brings a module."""


class CbirBenchError(Exception):
    """Base of all errors of this package; the command line prints it and exits with 2."""


class SettingError(CbirBenchError):
    """A setting has a value that cannot work."""


class UnknownNameError(SettingError):
    """A name is not in a closed set of names; the message suggests the nearest one."""

    def __init__(self, noun: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        article = "an" if noun[0] in "aeiou" else "a"
        super().__init__(
            f"No {noun} is called {name!r}.{did_you_mean(name, names)} "
            f"Known: {', '.join(names) or f'none (install {article} {noun})'}."
        )


class DataError(CbirBenchError):
    """A data set, an image or a file of embeddings is not what it should be."""


class InvalidArrayError(CbirBenchError):
    """An array breaks a promise of the noun that holds it."""


class MissingPackageError(CbirBenchError):
    """A component needs a package that is not installed.

    Args:
        component: what needs it.
        package: the module that cannot be imported.
    """

    def __init__(self, component: str, package: str) -> None:
        extra = _EXTRAS.get(package)
        wanted = f"'cbir-bench[{extra}]'" if extra else package
        super().__init__(
            f"{component} needs the package {package!r}, which is not installed. "
            f"Run: pip install {wanted}"
        )


class StorageError(CbirBenchError):
    """Files cannot be written, which is no result of what was being measured: the run has to stop."""


class UndefinedMetricError(CbirBenchError):
    """A metric has no value for the ranking at hand (for example the complete ranking is needed)."""


class RecordError(CbirBenchError):
    """A record or a run folder is missing, torn, or of another schema."""


class BrokenPluginWarning(UserWarning):
    """A component of another package could not be loaded and is left out."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, or nothing where no known name is near."""
    near = get_close_matches(name.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.6)
    originals = {k.lower(): k for k in known}
    return f" Did you mean {originals[near[0]]!r}?" if near else ""


def first_line(error: Exception) -> str:
    """Return the first line of what a library says went wrong, without a full stop, or the error's kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
