"""Starts a worker, listens to it, ends it if it takes too long, and says how it ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from cbir_bench.measure.memory import anonymous_bytes, n_killed_for_memory
from cbir_bench.measure.threads import thread_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cbir_bench.core.record import Status
    from cbir_bench.run.job import Job

_LOG_KEPT: Final = 256 * 1024
_TAIL_BYTES: Final = 2000
_GRACE_SECONDS: Final = 2.0
"""Between asking a worker to end and killing it."""
_POLL_SECONDS: Final = 0.5
"""Between looks at the process where the kernel cannot wake us when it ends."""
_LONGEST_SLEEP: Final = 3600.0
"""The kernel takes no more than 24 days; a time limit may be longer."""
_SAMPLE_SECONDS: Final = 0.01
"""Between looks at a building worker's memory, which cost some 20 us each."""
_ANSWERED: Final = ("searched", "trial", "trial_failed", "storage")
"""Events after which the worker waits for an answer."""
_STAGES: Final = {
    "build": "the index was built",
    "save": "the index was saved and loaded again",
    "prepare": "the re-ranker prepared the base",
    "quality": "all queries were searched",
    "probe": "a few queries were tried",
    "latency": "queries were timed",
    "clients": "several clients asked at once",
    "tell": "its numbers were written",
}
"""What a worker does, by the stage that it tells about."""
_NO_MEMORY: Final = ("bad_alloc", "MemoryError", "Cannot allocate memory", "failed to map segment")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOutcome:
    """How a worker ended.

    Attributes:
        status: "ok" if it told everything; else "timeout", "crashed" or "out_of_memory", which is
            then the status of every trial that it did not tell about.
        reason: what happened in one sentence, and one for what to do; empty for "ok".
        exit_status: "exit 0", or the name of the signal that ended it ("SIGSEGV").
        log: what the worker and its libraries printed, the last 256 kB.
        trial_id: the trial that the worker was busy with when it ended; empty if none or all of them.
    """

    status: Status
    reason: str
    exit_status: str
    log: bytes
    trial_id: str = ""

    @property
    def log_tail(self) -> str:
        """The end of the log as text."""
        return self.log[-_TAIL_BYTES:].decode("utf-8", "replace")


def run_job(
    job: Job,
    job_folder: Path,
    on_event: Callable[[dict[str, Any]], Iterable[str] | None],
    timeout: float | None = None,
) -> JobOutcome:
    """Run a job in a fresh process and return how it ended.

    The worker leads a process group of its own, which is killed however this function ends, an
    interrupt from the keyboard included.

    Args:
        job: what to build and measure.
        job_folder: made if it is not there; holds the job file and the log.
        on_event: called with each event of ``cbir_bench.run.worker``; the worker waits until it returns
            from what it told of a trial, and leaves out those whose ids are returned. A "trial_failed"
            event gets the log's end as "log_tail", a "built" one the sampled peak of memory.
        timeout: limit in seconds of each thing that the worker does; by default the job's own.
    """
    job_folder = job_folder.resolve()
    job_folder.mkdir(parents=True, exist_ok=True)
    limit = job.measure.timeout_seconds if timeout is None else timeout
    listener = _Listener(on_event, job_folder / "worker.log", limit)
    read_fd, write_fd = os.pipe()
    try:
        process = _start(job, job_folder, write_fd)
        try:
            timed_out = listener.follow(process, read_fd)
            if not timed_out:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_SECONDS)
        finally:
            _end_group(process)
    finally:
        os.close(read_fd)
    return listener.outcome(process.returncode, timed_out=timed_out)


