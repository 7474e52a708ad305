"""One registry per kind of component: built-in files, other packages' entry points, "did you mean"."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cbir_bench.core.errors import BrokenPluginWarning, CbirBenchError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir_bench.core.dataset import DatasetReader
    from cbir_bench.core.index import Index
    from cbir_bench.core.metric import MetricFunction
    from cbir_bench.core.model import Model
    from cbir_bench.core.quantizer import Quantizer
    from cbir_bench.core.reranker import Reranker
    from cbir_bench.core.transform import Transform

T = TypeVar("T")
C = TypeVar("C")


class Registry(Generic[T]):
    """Names and components of one kind.

    The files of a package of ours and the entry points of a group are imported when a name is first
    asked for; each adds itself with ``@REGISTRY.register("name")``. An entry point
    may name the component itself, or a module that registers it. One that cannot be imported is
    named in a ``BrokenPluginWarning`` and left out.

    Args:
        group: the entry-point group, below ``cbir_bench``.
        noun: one of them, for messages ("index").
        package: the package of ours below ``cbir_bench``; by default called like the group.
    """

    def __init__(self, group: str, noun: str, package: str | None = None) -> None:
        self.group: Final = f"cbir_bench.{group}"
        self.package: Final = f"cbir_bench.{package or group}"
        self.noun: Final = noun
        self._components: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[C], C]:
        """Return a decorator that adds a component under ``name``.

        Raises:
            CbirBenchError: if another component has the name.
        """

        def add(component: C) -> C:
            self._add(name, component)
            return component

        return add

    def get(self, name: str) -> T:
        """Return the component called ``name``.

        Raises:
            UnknownNameError: if there is none; the message suggests the nearest name.
        """
        self._discover()
        if name not in self._components:
            raise UnknownNameError(self.noun, name, self._components)
        return self._components[name]

    def names(self) -> tuple[str, ...]:
        """Return every name, sorted."""
        self._discover()
        return tuple(sorted(self._components))

    def _add(self, name: str, component: Any) -> None:
        if self._components.get(name, component) is not component:
            raise CbirBenchError(
                f"Two components want to be the {self.noun} {name!r}. Rename one of them."
            )
        self._components[name] = component

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        try:
            self._import_all()
        except BaseException:
            self._discovered = False  # where memory ran out, say, the next look has to say so, too
            raise

    def _import_all(self) -> None:
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, f"{self.package}."):
            importlib.import_module(module.name)
        for entry in entry_points(group=self.group):
            self._load_plugin(entry)

    def _load_plugin(self, entry: Any) -> None:
        try:
            loaded = entry.load()
            if not isinstance(loaded, ModuleType):
                self._add(entry.name, loaded)
        except Exception as error:  # noqa: BLE001  a foreign package may fail in any way
            distribution = entry.dist.name if entry.dist else "an unknown package"
            warnings.warn(
                f"The {self.noun} {entry.name!r} of {distribution} could not be loaded and is "
                f"left out: {type(error).__name__}: {error}",
                BrokenPluginWarning,
                stacklevel=2,
            )


DATASETS: Final[Registry[type[DatasetReader]]] = Registry("datasets", "data set")
MODELS: Final[Registry[type[Model]]] = Registry("models", "model")
TRANSFORMS: Final[Registry[type[Transform]]] = Registry("transforms", "transform")
QUANTIZERS: Final[Registry[type[Quantizer]]] = Registry("quantizers", "quantizer")
INDEXES: Final[Registry[type[Index]]] = Registry("indexes", "index")
RERANKERS: Final[Registry[type[Reranker]]] = Registry("rerankers", "re-ranker", "rerank")
METRICS: Final[Registry[MetricFunction]] = Registry("metrics", "metric")
