"""Label selectors, decided here and not by the server: `app=web,tier!=db,env in (a, b),!legacy`.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from kwatch.errors import UsageError

Labels = Mapping[str, str]

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_TERM = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<compared>{_KEY})\s*(?P<sign>==|=|!=|>|<)\s*(?P<value>{_VALUE})"
    rf"|(?P<listed>{_KEY})\s+(?P<word>in|notin)\s*\((?P<values>\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*)\)"
    rf"|(?P<present>{_KEY}))\s*(?P<end>,|$)"
)


def selects(selector: str | Labels) -> Callable[[Labels], bool]:
    """Whether labels are those that `selector` asks for, a text or the labels themselves. Raises UsageError."""
    if isinstance(selector, str):
        terms = list(_terms(selector))
        return lambda labels: all(term(labels) for term in terms)
    wanted = selector.items()
    return lambda labels: wanted <= labels.items()


def text_of(selector: Labels) -> str:
    """`{"app": "web"}` as the server is asked for it: `app=web`. Raises UsageError for what no label can be."""
    for key, value in selector.items():
        texts = isinstance(key, str) and isinstance(value, str)
        if not (texts and re.fullmatch(_KEY, key) and re.fullmatch(_VALUE, value)):
            raise UsageError(f"{key!r}: {value!r} is no label; give texts of letters, digits, - _ . and in keys /")
    return ",".join(f"{key}={value}" for key, value in selector.items())


def _terms(selector: str) -> Iterator[Callable[[Labels], bool]]:
    end = "" if not selector.strip() else ","
    position = 0
    while end == ",":
        match = _TERM.match(selector, position)
        if match is None:
            raise UsageError(
                f'"{selector}" is no label selector, from "{selector[position:]}" on; write app=web,tier!=db'
            )
        yield _term(**match.groupdict(default=""))
        position, end = match.end(), match["end"]


def _term(
    absent: str, present: str, compared: str, sign: str, value: str, listed: str, word: str, values: str, end: str
) -> Callable[[Labels], bool]:
    if absent:
        return lambda labels: absent not in labels
    if compared:
        return lambda labels: _SIGNS[sign](labels.get(compared), value)
    if listed:
        given = {each.strip() for each in values.split(",")}
        return lambda labels: (labels.get(listed) in given) is (word == "in")
    return lambda labels: present in labels


def _numbers(*texts: str | None) -> list[int]:
    """Whole numbers; none at all where one of the texts isn't one."""
    found = [int(text) for text in texts if text and text.isdecimal()]
    return found if len(found) == len(texts) else []


_SIGNS: Mapping[str, Callable[[str | None, str], bool]] = {
    "=": lambda label, value: label == value,
    "==": lambda label, value: label == value,
    "!=": lambda label, value: label != value,
    ">": lambda label, value: bool(found := _numbers(label, value)) and found[0] > found[1],
    "<": lambda label, value: bool(found := _numbers(label, value)) and found[0] < found[1],
}
