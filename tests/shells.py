"""Shells on a terminal of their own, as somebody types into them; the screen is pyte's."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pyte

SECONDS = 20
"""A screen that doesn't show what it should by then fails the test."""

SCRIPTS = Path(__file__).parent.parent / "kwatch" / "cli" / "completion"
COLUMNS, LINES = 110, 50
START = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "PS1='$ '; bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; "
        "bind 'set enable-bracketed-paste off'; bind 'set completion-query-items 0'; bind 'set page-completions off'",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='$ '; unsetopt prompt_sp prompt_cr; autoload -U compinit; compinit -u -D; setopt no_beep; LISTMAX=1000; "
        "zstyle ':completion:*' verbose yes",
    ),
}


class Shell:
    """One shell. `type` types, `shows` waits for the screen to have a text."""

    def __init__(self, name: str, variables: Mapping[str, str], *scripts: str) -> None:
        command, start = START[name]
        self._terminal, slave = pty.openpty()
        tty = os.ttyname(slave)  # the first terminal that the leader of a session opens is its own
        line = f"exec {shlex.join(command)} <{tty} >{tty} 2>&1"
        given = {**variables, "TERM": "vt100"}
        self._process = subprocess.Popen(["sh", "-c", line], env=given, start_new_session=True)
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self.type(f"{start}; stty columns {COLUMNS} rows {LINES}\n")
        for script in scripts:
            self.type(f"{script}\n")
        self.type("clear; echo rea''dy\n")
        self.shows("ready")
        os.close(slave)

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self._terminal, text.encode())

    @property
    def screen(self) -> str:
        """What there is to see, without blank lines."""
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    def shows(self, *texts: str) -> str:
        """The screen, once it has all of them."""
        deadline = time.monotonic() + SECONDS
        while not all(text in self.screen for text in texts):
            assert time.monotonic() < deadline, f"never there: {texts}; the screen:\n{self.screen}"
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._stream.feed(os.read(self._terminal, 65536))
        return self.screen

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(SECONDS)
        os.close(self._terminal)


def on_path(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, with the commands of this Python's environment first on PATH."""
    return {**variables, "PATH": f"{Path(sys.executable).parent}:{variables['PATH']}"}
