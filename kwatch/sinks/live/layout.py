"""Which rows and columns of a table fit, and the lines they make: a function of the rows, the room and the time.

Rows keep their order and their place: of more rows than there is room for, those shown stay until another has a better
claim (it needs attention, or changed later), and for HOLD_SECONDS at least.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from kwatch.columns import AGE, duration_seconds, human_duration, width
from kwatch.sinks.live.health import Health
from kwatch.sinks.live.model import Entry, Ident, Shape, Table
from kwatch.sinks.live.screen import LONGEST, Line, Segment, Style, cell, clip, cut_middle, segment
from kwatch.text import inert

HOLD_SECONDS = 3.0
"""How long a row stays in view at the least, once it came into it."""
GAP = 3
TIGHT_GAP = 2
"""Columns between columns, where there is room, and where there isn't."""

IMPORTANCE = {
    "NAME": 100, "STATUS": 95, "HEALTH STATUS": 94, "PHASE": 93, "MESSAGE": 92, "REASON": 91,
    "NAMESPACE": 90, "CLUSTER": 89, "READY": 88, "AGE": 80, "LAST SEEN": 80, "RESTARTS": 75, "OBJECT": 70, "TYPE": 65,
    "NODE": 40, "IP": 30, "LABELS": 6, "SELECTOR": 5, "IMAGES": 8, "CONTAINERS": 7,
    "NOMINATED NODE": 2, "READINESS GATES": 1,
}  # fmt: skip
"""Which column goes first where not all fit: the least. One that isn't here has OTHER, less the further right."""
OTHER = 50
LEAST = {"NAME": 20, "STATUS": 18, "MESSAGE": 20}
LEAST_OF_ANY = 22
"""Columns that a wide column keeps before another one is dropped."""
LEAST_OF_ALL = 6
"""What the last ones shrink to."""
TICKING = frozenset({"RESTARTS", "LAST SEEN"})
"""Columns in which the server says how long ago something was: `3 (5m ago)`, `2m10s`."""
_AGO = re.compile(r"(?:\(|^)([0-9a-z]+)(?: ago\)|$)")
AGE_WIDTH = 5
"""An age grows from 59s to 2m10s; its column needn't."""

STYLES: dict[tuple[Health, bool], Style] = {
    (Health.DONE, False): "quiet",
    (Health.GOOD, False): "plain",
    (Health.BUSY, False): "busy",
    (Health.WARN, False): "warn",
    (Health.BAD, False): "bad",
    (Health.DONE, True): "fresh",
    (Health.GOOD, True): "fresh",
    (Health.BUSY, True): "busy fresh",
    (Health.WARN, True): "warn fresh",
    (Health.BAD, True): "bad fresh",
}
"""The style of a cell: its health, and whether it changed just now."""
MARKS: dict[str, Style] = {"+": "new", "~": "fresh", "-": "gone", "!": "bad", "": "plain"}
"""What stands before a row, for those who don't see colours: new, changed, gone, in need of attention."""
GUTTER = 2
WORDS = 6
"""How many different words are counted; the others are summed up."""
DOT = segment(" · ", "quiet")


@dataclass(frozen=True, slots=True)
class Look:
    """What the command line says about how a table looks."""

    headers: bool = True
    cluster: bool = False
    namespace: bool = False
    kind: bool = False


@dataclass(slots=True)
class View:
    """What is in view of a table: the rows with the time each came into it, and the widths reached so far."""

    rows: dict[Ident, float] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    emphasis_ends: float = float("inf")


def table_lines(
    table: Table, view: View, look: Look, columns: int, room: int, now: float, wall: datetime
) -> list[Line]:
    """At most `room` lines: the header, the rows that fit, and what the others are."""
    if not table.places or room <= 0:
        return []
    headers = look.headers and room > 1
    entries = _choose(table, view, room - headers, now, told=room - headers > headers)
    view.emphasis_ends = min((entry.ends(now) for entry in entries), default=float("inf"))
    shapes = [table.shape(entry.row.columns) for entry in entries]
    printed = [_printed(entry, shape, look, now, wall) for entry, shape in zip(entries, shapes, strict=True)]
    headings = list(dict.fromkeys(chain.from_iterable(printed)))
    widths = _widths(view, headings, printed)
    gap, chosen = fitting(widths, columns - GUTTER)
    lines = [_header(chosen, gap)] if headers and entries else []
    for entry, cells, shape in zip(entries, printed, shapes, strict=True):
        lines.append(_row(entry, cells, shape, chosen, gap, now))
    hidden = len(table) - sum(not entry.gone for entry in entries)
    if hidden and len(lines) < room:
        lines.append(_more(table, entries, hidden, columns))
    return [clip(line, columns) for line in lines]


