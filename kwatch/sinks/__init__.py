"""Where changes go: one sink an output form, each knowing nothing of the others.

`make` builds the one that `-o` names, importing what it alone needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kwatch.model import Change, Environment, Query, Signal


class Sink(Protocol):
    """Prints changes. All methods are called from the main thread, so that a closed pipe or Ctrl-C ends the program."""

    shows_notices: bool
    """Whether `signal` puts notices before the user, so that stderr need not."""

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """Print them, in order; how many of them gave output."""

    def signal(self, query: Query, signal: Signal) -> None:
        """Something other than a change happened to the watch of `query`."""

    def tick(self, now: float) -> None:
        """Called several times a second, `now` in monotonic seconds."""

    def close(self) -> None:
        """Leave the output complete. Called once, however the run ends."""


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What the command line says about the output."""

    output: str = ""
    live: bool = True
    show_namespace: bool = False
    show_unchanged: bool = False
    headers: bool = True
    csv_raw: bool = False


class QuietSink:
    """The parts of a Sink that most forms have no use for."""

    shows_notices = False

    def signal(self, query: Query, signal: Signal) -> None:
        """Nothing: stdout carries data and nothing else."""

    def tick(self, now: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def make(options: SinkOptions, env: Environment) -> Sink:
    """The sink for `options.output`. Raises KeyError for a form that isn't in FORMS."""
    return FORMS[options.output](options, env)


def wants_tables(output: str) -> bool:
    """Whether the form prints the server's table rows rather than whole objects."""
    return output not in _OBJECT_FORMS


def _table(options: SinkOptions, env: Environment) -> Sink:
    if options.live and env.stdout_is_terminal and env.variables.get("TERM", "dumb") != "dumb":
        from kwatch.sinks.live import LiveSink

        return LiveSink(options, env)
    from kwatch.sinks.rows import RowSink

    return RowSink(options, env)


def _ndjson(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.ndjson import NdjsonSink

    return NdjsonSink(env)


def _csv(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.csvfile import CsvSink

    return CsvSink(options, env)


FORMS: dict[str, Callable[[SinkOptions, Environment], Sink]] = {
    "": _table,
    "table": _table,
    "wide": _table,
    "ndjson": _ndjson,
    "jsonl": _ndjson,
    "csv": _csv,
}
"""`-o` to the sink that prints it."""

_OBJECT_FORMS = frozenset(("ndjson", "jsonl"))
