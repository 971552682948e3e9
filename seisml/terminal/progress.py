"""How far a long task is: a bar on a terminal; elsewhere a plain line now and then, so that log files stay short."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

INTERVAL = 10.0  # least seconds between two lines off a terminal
T = TypeVar("T")


def on_terminal() -> bool:
    """Whether somebody watches: progress goes to stderr."""
    return sys.stderr.isatty()


class Lines:
    """Lines of progress on stderr, one every ten seconds at most; what is done sooner says nothing.

    Args:
        description: What is done.
        unit: Of what is counted; ``"B"`` shows bytes as kB, MB...
        total: How many there are, where that is known.
        done: How many are done already.
    """

    def __init__(self, description: str, unit: str, total: int | None = None, done: int = 0) -> None:
        self.description, self.unit, self.total = description, unit, total
        self.done, self.before = done, done
        self.started = self.said = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for a line."""
        return time.monotonic() - self.said >= INTERVAL

    def update(self, n: int = 1) -> None:
        """Count ``n`` more, and say so where it is time."""
        self.done += n
        if self.due() and self.done != self.total:  # the last line comes with the end
            self.say(self._state())

    def say(self, words: str) -> None:
        """Write a line with the time that has passed."""
        self.said = time.monotonic()
        text = f"{self.description}: {words}, {_clock(self.said - self.started)}"
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Write the last line, where there were others."""
        if self.said > self.started or self.due():
            self.say(self._state())

    def _state(self) -> str:
        count, unit = self._amount(self.done), "" if self.unit == "B" else f" {self.unit}s"
        if not self.total:
            return count + unit
        state = f"{count} of {self._amount(self.total)}{unit} ({100 * self.done // self.total} %)"
        new, seconds = self.done - self.before, time.monotonic() - self.started
        if 0 < new and self.done < self.total:
            state += f", about {_clock(seconds / new * (self.total - self.done))} to go"
        return state

    def _amount(self, n: int) -> str:
        return f"{tqdm.format_sizeof(n)}B" if self.unit == "B" else f"{n:,}"


class Progress:
    """Counts what is done: a context manager with :meth:`update`.

    Args:
        description: What is done.
        unit: Of what is counted, in the singular; ``"B"`` for bytes.
        total: How many there are, where that is known.
        done: How many are done already.
        shown: False says nothing.
    """

    def __init__(
        self, description: str, unit: str, total: int | None = None, done: int = 0, shown: bool = True
    ) -> None:
        self._counter: Lines | tqdm | None = None
        if shown and on_terminal():
            self._counter = tqdm(
                total=total, initial=done, desc=description, unit=unit, unit_scale=unit == "B", leave=False
            )
        elif shown:
            self._counter = Lines(description, unit, total, done)

    def update(self, n: int = 1) -> None:
        """Count ``n`` more."""
        if self._counter is not None:
            self._counter.update(n)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._counter is not None:
            self._counter.close()


def follow(
    items: Iterable[T], description: str, unit: str, total: int | None = None, shown: bool = True
) -> Iterator[T]:
    """Hand on items and show how far one is.

    Args:
        items: The items.
        description: What is done with them.
        unit: What each is, in the singular.
        total: How many there are; by default their ``len``, where they have one.
        shown: False says nothing.

    Yields:
        Each item.
    """
    try:
        total = len(items) if total is None else total  # type: ignore[arg-type]
    except TypeError:
        pass  # a generator
    with Progress(description, unit, total, shown=shown) as progress:
        for item in items:
            yield item
            progress.update()


def _clock(seconds: float) -> str:
    """Seconds -> ``"40 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
