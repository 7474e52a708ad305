"""What a run says while it works: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from types import TracebackType

_EVERY_SECONDS: Final = 10.0
"""At most this often a plain line tells how far a stage is."""


class Progress(Protocol):
    """Told about stages and steps; draws them or not."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of ``total`` steps; the one before it is over."""
        ...

    def step(self, done: float, detail: str) -> None:
        """Tell how many steps of the stage are done, and what is being done now."""
        ...

    def say(self, line: str) -> None:
        """Print a line that stays."""
        ...

    def close(self) -> None:
        """Take the live line away."""
        ...


def make_progress() -> Progress:
    """Return live progress on a terminal, plain lines in CI and in pipes."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


class PlainProgress:
    """One line per stage and at most one every ten seconds within it, on stderr."""

    def __init__(self) -> None:
        self._name, self._total = "", 0
        self._began = self._said = 0.0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stage(self, name: str, total: int) -> None:
        """Say that a stage begins."""
        self._name, self._total = name, total
        self._began = self._said = time.monotonic()
        self.say(f"{name}: {total}")

    def step(self, done: float, detail: str) -> None:
        """Say how far the stage is, if that was not said a moment ago."""
        now = time.monotonic()
        if now - self._said < _EVERY_SECONDS:
            return
        self._said = now
        left = time_left(done, self._total, now - self._began)
        self.say(f"{self._name}: {done:.0f}/{self._total}, {left} left, {detail}")

    def say(self, line: str) -> None:
        """Write the line at once, if anybody still reads."""
        with suppress(OSError):  # hours of measuring do not end because a terminal was closed
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Leave everything as it is."""


class LiveProgress:
    """A bar per stage with the time left and what is being done, drawn by rich on stderr."""

    def __init__(self) -> None:
        from rich import progress as bars
        from rich.console import Console
        from rich.table import Column

        # Only the detail gives way on a narrow terminal; the numbers never do.
        detail = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bars = bars.Progress(
            bars.TextColumn(
                "{task.description}", style="bold", markup=False, table_column=Column(no_wrap=True)
            ),
            bars.BarColumn(bar_width=12, table_column=Column(min_width=12)),
            bars.MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
            bars.TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
            bars.TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
            bars.TextColumn("{task.fields[detail]}", markup=False, table_column=detail),
            console=Console(stderr=True),
            expand=True,
        )
        self._task: Any = None

    def __enter__(self) -> LiveProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stage(self, name: str, total: int) -> None:
        """Finish the bar before and begin a new one."""
        self._finish()
        self._task = self._bars.add_task(name, total=total, detail="")

    def step(self, done: float, detail: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, detail=detail)

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Stop drawing; finished bars stay on the screen."""
        self._bars.stop()

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, detail="")
            self._bars.stop_task(self._task)


def time_left(done: float, total: int, elapsed: float) -> str:
    """Return the time left at the pace so far ("3 min 20 s"), or "?" before the first step."""
    if done <= 0:
        return "?"
    seconds = round(elapsed / done * max(total - done, 0))
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
