"""The part of JSONPath that CRD columns and selectable fields use: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.a=="b")]`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>(?:[^.\[\]\\]|\\.)+)
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\]|\.\*)
      | \[\s*['"](?P<key>[^'"]+)['"]\s*\]
      | \[\?\(\s*@(?P<path>[^=!<>\s]+)\s*(?P<op>==|!=)\s*['"]?(?P<value>[^'")]*)['"]?\s*\)\]""",
    re.VERBOSE,
)
Step = tuple[str, Any]


@lru_cache(maxsize=512)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; raises ValueError where it isn't understood."""
    text = path.strip().strip("{}").removeprefix("$")
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if not match:
            raise ValueError(f"JSONPath not understood: {path!r}")
        steps.append(_step(match))
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    groups = match.groupdict()
    if groups["name"] is not None:
        return "key", groups["name"].replace("\\", "")
    if groups["key"] is not None:
        return "key", groups["key"]
    if groups["index"] is not None:
        return "index", int(groups["index"])
    if groups["all"] is not None:
        return "all", None
    return "filter", (parse(groups["path"]), groups["op"] == "==", groups["value"])


def _taken(kind: str, argument: Any, value: Any) -> Iterator[Any]:
    known = isinstance(value, dict) and argument in value if kind == "key" else False
    if kind == "index" and isinstance(value, list):
        known = -len(value) <= argument < len(value)
    if known:
        yield value[argument]
    elif kind == "all" and isinstance(value, (list, dict)):
        yield from value.values() if isinstance(value, dict) else value
    elif kind == "filter" and isinstance(value, list):
        path, wanted, text = argument
        yield from (item for item in value if (text in map(str, _walk(path, item))) is wanted)


def _walk(steps: tuple[Step, ...], value: Any) -> list[Any]:
    found = [value]
    for kind, argument in steps:
        found = [result for item in found for result in _taken(kind, argument, item)]
    return found


def find(path: str, value: Any) -> list[Any]:
    """Everything that the path leads to, in order; an empty list where there is nothing."""
    return _walk(parse(path), value)
