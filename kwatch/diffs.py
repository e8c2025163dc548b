"""What changed between two states of an object: paths with old and new values, list items told apart as the API does.

Pure. What every change brings with it and says nothing (resourceVersion, heartbeats…) is folded: kept apart, not lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from kwatch.protocol.forms import LAST_APPLIED


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for a value that isn't there; None is JSON's null."""


class Element(str):
    """A step into a list: what tells the item from the others, else its index."""

    __slots__ = ()


class Order(str):
    """A last step: not an item differs but the order of items that are told apart by a key."""

    __slots__ = ()


Path = tuple[str, ...]
"""Steps from the root: field names as plain str, `Element` into lists."""


class Difference(NamedTuple):
    """One field that differs. `old` is MISSING where it was added, `new` where it was removed."""

    path: Path
    old: Any
    new: Any

    def __str__(self) -> str:
        return path_text(self.path)


class Diff(NamedTuple):
    """All that differs: what is worth showing, in the order of the object's fields, and what was folded away."""

    shown: list[Difference]
    folded: list[Difference]


def diff(old: Mapping[str, Any], new: Mapping[str, Any], *, everything: bool = False) -> Diff:
    """What differs between two states of one object; with `everything` nothing is folded."""
    found = list(_walk((), old, new))
    if everything:
        return Diff(found, [])
    kind = str(new.get("kind") or old.get("kind") or "")
    worth = [one for one in found if not _is_noise(one.path, kind)]
    told = {one.path[:-1] for one in worth if one.path[-1] != _TRANSITION}
    shown = [one for one in worth if one.path[-1] != _TRANSITION or one.path[:-1] not in told]
    kept = {one.path for one in shown}
    return Diff(shown, [one for one in found if one.path not in kept])


def path_text(path: Path) -> str:
    """`spec.containers[web].image`, `data["app.conf"]`: as one would write it; harmless to a terminal."""
    text = ""
    for step in path:
        if isinstance(step, Order):
            text += f" ({step})"
        elif isinstance(step, Element):
            text += f"[{escaped(step)}]"
        elif _is_plain(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quoted(step)}]"
    return text


def _is_plain(step: str) -> bool:
    return bool(step) and step.isascii() and step.replace("-", "").replace("_", "").replace("$", "").isalnum()


# Noise

_TRANSITION = "lastTransitionTime"
"""Moves with its condition's status: of interest only where nothing else of the condition is told."""
_NOISE_FIELDS = frozenset(("lastHeartbeatTime", "lastProbeTime", "lastUpdateTime", "observedGeneration"))
_NOISE_PATHS: frozenset[Path] = frozenset(
    (
        ("metadata", "managedFields"),
        ("metadata", "resourceVersion"),
        ("metadata", "generation"),
        ("metadata", "annotations", LAST_APPLIED),
    )
)
_NOISE_OF_KINDS: Mapping[str, frozenset[Path]] = {"Lease": frozenset((("spec", "renewTime"),))}


def _is_noise(path: Path, kind: str) -> bool:
    if path[-1] in _NOISE_FIELDS and not isinstance(path[-1], Element):
        return True
    prefixes = {path[:length] for length in range(2, 4)}
    return not prefixes.isdisjoint(_NOISE_PATHS) or path in _NOISE_OF_KINDS.get(kind, ())


def summary(one: Difference) -> Any:
    """The value that was added or removed, without what the path says already, without noise and what is null."""
    value = one.new if one.old is MISSING else one.old
    if isinstance(one.path[-1], Element) and isinstance(value, dict):
        value = {name: item for name, item in value.items() if item != one.path[-1]}
    return _pruned(value)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        noise = {*_NOISE_FIELDS, _TRANSITION}
        return {name: _pruned(item) for name, item in value.items() if item is not None and name not in noise}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


# Fields


