"""A server's table, row by row: which columns are shown, what stands in a cell, how old a thing is.

As kubectl prints: k8s.io/cli-runtime/pkg/printers/tableprinter.go and k8s.io/apimachinery/pkg/util/duration.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from kwatch.gotext import printed
from kwatch.model import Column, Row
from kwatch.text import inert, one_line

_FRACTION = re.compile(r"\.[0-9]+")
_LINE_BREAK = re.compile(r"[\n\r\f]")
AGE = "AGE"
NONE = "<none>"
"""What stands where there is no label."""
GAP = 3
"""Blanks between columns, and the least width of one, as kubectl's tabwriter has them."""


def heading(column: Column) -> str:
    """`Nominated Node` as `NOMINATED NODE`, inert."""
    return one_line(column.name).upper()


def shown(columns: Sequence[Column], *, wide: bool) -> tuple[int, ...]:
    """The indexes of the columns to show: those of priority 0, with `wide` all."""
    return tuple(index for index, column in enumerate(columns) if wide or column.priority == 0)


def age_index(columns: Sequence[Column]) -> int:
    """Where the age stands, or -1: the one cell that changes without an event."""
    return next((index for index, column in enumerate(columns) if column.name.upper() == AGE), -1)


def plain(value: Any) -> str:
    """A cell's value as kubectl prints it: nothing for nil, numbers and booleans as Go does."""
    if isinstance(value, str):
        return value
    return "" if value is None else printed(value)


def cell(value: Any) -> str:
    """A cell on a line of its own: inert, cut at its first line break with `...` after it, as kubectl does."""
    text = plain(value)
    if text.isprintable():
        return text
    head = _LINE_BREAK.split(text, maxsplit=1)[0]
    return inert(head) + ("..." if len(head) < len(text) else "")


def flat(text: str) -> str:
    """All of `text` on one line, inert; blanks stay as they are."""
    return text if text.isprintable() else inert(_LINE_BREAK.sub(" ", text))


class View(NamedTuple):
    """What of a row is to be printed: the server's columns (`wide`: all of them), then labels as columns of their own,
    then all labels in one."""

    wide: bool = False
    label_columns: tuple[str, ...] = ()
    labels: bool = False


class Layout:
    """A view of the tables that have these `columns`. Made once for many rows."""

    def __init__(self, columns: tuple[Column, ...], view: View) -> None:
        self.columns = columns
        self._view = view
        self._indexes = shown(columns, wide=view.wide)
        place = age_index(columns)
        self._age = self._indexes.index(place) if place in self._indexes else -1
        self._compared = tuple(index for index in self._indexes if index != place)
        named = (place for place, index in enumerate(self._indexes) if columns[index].format == "name")
        self.name_place = next(named, -1)
        self.headings = [heading(columns[index]) for index in self._indexes]
        self.headings += [one_line(key).rpartition("/")[2].upper() for key in view.label_columns]
        self.headings += ["LABELS"] * view.labels

    def cells(self, row: Row, now: datetime) -> list[str]:
        """The printed cells of `row`, each inert and on one line; the age as it is `now`."""
        cells = visible(row, self._indexes)
        if self._age >= 0 and (row.created or not cells[self._age]):
            cells[self._age] = age(row.created, now)
        if self._view.label_columns or self._view.labels:
            cells += self._label_cells(row.labels)
        return cells

    def same(self, old: Row, new: Row) -> bool:
        """Whether both rows are printed alike, the age aside."""
        if old.columns != new.columns or _differ(old.cells, new.cells, self._compared):
            return False
        return old.labels == new.labels or self._label_cells(old.labels) == self._label_cells(new.labels)

    def _label_cells(self, labels: Mapping[str, str]) -> list[str]:
        found = [cell(labels.get(key, "")) for key in self._view.label_columns]
        if self._view.labels:
            found.append(inert(",".join(sorted(f"{key}={value}" for key, value in labels.items()))) or NONE)
        return found


def _differ(old: Sequence[Any], new: Sequence[Any], indexes: Sequence[int]) -> bool:
    """Whether the cells at these indexes do; a cell that isn't there is as good as None."""
    if old == new:
        return False
    size = min(len(old), len(new))
    for index in indexes:
        if index < size and old[index] != new[index]:
            return True
        if index >= size and _at(old, index) != _at(new, index):
            return True
    return False


def _at(cells: Sequence[Any], index: int) -> Any:
    return cells[index] if index < len(cells) else None


