"""`-o nodes`: the nodes with the pods on each as blocks, coloured by health; those without a node aside.

Drawn from the rows of two tables: a pod's NODE, STATUS and READY stand in its row. A pod keeps its place among the
blocks of its node for as long as it lives, so that nothing moves but what changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from kwatch.columns import cell as printed
from kwatch.columns import width
from kwatch.model import Resource, Row
from kwatch.sinks.live.health import Health
from kwatch.sinks.live.layout import STYLES
from kwatch.sinks.live.model import EMPHASIS_SECONDS, Entry, Group, Ident, Table
from kwatch.sinks.live.screen import Line, Segment, Style, cell, clip, cut_middle, segment
from kwatch.text import inert

BLOCKS: dict[Health, tuple[str, str]] = {
    Health.GOOD: ("■", "running"),
    Health.BUSY: ("◧", "under way"),
    Health.WARN: ("▲", "warning"),
    Health.BAD: ("✖", "in trouble"),
    Health.DONE: ("□", "completed"),
}
"""A pod by its health, and the word of the legend; the shapes tell them apart without the colours."""
GONE = "·"
GAP = 2
"""Columns between boxes."""
FRAME = 4
"""Columns of a box that are its edges."""
NO_NODE = ("", "<none>")
LEAST_WIDTH = 24
"""Columns of a node's box; as many boxes stand side by side as there is room for."""
LEAST_LINES = 3
"""Lines of blocks that a box keeps, where not all of its pods have room, before other boxes give way."""
TROUBLES = 5
"""Unhealthy pods that are named below the nodes."""
_BLANK = segment(" ")


class Slots:
    """The places of a node's pods: one that comes takes the first free one, and keeps it."""

    def __init__(self) -> None:
        self._places: dict[Ident, int] = {}

    def arrange(self, pods: Sequence[Entry], room: int) -> list[Entry | None]:
        """The pods by place; None where there is a gap. Who is beyond `room`, now that others went, moves into one."""
        room = max(room, len(pods))
        here = {pod.ident for pod in pods}
        kept = {ident: place for ident, place in self._places.items() if ident in here and place < room}
        taken = set(kept.values())
        free = (place for place in range(room) if place not in taken)
        self._places = kept | {pod.ident: next(free) for pod in pods if pod.ident not in kept}
        row: list[Entry | None] = [None] * (max(self._places.values(), default=-1) + 1)
        for pod in pods:
            row[self._places[pod.ident]] = pod
        return row


class Title(NamedTuple):
    """What stands in a box's upper edge: the node, its status, how many pods; and whether the status must be seen."""

    name: Segment
    status: Segment
    pods: Segment
    alarming: bool

    @property
    def width(self) -> int:
        """Columns of all of it."""
        return self.name.width + self.status.width + self.pods.width

    def within(self, columns: int) -> list[Segment]:
        """As much of it as there is room for, and nothing but the name is ever cut."""
        name, status, pods, alarming = self
        for parts in ([name, status, pods], [name, status if alarming else pods]):
            if sum(part.width for part in parts) <= columns:
                return parts
        return list(clip([name], columns))


class Box(NamedTuple):
    """A node as it is to be drawn, before it is known whether it fits: its pods are looked at when it does."""

    group: Group
    title: Title
    pods: int
    troubled: bool