def _choose(table: Table, view: View, room: int, now: float, *, told: bool) -> list[Entry]:
    """The rows to show, in order; if it is `told` what the others are, with a line to spare for it."""
    if len(table.places) <= room:
        entries = [table.entries[ident] for ident in table.idents()]
        view.rows = {entry.ident: view.rows.get(entry.ident, now) for entry in entries}
        return entries
    room -= told
    claims = table.idents() if table.ordered else _claims(table, view, room, now)
    view.rows = {ident: view.rows.get(ident, now) for ident in _first(claims, room)}
    return sorted((table.entries[ident] for ident in view.rows), key=lambda entry: entry.place)


def _first(idents: Iterable[Ident], room: int) -> dict[Ident, None]:
    """The first so many different ones."""
    chosen: dict[Ident, None] = {}
    for ident in idents:
        if len(chosen) >= room:
            break
        chosen[ident] = None
    return chosen


def _claims(table: Table, view: View, room: int, now: float) -> Iterator[Ident]:
    """Who should be in view, by claim: held; unhealthy, in two thirds of the room; changed last; the first."""
    entries = table.entries
    here = [ident for ident in view.rows if ident in entries]
    claimed = [ident for ident in here if ident in table.recent or ident in table.unhealthy]
    yield from (ident for ident in claimed if now - max(view.rows[ident], entries[ident].at) < HOLD_SECONDS)
    some = max(room * 2 // 3, 1)
    bad_here = [ident for ident in here if ident in table.unhealthy]
    yield from islice(chain(bad_here, reversed(table.unhealthy)), some)
    yield from reversed(table.recent)
    yield from reversed(table.unhealthy)
    yield from table.idents()


def _printed(entry: Entry, shape: Shape, look: Look, now: float, wall: datetime) -> dict[str, str]:
    cells = shape.layout.cells(entry.row, wall)
    cluster, namespace, _ = entry.ident
    leading: dict[str, str] = {}
    if look.cluster:
        leading["CLUSTER"] = inert(cluster)
    if look.namespace and shape.resource.namespaced:
        leading["NAMESPACE"] = inert(namespace)
    if look.kind and cells:
        cells[0] = f"{shape.resource.reference}/{cells[0]}"
    for name, text in zip(shape.names, cells, strict=True):
        leading[name] = text
    return leading | _grown(leading, now - entry.heard)


def _grown(cells: dict[str, str], seconds: float) -> dict[str, str]:
    """The cells that said how long ago something was, when the row came, and so say less than is true by now."""
    grown = {}
    for name in TICKING & cells.keys():
        ago = _AGO.search(cells[name])
        said = duration_seconds(ago[1]) if ago else None
        if ago and said is not None:
            text = cells[name]
            grown[name] = text[: ago.start(1)] + human_duration(said + int(seconds)) + text[ago.end(1) :]
    return grown


def _widths(view: View, headings: Sequence[str], printed: Sequence[dict[str, str]]) -> dict[str, int]:
    """The columns' natural widths, never less than before, so that the table doesn't jump."""
    for name in headings:
        least = AGE_WIDTH if name == AGE else 0
        texts = [cells.get(name, "")[:LONGEST] for cells in printed]
        longest = max((len(text) if text.isascii() else width(text) for text in texts), default=0)
        view.widths[name] = max(view.widths.get(name, 0), longest, width(name), least)
    return {name: view.widths[name] for name in headings}


def fitting(widths: dict[str, int], columns: int) -> tuple[int, dict[str, int]]:
    """The gap, and the columns to show with their widths, in so many terminal columns.

    All as wide as they are, if they fit; else closer, wide ones cut, and the least important left out.
    """
    for gap in (GAP, TIGHT_GAP):
        if sum(widths.values()) + gap * (len(widths) - 1) <= columns:
            return gap, widths
    importance = {name: IMPORTANCE.get(name, OTHER - place / 100) for place, name in enumerate(widths)}
    least = {name: min(size, LEAST.get(name, LEAST_OF_ANY)) for name, size in widths.items()}
    while len(least) > 2 and sum(least.values()) + TIGHT_GAP * (len(least) - 1) > columns:
        del least[min(least, key=importance.__getitem__)]
    if sum(least.values()) + TIGHT_GAP * (len(least) - 1) > columns:
        least = {name: min(size, LEAST_OF_ALL) for name, size in least.items()}
        importance["NAME"] = -1  # what is missing amid a name is missed least
    spare = columns - sum(least.values()) - TIGHT_GAP * (len(least) - 1)
    for name in sorted(least, key=importance.__getitem__, reverse=True):
        more = max(min(widths[name] - least[name], spare), 0)
        least[name] += more
        spare -= more
    return TIGHT_GAP, least


def _header(chosen: dict[str, int], gap: int) -> Line:
    return _line(cell("", GUTTER), [cell(name.partition("\0")[0], size, "head") for name, size in chosen.items()], gap)


def _row(entry: Entry, cells: dict[str, str], shape: Shape, chosen: dict[str, int], gap: int, now: float) -> Line:
    fresh_row = entry.fresh(now)
    changed = {shape.name_of.get(index) for index in entry.fresh_cells(now)} if entry.cells else ()
    mark = entry.mark if fresh_row else "~" if changed else ""
    if mark in ("", "~") and entry.health >= Health.WARN:
        mark = "!"
    parts = []
    for name, size in chosen.items():
        text = cells.get(name, "")
        if name == "NAME":
            text = cut_middle(text, size)
        parts.append(cell(text, size, _style(entry, name, fresh_row, name in changed)))
    return _line(cell(mark, GUTTER, MARKS[mark]), parts, gap)


def _style(entry: Entry, name: str, fresh_row: bool, changed: bool) -> Style:
    if entry.gone:
        return "gone"
    health = entry.verdict.cells.get(name)
    if health is None:
        plain: Style = "fresh" if changed else "new" if fresh_row and entry.mark == "+" else "plain"
        return "quiet" if plain == "plain" and entry.health is Health.DONE else plain
    if health is Health.BUSY and entry.health is Health.BAD:
        health = Health.BAD  # for too long
    style = STYLES[health, changed]
    return "new" if style == "plain" and fresh_row and entry.mark == "+" else style


def _line(gutter: Segment, parts: Sequence[Segment], gap: int) -> Line:
    blank = Segment(" " * gap, "plain", gap)
    line = [gutter]
    for part in parts:
        line += (part, blank)
    line.pop()
    last = line[-1]
    if last.text.endswith(" "):
        line[-1] = segment(last.text.rstrip(" "), last.style)
    return tuple(line)


def _more(table: Table, shown: Sequence[Entry], hidden: int, columns: int) -> Line:
    """`… 312 more (all Running)`."""
    in_view = Counter(entry.verdict.word for entry in shown if not entry.gone)
    left = [(word, count - in_view[word]) for word, count in table.words() if count > in_view[word]]
    line = (segment(f"… {hidden:,} more", "quiet"),)
    room = columns - line[0].width - len(" ()")
    told = told_counts(table, left, room)
    if len(left) == 1 and left[0][1] == hidden:
        all_of_them = _counted(table, left[0][0], f"all {inert(left[0][0])}")
        told = [all_of_them] if all_of_them.width <= room else []
    return (*line, segment(" (", "quiet"), *told, segment(")", "quiet")) if told else line


def told_counts(table: Table, words: Sequence[tuple[str, int]], room: int) -> list[Segment]:
    """`40 Running · 2 Pending · 3 other` in so many columns; nothing where not even one has room.

    What needs attention is told rather than what there is most of.
    """
    claims = sorted(words, key=lambda each: table.healths.get(each[0], Health.GOOD) < Health.WARN)
    for number in range(min(len(words), WORDS), 0, -1):
        chosen, left = claims[:number], sum(count for _, count in claims[number:])
        parts = [_counted(table, word, f"{count:,} {inert(word)}") for word, count in words if (word, count) in chosen]
        other = [segment(f"{left:,} other", "quiet")] * (left > 0)
        for told in (parts + other, parts[: number == 1]):
            if told and sum(part.width + DOT.width for part in told) - DOT.width <= room:
                return [each for part in told for each in (DOT, part)][1:]
    return []


def _counted(table: Table, word: str, text: str) -> Segment:
    """A count of rows by their word, in its style; the normal is quiet."""
    style = STYLES[table.healths.get(word, Health.GOOD), False]
    return segment(text, "quiet" if style == "plain" else style)
