"""Where changes go: one sink an output form, each knowing nothing of the others.

`make` builds the one that `-o` names, importing what it alone needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Flag, auto
from typing import Any, NamedTuple, Protocol

from kwatch.errors import UsageError
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


class SinkOptions(NamedTuple):
    """What the command line says about the output. `template` is what follows `=` in `-o`, or the named file's text.

    `csv_header` is that of a file to be continued: its columns are kept to, and it isn't printed again.
    `queries` are what is watched, in the order asked for.
    `show_cluster`, `show_namespace` and `show_types` ask for the columns that tell several of them apart;
    `show_event` for what happened to each.
    """

    output: str = ""
    template: str = ""
    live: bool = True
    headers: bool = True
    show_event: bool = True
    show_cluster: bool = False
    show_namespace: bool = False
    show_types: bool = False
    show_kind: bool = False
    show_labels: bool = False
    label_columns: tuple[str, ...] = ()
    show_unchanged: bool = False
    diff_all: bool = False
    timestamps: bool = False
    utc: bool = False
    color: bool = False
    sort_by: str = ""
    csv_raw: bool = False
    output_watch_events: bool = False
    csv_header: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()


class QuietSink:
    """The parts of a Sink that most forms have no use for."""

    shows_notices = False

    def signal(self, query: Query, signal: Signal) -> None:
        """Nothing: stdout carries data and nothing else."""

    def tick(self, now: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def printed_object(options: SinkOptions) -> Callable[[Change], Any]:
    """What kubectl's forms print of a change: the object, or with --output-watch-events the event."""
    if options.output_watch_events:
        return lambda change: {"type": change.type, "object": change.state.object}
    return lambda change: change.state.object


class Wants(Flag):
    """What a form, or a stage before it, needs of the server."""

    ROWS = auto()
    OBJECTS = auto()
    BOTH = ROWS | OBJECTS
    TRACES = auto()
    """Redacted values that can be told apart."""


class Form(NamedTuple):
    """A row of FORMS: how to make the sink, what it needs of the server, and whether `-o` gives it a template."""

    make: Callable[[SinkOptions, Environment], Sink]
    wants: Wants
    takes_template: bool = False


def make(options: SinkOptions, env: Environment) -> Sink:
    """The sink for `options.output`. Raises KeyError for a form that isn't in FORMS."""
    return FORMS[options.output].make(options, env)


def draws_in_place(env: Environment) -> bool:
    """Whether stdout is a terminal that can be drawn on, not only written to."""
    return env.stdout_is_terminal and not env.is_dumb


def _table(options: SinkOptions, env: Environment) -> Sink:
    if options.live and draws_in_place(env):
        from kwatch.sinks.live import LiveSink

        return LiveSink(options, env)
    from kwatch.sinks.rows import RowSink

    return RowSink(options, env)


def _nodes(options: SinkOptions, env: Environment) -> Sink:
    if not (options.live and draws_in_place(env)):
        raise UsageError("-o nodes draws on a terminal; choose -o wide, whose NODE column says the same")
    from kwatch.sinks.live import LiveSink

    return LiveSink(options, env)


def _ndjson(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.ndjson import NdjsonSink

    return NdjsonSink(options, env)


def _csv(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.csvfile import CsvSink

    return CsvSink(options, env)


def _diff(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.diff import DiffSink

    return DiffSink(options, env)


def _documents(name: str) -> Callable[[SinkOptions, Environment], Sink]:
    def make_sink(options: SinkOptions, env: Environment) -> Sink:
        from kwatch.sinks import documents

        sink: Sink = getattr(documents, f"{name}_sink")(options, env)
        return sink

    return make_sink


def _yaml(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.yamlsink import YamlSink

    return YamlSink(options, env)


def _custom_columns(options: SinkOptions, env: Environment) -> Sink:
    from kwatch.sinks.customcolumns import CustomColumnsSink

    return CustomColumnsSink(options, env)


FORMS: dict[str, Form] = {
    "": Form(_table, Wants.ROWS),
    "table": Form(_table, Wants.ROWS),
    "wide": Form(_table, Wants.ROWS),
    "nodes": Form(_nodes, Wants.ROWS),
    "ndjson": Form(_ndjson, Wants.OBJECTS),
    "jsonl": Form(_ndjson, Wants.OBJECTS),
    "json": Form(_documents("json"), Wants.OBJECTS),
    "yaml": Form(_yaml, Wants.OBJECTS),
    "csv": Form(_csv, Wants.ROWS),
    "diff": Form(_diff, Wants.OBJECTS | Wants.TRACES),
    "name": Form(_documents("name"), Wants.ROWS),
    "jsonpath": Form(_documents("jsonpath"), Wants.OBJECTS, takes_template=True),
    "jsonpath-file": Form(_documents("jsonpath"), Wants.OBJECTS, takes_template=True),
    "custom-columns": Form(_custom_columns, Wants.OBJECTS, takes_template=True),
    "custom-columns-file": Form(_custom_columns, Wants.OBJECTS, takes_template=True),
}
"""`-o` to the sink that prints it."""
