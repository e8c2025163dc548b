"""A row an event, EVENT first: kubectl's columns, widths that only grow; whole, for a terminal wraps them itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from kwatch.columns import GAP, Layout, View, aligned, grown, timestamp, width
from kwatch.model import Change, Column, Environment, Query, Resource
from kwatch.sinks import QuietSink, SinkOptions
from kwatch.text import inert

_COLORS = {"ADDED": "\x1b[32m{}\x1b[0m", "MODIFIED": "\x1b[33m{}\x1b[0m", "DELETED": "\x1b[31m{}\x1b[0m"}
HEADER_LIFE = 20
"""Lines after which a type's header is out of sight, and is printed again where types alternate."""


class RowSink(QuietSink):
    """Prints the server's columns. A MODIFIED that changes no printed cell but the age prints nothing.

    Rows of several types interleave: what comes before the columns of their own, and the first of these, is aligned.
    """

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._options = options
        self._now = env.now
        self._view = View(options.output == "wide", options.label_columns, options.show_labels)
        self._tables: dict[Resource, _Table] = {}
        self._last: _Table | None = None
        self._shared: list[int] = []
        self._lines = 0
        self._leading_widths = self._known_widths()

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all, aligned among themselves."""
        now = self._now()
        time = [timestamp(now, utc=self._options.utc)] if self._options.timestamps else []
        lines: list[list[str]] = []
        leading = cache(partial(self._leading, query))
        table, printed = self._last, 0
        for change in changes:
            if table is None or table.resource is not query.resource or change.state.columns is not table.columns:
                table = self._table(query.resource, change.state.columns)
            if change.type == "MODIFIED" and not self._options.show_unchanged and table.unchanged(change):
                continue
            if table is not self._last:
                self._print(self._last, lines)
                lines = self._switch(table)
            cells, place = table.layout.cells(change.state, now), table.layout.name_place
            lines.append([*time, *leading(change.type, change.key[0]), *self._named(query, cells, place)])
            printed += 1
        self._print(self._last, lines)
        return printed

    def _table(self, resource: Resource, columns: tuple[Column, ...]) -> _Table:
        table = self._tables.get(resource)
        if table is None or table.layout.columns != columns:
            table = self._tables[resource] = _Table(resource, Layout(columns, self._view), self._leading_widths)
        table.columns = columns
        return table

    def _switch(self, table: _Table) -> list[list[str]]:
        """Go on with rows of `table`: its header, unless it can still be seen."""
        self._last = table
        if not self._options.headers or (table.header_at is not None and self._lines - table.header_at < HEADER_LIFE):
            return []
        leading = self._chosen("EVENT", "CLUSTER", "NAMESPACE", "KIND")
        time = ["TIME"] if self._options.timestamps else []
        table.header_at = self._lines
        return [[*time, *leading, *table.layout.headings]]

    def _known_widths(self) -> list[int]:
        """How wide the leading columns are to be, as far as it is known before the first row, as kubectl's EVENT."""
        known = [(inert(query.cluster), inert(query.namespace), query.resource.kind) for query in self._options.queries]
        widest = [max(texts, key=width) for texts in zip(*known, strict=True)] or [""] * 3
        return [GAP] * self._options.timestamps + [max(width(text), GAP) for text in self._chosen("MODIFIED", *widest)]

    def _leading(self, query: Query, event: str, namespace: str) -> list[str]:
        return self._chosen(event, inert(query.cluster), inert(namespace), query.resource.kind)

    def _chosen(self, event: str, cluster: str, namespace: str, kind: str) -> list[str]:
        options = self._options
        leading = [event] if options.show_event else []
        if options.show_cluster:
            leading.append(cluster)
        if options.show_namespace:
            leading.append(namespace)
        if options.show_types:
            leading.append(kind)
        return leading

    def _named(self, query: Query, cells: list[str], place: int) -> list[str]:
        """With --show-kind the name is `pod/web-0`, as kubectl prints it."""
        if self._options.show_kind and place >= 0:
            cells[place] = f"{query.resource.reference}/{cells[place]}"
        return cells

    def _print(self, table: _Table | None, lines: list[list[str]]) -> None:
        if table is None or not lines:
            return
        self._lines += len(lines)
        table.widths = grown(table.widths, lines)
        if self._options.show_types:
            table.share(self._shared, len(lines[0]) - len(table.layout.headings) + 1)
        rows = aligned(lines, table.widths)
        if self._options.color:
            rows = [self._colored(row, line, table.widths) for row, line in zip(rows, lines, strict=True)]
        self._write("".join(rows).encode(errors="backslashreplace"))

    def _colored(self, row: str, cells: list[str], widths: list[int]) -> str:
        """The row with the event in its colour."""
        place = 1 if self._options.timestamps else 0
        start = widths[0] + GAP if place else 0
        event = row[start : start + len(cells[place])]
        return row[:start] + _COLORS.get(event, "{}").format(event) + row[start + len(event) :]


class _Table:
    """The rows of one type: how they are laid out, how wide their columns are by now, where their header stands."""

    def __init__(self, resource: Resource, layout: Layout, leading: list[int]) -> None:
        self.resource = resource
        self.layout = layout
        self.columns = layout.columns
        self.widths = leading + [GAP] * len(layout.headings)
        self.header_at: int | None = None

    def unchanged(self, change: Change) -> bool:
        """Whether the last row of the object was printed alike; --show-unchanged prints such rows."""
        return change.old is not None and self.layout.same(change.old, change.state)

    def share(self, shared: list[int], count: int) -> None:
        """Have the first `count` columns as wide as in the other tables."""
        shared += [0] * (count - len(shared))
        for index in range(min(count, len(self.widths))):
            shared[index] = self.widths[index] = max(shared[index], self.widths[index])
