"""RFC 4180 with a header once: time, event, cluster and namespace if there are several, then the server's columns, then
labels: those asked for, each under its whole key, and all of them as LABELS.

The time is UTC whatever the terminal's rows have, for a file is read elsewhere and later; so is it always there.
A cell that a spreadsheet would run as a formula gets a leading `'` (CONTRIBUTING, Security 2); control characters are
left out and line breaks become blanks, so that an event is a line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, partial

from kwatch.columns import age, age_index, heading, plain
from kwatch.errors import ConfigError
from kwatch.model import Change, Column, Environment, Query, Row
from kwatch.sinks import QuietSink, SinkOptions
from kwatch.text import one_line

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_RISKY = (*_FORMULA, " ")
"""How a text begins that may be one; no other has to be looked at."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class CsvSink(QuietSink):
    """The header is that of the first event; columns that the server changes later are matched by name."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._options = options
        self._now = env.now
        self._header = self._continued(options.csv_header)
        self._columns: tuple[Column, ...] | None = None
        self._places: list[int] = []
        self._age = -1
        self._name = -1

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        text = io.StringIO()
        write_row = csv.writer(text).writerow
        now = self._now()
        time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        prefix = cache(partial(self._prefix_of, query, time))
        for change in changes:
            if change.state.columns is not self._columns:
                self._use(change.state.columns, write_row)
            cells = self._cells(query, change.state, now)
            write_row([*prefix(change.type, change.key[0]), *cells, *self._labels(change.state)])
        self._write(text.getvalue().encode(errors="backslashreplace"))
        return len(changes)

    def _continued(self, header: tuple[str, ...]) -> list[str]:
        """The columns of the file that is gone on with. Raises ConfigError where it can't be."""
        if not header:
            return []
        prefix = self._prefix("time", "event", "cluster", "namespace")
        if list(header[: len(prefix)]) != prefix:
            raise ConfigError(f"the file to append to has no header {','.join(prefix)},...; name another file")
        columns = list(header[len(prefix) :])
        labels = self._label_headings()
        if columns[len(columns) - len(labels) :] != labels:
            raise ConfigError(f"the header of the file to append to ends without {','.join(labels)}; name another file")
        return columns[: len(columns) - len(labels)]

    def _label_headings(self) -> list[str]:
        return [*map(self._safe, self._options.label_columns), *["LABELS"] * self._options.show_labels]

    def _use(self, columns: tuple[Column, ...], write_row: Callable[[list[str]], object]) -> None:
        names = [one_line(heading(column)) for column in columns]
        if not self._header:
            self._header = names
            if self._options.headers:
                prefix = self._prefix("time", "event", "cluster", "namespace")
                write_row([*prefix, *map(self._safe, names), *self._label_headings()])
        self._columns = columns
        self._places = [names.index(name) if name in names else -1 for name in self._header]
        self._name = self._place_of(next((names.index(heading(one)) for one in columns if one.format == "name"), -1))
        self._age = self._place_of(age_index(columns))

    def _place_of(self, index: int) -> int:
        """Where the server's column stands in a record, or -1."""
        return self._places.index(index) if index in self._places and index >= 0 else -1

    def _prefix_of(self, query: Query, time: str, event: str, namespace: str) -> list[str]:
        return self._prefix(time, event, self._safe(query.cluster), self._safe(namespace))

    def _labels(self, row: Row) -> list[str]:
        """A label that isn't there is an empty cell, and so is none at all."""
        found = [row.labels.get(key, "") for key in self._options.label_columns]
        if self._options.show_labels:
            found.append(",".join(sorted(f"{key}={value}" for key, value in row.labels.items())))
        return [self._safe(text) for text in found]

    def _prefix(self, time: str, event: str, cluster: str, namespace: str) -> list[str]:
        shown = ((cluster, self._options.show_cluster), (namespace, self._options.show_namespace))
        return [time, event, *(text for text, is_shown in shown if is_shown)]

    def _cells(self, query: Query, row: Row, now: datetime) -> list[str]:
        cells, size = row.cells, len(row.cells)
        values = [cells[place] if 0 <= place < size else "" for place in self._places]
        if self._options.show_kind and self._name >= 0:
            values[self._name] = f"{query.resource.reference}/{plain(values[self._name])}"
        found = [self._safe(one if type(one) is str else plain(one)) for one in values]
        if self._age >= 0 and self._places[self._age] < size and (row.created or not values[self._age]):
            found[self._age] = age(row.created, now)
        return found

    def _safe(self, text: str) -> str:
        if self._options.csv_raw or (text.isprintable() and not text.startswith(_RISKY)):
            return text
        line = one_line(text)
        formula = text.startswith(_FORMULA) or line.lstrip().startswith(_FORMULA)
        return ("'" if formula and not _NUMBER.fullmatch(line) else "") + line