def _walk(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _walk((*path, name), old.get(name, MISSING), new.get(name, MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _walk_list(path, old, new)
    elif old != new or type(old) is not type(new):
        yield Difference(path, old, new)


def _walk_list(path: Path, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    for key in _keys_of(path, old, new):
        before, after = _by_key(key, old), _by_key(key, new)
        if before is not None and after is not None:
            yield from _walk_keyed(path, before, after)
            return
    yield from _walk_sequence(path, old, new)


# Lists whose items have a key


class _Key(NamedTuple):
    """Fields that tell an item from the others (the first one must be there), and those that name it in a path."""

    fields: tuple[str, ...]
    label: tuple[str, ...] = ()


_Identity = tuple[str, ...]
_NAME = (_Key(("name",)),)
_PORTS = (("containerPort",), ("containerPort", "protocol"), ("port",), ("port", "protocol"))
_KEYS: Mapping[str, tuple[_Key, ...]] = {
    "conditions": (_Key(("type",)),),
    "volumeMounts": (_Key(("mountPath",)),),
    "volumeDevices": (_Key(("devicePath",)),),
    "ports": tuple(map(_Key, _PORTS)),
    "ownerReferences": (_Key(("uid",), ("kind", "name")), _Key(("uid",))),
    "hostAliases": (_Key(("ip",)),),
    "podIPs": (_Key(("ip",)),),
    "hostIPs": (_Key(("ip",)),),
    "addresses": (_Key(("type",)), _Key(("type", "address"))),
    "taints": (_Key(("key",)), _Key(("key", "effect"))),
    "tolerations": (_Key(("key",)), _Key(("key", "effect")), _Key(("key", "operator", "value", "effect"))),
    "topologySpreadConstraints": (_Key(("topologyKey",)), _Key(("topologyKey", "whenUnsatisfiable"))),
    "volumeClaimTemplates": (_Key(("metadata.name",)),),
    "items": (_Key(("key",)), *_NAME),
    "matchExpressions": (_Key(("key",)), _Key(("key", "operator"))),
    "subjects": (_Key(("kind", "namespace", "name")),),
    "rules": (_Key(("host",)), *_NAME),
    "paths": (_Key(("path",)), _Key(("path", "pathType"))),
    "managedFields": (_Key(("manager", "operation", "subresource")),),
}
"""Lists and the keys of their items: the first key that tells all of them apart, before and after, is taken.

The API's patchMergeKey and list-map keys (https://kubernetes.io/docs/reference/generated/kubernetes-api/), and what
people go by where it has none. Other lists of objects are tried with the keys of `_USUAL`.
"""
_USUAL = (*_NAME, _Key(("key",)), _Key(("type",)), _Key(("id",)), _Key(("uid",)))


def _keys_of(path: Path, old: list[Any], new: list[Any]) -> tuple[_Key, ...]:
    if not all(isinstance(item, dict) for item in (*old, *new)):
        return ()
    return _KEYS.get(path[-1], _USUAL) if path else ()


def _by_key(key: _Key, items: list[dict[str, Any]]) -> dict[_Identity, tuple[Element, dict[str, Any]]] | None:
    """The items by what identifies them, each with its label; None where the key doesn't tell them apart."""
    found = {}
    for item in items:
        identity = tuple(_scalar(item, field) for field in key.fields)
        label = tuple(_scalar(item, field) for field in key.label) or identity
        if not identity[0]:
            return None
        found[identity] = (Element("/".join(filter(None, label))), item)
    return found if len(found) == len(items) else None


def _scalar(item: Any, field: str) -> str:
    for part in field.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return str(item) if isinstance(item, (str, int)) else ""


def _walk_keyed(
    path: Path,
    old: dict[_Identity, tuple[Element, dict[str, Any]]],
    new: dict[_Identity, tuple[Element, dict[str, Any]]],
) -> Iterator[Difference]:
    for identity, (label, item) in old.items():
        other = new.get(identity)
        yield from _walk((*path, label), item, other[1] if other else MISSING)
    for identity, (label, item) in new.items():
        if identity not in old:
            yield Difference((*path, label), MISSING, item)
    before = [identity for identity in old if identity in new]
    after = [identity for identity in new if identity in old]
    if before != after:
        labels = ([str(old[identity][0]) for identity in order] for order in (before, after))
        yield Difference((*path, Order("order")), *labels)


# Other lists

_COMPARED = 40_000
"""Pairs of items up to which the longest common part of two lists is sought; longer ones are compared by index."""


def _walk_sequence(path: Path, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    for i, j, before, after in _changed_items(old, new):
        yield from _walk((*path, Element(i if after is MISSING else j)), before, after)


def _changed_items(old: list[Any], new: list[Any]) -> Iterator[tuple[int, int, Any, Any]]:
    """(old index, new index, old item, new item) of all that isn't in both."""
    for i, i_end, j, j_end in _changed_runs(old, new):
        pairs = zip_longest(old[i:i_end], new[j:j_end], fillvalue=MISSING)
        for offset, (before, after) in enumerate(pairs):
            yield i + offset, j + offset, before, after


def _changed_runs(old: list[Any], new: list[Any]) -> Iterable[tuple[int, int, int, int]]:
    if len(old) * len(new) > _COMPARED:
        return [(0, len(old), 0, len(new))]
    matcher = SequenceMatcher(None, list(map(_canonical, old)), list(map(_canonical, new)), autojunk=False)
    return [(i, i_end, j, j_end) for tag, i, i_end, j, j_end in matcher.get_opcodes() if tag != "equal"]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


# Values as text


def value_text(value: Any) -> str:
    """A value on one line: text bare where it can't be mistaken, else quoted; objects and lists in YAML's flow form.

    Harmless to a terminal: what doesn't print is escaped, so that a change in it is seen.
    """
    if isinstance(value, str):
        return value if _is_bare(value) else quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)


def quoted(text: str) -> str:
    """As a JSON string in which all that doesn't print is escaped."""
    return '"' + "".join(_ESCAPES.get(character) or escaped(character) for character in text) + '"'


def escaped(text: str) -> str:
    """`text` with all that doesn't print written as `\\u001b`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return _ESCAPES.get(character) or json.dumps(character)[1:-1]


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_FLOW = frozenset(",[]{}")


def _flow(value: Any) -> str:
    if isinstance(value, str) and (not _is_bare(value) or not _FLOW.isdisjoint(value) or ": " in value):
        return quoted(value)
    return value_text(value)


def _is_bare(text: str) -> bool:
    """Whether text can stand without quotes: it prints, and nobody takes it for a number, a flag or nothing."""
    if not text.isprintable() or text != text.strip() or not text or text[0] in "\"'[{":
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


# Texts of several lines


class Line(NamedTuple):
    """A line of a small unified diff: `sign` is `-`, `+`, a blank for what is around, or `…` for lines left out."""

    sign: str
    text: str


def line_changes(old: Any, new: Any) -> list[Line] | None:
    """How a text of several lines changed, with a line around each change; None where it isn't such a text."""
    before, after = _lines(old), _lines(new)
    if before is None or after is None or max(len(before), len(after)) < 2:
        return None
    matcher = SequenceMatcher(None, before, after)
    found: list[Line] = []
    for group in matcher.get_grouped_opcodes(1):
        if found or group[0][1] > 0:
            found.append(Line("…", ""))
        for tag, i, i_end, j, j_end in group:
            if tag == "equal":
                found += [Line(" ", text) for text in before[i:i_end]]
            else:
                found += [Line("-", text) for text in before[i:i_end]]
                found += [Line("+", text) for text in after[j:j_end]]
    return _shown_lines(found)


def _lines(value: Any) -> list[str] | None:
    if value is MISSING:
        return []
    return value.split("\n") if isinstance(value, str) else None


def _shown_lines(lines: Sequence[Line]) -> list[Line]:
    """Tabs as blanks, unless tabs are all that differs; what doesn't print, escaped."""
    sides = [[line.text.expandtabs(4) for line in lines if line.sign in (" ", sign)] for sign in "-+"]
    if sides[0] != sides[1]:
        lines = [Line(line.sign, line.text.expandtabs(4)) for line in lines]
    return [Line(line.sign, escaped(line.text)) for line in lines]
