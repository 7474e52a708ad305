"""A process that answers the same queries as its siblings, and tells the median of what they took.

As in a run: a fresh process on its own core, warm-up, several passes in shuffled order, each query
counting with its median over the passes.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cbir_bench.measure.clock import no_garbage_collection
from cbir_bench.measure.threads import pin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

EXACT, GRAPH = "exact search (NumPy)", "graph search (hnswlib)"
N_BASE, DIM, K = 10_000, 64, 10
N_PASSES: Final = 5
_N_QUERIES: Final = {EXACT: 50, GRAPH: 200}
_EF: Final = 32
INDEX: Final = "graph.bin"


def vectors() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the base ``(N_BASE, DIM)`` and 200 queries, the same in every process."""
    random = np.random.default_rng(0)
    base = random.standard_normal((N_BASE, DIM), np.float32)
    return base, random.standard_normal((max(_N_QUERIES.values()), DIM), np.float32)


def workloads(folder: Path) -> dict[str, Callable[[Any], Any]]:
    """Return what answers one query, by name; the graph only where there is one in the folder."""
    base, _ = vectors()
    found: dict[str, Callable[[Any], Any]] = {EXACT: lambda q: np.argpartition(base @ q, -K)[-K:]}
    with suppress(ImportError):
        if (folder / INDEX).is_file():
            found[GRAPH] = _graph(folder / INDEX)
    return found


def build_graph(folder: Path) -> None:
    """Build the graph that all processes search, if its library is installed."""
    with suppress(ImportError):
        import hnswlib

        index = hnswlib.Index("l2", DIM)
        index.init_index(N_BASE, ef_construction=64, M=8, random_seed=0)
        index.add_items(vectors()[0], num_threads=1)
        index.save_index(str(folder / INDEX))


def medians(answer: Callable[[Any], Any], queries: NDArray[np.float32]) -> tuple[float, float]:
    """Return the median wall and CPU nanoseconds of a query, of its own medians over passes."""
    random = np.random.default_rng(0)
    samples = np.empty((2, N_PASSES, len(queries)), np.int64)
    for query in queries[:10]:
        answer(query)
    with no_garbage_collection():
        for i in range(N_PASSES):
            for row in random.permutation(len(queries)):
                query = queries[row]
                start, cpu_start = perf_counter_ns(), thread_time_ns()
                answer(query)
                cpu, wall = thread_time_ns() - cpu_start, perf_counter_ns() - start
                samples[:, i, row] = wall, cpu
    wall, cpu = np.median(np.median(samples, axis=1), axis=1).tolist()
    return wall, cpu


def _graph(path: Path) -> Callable[[Any], Any]:
    import hnswlib

    index = hnswlib.Index("l2", DIM)
    index.load_index(str(path))
    index.set_ef(_EF)
    search = index.knn_query
    return lambda q: search(q, K, 1)


def main(task: str, folder: Path) -> None:
    """Build the graph, or measure every workload and print the medians as JSON."""
    pin(1)
    if task == "build":
        build_graph(folder)
        return
    _, queries = vectors()
    found = {
        name: medians(answer, queries[: _N_QUERIES[name]])
        for name, answer in workloads(folder).items()
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
