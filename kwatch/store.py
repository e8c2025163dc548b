"""What was handed on so far, so that nothing is handed on twice and what vanished in a gap can be told.

Compares resourceVersions for equality, and for order only where both are plain decimal numbers
(https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from kwatch.model import Change, Key
from kwatch.protocol.forms import Form, Item

TOMBSTONES = 10_000
"""Deleted objects that are remembered, for a server that replays their past after a resume (fault 20)."""


class Entry(NamedTuple):
    """The last known life of an object, its state as the form packs it."""

    uid: str
    version: str
    packed: Any


def older(version: str, than: str) -> bool:
    """Whether `version` is known to come before `than`: only decimal numbers are ordered."""
    if not (version.isdecimal() and than.isdecimal()):
        return False
    return (len(version), version) < (len(than), than)


def not_newer(version: str, than: str) -> bool:
    """Whether `version` is `than` or known to come before it."""
    return version == than or older(version, than)


class Store:
    """The objects of one watch. Each method returns the changes to hand on, in order."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._entries: dict[Key, Entry] = {}
        self._tombstones: dict[str, str] = {}
        self._unseen: set[Key] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def begin_list(self) -> None:
        """A list starts from its first page: whatever it will not mention is gone."""
        self._unseen = set(self._entries)

    def listed(self, items: Iterable[Item], *, initial: bool) -> list[Change]:
        """A page of that list came: what in it is new or different."""
        return [change for item in items for change in self._listed(item, initial)]

    def end_list(self, version: str, *, initial: bool) -> list[Change]:
        """The list is complete, at `version`: DELETED, with its last state, for all it did not mention."""
        gone, self._unseen = self._unseen, set()
        return [self._vanished(key, version, initial) for key in sorted(gone)]

    def forget_deleted(self) -> None:
        """The server's history went back (fault 18): old versions mean nothing any more."""
        self._tombstones.clear()

    def observe(self, kind: str, item: Item, floor: str) -> list[Change]:
        """A watch event came, in a watch that started after the version `floor`. Replays give nothing (fault 20)."""
        entry = self._entries.get(item.key)
        if kind == "DELETED":
            return self._deleted(entry, item, floor)
        if entry is None:
            return [] if self._replayed(item, floor) else [self._put(Change("ADDED", *item))]
        if entry.uid == item.uid:
            return [] if not_newer(item.version, entry.version) else [self._modified(entry, item)]
        if self._replayed(item, floor) or older(item.version, entry.version):
            return []
        return [self._vanished(item.key, item.version), self._put(Change("ADDED", *item))]

    def _listed(self, item: Item, initial: bool) -> list[Change]:
        self._unseen.discard(item.key)
        entry = self._entries.get(item.key)
        if entry is None:
            return [self._put(Change("ADDED", *item, initial=initial))]
        if entry.uid != item.uid:  # fault 21
            return [self._vanished(item.key, item.version, initial), self._put(Change("ADDED", *item, initial=initial))]
        return [] if entry.version == item.version else [self._modified(entry, item, initial)]

    def _deleted(self, entry: Entry | None, item: Item, floor: str) -> list[Change]:
        if entry is None or entry.uid != item.uid:
            if entry is not None or self._replayed(item, floor):
                return []
            self._bury(item.uid, item.version)
            return [Change("DELETED", *item)]
        if older(item.version, entry.version):
            return []
        del self._entries[item.key]
        self._bury(item.uid, item.version)
        return [Change("DELETED", *item, old=self._form.unpack(entry.packed))]

    def _modified(self, entry: Entry, item: Item, initial: bool = False) -> Change:
        return self._put(Change("MODIFIED", *item, old=self._form.unpack(entry.packed), initial=initial))

    def _put(self, change: Change) -> Change:
        self._entries[change.key] = Entry(change.uid, change.version, self._form.pack(change.state))
        self._tombstones.pop(change.uid, None)
        return change

    def _vanished(self, key: Key, version: str, initial: bool = False) -> Change:
        entry = self._entries.pop(key)
        self._bury(entry.uid, version)
        state = self._form.unpack(entry.packed)
        return Change("DELETED", key, entry.uid, entry.version, state, state, synthetic=True, initial=initial)

    def _bury(self, uid: str, version: str) -> None:
        self._tombstones[uid] = version
        if len(self._tombstones) > TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _replayed(self, item: Item, floor: str) -> bool:
        """Whether the watch's start, or the object's deletion, already covers this version."""
        if floor and floor.isdecimal() and item.version.isdecimal() and not_newer(item.version, floor):
            return True
        buried = self._tombstones.get(item.uid)
        return buried is not None and not_newer(item.version, buried)
