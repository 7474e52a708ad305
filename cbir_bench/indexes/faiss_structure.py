"""What a faiss index is made of: its parts, what they have to learn, and the bytes they should take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbir_bench.core.errors import SettingError
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Iterator


def make(factory: str, dim: int, *, inner_product: bool) -> Any:
    """Return the empty index of a factory string.

    Raises:
        SettingError: if faiss cannot make it; the message holds faiss's own reason.
    """
    faiss = load("faiss")
    metric = faiss.METRIC_INNER_PRODUCT if inner_product else faiss.METRIC_L2
    try:
        return faiss.index_factory(dim, factory, metric)
    except RuntimeError as error:
        kind = "inner product" if inner_product else "Euclidean distance"
        raise SettingError(
            f"faiss cannot make factory = {factory!r} for {dim} dimensions and {kind}: "
            f"{_reason(error)}. Correct the factory string (faiss's wiki, 'The index factory')."
        ) from error


def parts(index: Any) -> Iterator[Any]:
    """Yield an index and every index inside it, each as its own class."""
    faiss = load("faiss")
    # ``index`` may own the memory that the downcast one only points to, so its name is kept.
    part = faiss.downcast_index(index)
    yield part
    for name in ("index", "base_index", "refine_index", "quantizer", "storage"):
        inner = getattr(part, name, None)
        if isinstance(inner, faiss.Index):
            yield from parts(inner)


def check_training(factory: str, index: Any, n_base: int) -> None:
    """Refuse partitions and codebooks with more entries than there are vectors to learn them from.

    Raises:
        SettingError: naming the part and how many vectors it needs.
    """
    for part in parts(index):
        n_lists = getattr(part, "nlist", 0)
        quantizer = getattr(part, "pq", None)
        codebook = quantizer.ksub if quantizer is not None else 0
        for what, needed in (("lists", n_lists), ("codes per sub-vector", codebook)):
            if needed > n_base:
                raise SettingError(
                    f"faiss learns {needed} {what} for factory = {factory!r} from a base of "
                    f"{n_base} items. Ask for fewer in the factory string, or give more items."
                )


def expected_bytes(index: Any, n_base: int) -> int | None:  # noqa: PLR0911  one per kind of index
    """Return what an empty index should take once it holds ``n_base`` items; None if unknown here.

    Vectors or codes, ids, links, centres, codebooks and rotations are counted; faiss's tables that
    only speed up a search are not.
    """
    faiss = load("faiss")
    part = faiss.downcast_index(index)
    if isinstance(part, faiss.IndexPreTransform):
        return _plus(_rotation_bytes(part), expected_bytes(part.index, n_base))
    if isinstance(part, faiss.IndexRefine):
        first = expected_bytes(part.base_index, n_base)
        return None if first is None else _plus(first, expected_bytes(part.refine_index, n_base))
    if isinstance(part, faiss.IndexIDMap):
        return _plus(8 * n_base, expected_bytes(part.index, n_base))
    if isinstance(part, faiss.IndexHNSW):
        links = round(n_base * _hnsw_bytes_per_item(part))
        return _plus(links, expected_bytes(part.storage, n_base))
    if isinstance(part, faiss.IndexNSG):
        return _plus(4 * part.nsg.R * n_base, expected_bytes(part.storage, n_base))
    if isinstance(part, faiss.IndexIVF):
        items = n_base * (part.code_size + 8) + _codebook_bytes(part)
        return _plus(items, expected_bytes(part.quantizer, part.nlist))
    if hasattr(part, "code_size"):
        return int(n_base * part.code_size + _codebook_bytes(part))
    return None


def _rotation_bytes(index: Any) -> int:
    """Return the bytes of the matrices (PCA, OPQ, ...) that come before the index proper."""
    faiss = load("faiss")
    steps = [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
    return sum(4 * step.d_in * step.d_out for step in steps if hasattr(step, "A"))


def _hnsw_bytes_per_item(index: Any) -> float:
    """Return links, offset and level; a node has 1 / (m - 1) upper levels on average."""
    lowest, m = int(index.hnsw.nb_neighbors(0)), int(index.hnsw.nb_neighbors(1))
    return 4 * (lowest + m / (m - 1)) + 8 + 4


def _codebook_bytes(index: Any) -> int:
    quantizer = getattr(index, "pq", None)
    if quantizer is not None:
        return int(4 * quantizer.d * quantizer.ksub)
    return 0


def _plus(known: int, rest: int | None) -> int | None:
    return None if rest is None else int(known + rest)


def _reason(error: RuntimeError) -> str:
    """Return the part of faiss's message that speaks of the index, without file and line."""
    text = str(error).strip().splitlines()[-1]
    for mark in ("' failed: ", "failed: ", ".cpp:"):
        if mark in text:
            text = text.rsplit(mark, 1)[-1]
            break
    return text.lstrip("0123456789: ").strip().rstrip(".")
