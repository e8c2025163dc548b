"""One line on stderr, written over, for somebody who waits at a terminal: how far long work has got."""

from __future__ import annotations

import contextlib
import time

from kwatch.model import Environment

SECONDS = 0.5
"""Between two looks."""


class ProgressLine:
    """Shown only where stderr is a terminal and stdout isn't: rows on the same screen show progress themselves."""

    def __init__(self, env: Environment) -> None:
        self._stderr = env.stderr
        self._is_watched = not env.stdout_is_terminal and env.stderr.isatty()
        self._next = 0.0
        self._width = 0

    @property
    def is_due(self) -> bool:
        """Whether there is somebody to show something to, who hasn't seen anything for a while."""
        return self._is_watched and time.monotonic() >= self._next

    def show(self, text: str) -> None:
        """Show `text`, inert and of one line, in place of what was shown before."""
        self._next = time.monotonic() + SECONDS
        self._write(f"\rkwatch: {text.ljust(self._width)}")
        self._width = max(self._width, len(text))

    def clear(self) -> None:
        """Leave the line empty, for other words."""
        if self._width:
            self._write(f"\r{' ' * (self._width + len('kwatch: '))}\r")
            self._width = 0

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stderr.write(text)
            self._stderr.flush()
