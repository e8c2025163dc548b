"""What a person sees on a terminal: a table that stays in place, or with `-o nodes` the pods on their nodes.

The sink is the thin part: it takes changes in with each tick, asks the pure parts (`model`, `layout`, `board`, `nodes`)
for the lines of the screen, has `paint` turn them into bytes, and writes these, at most ten times a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from kwatch import columns
from kwatch.model import Change, Ended, Environment, Notice, Query, Resource, Signal
from kwatch.sinks import SinkOptions
from kwatch.sinks.live.board import status_line, table_screen
from kwatch.sinks.live.layout import Look, View
from kwatch.sinks.live.model import Table
from kwatch.sinks.live.nodes import Grid, node_of
from kwatch.sinks.live.paint import HIDE_CURSOR, SHOW_CURSOR, Painter, climb
from kwatch.sinks.live.screen import Line
from kwatch.sinks.live.status import WARNING_SECONDS, Link, Rate, State, overall
from kwatch.text import inert

FRAME_SECONDS = 0.1
"""The least time between two redraws."""
SLEPT_SECONDS = 30.0
"""By how much the time of day must run ahead for the machine to have slept; less is a clock being set."""
TICK_SECONDS = 1.0
"""The most, for the ages go on."""


class Picture(Protocol):
    """What is drawn above the status line."""

    def lines(self, status: Line, size: tuple[int, int], now: float, wall: datetime) -> list[Line]:
        """The lines of the screen, the status line last."""

    def emphasis_ends(self) -> float:
        """When something that stands out ceases to."""


class Tables:
    """The picture of `kwatch TYPE…`."""

    def __init__(self, tables: dict[Resource, Table], look: Look) -> None:
        self._tables = tables
        self._look = look
        self._views: dict[Resource, View] = {}
        self._size = (0, 0)

    def lines(self, status: Line, size: tuple[int, int], now: float, wall: datetime) -> list[Line]:
        """The tables, one below the other."""
        if size != self._size:
            self._size = size
            for view in self._views.values():
                view.widths.clear()
        for resource in self._tables:
            self._views.setdefault(resource, View())
        return table_screen(self._tables, self._views, self._look, status, size, now, wall)

    def emphasis_ends(self) -> float:
        """The earliest of all rows in view."""
        return min((view.emphasis_ends for view in self._views.values()), default=float("inf"))


class LiveSink:
    """Keeps every row, draws those that fit."""

    shows_notices = True

    def __init__(
        self,
        options: SinkOptions,
        env: Environment,
        wall: Callable[[], datetime] | None = None,
    ) -> None:
        self._env = env
        self._wall = wall or env.now
        self._view = columns.View(options.output in ("wide", "nodes"), options.label_columns, options.show_labels)
        self._key = _key(options.sort_by) if options.output != "nodes" else None
        self._tables: dict[Resource, Table] = {}
        look = Look(options.headers, options.show_cluster, options.show_namespace, options.show_kind)
        grid = options.output == "nodes"
        self._group = node_of if grid else None
        self._picture: Picture = Grid(self._tables) if grid else Tables(self._tables, look)
        self._painter = Painter(color=options.color)
        self._links = {query: Link(query) for query in options.queries}
        self._rate = Rate()
        self._waiting: list[tuple[Query, Sequence[Change], Signal | None]] = []
        self._warning, self._warned_at = "", float("-inf")
        for query in options.queries:
            self._table(query)
        self._size = env.size()
        self._resumed = env.terminal.resumed
        self._dirty = True
        self._next_frame = self._next_tick = self._now = float("-inf")
        self._writing = False
        self._offset = float("-inf")

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """Keep them for the next tick, which knows what time it is."""
        self._waiting.append((query, changes, None))
        return len(changes)

    def signal(self, query: Query, signal: Signal) -> None:
        """The same for what is told of the connection."""
        self._waiting.append((query, (), signal))

    def tick(self, now: float) -> None:
        """Take in what came; draw what is new, at most ten times a second, and each second for the ages."""
        self._now = now
        wall = self._wall()
        self._notice_sleep(now, wall)
        self._take_in(now, wall)
        if now < self._next_frame or not self._env.terminal.reads():
            return
        size, resumed = self._env.size(), self._env.terminal.resumed
        for table in self._tables.values():
            self._dirty = table.expire(now) or self._dirty
        due = now >= min(self._next_tick, self._picture.emphasis_ends())
        if self._dirty or due or size != self._size or resumed != self._resumed:
            self._write(self._painted(size, resumed, now, wall))
            self._dirty = False
            self._next_frame = now + FRAME_SECONDS
            if now >= self._next_tick:
                self._next_tick = now + TICK_SECONDS

    def close(self) -> None:
        """Draw the last state and leave the cursor, as it was, below it; nothing if there never was one.

        Unless the end came amid a write, or the terminal doesn't read: then that is left to the process, which doesn't
        wait for long.
        """
        if self._writing or not self._painter.lines or not self._env.terminal.reads():
            return
        self._take_in(self._now, self._wall())
        heard = any(link.heard > float("-inf") for link in self._links.values())
        self._write(self._last() + _LEAVE if heard else self._painter.erase() + SHOW_CURSOR)
        self._env.terminal.restore = b""
        self._env.terminal.echo(True)

    def _last(self) -> str:
        """The last state, with when it was, and whether it was stale."""
        wall = self._wall()
        stale = [link.state(self._now).text for link in self._links.values() if link.stale(self._now)]
        ended = " · was ".join([f"ended {wall.astimezone():%H:%M:%S}", *stale[:1]])
        return self._painter.paint(self._lines(self._now, wall, State(ended, "quiet")))

    def _take_in(self, now: float, wall: datetime) -> None:
        waiting, self._waiting = self._waiting, []
        self._dirty = self._dirty or bool(waiting)
        for query, changes, signal in waiting:
            link = self._links.get(query)
            if link is None:
                link = self._links[query] = Link(query)
            table = self._table(query)
            if signal is not None:
                self._tell(link, signal, now)
                continue
            link.hear(now)
            table.apply(query.cluster, changes, now, wall)
            self._rate.count(sum(not change.initial for change in changes), now)

    def _notice_sleep(self, now: float, wall: datetime) -> None:
        """A monotonic clock stands still while the machine sleeps; the server's silence doesn't."""
        slept, self._offset = wall.timestamp() - now - self._offset, wall.timestamp() - now
        if SLEPT_SECONDS < slept < float("inf"):
            self._dirty = True
            for link in self._links.values():
                link.heard -= slept

    def _tell(self, link: Link, signal: Signal, now: float) -> None:
        link.take(signal, now)
        if isinstance(signal, Ended) or (isinstance(signal, Notice) and not signal.reason and not signal.detail):
            text = signal.text.removeprefix(f"{link.query}: ") if len(self._links) == 1 else signal.text
            self._warning, self._warned_at = inert(text), now

    def _table(self, query: Query) -> Table:
        table = self._tables.get(query.resource)
        if table is None:
            order = partial(self._key, query) if self._key else None
            table = self._tables[query.resource] = Table(query.resource, self._view, order, self._group)
        return table

    def _lines(self, now: float, wall: datetime, state: State | None = None) -> list[Line]:
        size = self._size
        warning = self._warning if now - self._warned_at < WARNING_SECONDS else ""
        told = state or overall(list(self._links.values()), now)
        status = status_line(self._tables, list(self._links), told, warning, self._rate, size.columns, now)
        return self._picture.lines(status, (size.columns, size.lines), now, wall)

    def _painted(self, size: os.terminal_size, resumed: int, now: float, wall: datetime) -> str:
        """What changed; all of it at first, when somebody else had the terminal, and in a window of another size."""
        old, self._size = self._size, size
        shown = self._painter.lines
        lines = self._lines(now, wall)
        if shown and resumed == self._resumed:
            if size == old:
                return self._painter.paint(lines)
            return self._painter.anew(lines, climb(shown, old, size, self._env.variables))
        self._resumed = resumed
        self._env.terminal.restore = _LEAVE.encode()
        self._env.terminal.echo(False)
        return HIDE_CURSOR + self._painter.anew(lines)

    def _write(self, text: str) -> None:
        if text:
            self._writing = True
            self._env.stdout.write(text.encode(errors="backslashreplace"))
            self._env.stdout.flush()
            self._writing = False


_LEAVE = f"{SHOW_CURSOR}\r\n"


def _key(sort_by: str) -> Callable[[Query, Change], Any] | None:
    """What --sort-by sorts by; what it takes is imported only for it."""
    if not sort_by:
        return None
    from kwatch.sorting import order

    return order(sort_by).key