class _Listener:
    """Follows the events of one worker."""

    def __init__(
        self,
        on_event: Callable[[dict[str, Any]], Iterable[str] | None],
        log_path: Path,
        limit: float,
    ) -> None:
        self._on_event, self._log_path, self._limit = on_event, log_path, limit
        self._stage = self._trial_id = ""
        self._done = False
        self._memory: _Memory | None = None
        self._peak_bytes: int | None = None
        self._killed_before = n_killed_for_memory()

    def follow(self, process: subprocess.Popen[bytes], read_fd: int) -> bool:
        """Pass events on until the worker falls silent; return whether its time ran out."""
        deadline = time.monotonic() + self._limit
        rest = b""
        with _Waker(process, read_fd) as waker:
            while (left := deadline - time.monotonic()) > 0:
                # Asked before reading, so that nothing told before the end is missed.
                ended = not waker.wait(left if self._memory is None else _SAMPLE_SECONDS)
                if self._memory is not None:
                    self._memory.look()
                chunk = waker.read()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if self._hear(json.loads(line), process):
                        deadline = time.monotonic() + self._limit
                if ended:
                    return False
        return True

    def outcome(self, returncode: int, *, timed_out: bool) -> JobOutcome:
        """Return how the worker ended."""
        log = _log_end(self._log_path)
        exit_status = f"exit {returncode}" if returncode >= 0 else signal.Signals(-returncode).name
        status: Status = "ok"
        reason = ""
        if timed_out:
            status, reason = "timeout", self._timeout_reason()
        elif not self._done:
            status, reason = self._crash(exit_status, log)
        return JobOutcome(
            status=status,
            reason=reason,
            exit_status=exit_status,
            log=log,
            trial_id="" if status == "ok" else self._trial_id,
        )

    def _hear(self, event: dict[str, Any], process: subprocess.Popen[bytes]) -> bool:
        """Deal with an event; return whether the worker's time starts anew."""
        kind = event["event"]
        if kind == "progress":
            self._begin(event["stage"], event["trial_id"], process.pid)
        self._done = self._done or kind == "done"
        if kind == "built":
            event["build"]["sampled_peak_bytes"] = self._peak_bytes
        if kind == "trial_failed":
            event["log_tail"] = _log_end(self._log_path)[-_TAIL_BYTES:].decode("utf-8", "replace")
        left_out = self._on_event(event)
        if kind in _ANSWERED and process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps({"skip": list(left_out or ())}).encode() + b"\n")
                process.stdin.flush()
        return kind in _ANSWERED or kind in {"built", "progress"}

    def _begin(self, stage: str, trial_id: str, pid: int) -> None:
        """Note what the worker does from now on, and look at its memory while it builds."""
        if self._memory is not None:
            self._peak_bytes = self._memory.growth()
        self._stage, self._trial_id = stage, trial_id
        self._memory = _Memory(pid) if stage == "build" else None

    @property
    def _doing(self) -> str:
        return _STAGES[self._stage] if self._stage else "it started"

    def _timeout_reason(self) -> str:
        return (
            f"The time limit of {self._limit:g} s ran out while {self._doing}. "
            "Raise [measure] timeout_seconds, or choose cheaper settings."
        )

    def _crash(self, exit_status: str, log: bytes) -> tuple[Status, str]:
        end = log[-_TAIL_BYTES:].decode("utf-8", "replace")
        if exit_status == "SIGKILL":
            return self._killed()
        if any(mark in end for mark in _NO_MEMORY):
            return "out_of_memory", (
                f"The worker ended ({exit_status}) for want of memory while {self._doing}. "
                "Choose a smaller index, or raise [measure] memory_limit_bytes."
            )
        return "crashed", (
            f"The worker ended ({exit_status}) while {self._doing}. "
            "Its log says more; other settings of this index may work."
        )

    def _killed(self) -> tuple[Status, str]:
        """Tell the kernel's killer, which counts what it does, from anybody else's signal."""
        now = n_killed_for_memory()
        if now is not None and self._killed_before is not None and now == self._killed_before:
            return "crashed", (
                f"The worker was killed (SIGKILL) while {self._doing}, and not by the kernel for want of "
                "memory. --retry-failed measures it again."
            )
        return "out_of_memory", (
            f"The worker was killed while {self._doing}, most likely by the kernel because "
            "memory ran out. Choose a smaller index, or set [measure] memory_limit_bytes."
        )


class _Memory:
    """The anonymous memory of a worker, looked at from outside while it builds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._peak = anonymous_bytes(pid) or 0
        self._n_looks = 0

    def look(self) -> None:
        """Note the memory of this moment."""
        self._peak = max(self._peak, anonymous_bytes(self._pid) or 0)
        self._n_looks += 1

    def growth(self) -> int | None:
        """Return the peak above the first look; None after too few looks to have seen anything."""
        return self._peak - self._before if self._n_looks > 2 else None


def _start(job: Job, job_folder: Path, write_fd: int) -> subprocess.Popen[bytes]:
    job_path = job_folder / "job.json"
    job.write(job_path)
    command = [sys.executable, "-P", "-m", "cbir_bench.run.worker"]
    environment = {
        **os.environ,
        **thread_environment(job.n_threads),
        "PYTHONFAULTHANDLER": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
    }
    try:
        with (job_folder / "worker.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603  our own interpreter and module
                [*command, str(job_path), str(write_fd), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[write_fd],
                env=environment,
                start_new_session=True,
            )
    finally:
        os.close(write_fd)


class _Waker:
    """Sleeps until the worker tells something or ends; a child that it left behind does not count."""

    def __init__(self, process: subprocess.Popen[bytes], read_fd: int) -> None:
        self._process, self._read_fd = process, read_fd
        os.set_blocking(read_fd, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(read_fd, selectors.EVENT_READ)
        self._pid_fd = _pid_fd(process.pid)
        if self._pid_fd is not None:
            self._selector.register(self._pid_fd, selectors.EVENT_READ)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        if self._pid_fd is not None:
            os.close(self._pid_fd)

    def wait(self, seconds: float) -> bool:
        """Sleep at most ``seconds``; return whether there may be more to come."""
        longest = _POLL_SECONDS if self._pid_fd is None else _LONGEST_SLEEP
        self._selector.select(min(seconds, longest))
        return self._process.poll() is None and not self._closed

    def read(self) -> bytes:
        """Return everything in the pipe."""
        chunks = []
        with suppress(BlockingIOError):
            while chunk := os.read(self._read_fd, 65536):
                chunks.append(chunk)
            self._closed = True
        return b"".join(chunks)


def _pid_fd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, if the kernel has such."""
    with suppress(AttributeError, OSError):
        return os.pidfd_open(pid)
    return None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker to end, then kill it with everything that it started."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group is gone, or is no longer ours, once its last process has ended.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _log_end(path: Path) -> bytes:
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _LOG_KEPT))
        return log.read()
