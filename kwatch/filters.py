"""Which objects a watch shows: `--where` on the cells of the table, `--name` on names, `--types` on events.

A filter sees (old, new): what enters it is an ADDED, what leaves it a DELETED, as under the server's own selectors,
so that replaying the output gives the filtered state. Pure: the time is an argument.
"""

from __future__ import annotations

import heapq
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from kwatch.columns import age, age_index, heading, plain, seconds_since
from kwatch.errors import UsageError
from kwatch.model import Batch, Change, ChangeType, Column, Key, Notice, Query, Resource, Row, Signal, Synced
from kwatch.readings import Reader, percent, quantity, readings, seconds

# Conditions


@dataclass(frozen=True, slots=True)
class Where:
    """One condition on a printed column, made by `parse_where`; `str()` gives it back as it was written."""

    text: str
    column: str
    operator: str
    value: str
    wanted: tuple[tuple[Reader, Any], ...]
    """For ordering: how to read a cell, and what it is compared with."""
    pattern: re.Pattern[str] | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def on_age(self) -> bool:
        """Whether the passing of time alone can change the answer."""
        return _same_name(self.column) == _AGE

    def test(self, query: Query, key: Key, row: Row, now: datetime) -> bool:
        """Whether it holds for the object `key` of `query`, its `row` as it is `now`. False where there is no such
        column. NAMESPACE, NAME, KIND and CLUSTER are always there, beside the server's columns, wide ones included."""
        place = _place(row.columns, self.column)
        if place < 0:
            return self._test_identity(query, key)
        if place == age_index(row.columns) and row.created:
            passed = seconds_since(row.created, now)
            if passed is not None:
                return self._test_age(passed, age(row.created, now))
        return self._test_cell(plain(row.cells[place]) if place < len(row.cells) else "")

    def due(self, row: Row, now: datetime) -> float | None:
        """In how many seconds the answer may be another although nothing happened to the row; None: never."""
        passed = seconds_since(row.created, now) if self.on_age and age_index(row.columns) >= 0 else None
        if passed is None:
            return None
        if self.operator in _ORDERS and (limit := self._age_limit()) is not None:
            return float(limit) - passed if passed <= limit else None
        return 1.0

    def differs_in_case(self, row: Row) -> str:
        """The row's cell, where but for capitals it is what `=` asks for; "" otherwise."""
        place = _place(row.columns, self.column) if self.operator in ("=", "==") else -1
        cell = plain(row.cells[place]) if 0 <= place < len(row.cells) else ""
        return cell if cell != self.value and cell.casefold() == self.value.casefold() else ""

    def check(self, columns: Sequence[Column], plural: str) -> None:
        """Raises UsageError, with the names there are, where a table of `columns` can't answer."""
        if not self.known_to(columns):
            raise UsageError(self._unknown(columns, plural))

    def known_to(self, columns: Sequence[Column]) -> bool:
        """Whether a table of `columns` has the column."""
        return _place(tuple(columns), self.column) >= 0 or _same_name(self.column) in _IDENTITY

    def _unknown(self, columns: Sequence[Column], plural: str) -> str:
        known = list(dict.fromkeys([*(heading(column) for column in columns), *_IDENTITY]))
        near = get_close_matches(self.column.upper(), known, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f'{self.text!r}: {plural} have no column "{self.column}"{hint} They have {", ".join(known)}'

    def _test_identity(self, query: Query, key: Key) -> bool:
        """Names are compared as text: `1` and `01` are two."""
        identity = _IDENTITY.get(_same_name(self.column))
        if identity is None:
            return False
        text = identity(query, key)
        return (
            (text == self.value) is _EQUALITIES[self.operator]
            if self.operator in _EQUALITIES
            else self._test_cell(text)
        )

    def _test_cell(self, cell: str) -> bool:
        if self.pattern is not None:
            return (self.pattern.search(cell) is not None) is _PATTERNS[self.operator]
        if self.operator in _ORDERS:
            return self._ordered(cell)
        return (cell == self.value or self._equal(cell)) is _EQUALITIES[self.operator]

    def _ordered(self, cell: str) -> bool:
        holds = _ORDERS[self.operator]
        return next((holds(found, bound) for read, bound in self.wanted if (found := read(cell)) is not None), False)

    def _equal(self, cell: str) -> bool:
        return any(read(cell) == bound for read, bound in self.wanted if read in _EQUATABLE)

    def _test_age(self, passed: float, printed: str) -> bool:
        limit = self._age_limit() if self.operator in _ORDERS else None
        return _ORDERS[self.operator](passed, limit) if limit is not None else self._test_cell(printed)

    def _age_limit(self) -> Fraction | None:
        limit = seconds(self.value)
        return limit if limit is not None else quantity(self.value)


def parse_where(text: str) -> Where:
    """The condition in `COLUMN OP VALUE`: blanks around the parts don't count, quotes keep them.

    The operator is one of `= == != =~ !~ > >= < <=`. Raises UsageError that says at which character it went wrong.
    """
    found = _COLUMN.match(text)
    if not found:
        raise _error(text, len(text) - len(text.lstrip()), "a column's name is missing; write 'STATUS!=Running'")
    name, end = (found["quoted"] or found["bare"]).strip("'\"").strip(), found.end()
    sign = _OPERATOR.match(text, end)
    if not sign:
        raise _error(text, end, f"there should be one of {_OPERATORS} after {name}")
    value, start = text[sign.end() :].strip(), len(text) - len(text[sign.end() :].lstrip())
    if sign[0] == "=" and _SWAPPED.match(value):
        raise _error(text, sign.start(), f'"={value[0]}" is no operator; write "{value[0]}="')
    if sign[0] == "<" and value.startswith(">"):
        raise _error(text, sign.start(), '"<>" is no operator; write "!="')
    if sign[0] in _ORDERS and value[:1] in ("<", ">", "="):
        raise _error(text, sign.start(), f'"{sign[0]}{value[0]}" is no operator; write one of {_OPERATORS}')
    if not value:
        raise _error(text, start, "a value is missing; write '' for an empty cell")
    if value[0] not in _QUOTES and (joined := _JOINED.search(value)):
        raise _error(text, start + joined.start(1), f"{_JOINTS[joined[1]]}; a value with {joined[1]} needs quotes")
    if value[0] not in _QUOTES and (second := _SECOND.search(value)):
        words = f"a second condition begins here; give {second[1]} a --where of its own, or put the value into quotes"
        raise _error(text, start + second.start(1), words)
    value, start = _unquoted(text, value, start)
    if _same_name(name) == _AGE and sign[0] in _ORDERS and seconds(value) is None and quantity(value) is None:
        raise _error(text, start, f"{value!r} is no age; write it as 30s, 5m, 2h30m or 7d")
    if sign[0] in _PATTERNS:
        return Where(text, name, sign[0], value, (), _pattern(text, value, start))
    return Where(text, name, sign[0], value, readings(value))


def _unquoted(text: str, value: str, start: int) -> tuple[str, int]:
    """The value without its quotes, and where it starts."""
    if value[0] not in _QUOTES:
        return value, start
    if len(value) < 2 or value[-1] != value[0]:
        raise _error(text, start, f"the quote {value[0]} isn't closed")
    return value[1:-1], start + 1


def _pattern(text: str, value: str, start: int) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's about its own future: of no use to who typed the pattern
            return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None) or 0
        reason = getattr(error, "msg", None) or "it is too large"
        raise _error(text, start + place, f"not a regular expression: {reason}") from None


