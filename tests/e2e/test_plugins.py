"""A package of somebody else adds components through entry points, and cannot break ours."""

from __future__ import annotations

import json
import subprocess

from e2e.tiny import SUITE, command, environment

PLUGIN = '''
"""An index of somebody else: exact search over a list."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ListIndex:
    """Searches a list.

    Attributes:
        flavour: has no effect on the result.
    """

    SPACES: ClassVar = frozenset({"cosine"})
    SEARCH_PARAMS: ClassVar = frozenset()
    REQUIRES: ClassVar = ()
    EXACT: ClassVar = True
    flavour: int = 1

    def check(self, *, k, n_base, dim, space):
        pass

    def build(self, base, space, n_threads):
        return np.array(base)

    def configure(self, handle, n_threads):
        pass

    def prepare(self, queries):
        return list(queries)

    def single(self, handle, k):
        return lambda query: np.argsort(-(handle @ query), kind="stable")[None, :k]

    def batch(self, handle, k):
        return None

    def unpack(self, raw, k):
        return np.asarray(raw, np.int64)

    def save(self, handle, folder):
        np.save(folder / "base.npy", handle)

    def theoretical_bytes(self, n_base, dim):
        return None
'''


def install(folder, name, points):
    """Put a distribution with entry points into a folder, as an installer would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cbir_bench.indexes]\n{points}\n")


def test_a_foreign_index_runs_and_a_broken_one_is_named_and_skipped(place):
    """Without a change of any file of ours."""
    site = place / "site"
    install(site, "list-index", "list = list_index:ListIndex")
    install(site, "broken-index", "broken = no_such_module:Nothing")
    (site / "list_index.py").write_text(PLUGIN)
    suite = SUITE.replace('[[index]]\nuse = "exact"', '[[index]]\nuse = "list"\nflavour = [1, 2]')
    (place / "tiny.toml").write_text(suite)

    actual = subprocess.run(
        command("run", "tiny.toml", "--no-report"),
        cwd=place,
        env={**environment(place), "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    found = [json.loads(p.read_text()) for p in (place / "results/tiny/records").glob("*.json")]
    foreign = [r for r in found if r["trial"]["index"]["use"] == "list"]
    assert actual.returncode == 0, actual.stderr
    assert "'broken' of broken-index could not be loaded and is left out" in actual.stderr
    assert len(foreign) == 16
    assert {r["status"] for r in foreign} == {"ok"}
    assert all(
        r["metrics"]["ap"]["mean"] > 0 for r in foreign if r["trial"]["reranker"]["use"] == "none"
    )
