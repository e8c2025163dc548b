"""How kubectl's YAML (sigs.k8s.io/yaml, go-yaml v2) chooses: which texts need quotes, and in which order keys stand."""

from __future__ import annotations

import re
from datetime import date
from functools import cmp_to_key, lru_cache

_WORDS = ("y", "yes", "true", "on", "n", "no", "false", "off", "null", ".inf", "+.inf", "-.inf")
_SPECIAL = {
    *("", "~", ".nan", ".NaN", ".NAN", ".Inf", "+.Inf", "-.Inf"),
    *(form for word in _WORDS for form in (word, word.capitalize(), word.upper())),
}
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[-+]?0([xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)", re.ASCII)
_BASE_60 = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:[Tt](\d\d?):(\d\d?):(\d\d?)(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| (\d\d?):(\d\d?):(\d\d?)(?:[.,]\d+)?)?",
    re.ASCII,
)


def means_itself(text: str) -> bool:
    """Whether an unquoted `text` would be read as that text, not as a boolean, a number, a time or nothing."""
    return _is_remembered(text) if len(text) < _SHORT else _means_itself(text)


def in_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Keys as go-yaml sorts them: runs of digits by their value, letters after all else."""
    return _order_remembered(keys) if sum(map(len, keys)) < _SHORT else _in_order(keys)


def _means_itself(text: str) -> bool:
    if text in _SPECIAL:
        return False
    if text[0] not in "+-.0123456789":
        return True
    digits = text if text[0] == "." else text.replace("_", "")
    if _NUMBER.fullmatch(digits) and abs(float(digits)) != float("inf"):
        return False
    return not (_INTEGER.fullmatch(digits) or _BASE_60.fullmatch(text) or _is_time(text))


def _is_time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    year, month, day, *clock = (int(part) for part in match.groups() if part is not None)
    try:
        date(year or 4, month, day)
    except ValueError:
        return False
    return all(part < limit for part, limit in zip(clock, (24, 60, 60), strict=False))


def _in_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(keys, key=_position))


def _compare(first: str, second: str) -> int:
    """Negative where `first` stands before `second`."""
    place = next((place for place, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), -1)
    if place < 0:
        return len(first) - len(second)
    one, other = first[place], second[place]
    if one.isalpha() != other.isalpha():
        return 1 if one.isalpha() else -1
    return (0 if one.isalpha() else _compare_numbers(first, second, place)) or ord(one) - ord(other)


def _compare_numbers(first: str, second: str, place: int) -> int:
    """The digits from `place` on, by value and then by length; zeros count where other digits come before them."""
    before = re.search(r"\d*$", first[:place])
    lead = "1" if "0" in (first[place], second[place]) and before and before[0].strip("0") else ""
    runs = [re.match(r"\d{0,18}", key[place:]) for key in (first, second)]
    one, other = (lead + (run[0] if run else "") for run in runs)
    return int(one or 0) - int(other or 0) or len(one) - len(other)


_position = cmp_to_key(_compare)
_SHORT = 300
"""Characters: what objects share is short, and a cluster's long texts are not to be kept."""
_is_remembered = lru_cache(maxsize=4096)(_means_itself)
_order_remembered = lru_cache(maxsize=4096)(_in_order)
