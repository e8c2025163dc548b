"""The rows as they are, what changed when, how many of each there are, and their order: all kept as events come.

Pure: `now` (monotonic seconds) and `wall` (the time of day) are arguments. An event costs the same among 50,000 rows
as among five, save for a move within the sorted list; nothing here walks all rows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from kwatch.columns import Layout, View, age_index, shown
from kwatch.model import Change, Column, Resource, Row
from kwatch.sinks.live.health import PATIENCE_SECONDS, Health, Judge, Verdict

EMPHASIS_SECONDS = 3.0
"""How long a change and a new row stand out."""
LINGER_SECONDS = 5.0
"""How long a deleted row stays, dimmed."""
RECENT = 1024
"""Of how many rows the order of their last changes is kept: more than a terminal has lines."""
MANY_WORDS = 64
"""Different words from which on they are texts, and counting them says nothing."""
_MANY = 256
"""Rows that go at once, from which on the order is made anew rather than mended."""

Ident = tuple[str, str, str]
"""(cluster, namespace, name): what tells a table's rows apart."""
Group = tuple[str, str]
"""(cluster, node): what rows are gathered by, where they are."""
Place = Any
"""Where a row stands in the order: its Ident; where a person asked for an order (the value it is sorted by, Ident)."""


class Entry:
    """A row. `since`: when what it is judged by changed; `at`: when a printed cell did; `cells`: which, and when.

    `heard`: when the row came, for it may say how long ago something was.
    """

    __slots__ = ("at", "cells", "gone", "group", "health", "heard", "ident", "mark", "place", "row", "since", "verdict")

    def __init__(self, ident: Ident, row: Row, verdict: Verdict) -> None:
        self.ident = ident
        self.row = row
        self.verdict = verdict
        self.health = verdict.health
        self.since = self.at = self.heard = float("-inf")
        self.mark = ""
        self.cells: tuple[tuple[int, float], ...] = ()
        self.gone = False
        self.group: Group = ("", "")
        self.place: Place = ident

    def fresh(self, now: float) -> bool:
        """Whether the row itself stands out still: new, or gone."""
        return self.gone or (self.mark != "" and now < self.at + EMPHASIS_SECONDS)

    def fresh_cells(self, now: float) -> frozenset[int]:
        """The server's columns in which something changed of late."""
        return frozenset(index for index, at in self.cells if now < at + EMPHASIS_SECONDS)

    def ends(self, now: float) -> float:
        """When its emphasis ends; infinity where it has none."""
        times = [at + EMPHASIS_SECONDS for _, at in self.cells] + [self.at + EMPHASIS_SECONDS]
        return min((time for time in times if time > now), default=float("inf"))


class Shape:
    """What rows of the same columns have in common: how they are printed, judged and compared.

    `names` are the headings, a NUL after one that comes a second time; `name_of` is the name of a server's
    column, and of a label's below zero.
    """

    def __init__(self, resource: Resource, columns: tuple[Column, ...], view: View) -> None:
        self.resource = resource
        self.columns = columns
        self.layout = Layout(columns, view)
        self.judge = Judge(resource, columns)
        indexes, age = shown(columns, wide=view.wide), age_index(columns)
        self._compared = [index for index in indexes if index != age]
        self._labels = (*view.label_columns, *[None] * view.labels)
        self.names = _different(self.layout.headings)
        places = (*indexes, *range(-1, -1 - len(self._labels), -1))
        self.name_of = dict(zip(places, self.names, strict=True))

    def changed(self, old: Row, new: Row) -> list[int]:
        """The printed columns, the age aside, in which the rows differ."""
        labels = self._changed_labels(old.labels, new.labels) if self._labels else []
        if old.cells == new.cells:
            return labels
        before, after = old.cells, new.cells
        if len(before) != len(after):
            return [*self._compared, *labels]
        cells = [index for index in self._compared if index < len(after) and before[index] != after[index]]
        return cells + labels

    def _changed_labels(self, old: Mapping[str, str], new: Mapping[str, str]) -> list[int]:
        places = enumerate(self._labels)
        return [-1 - place for place, key in places if (old != new if key is None else old.get(key) != new.get(key))]


