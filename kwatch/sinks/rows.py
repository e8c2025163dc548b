"""A row an event, EVENT first, for pipes and logs: kubectl's columns, widths that only grow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from kwatch.columns import age, age_index, heading, shown, visible, width
from kwatch.model import Change, Column, Environment, Query, Row
from kwatch.sinks import QuietSink, SinkOptions
from kwatch.text import inert

GAP = 3
"""Blanks between columns, and the least width of one, as kubectl's tabwriter has them."""


class RowSink(QuietSink):
    """Prints the server's columns. A MODIFIED that changes no printed cell but the age prints nothing."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._options = options
        self._columns: tuple[Column, ...] | None = None
        self._indexes: tuple[int, ...] = ()
        self._age = -1
        self._widths: list[int] = []

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all, aligned among themselves."""
        lines: list[list[str]] = []
        printed = 0
        for change in changes:
            if change.state.columns is not self._columns:
                lines += self._use(change.state.columns)
            if self._options.show_unchanged or not self._unchanged(change):
                lines.append(self._line(change))
                printed += 1
        self._print(lines)
        return printed

    def _use(self, columns: tuple[Column, ...]) -> list[list[str]]:
        """Take over new columns; their header, where there is one and it isn't the last one's."""
        same = columns == self._columns
        self._columns = columns
        if same:
            return []
        self._indexes = shown(columns, wide=self._options.output == "wide")
        self._age = age_index(columns)
        header = self._prefix("EVENT", "NAMESPACE") + [heading(columns[index]) for index in self._indexes]
        self._widths = [GAP] * len(header)
        return [header] if self._options.headers else []

    def _line(self, change: Change) -> list[str]:
        return self._prefix(change.type, inert(change.key[0])) + self._cells(change)

    def _prefix(self, event: str, namespace: str) -> list[str]:
        return [event, namespace] if self._options.show_namespace else [event]

    def _cells(self, change: Change) -> list[str]:
        row: Row = change.state
        cells = visible(row, self._indexes)
        if self._age in self._indexes:
            place = self._indexes.index(self._age)
            if change.synthetic or not cells[place]:  # the server's word is of another time, or missing
                cells[place] = age(row.created, datetime.now(timezone.utc))
        return cells

    def _unchanged(self, change: Change) -> bool:
        old: Row | None = change.old
        if change.type != "MODIFIED" or old is None or old.columns != change.state.columns:
            return False
        return all(
            _cell(old, index) == _cell(change.state, index) for index in self._indexes if index != self._age
        )  # labels and the like may have changed all the same; --show-unchanged prints such rows

    def _print(self, lines: list[list[str]]) -> None:
        sizes = [[width(cell) for cell in line] for line in lines]
        for widths in sizes:
            self._widths = [max(pair) for pair in zip(self._widths, widths, strict=True)]
        rows = [self._aligned(line, widths) for line, widths in zip(lines, sizes, strict=True)]
        self._write("".join(rows).encode(errors="backslashreplace"))

    def _aligned(self, line: list[str], widths: list[int]) -> str:
        padded = [
            cell + " " * (column - width + GAP) for cell, width, column in zip(line, widths, self._widths, strict=True)
        ]
        padded[-1] = line[-1]
        return "".join(padded) + "\n"


def _cell(row: Row, index: int) -> object:
    return row.cells[index] if index < len(row.cells) else None
