"""What the text of a table's cell can be read as, to be compared: a quantity, a duration, a fraction, a version.

A reader gives something that can be ordered, exact to the last digit, or None for what it can't read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

Reader = Callable[[str], Any]


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


def readings(value: str) -> tuple[tuple[Reader, Any], ...]:
    """How to read a cell to compare it with `value`, and what to compare it with then, the best way first.

    What is no number is compared as a version or as text.
    """
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
