"""The table that stays in place on a terminal: the rows as they are now, ages ticking, one line on the connection.

It draws in the normal screen, below what was there, and rewrites only the lines that changed. On close the last table
stays and the cursor is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from tabulate import DataRow, TableFormat, tabulate
from wcwidth import wcwidth

from kwatch.columns import age, age_index, heading, shown, visible, width
from kwatch.model import Change, Connected, Environment, Key, Listed, Notice, Query, Row, Signal, Synced
from kwatch.sinks import SinkOptions
from kwatch.text import inert

FRAME_SECONDS = 0.1
TICK_SECONDS = 1.0

_HIDE, _SHOW, _ERASE_LINE, _ERASE_BELOW = "\x1b[?25l", "\x1b[?25h", "\x1b[K", "\x1b[J"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_COLUMNS = TableFormat(
    lineabove=None,
    linebelowheader=None,
    linebetweenrows=None,
    linebelow=None,
    headerrow=DataRow("", "   ", ""),
    datarow=DataRow("", "   ", ""),
    padding=0,
    with_header_hide=None,
)


class LiveSink:
    """Keeps every row, draws those that fit."""

    shows_notices = True

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._options = options
        self._env = env
        self._rows: dict[tuple[str, Key], Row] = {}
        self._events = 0
        self._what = ""
        self._state = "connecting"
        self._drawn: list[str] = []
        self._widths: list[int] = []
        self._size = env.size()
        self._changed = True
        self._next_frame = 0.0
        self._next_tick = 0.0

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """Take the changes over; the next tick draws them."""
        for change in changes:
            if change.type == "DELETED":
                self._rows.pop((query.resource.qualified, change.key), None)
            else:
                self._rows[query.resource.qualified, change.key] = change.state
        self._what = query.resource.plural
        self._events += sum(not change.initial for change in changes)
        self._changed = self._changed or bool(changes)
        return len(changes)

    def signal(self, query: Query, signal: Signal) -> None:
        """The connection's state goes to the status line."""
        self._what = query.resource.plural
        if isinstance(signal, Notice) and not signal.detail:
            self._state = signal.text
        elif isinstance(signal, Listed):
            about = f" of about {signal.objects + signal.remaining:,}" if signal.remaining else ""
            self._state = f"listing {query.resource.plural}: {signal.objects:,}{about}"
        elif isinstance(signal, (Connected, Synced)):
            self._state = "live" if isinstance(signal, Connected) else "listed"
        self._changed = True

    def tick(self, now: float) -> None:
        """Draw, at most ten times a second, and at least once a second for the ages."""
        if now >= self._next_frame and (self._changed or now >= self._next_tick):
            self._draw()
            self._changed = False
            self._next_frame, self._next_tick = now + FRAME_SECONDS, now + TICK_SECONDS

    def close(self) -> None:
        """Draw the last state, give the cursor back and go below the table."""
        try:
            self._draw()
        finally:
            self._write(_SHOW)

    def _draw(self) -> None:
        size = self._env.size()
        if size != self._size:  # what was drawn has been wrapped anew: leave it to the scrollback
            self._size, self._drawn, self._widths = size, [], []
            self._write(f"\r{_ERASE_BELOW}")
        lines = self._lines(size.columns, size.lines)
        hide = "" if self._drawn else _HIDE
        self._write(hide + _rewrite(self._drawn, lines))
        self._drawn = lines

    def _lines(self, columns: int, height: int) -> list[str]:
        keys = sorted(self._rows, key=lambda key: key[1])
        room = height - 3  # beside the header, the status line, and the line below it where the cursor waits
        more = len(keys) > room
        fitting = keys[: max(room - more, 0)]
        lines = self._table(fitting)
        if more:
            lines.append(f"… {len(keys) - len(fitting):,} more")
        what = f"{self._what}: {len(keys):,} · {self._events:,} events · " if self._what else ""
        table = [_cut(line, columns) for line in lines[: max(height - 2, 0)]]
        return [*table, f"{_DIM}{_cut(inert(what + self._state), columns)}{_PLAIN}"]

    def _table(self, keys: list[tuple[str, Key]]) -> list[str]:
        rows = [self._rows[key] for key in keys]
        if not rows:
            return []
        header = rows[0].columns
        indexes = shown(header, wide=self._options.output == "wide")
        now = datetime.now(timezone.utc)
        names = (["NAMESPACE"] if self._options.show_namespace else []) + [heading(header[index]) for index in indexes]
        cells = [self._cells(key, row, indexes, now) for (_, key), row in zip(keys, rows, strict=True)]
        return self._aligned([names, *cells])

    def _aligned(self, lines: list[list[str]]) -> list[str]:
        """The lines in columns that are never narrower than before, so that the table doesn't jump."""
        widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
        before = self._widths if len(self._widths) == len(widths) else [0] * len(widths)
        self._widths = [max(pair) for pair in zip(before, widths, strict=True)]
        ruler = ["-" * width for width in self._widths]
        text = tabulate([ruler, *lines], tablefmt=_COLUMNS, disable_numparse=True, stralign="left")
        return [line.rstrip() for line in text.split("\n")[1:]]

    def _cells(self, key: Key, row: Row, indexes: Sequence[int], now: datetime) -> list[str]:
        cells = visible(row, indexes)
        place = age_index(row.columns)
        if place in indexes and row.created:
            cells[indexes.index(place)] = age(row.created, now)
        return [inert(key[0]), *cells] if self._options.show_namespace else cells

    def _write(self, text: str) -> None:
        self._env.stdout.write(text.encode(errors="backslashreplace"))
        self._env.stdout.flush()


def _rewrite(old: list[str], new: list[str]) -> str:
    """The control sequence that turns the lines `old`, the cursor on the line below them, into `new`."""
    if old == new:
        return ""
    up = f"\x1b[{len(old)}A\r" if old else "\r"
    kept = [line if index >= len(old) or old[index] != line else None for index, line in enumerate(new)]
    body = "".join("\n" if line is None else f"{line}{_ERASE_LINE}\n" for line in kept)
    return up + body + (_ERASE_BELOW if len(old) > len(new) else "")


def _cut(line: str, columns: int) -> str:
    """`line` in at most so many terminal columns."""
    if len(line) < columns and line.isascii():
        return line
    used = 0
    for index, character in enumerate(line):
        used += max(wcwidth(character), 0)
        if used > columns - 1:
            return line[:index] + "…"
    return line
