"""What a faiss index is made of: its parts, and how many vectors they have to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cbir_bench.core.errors import SettingError
from cbir_bench.indexes.library import load

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRAINS_ALONE: Final = 1
"""faiss's mark of a coarse quantiser that learns from the base instead of being given centres."""
_SMALLEST_NSG: Final = 101
"""faiss cannot build the neighbour graph that NSG starts from over fewer items."""


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
            f"{reason(error)}. Correct the factory string (faiss's wiki, 'The index factory')."
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


def searched(index: Any) -> Iterator[Any]:
    """Yield an index and what it passes a query on to: behind a transform, below a refinement."""
    faiss = load("faiss")
    part = faiss.downcast_index(index)
    yield part
    for name in ("index", "base_index"):
        inner = getattr(part, name, None)
        if isinstance(inner, faiss.Index):
            yield from searched(inner)


def check_training(factory: str, index: Any, n_base: int) -> None:
    """Refuse partitions, codebooks and graphs that need more vectors than there are.

    Args:
        factory: for the message.
        index: empty.
        n_base: how many vectors the index learns from; the finder of lists learns from their centres.

    Raises:
        SettingError: naming the part and how many vectors it needs.
    """
    faiss = load("faiss")
    part = faiss.downcast_index(index)
    _check_transforms(factory, part)
    for what, needed in _needed(part):
        if needed > n_base:
            raise SettingError(
                f"faiss learns {needed} {what} for factory = {factory!r} from a base of "
                f"{n_base} items. Ask for fewer in the factory string, or give more items."
            )
    for name in ("index", "base_index", "refine_index", "storage", "quantizer"):
        inner = getattr(part, name, None)
        if isinstance(inner, faiss.Index):
            given_centres = name == "quantizer" and part.quantizer_trains_alone != _TRAINS_ALONE
            check_training(factory, inner, part.nlist if given_centres else n_base)


def _needed(part: Any) -> Iterator[tuple[str, int]]:
    """Yield what a part learns, and from how many vectors at least."""
    if getattr(part, "quantizer_trains_alone", 0) != _TRAINS_ALONE:
        yield "lists", getattr(part, "nlist", 0)
    for name in ("pq", "refine_pq"):
        if hasattr(part, name):
            yield "codes per sub-vector", getattr(part, name).ksub
    if (additive := additive_quantizer(part)) is not None:
        bits = [additive.nbits.at(i) for i in range(additive.nbits.size())]
        yield "codes per step", 2 ** max(bits, default=0)
    if hasattr(part, "nsg"):
        yield "links for each of at least 101 items, not fewer,", _SMALLEST_NSG


def additive_quantizer(part: Any) -> Any:
    """Return the additive quantiser of a part (RQ, LSQ, PRQ, PLSQ), or None."""
    for name in ("rq", "lsq", "prq", "plsq", "aq"):
        if hasattr(part, name):
            return getattr(part, name)
    return None


def transforms(part: Any) -> list[Any]:
    """Return the steps that come before an index proper (PCA, OPQ, ...), each as its own class."""
    faiss = load("faiss")
    if not isinstance(part, faiss.IndexPreTransform):
        return []
    chain = part.chain
    return [faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size())]


def _check_transforms(factory: str, part: Any) -> None:
    """Refuse what faiss finds out only after it has begun to learn."""
    faiss = load("faiss")
    for step in transforms(part):
        if isinstance(step, faiss.PCAMatrix | faiss.ITQTransform) and step.d_out > step.d_in:
            raise SettingError(
                f"faiss's factory = {factory!r} asks for {step.d_out} principal components of "
                f"{step.d_in} dimensions. Ask for {step.d_in} or fewer."
            )
        if isinstance(step, faiss.OPQMatrix) and step.d_out % step.M:
            raise SettingError(
                f"faiss's factory = {factory!r} rotates {step.d_out} dimensions for {step.M} "
                f"sub-vectors of equal length. Give OPQ a divisor of {step.d_out}."
            )


def reason(error: RuntimeError) -> str:
    """Return the part of faiss's message that speaks of the index, without file and line."""
    text = str(error).strip().splitlines()[-1]
    for mark in ("' failed: ", "failed: ", ".cpp:"):
        if mark in text:
            text = text.rsplit(mark, 1)[-1]
            break
    return text.lstrip("0123456789: ").strip().rstrip(".")
