"""What a second look costs per query, against the gather, the product and the sort in a bare loop."""

from __future__ import annotations

import argparse
from time import perf_counter_ns

import numpy as np

from cbir_bench.rerank.refine import Refine


def bare_ns(base, queries, candidates, k):
    """Return nanoseconds per query of the least that has to be done, without padding or ties by id."""
    times = []
    for query, found in zip(queries, candidates, strict=True):
        start = perf_counter_ns()
        similarity = base[found] @ query
        found[np.argsort(-similarity)[:k]]
        times.append(perf_counter_ns() - start)
    return times


def refined_ns(reranker, base, queries, candidates, k):
    state = reranker.fit(base, "cosine")
    times = []
    for row, found in enumerate(candidates):
        query, ids = queries[row : row + 1], found[None]
        start = perf_counter_ns()
        reranker.rerank(query, base, ids, None, state, k=k)
        times.append(perf_counter_ns() - start)
    return times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--n", type=int, default=100_000, help="base vectors")
    options.add_argument("--dim", type=int, default=128)
    options.add_argument("--passes", type=int, default=5)
    given = options.parse_args()
    random = np.random.default_rng(0)
    base = random.standard_normal((given.n, given.dim)).astype(np.float32)
    queries = random.standard_normal((1000, given.dim)).astype(np.float32)
    print("candidates  store     bare us  refine us  ratio")
    for n in (50, 100, 400, 1000):
        candidates = random.integers(0, given.n, (len(queries), n))
        for store in ("float32", "float16", "int8"):
            pairs = [
                (
                    bare_ns(base, queries, candidates, 10),
                    refined_ns(Refine(n=n, store=store), base, queries, candidates, 10),
                )
                for _ in range(given.passes)
            ]
            # The least of the passes of each query is the work; the rest is the machine's.
            bare, ours = np.median(np.min(pairs, axis=0), axis=1) / 1000
            print(f"{n:10}  {store:8} {bare:8.1f} {ours:10.1f} {ours / bare:6.2f}")


if __name__ == "__main__":
    main()
