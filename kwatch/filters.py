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
from kwatch.model import Change, Column, Key, Query, Row

# What a text can be read as


@lru_cache(maxsize=4096)
def quantity(text: str) -> Fraction | None:
    """A number or a Kubernetes quantity (`3`, `500m`, `2Gi`, `1e3`); of `3 (5m ago)` the number."""
    match = _QUANTITY.fullmatch(text)
    return Fraction(match["number"]) * _SUFFIXES[match["suffix"]] if match else None


@lru_cache(maxsize=4096)
def seconds(text: str) -> Fraction | None:
    """A duration with units, as kubectl prints ages and Go prints durations: `5m`, `3m42s`, `2d1h`, `1.5h`, `300ms`."""
    if not (text and _DURATION.fullmatch(text)):
        return None
    return sum((Fraction(number) * _SECONDS[unit] for number, unit in _PART.findall(text)), Fraction(0))


@lru_cache(maxsize=4096)
def percent(text: str) -> Fraction | None:
    """`50%` as 50."""
    match = _PERCENT.fullmatch(text)
    return Fraction(match[1]) if match else None


@lru_cache(maxsize=4096)
def ratio(text: str) -> Fraction | None:
    """`1/3` as a third. Of nothing, all is there: `0/0` is 1."""
    match = _RATIO.fullmatch(text)
    if not match:
        return None
    part, whole = int(match[1]), int(match[2])
    return Fraction(part, whole) if whole else Fraction(part + 1)


@lru_cache(maxsize=4096)
def version(text: str) -> tuple[Any, ...] | None:
    """`v1.29.4+k3s1` as something that sorts as versions do."""
    return natural(text.removeprefix("v")) if _VERSION.fullmatch(text) else None


@lru_cache(maxsize=4096)
def natural(text: str) -> tuple[Any, ...] | None:
    """Any text, so that `web-2` sorts before `web-10`; None for what stands where there is nothing (`<none>`)."""
    if not text or text.startswith("<"):
        return None
    parts = _DIGITS.split(text)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?"
