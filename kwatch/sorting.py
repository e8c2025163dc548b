"""`--sort-by`: the order of the first screen, by a JSONPath or by a printed column.

As k8s.io/kubectl/pkg/cmd/get/sorter.go: numbers and quantities by value, other text by its characters, what
isn't there first. Beyond kubectl a column's name is taken, and its ages and counts are compared as such; and a minus
before either turns the order round.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from kwatch.columns import AGE, plain
from kwatch.errors import UsageError
from kwatch.gotext import json_line
from kwatch.jsonpath import relaxed
from kwatch.model import Change, Column, Query
from kwatch.text import brief

_COLUMN = re.compile(r"[A-Za-z][\w ()/-]*")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)([KMGTPE]i|[numkMGTPE])?")
_FACTORS = {
    **{unit: Decimal(1024) ** (power + 1) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{
        unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
    },
}
_DURATION = re.compile("".join(rf"(?:(\d{{1,18}}){unit})?" for unit in "ydhms"))
_SECONDS = (31536000, 86400, 3600, 60, 1)
_COUNT = re.compile(r"(\d+)(?: \(.*\)|%)?")


class Order(NamedTuple):
    """`key(query, change)` is comparable with others of its kind; `of_rows`: it reads printed cells, not objects.

    `has` tells whether there is something in a change to sort it by; `what` is the column or path, for a person.
    """

    key: Callable[[Query, Change], Any]
    of_rows: bool
    has: Callable[[Change], bool]
    what: str


def order(text: str) -> Order:
    """What `--sort-by` means: a word is a column's name, all else a path; the other way round with a minus before it.

    Raises UsageError for a bad path.
    """
    found = _rising(text.removeprefix("-"))
    if not text.startswith("-"):
        return found
    return found._replace(key=lambda query, change: _Falling(found.key(query, change)))


def unmatched(order: Order) -> str:
    """What to say where nothing has what it is to be sorted by."""
    return f"--sort-by: no object has {brief(order.what)}; check the path"


def _rising(text: str) -> Order:
    if _COLUMN.fullmatch(text):
        return Order(lambda _, change: _cell(change.state, text.upper()), of_rows=True, has=lambda _: True, what=text)
    path = relaxed(text)

    def key(_: Query, change: Change) -> Any:
        values = path.values(change.state.object)
        return _value(values[0]) if values else _MISSING

    return Order(key, of_rows=False, has=lambda change: bool(path.values(change.state.object)), what=text)


_MISSING: tuple[int, Any] = (0, 0)


def _value(value: Any) -> tuple[int, Any]:
    if value is None:
        return _MISSING
    if isinstance(value, (int, float)):
        return 1, Decimal(value)
    text = value if isinstance(value, str) else json_line(value)
    match = _QUANTITY.fullmatch(text)
    return (1, Decimal(match[1]) * _FACTORS[match[2] or ""]) if match else (2, text)


def _cell(row: Any, name: str) -> tuple[int, Any]:
    if name == AGE and row.created:
        return 3, _Younger(row.created)
    place = _place(row.columns, name)
    if place >= len(row.cells) or row.cells[place] is None:
        return _MISSING
    text = plain(row.cells[place])
    if match := _COUNT.fullmatch(text):
        return 1, Decimal(match[1])
    if text and (match := _DURATION.fullmatch(text)):
        return 1, Decimal(sum(int(part or 0) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True)))
    return _value(text)


@lru_cache(maxsize=64)
def _place(columns: tuple[Column, ...], name: str) -> int:
    """Where the column is. Raises UsageError if it isn't."""
    names = [column.name.upper() for column in columns]
    if name not in names:
        known = brief(", ".join(names))
        raise UsageError(f'--sort-by: there is no column "{name}" among {known}; a JSONPath begins with a dot')
    return names.index(name)


class _Falling(NamedTuple):
    """A key that is less than another if its own is more."""

    key: Any

    def __lt__(self, other: Any) -> bool:
        return bool(other.key < self.key)


class _Younger(str):
    """Of two times the later is the younger."""

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)
