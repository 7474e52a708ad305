"""Builds, saves and loads indexes in a process of its own, for ``test_indexes.py``.

Called with a folder of ``base.npy`` and ``queries.npy``, the number of results, "save" or "load", and
a JSON list of names and options. Answers go to ``save.npz`` or ``load.npz`` in that folder: those of
an index that was loaded, and of indexes built with one and two threads.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import numpy as np

from cbir_bench.core.component import create
from cbir_bench.core.registry import INDEXES

SPACE = "cosine"


def main(folder, k, task, cases):
    base, queries = np.load(folder / "base.npy"), np.load(folder / "queries.npy")
    answers = {}
    for number, (name, options) in enumerate(cases):
        component = create(INDEXES, name, options)
        try:
            for n_threads in (1, 2):
                handle = component.build(base, SPACE, n_threads)
                answers[f"{number}-built-{n_threads}"] = ask(component, handle, queries, k)
                if n_threads == 1:
                    stored = folder / f"index-{number}"
                    if task == "save":
                        stored.mkdir()
                        component.save(handle, stored)
                    else:
                        loaded = component.load(stored, base.shape[1], SPACE)
                        answers[f"{number}-loaded"] = ask(component, loaded, queries, k)
        except Exception:  # noqa: BLE001  the next index may work, and this one's test misses its answers
            traceback.print_exc()
    np.savez(folder / f"{task}.npz", **answers)


def ask(component, handle, queries, k):
    component.configure(handle, 1)
    search = component.single(handle, k)
    return np.concatenate([component.unpack(search(q), k) for q in component.prepare(queries)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