def _error(text: str, place: int, reason: str) -> UsageError:
    return UsageError(f"{text!r}, at character {place + 1}: {reason}")


_COLUMN = re.compile(r"""\s*(?:(?P<quoted>"[^"]+"|'[^']+')|(?P<bare>[^\s=!<>~'"][^=!<>~'"]*))\s*""")
_OPERATOR = re.compile(r"==|!=|=~|!~|>=|<=|=|>|<")
_SWAPPED = re.compile(r"[>!]|<(?!\S*>)")
"""What follows `=` where `>=`, `<=` or `!=` was meant, and not a cell such as `<none>`."""
_QUOTES = "'\""
_JOINED = re.compile(r"\s(&&|\|\|)\s")
_JOINTS = {
    "&&": "this is one condition; give another --where for what else must hold",
    "||": "this is one condition; =~ takes alternatives, as 'STATUS=~Failed|Error'",
}
"""What shells and programs join conditions with, and what to do instead."""
_SECOND = re.compile(r"\s([A-Z][A-Z_-]*) ?(?:[!=]~|[=!<>]=?)")
"""What looks like another column, printed as columns are, and its operator."""
_OPERATORS = "= == != =~ !~ > >= < <="
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_EQUALITIES = {"=": True, "==": True, "!=": False}
_PATTERNS = {"=~": True, "!~": False}
_EQUATABLE = (seconds, quantity, percent)
"""Readings in which equal numbers are equal cells; `1/1` and `2/2` are not."""
_IDENTITY: dict[str, Callable[[Query, Key], str]] = {
    "NAMESPACE": lambda query, key: key[0],
    "NAME": lambda query, key: key[1],
    "KIND": lambda query, key: query.resource.kind,
    "CLUSTER": lambda query, key: query.cluster,
}
"""What an object is known by, whether the server has a column for it or not."""
_AGE = "AGE"
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def _same_name(name: str) -> str:
    """`Nominated Node`, `NOMINATED_NODE` and `nominated-node` are one; so are `PORT(S)` and `ports`."""
    return _BETWEEN_WORDS.sub(" ", name.translate({40: None, 41: None})).strip().upper()