class Grid:
    """The picture of `kwatch pods -o nodes`."""

    def __init__(self, tables: Mapping[Resource, Table]) -> None:
        self._tables = tables
        self._slots: dict[Group, Slots] = {}
        self._ends = float("inf")

    def emphasis_ends(self) -> float:
        """The earliest of all pods in view."""
        return self._ends

    def lines(self, status: Line, size: tuple[int, int], now: float, wall: datetime) -> list[Line]:
        """The lines of the screen: nodes, those without, troubles, legend, status."""
        columns, room = size[0] - 1, size[1] - 1
        pods, nodes = self._table("Pod"), self._table("Node")
        if pods is None or room <= 0:
            return [status]
        self._ends = float("inf")
        below = [*_troubles(pods, columns, now), _legend(pods, columns)][-max(room - 4, 0) :] if room > 4 else []
        aside = self._unscheduled(pods, columns, now)
        boxes = _boxes(pods, nodes)
        lines = self._side_by_side(pods, boxes, columns, max(room - len(below) - len(aside), 1), now)
        return [*[clip(line, columns) for line in (*lines, *aside, *below)][:room], status]

    def _table(self, kind: str) -> Table | None:
        return next((table for resource, table in self._tables.items() if resource.kind == kind), None)

    def _unscheduled(self, pods: Table, columns: int, now: float) -> list[Line]:
        waiting = [ident for group, idents in pods.groups.items() if not group[1] for ident in idents]
        if not waiting:
            return []
        title = segment(f"no node yet {len(waiting):,}  ", "head")
        room = max((columns - title.width + 1) // 2, 0)
        blocks = [self._block(pods.entries[ident], now) for ident in sorted(waiting)[:room]]
        return [(title, *_spaced(blocks)), ()]

    def _side_by_side(self, pods: Table, boxes: Sequence[Box], columns: int, room: int, now: float) -> list[Line]:
        """The boxes in rows as wide as the terminal; where not all fit, those with trouble, and how many more."""
        widest = max((box.title.width for box in boxes), default=0)
        across = max(min((columns + GAP) // (max(LEAST_WIDTH, widest + 6) + GAP), len(boxes)), 1)
        across = -(-len(boxes) // -(-len(boxes) // across)) if boxes else 1
        inside = max((columns + GAP) // across - GAP - FRAME, 1)
        most = _block_lines(boxes, across, inside, room)
        fitting = _fitting(boxes, across, inside, most, room)
        lines: list[Line] = []
        for start in range(0, len(fitting), across):
            lines += self._row_of_boxes(pods, fitting[start : start + across], inside, most, now)
        hidden = len(boxes) - len(fitting)
        return [*lines, (segment(f"… {hidden:,} more node{'s' * (hidden > 1)}", "quiet"),)] if hidden else lines

    def _row_of_boxes(self, pods: Table, boxes: Sequence[Box], inside: int, most: int, now: float) -> list[Line]:
        rows = max(min(max(_lines_of(box, inside) for box in boxes), most), 1)
        blocks = [self._blocks(pods, box.group, inside, rows, now) for box in boxes]
        lines = [_beside([_top(box, inside) for box in boxes])]
        lines += [_beside([_inside(each[row : row + 1], inside) for each in blocks]) for row in range(rows)]
        return [*lines, _beside([[segment(f"╰{'─' * (inside + 2)}╯", "quiet")] for _ in boxes])]

    def _blocks(self, pods: Table, group: Group, inside: int, rows: int, now: float) -> list[Line]:
        """The lines of blocks of a node, at most so many; the last one says how many pods have no room."""
        slots = self._slots.setdefault(group, Slots())
        members = [pods.entries[ident] for ident in sorted(pods.groups.get(group, ()))]
        across = _blocks_across(inside)
        places = slots.arrange(members, rows * across)
        shown = places if len(places) <= rows * across else places[: (rows - 1) * across]
        blocks = [self._block(pod, now) for pod in shown]
        lines = [tuple(_spaced(blocks[start : start + across])) for start in range(0, len(blocks), across)]
        hidden = sum(pod is not None for pod in places[len(shown) :])
        return [*lines, clip((segment(f"… {hidden:,} more", "quiet"),), inside)] if hidden else lines

    def _block(self, pod: Entry | None, now: float) -> Segment:
        if pod is None:
            return _BLANK
        self._ends = min(self._ends, pod.ends(now))
        if pod.gone:
            return Segment(GONE, "gone", 1)
        fresh = now < pod.at + EMPHASIS_SECONDS
        style = STYLES[pod.health, fresh]
        style = {"plain": "good", "fresh": "new"}.get(style, style)  # type: ignore[assignment]
        return Segment(BLOCKS[pod.health][0], style, 1)


def node_of(row: Row) -> str:
    """The name of the node that a pod is on, or "" for none yet."""
    for place, column in enumerate(row.columns):
        if column.name in ("Node", "NODE") and place < len(row.cells):
            name = printed(row.cells[place])
            return "" if name in NO_NODE else name
    return ""


def _boxes(pods: Table, nodes: Table | None) -> list[Box]:
    """One for each node, in their order; nodes that nobody may list are known by their pods."""
    known = {(ident[0], ident[2]): nodes.entries[ident] for ident in nodes.idents()} if nodes else {}
    troubled = {pods.entries[ident].group for ident in pods.unhealthy}
    boxes = []
    for group in sorted(known.keys() | {group for group in pods.groups if group[1]}):
        node, count = known.get(group), pods.members[group]
        bad = group in troubled or (node is not None and node.health >= Health.WARN)
        boxes.append(Box(group, _title(group, node, count), len(pods.groups.get(group, ())), bad))
    return boxes


def _block_lines(boxes: Sequence[Box], across: int, inside: int, room: int) -> int:
    """The most lines of blocks in a box: those it takes, fewer if all boxes fit then, or else a row of them."""
    if _height(boxes, across, inside, LEAST_LINES) > room:
        return max(room - 3, 1)
    fitting = (most for most in range(room, LEAST_LINES, -1) if _height(boxes, across, inside, most) <= room)
    return next(fitting, LEAST_LINES)


def _fitting(boxes: Sequence[Box], across: int, inside: int, most: int, room: int) -> list[Box]:
    """As many as there are lines for: the last ones without trouble give way first."""
    if _height(boxes, across, inside, most) <= room:
        return list(boxes)
    order = sorted(range(len(boxes)), key=lambda place: (not boxes[place].troubled, place))
    chosen: list[int] = []
    for start in range(0, len(order), across):
        more = chosen + order[start : start + across]
        if _height([boxes[place] for place in more], across, inside, most) + 1 > room:
            break
        chosen = more
    return [boxes[place] for place in sorted(chosen)]


def _height(boxes: Sequence[Box], across: int, inside: int, most: int) -> int:
    """Lines of the boxes, so many side by side: the upper edge, at most `most` of blocks, the lower edge."""
    rows = (boxes[start : start + across] for start in range(0, len(boxes), across))
    return sum(2 + max(min(max(_lines_of(box, inside) for box in row), most), 1) for row in rows)


def _lines_of(box: Box, inside: int) -> int:
    return -(-box.pods // _blocks_across(inside))


def _blocks_across(inside: int) -> int:
    return max((inside + 1) // 2, 1)


def _title(group: Group, node: Entry | None, count: int) -> Title:
    cluster, name = group
    title = segment(inert(f"{cluster}/{name}" if cluster else name), "head")
    pods = segment(f" · {count:,}", "quiet")
    if node is None:
        return Title(title, segment(""), pods, alarming=False)
    health = node.verdict.word_health
    word: Style = "gone" if node.gone else "quiet" if health is Health.GOOD else STYLES[health, False]
    mark = "! " if health >= Health.WARN else ""
    return Title(title, segment(f" {mark}{inert(node.verdict.word)}", word), pods, alarming=health >= Health.WARN)


def _spaced(blocks: Sequence[Segment]) -> list[Segment]:
    return [part for block in blocks for part in (block, _BLANK)][:-1]


def _top(box: Box, inside: int) -> list[Segment]:
    """The upper edge of a box, the title in it."""
    title = box.title.within(inside)
    rest = inside - sum(part.width for part in title)
    return [segment("╭ ", "quiet"), *title, segment(f" {'─' * rest}╮", "quiet")]


def _inside(lines: Sequence[Line], inside: int) -> list[Segment]:
    """A line of blocks between the edges, or where there is none, a blank one."""
    blocks = lines[0] if lines else ()
    edge = segment(" " * (inside - sum(part.width for part in blocks)) + " │", "quiet")
    return [segment("│ ", "quiet"), *blocks, edge]


def _beside(boxes: Sequence[Sequence[Segment]]) -> Line:
    """Lines of boxes as one."""
    gap = Segment(" " * GAP, "plain", GAP)
    return tuple([part for box in boxes for part in (*box, gap)][:-1])


def _troubles(pods: Table, columns: int, now: float) -> list[Line]:
    """Which pods are unhealthy, the last ones first, and what their STATUS says."""
    entries = [pods.entries[ident] for ident in islice(reversed(pods.unhealthy), TROUBLES)]
    words = max((width(inert(entry.verdict.word)) for entry in entries), default=0)
    room = max(columns - words - len("✖   "), columns // 2, 1)
    names = [cut_middle(inert("/".join(filter(None, entry.ident))), room) for entry in entries]
    longest = max(map(width, names), default=0)
    lines: list[Line] = []
    for entry, name in zip(entries, names, strict=True):
        mark = segment(f"{BLOCKS[entry.health][0]} ", STYLES[entry.health, False])
        word = segment(inert(entry.verdict.word), STYLES[entry.health, entry.fresh(now)])
        line = (mark, cell(name, longest + 2), word)
        node = segment(f"  on {inert(entry.group[1])}" if entry.group[1] else "", "quiet")
        fits = sum(part.width for part in (*line, node)) <= columns
        lines.append((*line, node) if fits else line)
    more = len(pods.unhealthy) - len(lines)
    if more:
        lines.append((segment(f"… {more:,} more in trouble", "quiet"),))
    return [clip(line, columns) for line in lines]


def _legend(pods: Table, columns: int) -> Line:
    """The shapes that are to be seen, with how many of each; where there is little room, without their words."""
    told: list[tuple[Segment, str, str]] = []
    line: list[Segment] = []
    for health, (block, word) in BLOCKS.items():
        if count := pods.by_health[health]:
            style = STYLES[health, False]
            told.append((segment(block, "good" if style == "plain" else style), f" {count:,}", f" {word}"))
    if gone := len(pods.places) - len(pods):
        told.append((segment(GONE, "gone"), f" {gone:,}", " gone"))
    for words, gap in ((True, 3), (True, 2), (False, 2)):
        line = []
        for shape, number, meaning in told:
            line += [shape, segment(number + (meaning if words else ""), "quiet"), segment(" " * gap)]
        if sum(part.width for part in line) - gap <= columns:
            break
    return clip(line[:-1], columns)
