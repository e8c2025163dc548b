"""What was handed on so far, so that nothing is handed on twice and what vanished in a gap can be told.

Compares resourceVersions for equality, and for order only where both are plain decimal numbers
(https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from kwatch.model import Change, Checkpoint, Key
from kwatch.protocol.forms import Form, Item, Known


class Kept(NamedTuple):
    """What is left of an earlier watch of the same query: where it stopped, and what it knew then."""

    checkpoint: Checkpoint = Checkpoint()
    objects: Mapping[Key, Known] = MappingProxyType({})


NOTHING = Kept()
"""There was no earlier watch."""


def older(version: str, than: str) -> bool:
    """Whether `version` is known to come before `than`: only decimal numbers are ordered."""
    if not (version.isdecimal() and than.isdecimal()):
        return False
    return version < than if len(version) == len(than) else len(version) < len(than)


def not_newer(version: str, than: str) -> bool:
    """Whether `version` is `than` or known to come before it."""
    return version == than or older(version, than)


class Store:
    """The objects of one watch. Each method returns the changes to hand on, in order."""

    def __init__(self, form: Form, known: Mapping[Key, Known] = MappingProxyType({})) -> None:
        """`known` was handed on by an earlier watch."""
        self._form = form
        self._packed: dict[str, dict[str, Any]] = {}
        """By namespace, then by name: a tuple for each object would take as much as a third of its row."""
        self._unseen: set[Key] = set()
        for key, (uid, version, state) in known.items():
            self._keep(key, uid, version, state)

    def __len__(self) -> int:
        return sum(map(len, self._packed.values()))

    def begin_list(self) -> None:
        """A list starts from its first page: whatever it will not mention is gone."""
        self._unseen = {(namespace, name) for namespace, names in self._packed.items() for name in names}

    def listed(self, items: Iterable[Item], *, initial: bool) -> list[Change]:
        """A page of that list came: what in it is new or different."""
        return [change for item in items for change in self._listed(item, initial)]

    def end_list(self, *, initial: bool) -> list[Change]:
        """The list is complete: DELETED, with its last state, for all it did not mention."""
        gone, self._unseen = self._unseen, set()
        return [self._vanished(key, self._get(key), initial) for key in sorted(gone)]

    def observe(self, kind: str, item: Item, seen: str) -> list[Change]:
        """A watch event came; all up to the version `seen` came before. Replays give nothing (fault 20)."""
        known = self._find(item.key)
        if kind == "DELETED":
            return self._deleted(known, item, seen)
        if known is None:
            return [] if _replayed(item, seen) else [self._added(item)]
        if known.uid == item.uid:
            return [] if not_newer(item.version, known.version) else [self._modified(known, item)]
        if _replayed(item, seen):
            return []
        return [self._vanished(item.key, known), self._added(item)]

    def _listed(self, item: Item, initial: bool) -> list[Change]:
        self._unseen.discard(item.key)
        known = self._find(item.key)
        if known is None:
            return [self._added(item, initial)]
        if known.uid != item.uid:  # fault 21
            return [self._vanished(item.key, known, initial), self._added(item, initial)]
        return [] if known.version == item.version else [self._modified(known, item, initial)]

    def _deleted(self, known: Known | None, item: Item, seen: str) -> list[Change]:
        if known is None:
            return [] if _replayed(item, seen) else [Change("DELETED", *item)]
        if known.uid != item.uid or older(item.version, known.version):
            return []
        self._forget(item.key)
        return [Change("DELETED", *item, known.state)]

    def _added(self, item: Item, initial: bool = False) -> Change:
        self._keep(*item)
        return Change("ADDED", *item, None, False, initial)

    def _modified(self, known: Known, item: Item, initial: bool = False) -> Change:
        self._keep(*item)
        return Change("MODIFIED", *item, known.state, False, initial)

    def _vanished(self, key: Key, known: Known, initial: bool = False) -> Change:
        self._forget(key)
        uid, version, state = known
        return Change("DELETED", key, uid, version, state, state, True, initial)

    def _find(self, key: Key) -> Known | None:
        namespace, name = key
        names = self._packed.get(namespace)
        packed = names.get(name) if names else None
        return self._form.unpack(packed) if packed is not None else None

    def _get(self, key: Key) -> Known:
        namespace, name = key
        return self._form.unpack(self._packed[namespace][name])

    def _keep(self, key: Key, uid: str, version: str, state: Any) -> None:
        namespace, name = key
        names = self._packed.get(namespace)
        if names is None:
            names = self._packed[namespace] = {}
        names[name] = self._form.pack(uid, version, state)

    def _forget(self, key: Key) -> None:
        namespace, name = key
        del self._packed[namespace][name]
        if not self._packed[namespace]:
            del self._packed[namespace]


def _replayed(item: Item, seen: str) -> bool:
    """Whether what came before covers this version: by the API's contract a watch sends what is newer, in order."""
    return bool(seen.isdecimal() and item.version.isdecimal() and not_newer(item.version, seen))