def visible(row: Row, indexes: Sequence[int]) -> list[str]:
    """The cells of `row` in the columns `indexes`; a row with too few is filled with blanks."""
    cells, size = row.cells, len(row.cells)
    values = [cells[index] if index < size else "" for index in indexes]
    return [one if type(one) is str and one.isprintable() else cell(one) for one in values]


def timestamp(now: datetime, *, utc: bool) -> str:
    """RFC 3339 with milliseconds, in this machine's zone or as UTC."""
    text = (now if utc else now.astimezone()).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def age(created: str, now: datetime) -> str:
    """How long ago the RFC 3339 time `created` was, in kubectl's form; `<unknown>` where it isn't one."""
    then = _moment(created)
    return human_duration(int((now - then).total_seconds())) if then else "<unknown>"


def seconds_since(time: str, now: datetime) -> float | None:
    """The seconds from the RFC 3339 time `time` (in UTC, whole seconds or microseconds) until `now`; None where it
    isn't one."""
    then = _moment(time)
    return (now - then).total_seconds() if then else None


@lru_cache(maxsize=4096)
def _moment(time: str) -> datetime | None:
    """The moment that an RFC 3339 time means, kept: an object's creation is asked for with each of its events."""
    found = parsed_time(time)
    return found if found and found.tzinfo else None


def parsed_time(time: str) -> datetime | None:
    """What an ISO 8601 time means, to the microsecond; None where it isn't one. Without an offset it stays naive."""
    try:
        return datetime.fromisoformat(_FRACTION.sub(_six_digits, time.replace("Z", "+00:00")))
    except ValueError:
        return None


def _six_digits(fraction: re.Match[str]) -> str:
    """What Python 3.10 takes: three digits or six."""
    return fraction[0][:7].ljust(7, "0")


def human_duration(seconds: int) -> str:
    """Seconds in kubectl's form: `3m42s`, `5h`, `12d`, two units at the most."""
    if seconds < -1:
        return "<invalid>"
    _, first, second = _DURATIONS[bisect_right(_LIMITS, seconds)]
    head, rest = divmod(max(seconds, 0), _UNITS[first])
    tail = rest // _UNITS[second] if second else 0
    return f"{head}{first}{tail}{second}" if tail else f"{head}{first}"


def duration_seconds(text: str) -> int | None:
    """The seconds of a duration in kubectl's form; None for any other text."""
    parts = _DURATION.fullmatch(text)
    if not parts or not text:
        return None
    return sum(int(part) * _UNITS[unit] for part, unit in zip(parts.groups(), "ydhms", strict=True) if part)


def width(text: str) -> int:
    """Terminal columns that an inert text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # its tables take longer to load than most runs have use for

    return max(wcswidth(text), 0)


def grown(widths: Sequence[int], lines: Sequence[Sequence[str]]) -> list[int]:
    """The widths of columns that take the cells of these lines, too; none gets narrower."""
    sizes = [map(len if "".join(line).isascii() else width, line) for line in lines]
    return [max(column) for column in zip(widths or [GAP] * len(lines[0]), *sizes, strict=True)]


def aligned(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """The lines with their cells in columns of `widths`, nothing after the last one."""
    pattern = "".join(f"%-{width + GAP}s" for width in widths[:-1]) + "%s\n"
    return [pattern % tuple(line) if "".join(line).isascii() else _aligned(line, widths) for line in lines]


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """The same of a line in which characters may be wide, or take no room at all."""
    padded = [cell + " " * (room - width(cell) + GAP) for cell, room in zip(line, widths, strict=True)]
    padded[-1] = line[-1]
    return "".join(padded) + "\n"


_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 31536000
_UNITS = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY, "y": _YEAR}
_DURATION = re.compile(r"(?:(\d{1,6})y)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_DURATIONS = (
    (2 * _MINUTE, "s", ""),
    (10 * _MINUTE, "m", "s"),
    (3 * _HOUR, "m", ""),
    (8 * _HOUR, "h", "m"),
    (2 * _DAY, "h", ""),
    (8 * _DAY, "d", "h"),
    (2 * _YEAR, "d", ""),
    (8 * _YEAR, "y", "d"),
    (float("inf"), "y", ""),
)
"""Up to so many seconds: this unit, and that one beside it (duration.HumanDuration)."""
_LIMITS = [limit for limit, _, _ in _DURATIONS]
