"""One document an object, in forms that `kubectl get -w` has: JSON, names, JSONPath templates.

As kubectl's they don't tell one type of event from another, a deleted object is printed like any other; with
--output-watch-events they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kwatch import gotext, jsonpath
from kwatch.model import Change, Environment, Query
from kwatch.sinks import QuietSink, SinkOptions, printed_object
from kwatch.text import inert, inert_json, inert_lines

Printer = Callable[[Query, Change], bytes]


class DocumentSink(QuietSink):
    """Writes what `printer` makes of each change; on a terminal `harmless`."""

    def __init__(self, env: Environment, printer: Printer, harmless: Callable[[str], str] = inert_lines) -> None:
        self._write = env.stdout.write
        self._print = printer
        self._harmless = harmless if env.stdout_is_terminal else None

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        text = b"".join([self._print(query, change) for change in changes])
        self._write(self._harmless(text.decode()).encode() if self._harmless else text)
        return len(changes)


def json_sink(options: SinkOptions, env: Environment) -> DocumentSink:
    """kubectl's indented JSON; with the type of event a line, as kubectl then has it."""
    if options.output_watch_events:
        return DocumentSink(env, _event_line, inert_json)
    return DocumentSink(env, _document, inert_json)


def _document(_: Query, change: Change) -> bytes:
    try:
        return f"{gotext.json_lines(change.state.object, change.state.encoded)}\n".encode()
    except RecursionError:  # the same, but on one line
        return bytes(change.state.encoded) + b"\n"


def _event_line(_: Query, change: Change) -> bytes:
    try:
        text = gotext.json_line(change.state.object)
    except RecursionError:
        text = change.state.encoded.decode()
    return f'{{"type":"{change.type}","object":{text}}}\n'.encode()


def name_sink(options: SinkOptions, env: Environment) -> DocumentSink:
    """`pod/web-0`, `deployment.apps/web`."""
    return DocumentSink(env, lambda query, change: f"{query.resource.reference}/{inert(change.key[1])}\n".encode())


def jsonpath_sink(options: SinkOptions, env: Environment) -> DocumentSink:
    """What the template prints, and nothing after it. Raises UsageError for a bad one."""
    template, value = jsonpath.compile(options.template), printed_object(options)
    return DocumentSink(env, lambda _, change: template.render(value(change)).encode(errors="replace"))
