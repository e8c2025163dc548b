"""The whole screen of a live table: one table or several with a title each, and the status line below.

A function of the model, the views, the size and the time. The status line's last part, the truth about the connection,
is never pushed out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from kwatch.columns import width
from kwatch.model import Query, Resource
from kwatch.sinks.live.layout import DOT, Look, View, table_lines, told_counts
from kwatch.sinks.live.model import Table
from kwatch.sinks.live.screen import Line, Segment, clip, cut, segment
from kwatch.sinks.live.status import Rate, State
from kwatch.text import inert

LEAST_LINES = 4
"""What a table among several is worth to begin with: title, header, a row, and what the others are."""
UNLIMITED = 1 << 30
"""Columns for who doesn't count them."""
ASIDE, REASON = 36, 48
"""Columns that are kept for a warning, and for why there is no connection, before all is told of the rows."""
LEAST_ASIDE = 20
"""Columns that what is wrong gets before anything at all is told of the rows."""


def table_screen(
    tables: Mapping[Resource, Table],
    views: Mapping[Resource, View],
    look: Look,
    status: Line,
    size: tuple[int, int],
    now: float,
    wall: datetime,
) -> list[Line]:
    """The lines of the screen, at most as many as it has; none is as wide as it, for that would wrap."""
    columns, room = size[0] - 1, size[1] - 1
    if len(tables) == 1:
        ((resource, table),) = tables.items()
        return [*table_lines(table, views[resource], look, columns, room, now, wall), status]
    last = len(tables) - 1
    wishes = [_wished(table, look) + (place < last) for place, table in enumerate(tables.values())]
    lines: list[Line] = []
    shares = shared(wishes, room)
    for place, (share, (resource, table)) in enumerate(zip(shares, tables.items(), strict=True)):
        blank = place < last and (share > LEAST_LINES or share == wishes[place] == LEAST_LINES)
        if share:
            lines.append(_title(table, columns))
            lines += table_lines(table, views[resource], look, columns, share - 1 - blank, now, wall)
            lines += [()] * blank
    return [*lines[:room], status]


def _wished(table: Table, look: Look) -> int:
    """Lines of the title, the header and the rows."""
    return 1 + (len(table.places) + look.headers if table.places else 0)


def shared(wishes: Sequence[int], room: int) -> list[int]:
    """How many lines each gets: what it wishes for, or a fair share of what there is; the first are served first."""
    shares = [0] * len(wishes)
    for place, wish in enumerate(wishes):
        shares[place] = min(wish, LEAST_LINES, room)
        room -= shares[place]
    while room > 0 and any(share < wish for share, wish in zip(shares, wishes, strict=True)):
        for place, wish in enumerate(wishes):
            if shares[place] < wish and room > 0:
                shares[place] += 1
                room -= 1
    return shares


def _title(table: Table, columns: int) -> Line:
    """`PODS · 42 · 40 Running · 2 Pending`."""
    title = [segment(inert(table.resource.qualified).upper(), "head"), DOT, segment(f"{len(table):,}", "quiet")]
    return clip([*title, *_counts(table, columns - _width(title))], columns)


def _counts(table: Table, room: int) -> list[Segment]:
    """` · 40 Running · 2 Pending` in so many columns."""
    told = told_counts(table, table.words(), room - DOT.width)
    return [DOT, *told] if told else []


def status_line(
    tables: Mapping[Resource, Table], queries: Sequence[Query], state: State, warning: str, rate: Rate, columns: int,
    now: float,
) -> Line:  # fmt: skip
    """What is watched, how many of each, how much happens, and the state of the connection."""
    columns -= 1
    aside, what = state.reason or warning, _what(tables, queries)
    needed = width(aside) + len(" ()") if aside else 0
    is_tight = width(state.text) + _width(what[:1]) + DOT.width + needed > columns
    text = state.short if state.short and is_tight else state.text
    told = [segment(cut(text, columns), state.style)]
    room = columns - told[0].width - DOT.width
    kept = min(needed, REASON if state.reason else ASIDE, max(room - _width(what[:1]), 0))
    if state.reason and kept < min(needed, LEAST_ASIDE):
        what = []
    left = _fitting(what, partial(_how_many, tables), _activity(rate, now), room - kept) if what else []
    line = [*left, DOT, *told] if left else told
    rest = columns - _width(line) - len(" ()")
    if aside and rest > 3:
        line.append(segment(f" ({cut(aside, rest)})", "quiet"))
    return clip(line, columns)


def _fitting(
    what: list[Segment], how_many: Callable[[int], list[Segment]], activity: list[Segment], room: int
) -> list[Segment]:
    """As much of these as there is room for: the activity goes first, then where that is, then counts."""
    counts = how_many(UNLIMITED)
    if _width(what + counts + activity) <= room:
        return what + counts + activity
    for told in (what, what[:1]):
        counted = how_many(room - _width(told))
        if _width(told) <= room and (counted or not counts):
            return told + counted
    return list(clip(what if _width(what) <= room else what[:1], max(room, 0)))


def _width(parts: Sequence[Segment]) -> int:
    return sum(part.width for part in parts)


def _what(tables: Mapping[Resource, Table], queries: Sequence[Query]) -> list[Segment]:
    """`42 pods in default`."""
    kinds = ", ".join(f"{len(table):,} {_noun(resource, len(table))}" for resource, table in tables.items())
    if not kinds:
        return []
    names = list(dict.fromkeys(query.namespace for query in queries if query.resource.namespaced))
    where = f" in {', '.join(names)}" if names and all(names) else ""
    selectors = dict.fromkeys(query.label_selector for query in queries if query.label_selector)
    narrowed = "".join(f" -l {selector}" for selector in selectors)
    parts = [segment(inert(kinds), "plain"), segment(inert(where + narrowed), "quiet")]
    return [part for part in parts if part.width]


def _noun(resource: Resource, count: int) -> str:
    return resource.singular or resource.kind.lower() if count == 1 else resource.plural


def _how_many(tables: Mapping[Resource, Table], room: int) -> list[Segment]:
    return _counts(next(iter(tables.values())), room) if len(tables) == 1 else []


def _activity(rate: Rate, now: float) -> list[Segment]:
    per_second = rate.per_second(now)
    events = f"{rate.total:,} event{'' if rate.total == 1 else 's'}"
    pace = f" · {per_second:,.0f}/s" if per_second >= 10 else f" · {per_second:.1f}/s" if per_second >= 0.1 else ""
    return [DOT, segment(events + pace, "quiet")]