@lru_cache(maxsize=1024)
def _place(columns: tuple[Column, ...], name: str) -> int:
    """Where the server has the column, or -1; the name of an object is known without."""
    wanted = _same_name(name)
    if wanted == "NAME":
        return -1
    return next((index for index, column in enumerate(columns) if _same_name(column.name) == wanted), -1)


# The filter


class _Known(NamedTuple):
    """An object whose age is watched: its last change, and whether it is in the filter."""

    change: Change
    inside: bool
    turn: int = 0
    """Which entry of the heap counts for it: an older one is of a row that is no more."""


class Filter:
    """A stage for the objects for which all of `wheres` hold and whose name one of the globs `names` matches.

    `now` tells the time, for ages; `waits`, whether more is to come after the first lists. Raises UsageError from
    `take` once it is known that no type of `queries` has a column that a condition asks for.
    """

    def __init__(
        self,
        queries: Iterable[Query],
        wheres: Iterable[Where],
        names: Iterable[str],
        now: Callable[[], datetime],
        *,
        waits: bool = True,
    ) -> None:
        self._wheres = tuple(wheres)
        self._names = tuple(names)
        self._now = now
        self._first = dict.fromkeys(queries, -1)  # objects of the first list, -1 until it is complete
        self._awaited = {query.resource for query in self._first}
        self._columns: dict[Resource, tuple[Column, ...]] = {}
        self._passed = False
        self._waits = waits
        self._near: dict[Where, str] = {}
        self._timed = any(where.on_age for where in self._wheres)
        self._known: dict[tuple[Query, Key], _Known] = {}
        self._due: list[tuple[float, int, Query, Key]] = []
        self._turn = 0

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch with what of its changes a reader of the filtered state has to know, and all of its signals."""
        now, query = self._now(), batch.query
        signals: list[Signal] = []
        for signal in batch.signals:
            if isinstance(signal, Change):
                signals += self._passing(query, signal, now)
            else:
                signals.append(signal)
                if isinstance(signal, Synced):
                    signals += self._synced(query, signal)
        return (Batch(query, signals, batch.failure),)

    def tick(self) -> Iterable[Batch]:
        """What entered or left by the passing of time alone (`AGE>1h`)."""
        now = self._now()
        found: list[Batch] = []
        while self._due and self._due[0][0] <= now.timestamp():
            _, turn, query, key = heapq.heappop(self._due)
            known = self._known.get((query, key))
            if known is not None and known.turn == turn:
                found += self._aged(query, known, now)
        return found

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()

    # Each change

    def _passing(self, query: Query, change: Change, now: datetime) -> list[Change]:
        if self._names and not any(fnmatchcase(change.key[1], pattern) for pattern in self._names):
            return []
        if not self._wheres:
            return self._counted(change)
        if change.state.columns is not self._columns.get(query.resource):
            self._learn(query.resource, change.state.columns)
        passed = self._remembering(query, change, now) if self._timed else self._compared(query, change, now)
        if not passed and not self._passed and change.initial:
            self._near |= {where: cell for where in self._wheres if (cell := where.differs_in_case(change.state))}
        return self._counted(passed) if passed else []

    def _counted(self, change: Change) -> list[Change]:
        self._passed = True
        return [change]

    def _test(self, query: Query, key: Key, row: Row, now: datetime) -> bool:
        return all(where.test(query, key, row, now) for where in self._wheres)

    def _compared(self, query: Query, change: Change, now: datetime) -> Change | None:
        """By the old row and the new one."""
        inside = self._test(query, change.key, change.state, now)
        before = inside and change.type == "DELETED"
        if change.old is not None:
            before = self._test(query, change.key, change.old, now)
        if change.type == "DELETED":
            return change if before else None
        return _crossing(change, before, inside)

    def _remembering(self, query: Query, change: Change, now: datetime) -> Change | None:
        """By what is remembered: an old row that was in the filter may by now be too old for it."""
        known = self._known.pop((query, change.key), None)
        before = known is not None and known.inside
        if change.type == "DELETED":
            return change if before else None
        inside = self._test(query, change.key, change.state, now)
        self._keep(query, change, inside, now)
        return _crossing(change, before, inside)

    # Time alone

    def _aged(self, query: Query, known: _Known, now: datetime) -> list[Batch]:
        change = known.change
        inside = self._test(query, change.key, change.state, now)
        self._keep(query, change, inside, now)
        crossed = _crossing(change, known.inside, inside) if inside is not known.inside else None
        return [Batch(query, [crossed])] if crossed else []

    def _keep(self, query: Query, change: Change, inside: bool, now: datetime) -> None:
        self._turn += 1
        quiet = change._replace(type="MODIFIED", old=change.state, initial=False, synthetic=False)
        self._known[query, change.key] = _Known(quiet, inside, self._turn)
        waits = [wait for where in self._wheres if (wait := where.due(change.state, now)) is not None]
        if waits:
            due = now.timestamp() + max(min(waits), 0.0) + _SETTLE
            heapq.heappush(self._due, (due, self._turn, query, change.key))

    # What there is to filter

    def _synced(self, query: Query, signal: Synced) -> list[Signal]:
        if signal.columns and self._wheres:
            self._learn(query.resource, signal.columns)
        if not signal.first:
            return []
        self._first[query] = signal.objects
        objects = sum(self._first.values())
        if self._passed or not objects or -1 in self._first.values():
            return []
        what = str(query) if len(self._first) == 1 else f"{len(self._first)} watches"
        count = f"none of {objects:,} objects passes" if objects > 1 else "the one object there is doesn't pass"
        waiting = "; waiting for one that does" if self._waits else ""
        meant = " or ".join(f"{where.column}{where.operator}{cell}" for where, cell in self._near.items())
        return [Notice(f"{what}: {count} {self}{f'; did you mean {meant}?' if meant else waiting}")]

    def __str__(self) -> str:
        return " ".join([*(f"--name {name!r}" for name in self._names), *(f"--where {str(w)!r}" for w in self._wheres)])

    def _learn(self, resource: Resource, columns: tuple[Column, ...]) -> None:
        self._columns[resource] = columns
        if self._awaited - self._columns.keys():
            return
        for where in self._wheres:
            if not any(where.known_to(each) for each in self._columns.values()):
                where.check(columns, resource.plural)


class OfTypes:
    """A stage that shows the changes of some types alone (`--types`); of no effect on what is known."""

    def __init__(self, types: Iterable[ChangeType]) -> None:
        self._types = frozenset(types)

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch without the changes of other types."""
        shown = [one for one in batch.signals if not isinstance(one, Change) or one.type in self._types]
        return (Batch(batch.query, shown, batch.failure),)

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()


_SETTLE = 0.01
"""Seconds after a limit at which `>` is true beyond doubt."""


def _crossing(change: Change, before: bool, inside: bool) -> Change | None:
    """What a change is to who sees the filtered state alone."""
    if before and inside:
        return change
    if inside:
        return change._replace(type="ADDED", old=None)
    return change._replace(type="DELETED", synthetic=True) if before else None