class Table:
    """The rows of one type."""

    def __init__(
        self,
        resource: Resource,
        view: View,
        order: Callable[[Change], Any] | None = None,
        group: Callable[[Row], str] | None = None,
    ) -> None:
        """`order` gives what comes before cluster, namespace and name in the order; `group` a row's group."""
        self.resource = resource
        self.entries: dict[Ident, Entry] = {}
        self.places: list[Place] = []
        self.counts: Counter[str] = Counter()
        self.healths: dict[str, Health] = {}
        self.by_health: Counter[Health] = Counter()
        self.unhealthy: OrderedDict[Ident, None] = OrderedDict()
        self.recent: OrderedDict[Ident, None] = OrderedDict()
        self.groups: dict[Group, dict[Ident, None]] = {}
        self.members: Counter[Group] = Counter()
        self._view = view
        self._order = order
        self._group = group
        self._shapes: list[Shape] = []
        self._busy: dict[Ident, float] = {}
        self._gone: deque[Entry] = deque()

    def __len__(self) -> int:
        return self.counts.total()

    @property
    def ordered(self) -> bool:
        """Whether a person asked for this order."""
        return self._order is not None

    def words(self) -> list[tuple[str, int]]:
        """The words that rows are counted by, the most frequent first; none where nearly each row has its own."""
        if len(self.counts) > MANY_WORDS:
            return []
        return [(word, count) for word, count in self.counts.most_common() if word]

    def idents(self) -> Iterable[Ident]:
        """All rows in order, those that are gone but linger too."""
        return self.places if self._order is None else (place[1] for place in self.places)

    def shape(self, columns: tuple[Column, ...]) -> Shape:
        """The shape of rows with these columns."""
        for index, shape in enumerate(self._shapes):
            if shape.columns is columns:
                if index:
                    self._shapes.insert(0, self._shapes.pop(index))
                return shape
        equal = next((shape for shape in self._shapes if shape.columns == columns), None)
        found = equal or Shape(self.resource, columns, self._view)
        if equal is None:
            self._shapes.insert(0, found)
        return found

    def apply(self, cluster: str, changes: Iterable[Change], now: float, wall: datetime) -> None:
        """Take changes in, in order."""
        for change in changes:
            ident = (cluster, *change.key)
            if change.type == "DELETED":
                self._delete(ident, change, now)
            else:
                self._put(ident, change, now, wall)

    def expire(self, now: float) -> bool:
        """Let go of rows deleted long enough ago, and lose patience with those on their way for too long.

        Whether anything came of it.
        """
        overdue = [ident for ident, due in self._busy.items() if due <= now] if self._busy else []
        for ident in overdue:
            del self._busy[ident]
            self._heal(self.entries[ident], Health.BAD)
        leaving: list[Entry] = []
        while self._gone and self._gone[0].at + LINGER_SECONDS <= now:
            leaving.append(self._gone.popleft())
        self._leave([entry for entry in leaving if self.entries.get(entry.ident) is entry])
        return bool(overdue or leaving)

    def _put(self, ident: Ident, change: Change, now: float, wall: datetime) -> None:
        row: Row = change.state
        shape = self.shape(row.columns)
        verdict = shape.judge(row.cells)
        entry = self.entries.get(ident)
        if entry is None or entry.gone:
            self._add(ident, change, verdict, now, wall)
            return
        if entry.row.columns is row.columns or entry.row.columns == row.columns:
            self._mark(entry, shape.changed(entry.row, row), now)
        if entry.verdict is not verdict:
            self._uncount(entry)
            entry.verdict, entry.since = verdict, now
            self._count(entry)
            self._judge(entry, now)
        entry.row, entry.heard = row, now
        if self._order is not None:
            self._move(entry, change)
        if self._group is not None:
            self._regroup(entry)

    def _add(self, ident: Ident, change: Change, verdict: Verdict, now: float, wall: datetime) -> None:
        old = self.entries.get(ident)
        if old is not None:
            self._leave([old])
        entry = self.entries[ident] = Entry(ident, change.state, verdict)
        entry.since = entry.heard = now
        if change.initial:
            entry.since -= _seconds_old(change.state, wall)
        else:
            entry.mark, entry.at = "~" if change.type == "MODIFIED" else "+", now
            self._touch(ident, now)
        self.by_health[entry.health] += 1
        entry.place = self._place(entry, change)
        insort(self.places, entry.place)
        if self._group is not None:
            entry.group = (ident[0], self._group(entry.row))
            self.groups.setdefault(entry.group, {})[ident] = None
        self._count(entry)
        self._judge(entry, now)

    def _mark(self, entry: Entry, changed: Sequence[int], now: float) -> None:
        """Note which cells changed; a new row stays a new one while that stands out."""
        if not changed:
            return
        still = [each for each in entry.cells if now - each[1] < EMPHASIS_SECONDS and each[0] not in changed]
        entry.cells = (*still, *((index, now) for index in changed))
        if entry.mark != "+" or now - entry.at >= EMPHASIS_SECONDS:
            entry.mark, entry.at = "~", now
        self._touch(entry.ident, now)

    def _touch(self, ident: Ident, now: float) -> None:
        """The row is the one that changed last. Of those that stand out no more, only so many are kept in mind."""
        self.recent[ident] = None
        self.recent.move_to_end(ident)
        while len(self.recent) > RECENT:
            oldest = self.entries[next(iter(self.recent))]
            if now - oldest.at < EMPHASIS_SECONDS:
                break
            oldest.cells = ()
            self.recent.popitem(last=False)

    def _delete(self, ident: Ident, change: Change, now: float) -> None:
        entry = self.entries.get(ident)
        if entry is None or entry.gone:
            return
        self._uncount(entry)
        self.by_health[entry.health] -= 1
        self._busy.pop(ident, None)
        self.unhealthy.pop(ident, None)
        entry.row, entry.gone, entry.mark, entry.at, entry.cells = change.state, True, "-", now, ()
        self._gone.append(entry)
        self._touch(ident, now)

    def _leave(self, leaving: Sequence[Entry]) -> None:
        for entry in leaving:
            del self.entries[entry.ident]
            self.recent.pop(entry.ident, None)
            if self._group is not None:
                self._ungroup(entry)
        if len(leaving) > _MANY:
            self.places = [self.entries[ident].place for ident in self.idents() if ident in self.entries]
            return
        for entry in leaving:
            del self.places[bisect_left(self.places, entry.place)]

    def _regroup(self, entry: Entry) -> None:
        group = (entry.ident[0], self._group(entry.row) if self._group else "")
        if group != entry.group:
            self._ungroup(entry)
            self.members[entry.group] -= 1
            self.members[group] += 1
            entry.group = group
            self.groups.setdefault(group, {})[entry.ident] = None

    def _ungroup(self, entry: Entry) -> None:
        members = self.groups[entry.group]
        del members[entry.ident]
        if not members:
            del self.groups[entry.group]

    def _count(self, entry: Entry) -> None:
        word = entry.verdict.word
        self.counts[word] += 1
        self.members[entry.group] += 1
        self.healths[word] = entry.verdict.word_health

    def _uncount(self, entry: Entry) -> None:
        word = entry.verdict.word
        self.counts[word] -= 1
        self.members[entry.group] -= 1
        if not self.counts[word]:
            del self.counts[word], self.healths[word]

    def _judge(self, entry: Entry, now: float) -> None:
        self._busy.pop(entry.ident, None)
        health = entry.verdict.health
        if health is Health.BUSY:
            due = entry.since + PATIENCE_SECONDS
            if due <= now:
                health = Health.BAD
            else:
                self._busy[entry.ident] = due
        self._heal(entry, health)

    def _heal(self, entry: Entry, health: Health) -> None:
        self.by_health[entry.health] -= 1
        self.by_health[health] += 1
        entry.health = health
        if health >= Health.WARN:
            self.unhealthy[entry.ident] = None
            self.unhealthy.move_to_end(entry.ident)
        else:
            self.unhealthy.pop(entry.ident, None)

    def _place(self, entry: Entry, change: Change) -> Place:
        return entry.ident if self._order is None else (self._order(change), entry.ident)

    def _move(self, entry: Entry, change: Change) -> None:
        place = self._place(entry, change)
        if place != entry.place:
            del self.places[bisect_left(self.places, entry.place)]
            entry.place = place
            insort(self.places, place)


def _different(headings: Sequence[str]) -> list[str]:
    names: list[str] = []
    for name in headings:
        while name in names:
            name += "\0"
        names.append(name)
    return names


def _seconds_old(row: Row, wall: datetime) -> float:
    """How long a row that was there at the start may have been as it is: since it was created, at the most."""
    try:
        created = datetime.strptime(row.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    return max((wall - created).total_seconds(), 0.0)
