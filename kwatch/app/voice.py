"""What is said on stderr: inert, each a line, and never with a credential in it, whoever repeats one."""

from __future__ import annotations

import contextlib

from kwatch.app.progress import ProgressLine
from kwatch.cluster.kubeconfig import Connection
from kwatch.cluster.masking import masked
from kwatch.model import Environment, Notice
from kwatch.text import as_typed, one_line


class Voice:
    """What is said on stderr: inert, each a line, and never with a credential in it, whoever repeats one."""

    def __init__(self, env: Environment) -> None:
        self._stderr = env.stderr
        self._program = env.program
        self.progress = ProgressLine(env)
        self._kept: list[Connection] = []
        self._errors: set[str] = set()

    def keep(self, connection: Connection) -> None:
        """From now on its credentials are not repeated. Warns of one that trusts anybody."""
        self._kept.append(connection)
        if connection.insecure:
            self.say(f"warning: the certificate of {connection.server} is not verified (insecure-skip-tls-verify)")

    def say(self, text: str) -> None:
        """One line; if nobody reads stderr, so be it."""
        self.progress.clear()
        with contextlib.suppress(OSError):
            self._stderr.write(f"kwatch: {self.fit(text)}\n")
            self._stderr.flush()

    def notice(self, notice: Notice, *, quiet: bool, verbose: bool) -> None:
        """Say it, if it is wanted: nothing with `quiet`, details only with `verbose`."""
        if not quiet and (verbose or not notice.detail):
            self.say(notice.text)

    def error(self, error: Exception) -> None:
        """What ends a watch or the run: once, though each of many watches of one server may end with the same."""
        text = f"error: {error}"
        if text not in self._errors:
            self._errors.add(text)
            self.say(text)

    def fit(self, text: str) -> str:
        """`text` on one line, inert, credentials masked."""
        return one_line(as_typed(masked(text, self._kept), self._program))