_QUANTITY = re.compile(
    rf"(?P<number>[+-]?{_NUMBER}(?:e[+-]?[0-9]{{1,2}})?)(?P<suffix>[KMGTPE]i|[numkMGTPE]|)(?: \(.* ago\))?", re.ASCII
)
_SUFFIXES = {"": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_SUFFIXES |= {suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", 1)}
_SUFFIXES |= {f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", 1)}
_SECONDS = dict(zip(("y", "w", "d", "h", "m", "s"), map(Fraction, (31536000, 604800, 86400, 3600, 60, 1)), strict=True))
_SECONDS["ms"] = Fraction(1, 1000)
_PART = re.compile(rf"({_NUMBER})(ms|[ywdhms])", re.ASCII)
_DURATION = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in _SECONDS), re.ASCII)
_PERCENT = re.compile(rf"([+-]?{_NUMBER})%", re.ASCII)
_RATIO = re.compile(r"([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_VERSION = re.compile(r"v?[0-9]{1,18}(?:\.[0-9]{1,18})+[-+.0-9A-Za-z]{0,99}", re.ASCII)
_DIGITS = re.compile(r"([0-9]{1,18})", re.ASCII)

Reader = Callable[[str], Any]

_READINGS: tuple[tuple[Reader, Reader, Fraction], ...] = (
    (seconds, seconds, Fraction(1)),
    (quantity, quantity, Fraction(1)),
    (quantity, percent, Fraction(1)),
    (quantity, ratio, Fraction(1)),
    (percent, percent, Fraction(1)),
    (percent, ratio, Fraction(1, 100)),
    (ratio, ratio, Fraction(1)),
    (ratio, percent, Fraction(100)),
)
"""How a value and a cell are compared: the first line whose readers can read both, the value times a factor.

`5m` are minutes beside `3m42s` and thousandths beside `2`; beside `7m` both readings give one answer.
"""


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
        hint = f"; did you mean {near[0]}?" if near else ""
        return f'--where {self.text!r}: {plural} have no column "{self.column}"{hint} They have {", ".join(known)}'

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
    if not value:
        raise _error(text, start, "a value is missing; write '' for an empty cell")
    value = _unquoted(text, value, start)
    if sign[0] in _PATTERNS:
        return Where(text, name, sign[0], value, (), _pattern(text, value, start))
    return Where(text, name, sign[0], value, _wanted(value))


def _unquoted(text: str, value: str, start: int) -> str:
    if value[0] not in "'\"":
        return value
    if len(value) < 2 or value[-1] != value[0]:
        raise _error(text, start, f"the quote {value[0]} isn't closed")
    return value[1:-1]


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
    return UsageError(f"--where {text!r}, at character {place + 1}: {reason}")


def _wanted(value: str) -> tuple[tuple[Reader, Any], ...]:
    """How cells are read to be compared with `value`; what is no number is compared as a version or as text."""
    found: list[tuple[Reader, Any]] = [
        (read_cell, wanted * factor)
        for read_value, read_cell, factor in _READINGS
        if (wanted := read_value(value)) is not None
    ]
    if (wanted := version(value)) is not None:
        found.append((version, wanted))
    if not found and (wanted := natural(value)) is not None:
        found.append((natural, wanted))
    return tuple(found)


_COLUMN = re.compile(r"""\s*(?:(?P<quoted>"[^"]+"|'[^']+')|(?P<bare>[^\s=!<>~'"][^=!<>~'"]*))\s*""")
_OPERATOR = re.compile(r"==|!=|=~|!~|>=|<=|=|>|<")
_SWAPPED = re.compile(r">|<(?!\S*>)")
"""What follows `=` where `>=` or `<=` was meant, and not a cell such as `<none>`."""
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
    """Conditions that must all hold, and patterns one of which a name must match, over the changes of many watches."""

    def __init__(self, wheres: Iterable[Where] = (), names: Iterable[str] = ()) -> None:
        self._wheres = tuple(wheres)
        self._names = tuple(names)
        self._timed = any(where.on_age for where in self._wheres)
        self._known: dict[tuple[Query, Key], _Known] = {}
        self._due: list[tuple[float, int, Query, Key]] = []
        self._turn = 0

    def changes(self, query: Query, changes: Iterable[Change], now: datetime) -> list[Change]:
        """What of `changes` a reader of the filtered state has to know."""
        named = [change for change in changes if self._is_named(change.key)]
        if not self._wheres:
            return named
        step = self._timed_step if self._timed else self._step
        return [passed for change in named if (passed := step(query, change, now)) is not None]

    def due(self, now: datetime) -> list[tuple[Query, Change]]:
        """What entered or left by the passing of time alone (`AGE>1h`). Asked for about once a second."""
        moment, found = now.timestamp(), []
        while self._due and self._due[0][0] <= moment:
            _, turn, query, key = heapq.heappop(self._due)
            known = self._known.get((query, key))
            if known is not None and known.turn == turn:
                found += [(query, change) for change in self._aged(query, known, now)]
        return found

    def _is_named(self, key: Key) -> bool:
        return not self._names or any(fnmatchcase(key[1], pattern) for pattern in self._names)

    def _test(self, query: Query, key: Key, row: Row, now: datetime) -> bool:
        return all(where.test(query, key, row, now) for where in self._wheres)

    def _step(self, query: Query, change: Change, now: datetime) -> Change | None:
        inside = self._test(query, change.key, change.state, now)
        if change.type == "DELETED":
            before = inside if change.old is None else self._test(query, change.key, change.old, now)
            return change if before else None
        before = change.old is not None and self._test(query, change.key, change.old, now)
        return _crossing(change, before, inside)

    def _timed_step(self, query: Query, change: Change, now: datetime) -> Change | None:
        """As `_step`, but what was in is remembered: the old row may have aged since."""
        known = self._known.pop((query, change.key), None)
        before = known is not None and known.inside
        if change.type == "DELETED":
            return change if before else None
        inside = self._test(query, change.key, change.state, now)
        self._keep(query, _Known(change, inside), now)
        return _crossing(change, before, inside)

    def _aged(self, query: Query, known: _Known, now: datetime) -> list[Change]:
        change = known.change
        inside = self._test(query, change.key, change.state, now)
        self._keep(query, _Known(change, inside), now)
        if inside is known.inside:
            return []
        again = change._replace(type="MODIFIED", old=change.state, initial=False, synthetic=False)
        crossed = _crossing(again, known.inside, inside)
        return [crossed] if crossed else []

    def _keep(self, query: Query, known: _Known, now: datetime) -> None:
        change = known.change
        self._turn += 1
        self._known[query, change.key] = _Known(change._replace(old=None), known.inside, self._turn)
        waits = [wait for where in self._wheres if (wait := where.due(change.state, now)) is not None]
        if waits:
            due = now.timestamp() + max(min(waits), 0.0) + _SETTLE
            heapq.heappush(self._due, (due, self._turn, query, change.key))


_SETTLE = 0.01
"""Seconds after a limit at which `>` is true beyond doubt."""


def _crossing(change: Change, before: bool, inside: bool) -> Change | None:
    if before and inside:
        return change
    if inside:
        return change._replace(type="ADDED", old=None)
    return change._replace(type="DELETED", synthetic=True) if before else None
