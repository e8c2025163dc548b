"""`-o custom-columns=NAME:.metadata.name,…` and its two-line file: kubectl's table of what JSONPaths select.

Rows come as they are, the event's type is not among them unless --output-watch-events is given, as with kubectl.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from kwatch.columns import NONE, aligned, flat, grown
from kwatch.errors import UsageError
from kwatch.gotext import printed
from kwatch.jsonpath import Query as Path
from kwatch.jsonpath import relaxed
from kwatch.model import Change, Environment, Query
from kwatch.sinks import QuietSink, SinkOptions, printed_object
from kwatch.text import brief

_COMMA = re.compile(r",(?![^\[]*\])")
"""Between columns; not one in brackets."""


class CustomColumn(NamedTuple):
    """A heading and what stands below it."""

    heading: str
    path: Path


class CustomColumnsSink(QuietSink):
    """Prints the header once, then a row an event; widths only grow."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._object = printed_object(options)
        self._columns = columns_of(options)
        self._header = [[flat(column.heading) for column in self._columns]] if options.headers else []
        self._widths: list[int] = []

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all, aligned among themselves."""
        lines = [*self._header, *map(self._cells, changes)]
        self._header = []
        self._widths = grown(self._widths, lines)
        self._write("".join(aligned(lines, self._widths)).encode(errors="backslashreplace"))
        return len(changes)

    def _cells(self, change: Change) -> list[str]:
        value = self._object(change)
        return [flat(",".join(map(printed, column.path.values(value))) or NONE) for column in self._columns]


def columns_of(options: SinkOptions) -> list[CustomColumn]:
    """The columns that the template of `-o custom-columns` or `custom-columns-file` means. Raises UsageError."""
    pairs = _file_pairs(options.template) if options.output.endswith("-file") else _pairs(options.template)
    return [CustomColumn(heading, relaxed(path)) for heading, path in pairs]


def _pairs(template: str) -> list[tuple[str, str]]:
    pairs = [part.partition(":") for part in _COMMA.split(template)]
    for heading, _, path in pairs:
        if not path:
            raise UsageError(f'"{brief(heading)}" is no column; write -o custom-columns=HEADING:.json.path,…')
    return [(heading, path) for heading, _, path in pairs]


def _file_pairs(text: str) -> list[tuple[str, str]]:
    headings, paths = (line.split() for line in [*text.splitlines(), "", ""][:2])
    if not headings or len(headings) != len(paths):
        raise UsageError(
            f"a custom-columns file is a line of headings and one of JSONPaths, parted by blanks; there are "
            f"{len(headings)} headings and {len(paths)} paths"
        )
    return list(zip(headings, paths, strict=True))
