"""What was handed on so far, so that nothing is handed on twice and what vanished in a gap can be told.

Compares resourceVersions for equality, and for order only where both are plain decimal numbers
(https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from kwatch.model import Change, Checkpoint, Key
from kwatch.protocol.forms import Form, Item


class Entry(NamedTuple):
    """The last known life of an object, its state as the form packs it."""

    uid: str
    version: str
    packed: Any


class Known(NamedTuple):
    """The last known life of an object, its state as it was handed on."""

    uid: str
    version: str
    state: Any


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
        self._entries = {key: Entry(uid, version, form.pack(state)) for key, (uid, version, state) in known.items()}
        self._unseen: set[Key] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def begin_list(self) -> None:
        """A list starts from its first page: whatever it will not mention is gone."""
        self._unseen = set(self._entries)

    def listed(self, items: Iterable[Item], *, initial: bool) -> list[Change]:
        """A page of that list came: what in it is new or different."""
        return [change for item in items for change in self._listed(item, initial)]

    def end_list(self, *, initial: bool) -> list[Change]:
        """The list is complete: DELETED, with its last state, for all it did not mention."""
        gone, self._unseen = self._unseen, set()
        return [self._vanished(key, initial) for key in sorted(gone)]

    def observe(self, kind: str, item: Item, seen: str) -> list[Change]:
        """A watch event came; all up to the version `seen` came before. Replays give nothing (fault 20)."""
        entry = self._entries.get(item.key)
        if kind == "DELETED":
            return self._deleted(entry, item, seen)
        if entry is None:
            return [] if _replayed(item, seen) else [self._put(Change("ADDED", *item))]
        if entry.uid == item.uid:
            return [] if not_newer(item.version, entry.version) else [self._modified(entry, item)]
        if _replayed(item, seen):
            return []
        return [self._vanished(item.key), self._put(Change("ADDED", *item))]

    def _listed(self, item: Item, initial: bool) -> list[Change]:
        self._unseen.discard(item.key)
        entry = self._entries.get(item.key)
        if entry is None:
            return [self._put(Change("ADDED", *item, initial=initial))]
        if entry.uid != item.uid:  # fault 21
            return [self._vanished(item.key, initial), self._put(Change("ADDED", *item, initial=initial))]
        return [] if entry.version == item.version else [self._modified(entry, item, initial)]

    def _deleted(self, entry: Entry | None, item: Item, seen: str) -> list[Change]:
        if entry is None:
            return [] if _replayed(item, seen) else [Change("DELETED", *item)]
        if entry.uid != item.uid or older(item.version, entry.version):
            return []
        del self._entries[item.key]
        return [Change("DELETED", *item, old=self._form.unpack(entry.packed))]

    def _modified(self, entry: Entry, item: Item, initial: bool = False) -> Change:
        return self._put(Change("MODIFIED", *item, old=self._form.unpack(entry.packed), initial=initial))

    def _put(self, change: Change) -> Change:
        self._entries[change.key] = Entry(change.uid, change.version, self._form.pack(change.state))
        return change

    def _vanished(self, key: Key, initial: bool = False) -> Change:
        entry = self._entries.pop(key)
        state = self._form.unpack(entry.packed)
        return Change("DELETED", key, entry.uid, entry.version, state, state, synthetic=True, initial=initial)


def _replayed(item: Item, seen: str) -> bool:
    """Whether what came before covers this version: by the API's contract a watch sends what is newer, in order."""
    return bool(seen.isdecimal() and item.version.isdecimal() and not_newer(item.version, seen))
