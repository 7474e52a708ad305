"""Indexes that go wrong in every way that a library can; a worker loads this file as a plug-in."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from cbir_bench.core.registry import INDEXES
from cbir_bench.indexes.exact import ExactIndex
from cbir_bench.measure.disturbance import Disturbance
from cbir_bench.run import building, passes


class _Faulty(ExactIndex):
    """Works; each index below breaks one thing."""

    REQUIRES: ClassVar[tuple[str, ...]] = ()

    def configure(self, handle, n_threads):
        pass


@INDEXES.register("hangs")
@dataclass(frozen=True, kw_only=True)
class Hangs(_Faulty):
    def build(self, base, space, n_threads):
        time.sleep(600)


@INDEXES.register("hangs-deaf")
@dataclass(frozen=True, kw_only=True)
class HangsDeaf(_Faulty):
    """Ignores SIGTERM, as a library that installs its own handler may."""

    def build(self, base, space, n_threads):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(os.environ["CBIR_BENCH_TEST_FILE"]).write_text(str(os.getpid()))
        time.sleep(600)


@INDEXES.register("hangs-in-search")
@dataclass(frozen=True, kw_only=True)
class HangsInSearch(_Faulty):
    seconds: float = 600.0

    def batch(self, handle, k):
        time.sleep(self.seconds)
        return super().batch(handle, k)


@INDEXES.register("aborts")
@dataclass(frozen=True, kw_only=True)
class Aborts(_Faulty):
    def build(self, base, space, n_threads):
        sys.stderr.write("about to abort\n")
        os.abort()


@INDEXES.register("exits")
@dataclass(frozen=True, kw_only=True)
class Exits(_Faulty):
    code: int = 0

    def build(self, base, space, n_threads):
        os._exit(self.code)


@INDEXES.register("kills-itself")
@dataclass(frozen=True, kw_only=True)
class KillsItself(_Faulty):
    def build(self, base, space, n_threads):
        os.kill(os.getpid(), signal.SIGKILL)


@INDEXES.register("raises")
@dataclass(frozen=True, kw_only=True)
class Raises(_Faulty):
    def build(self, base, space, n_threads):
        raise RuntimeError("the library\nsays no")


@INDEXES.register("raises-in-search")
@dataclass(frozen=True, kw_only=True)
class RaisesInSearch(_Faulty):
    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"fails"})
    fails: bool = True

    def batch(self, handle, k):
        if self.fails:
            raise ValueError("this search fails")
        return super().batch(handle, k)


@INDEXES.register("allocates")
@dataclass(frozen=True, kw_only=True)
class Allocates(_Faulty):
    def build(self, base, space, n_threads):
        hoard = []
        while True:
            hoard.append(np.ones(2**20))


@INDEXES.register("bad-alloc")
@dataclass(frozen=True, kw_only=True)
class BadAlloc(_Faulty):
    """What C++ prints when nobody catches a failed allocation."""

    def build(self, base, space, n_threads):
        sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
        os.abort()


@INDEXES.register("nonsense")
@dataclass(frozen=True, kw_only=True)
class Nonsense(_Faulty):
    kind: str = "duplicates"

    def unpack(self, raw, k):
        ids = np.array(super().unpack(raw, k))
        if self.kind == "duplicates":
            ids[:, 1] = ids[:, 0]
        elif self.kind == "out of range":
            ids[:, 0] = 10_000
        elif self.kind == "below range":
            ids[:, 0] = -7
        elif self.kind == "gap":
            ids[:, 0] = -1
        elif self.kind == "narrow":
            ids = ids[:, :-1]
        elif self.kind == "too few rows":
            ids = ids[:-1]
        return ids


@INDEXES.register("short")
@dataclass(frozen=True, kw_only=True)
class Short(_Faulty):
    """Finds two items and says so."""

    def unpack(self, raw, k):
        ids = np.array(super().unpack(raw, k))
        ids[:, 2:] = -1
        return ids


@INDEXES.register("prints-rubbish")
@dataclass(frozen=True, kw_only=True)
class PrintsRubbish(_Faulty):
    def build(self, base, space, n_threads):
        sys.stdout.write('{"event": "trial", "trial_id": "t0"}\n')
        sys.stdout.flush()
        os.write(1, bytes(range(256)) * 100)
        return super().build(base, space, n_threads)


@INDEXES.register("leaves-a-child")
@dataclass(frozen=True, kw_only=True)
class LeavesAChild(_Faulty):
    def build(self, base, space, n_threads):
        if (pid := os.fork()) == 0:  # has all our descriptors, the pipe of events included
            time.sleep(600)
            os._exit(0)
        Path(os.environ["CBIR_BENCH_TEST_FILE"]).write_text(str(pid))
        return super().build(base, space, n_threads)


@INDEXES.register("cannot-save")
@dataclass(frozen=True, kw_only=True)
class CannotSave(_Faulty):
    def save(self, handle, folder):
        raise OSError(28, "No space left on device")


@INDEXES.register("tells-modules")
@dataclass(frozen=True, kw_only=True)
class TellsModules(_Faulty):
    """Writes down what the worker has imported by the time it searches."""

    def single(self, handle, k):
        Path(os.environ["CBIR_BENCH_TEST_FILE"]).write_text("\n".join(sys.modules))
        return super().single(handle, k)


@INDEXES.register("knows-memory")
@dataclass(frozen=True, kw_only=True)
class KnowsMemory(_Faulty):
    """Keeps 32 MiB, and holds 96 MiB more only while it is built."""

    seconds: float = 0.0

    def build(self, base, space, n_threads):
        passing = np.ones(96 * 2**20, np.uint8)
        kept = np.ones(32 * 2**20, np.uint8)
        kept[0] = passing[0]
        time.sleep(self.seconds)
        return super().build(base, space, n_threads), kept

    def single(self, handle, k):
        return super().single(handle[0], k)

    def batch(self, handle, k):
        return super().batch(handle[0], k)

    def save(self, handle, folder):
        subprocess.run(
            ["/bin/sh", "-c", "printf 12345 > one; printf 678 > two"], cwd=folder, check=True
        )


@INDEXES.register("tells-threads")
@dataclass(frozen=True, kw_only=True)
class TellsThreads(_Faulty):
    """Writes down how many threads it is given for what."""

    def _tell(self, what):
        with Path(os.environ["CBIR_BENCH_TEST_FILE"]).open("a") as file:
            file.write(f"{what}\n")

    def build(self, base, space, n_threads):
        self._tell(f"build {n_threads}")
        return super().build(base, space, n_threads)

    def configure(self, handle, n_threads):
        self._tell(f"configure {n_threads}")

    def single(self, handle, k):
        self._tell("single")
        return super().single(handle, k)

    def batch(self, handle, k):
        self._tell("batch")
        return super().batch(handle, k)


@INDEXES.register("broken-library")
@dataclass(frozen=True, kw_only=True)
class BrokenLibrary(_Faulty):
    """Its library cannot even be asked what it supports."""

    def check(self, *, k, n_base, dim, space):
        raise OSError("libopenblas.so.0: cannot open shared object file")


@INDEXES.register("fills-the-disk")
@dataclass(frozen=True, kw_only=True)
class FillsTheDisk(_Faulty):
    """Does not notice that nothing could be written, as hnswlib does not."""

    def save(self, handle, folder):
        building.disk_usage = lambda _: SimpleNamespace(total=10**9, free=0)


@INDEXES.register("loads-badly")
@dataclass(frozen=True, kw_only=True)
class LoadsBadly(_Faulty):
    kind: str = "forgets"

    def load(self, folder, dim, space):
        if self.kind == "fails":
            raise RuntimeError("the loaded index says no")
        if self.kind == "dies":
            os._exit(3)
        handle = super().load(folder, dim, space)
        return super().build(handle.vectors[::-1], space, 1)


@INDEXES.register("trains-and-adds")
@dataclass(frozen=True, kw_only=True)
class TrainsAndAdds(_Faulty):
    def train(self, base, space, n_threads):
        time.sleep(0.02)
        return [space]

    def add(self, handle, base, n_threads):
        time.sleep(0.04)
        handle[0] = super().build(base, handle[0], n_threads)

    def single(self, handle, k):
        return super().single(handle[0], k)

    def batch(self, handle, k):
        return super().batch(handle[0], k)

    def save(self, handle, folder):
        super().save(handle[0], folder)


@INDEXES.register("disturbed")
@dataclass(frozen=True, kw_only=True)
class Disturbed(_Faulty):
    """Lets the machine disturb each pass by what it says."""

    waits: str = ""

    def build(self, base, space, n_threads):
        waits = iter(self.waits.split())

        class Watch:
            def disturbance(self):
                return Disturbance(seconds=1.0, waited=float(next(waits)), foreign=None, steal=None)

        passes.Watch = Watch
        return super().build(base, space, n_threads)


@INDEXES.register("dies-in-search")
@dataclass(frozen=True, kw_only=True)
class DiesInSearch(_Faulty):
    """Crashes in a batch, or when single queries are asked for the second time."""

    SEARCH_PARAMS: ClassVar[frozenset[str]] = frozenset({"dies"})
    dies: str = ""

    def batch(self, handle, k):
        if self.dies == "quality":
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().batch(handle, k)

    def single(self, handle, k):
        probed = getattr(DiesInSearch, "probed", False)
        if self.dies == "latency" and probed:
            os.kill(os.getpid(), signal.SIGSEGV)
        DiesInSearch.probed = probed or bool(self.dies)
        return super().single(handle, k)


@INDEXES.register("tells-its-score")
@dataclass(frozen=True, kw_only=True)
class TellsItsScore(_Faulty):
    def build(self, base, space, n_threads):
        score = Path("/proc/self/oom_score_adj").read_text().strip()
        Path(os.environ["CBIR_BENCH_TEST_FILE"]).write_text(score)
        return super().build(base, space, n_threads)


@INDEXES.register("counts-collections")
@dataclass(frozen=True, kw_only=True)
class CountsCollections(_Faulty):
    """Writes down with every batch of one how many garbage collections there were so far."""

    def batch(self, handle, k):
        search = super().batch(handle, k)

        def told(queries):
            if len(queries) == 1:
                n = sum(generation["collections"] for generation in gc.get_stats())
                with Path(os.environ["CBIR_BENCH_TEST_FILE"]).open("a") as file:
                    file.write(f"{n}\n")
            return search(queries)

        return told
