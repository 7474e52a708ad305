"""Downloads that are complete and right, or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cbir_bench.core.errors import DataError

if TYPE_CHECKING:
    from cbir_bench.datasets.manifests import ManifestFile

TIMEOUT_SECONDS: Final = 30.0
"""How long a server may be silent."""
_CHUNK_BYTES: Final = 1 << 20


def download(file: ManifestFile, folder: Path) -> Path:
    """Return the path of a file in ``folder``, fetched from its address unless it is there.

    It is written under another name and takes its own only when its size and SHA-256 are right, so that
    an interrupted or second download beside this one leaves nothing half done.

    Raises:
        DataError: if the server does not answer, has no such file, sends part of it, or sends another.
    """
    target = folder / file.name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=folder, prefix=f"{file.name}.", suffix=".part", delete=False
    ) as part:
        fetched = Path(part.name)
    try:
        _check(file, folder, *_transfer(file, fetched, folder))
        fetched.replace(target)
    finally:
        fetched.unlink(missing_ok=True)
    return target


def _transfer(file: ManifestFile, part: Path, folder: Path) -> tuple[int, str]:
    """Return the size and SHA-256 of what came."""
    if not file.url.startswith(("http://", "https://")):
        raise DataError(f"{file.url!r} is no web address. {_by_hand(file, folder)}")
    digest = hashlib.sha256()
    n_bytes = 0
    try:
        with (
            urllib.request.urlopen(file.url, timeout=TIMEOUT_SECONDS) as answer,  # noqa: S310  checked above
            part.open("wb") as out,
        ):
            while chunk := answer.read(_CHUNK_BYTES):
                out.write(chunk)
                digest.update(chunk)
                n_bytes += len(chunk)
    except urllib.error.HTTPError as error:
        status = f"{error.code} ({error.reason})"
        error.close()
        raise DataError(f"{file.url} answered {status}. {_by_hand(file, folder)}") from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise DataError(
            f"{file.url} could not be downloaded: {why}. {_by_hand(file, folder)}"
        ) from error
    return n_bytes, digest.hexdigest()


def _check(file: ManifestFile, folder: Path, n_bytes: int, sha256: str) -> None:
    if n_bytes != file.bytes:
        raise DataError(
            f"{file.url} sent {n_bytes:,} of {file.bytes:,} bytes. Run again. {_by_hand(file, folder)}"
        )
    if sha256 != file.sha256:
        raise DataError(
            f"{file.url} sent a file with the SHA-256 {sha256} in place of {file.sha256}; it was thrown "
            f"away. {_by_hand(file, folder)}"
        )


def _by_hand(file: ManifestFile, folder: Path) -> str:
    return (
        f"You can get {file.name} by hand and put it into {str(folder)!r} or a --data-dir folder."
    )
