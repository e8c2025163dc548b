"""The terminal as signals and drawing share it. A plain class: `kwatch --version` needs it, and no dataclass."""

from __future__ import annotations

from collections.abc import Callable


class Terminal:
    """The terminal, between whoever draws on it and whoever catches the signals that take it away.

    `restore` is what gives it back as it was (empty: nothing has to); `resumed` counts how often the process was
    stopped and continued, after which all that was drawn is lost. `echo` turns the echo of what is typed on and off;
    `reads` says whether the terminal takes what is written: it may be stopped (Ctrl-S), or we in the background.
    """

    def __init__(
        self, echo: Callable[[bool], None] = lambda on: None, reads: Callable[[], bool] = lambda: True
    ) -> None:
        self.restore = b""
        self.resumed = 0
        self.echo = echo
        self.reads = reads
