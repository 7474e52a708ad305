"""The border of the stage ``indexes``: what a library's adapter promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cbir_bench.core.arrays import Ids, Matrix, Space


class Index(Protocol):
    """A frozen dataclass of build and search options, registered in ``INDEXES``.

    The clock covers ``build`` and the calls of what ``single`` and ``batch`` return, nothing else.
    In the space "cosine" the base and the queries arrive with rows of length 1, so that an adapter
    may use its library's inner product or Euclidean distance, whichever is faster.
    """

    SPACES: ClassVar[frozenset[Space]]
    """Spaces in which the library finds the true neighbours."""
    SEARCH_PARAMS: ClassVar[frozenset[str]]
    """Options that ``configure`` changes on a built index; all others need a new build."""
    EFFORT: ClassVar[frozenset[str]]
    """The search options that make a search dearer and find no less as they grow, all else being equal."""
    REQUIRES: ClassVar[tuple[str, ...]]
    """Modules that ``build`` imports, for example ("faiss",)."""
    EXACT: ClassVar[bool]
    """Whether every answer is the exact one."""

    def repeats(self, n_threads: int) -> bool:
        """Return whether building twice with these options gives the same answers, to the last id."""
        ...

    def check(self, *, k: int, n_base: int | None, dim: int | None, space: Space) -> None:
        """Refuse options that cannot work together; sizes are None while they are not known.

        ``k`` is how many results the index will be asked for: one more than reported where the query
        itself is in the base.

        Raises:
            SettingError: for example if the search beam is narrower than ``k``.
        """
        ...

    def build(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return the library's handle of an index over ``base`` (never changed, may be mapped)."""
        ...

    def configure(self, handle: Any, n_threads: int) -> None:
        """Set this component's search options on a handle that another set of them may have used."""
        ...

    def prepare(self, queries: Matrix) -> Sequence[Any]:
        """Return each query in the form that one call of ``single`` takes."""
        ...

    def single(self, handle: Any, k: int) -> Callable[[Any], Any]:
        """Return the callable that answers one prepared query with nothing but the library's call."""
        ...

    def batch(self, handle: Any, k: int) -> Callable[[Matrix], Any] | None:
        """Return the callable that answers a matrix of queries, or None if the library has none."""
        ...

    def unpack(self, raw: Any, k: int) -> Ids:
        """Return ``(n_queries, k)`` int64 ids of an answer of ``single`` (one row) or ``batch``.

        Best first; ``NO_ITEM`` pads the tail where fewer were found.
        """
        ...

    def save(self, handle: Any, folder: Path) -> None:
        """Write the index into an empty folder; its size there is ``index_bytes``."""
        ...

    def load(self, folder: Path, dim: int, space: Space) -> Any:
        """Return the handle of an index that ``save`` wrote, in a process that has never seen it."""
        ...

    def theoretical_bytes(self, n_base: int, dim: int) -> int | None:
        """Return what the index should take by its parameters, or None if nobody can say."""
        ...


@runtime_checkable
class TrainedIndex(Protocol):
    """An index whose library keeps learning and adding apart: ``build`` is ``add`` after ``train``.

    Both are timed by themselves where an adapter has them, beside the whole build.
    """

    def train(self, base: Matrix, space: Space, n_threads: int) -> Any:
        """Return the handle of an index that has learnt what it needs and holds no item."""
        ...

    def add(self, handle: Any, base: Matrix, n_threads: int) -> None:
        """Put the base into a trained index."""
        ...
