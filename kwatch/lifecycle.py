"""What happens to a watch besides changes, for programs: kinds in place of texts, and when it has failed too often.

Pure: time is an argument.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from kwatch.model import Bookmark, Change, Connected, Listed, Notice, Query, Signal, Synced

LifecycleKind = Literal[
    "connect", "list", "bookmark", "reconnect", "relist", "old_resource_version", "data_error", "give_up"
]


class Lifecycle(NamedTuple):
    """One step in the life of a watch. Which fields say something depends on `kind`:

    connect               the server accepted the watch that starts after `version`
    list                  a list is complete: `objects` of them at `version`
    bookmark              nothing before `version` is still to come
    reconnect             the watch ended by `cause` and goes on from its place in `delay` seconds
    relist                the same, but what exists is listed again
    old_resource_version  the server no longer has the events since; a relist follows
    data_error            the server sent what isn't the watch protocol; a reconnect or relist follows
    give_up               it can't go on: `error`

    `cause` is a name of `kwatch.protocol.decisions.Cause` ("CUT", "SERVER_ERROR"; "ENDED": in good order, "DUE": the
    periodic list), `reason` the same in words, with what the server or the network said.
    """

    kind: LifecycleKind
    query: Query
    version: str = ""
    objects: int = 0
    cause: str = ""
    reason: str = ""
    delay: float = 0.0
    error: BaseException | None = None


_SPECIAL: dict[str, LifecycleKind] = {
    "GONE": "old_resource_version",
    "CONTINUE_GONE": "old_resource_version",
    "MALFORMED": "data_error",
    "TOO_LONG": "data_error",
    "UNKNOWN_EVENT": "data_error",
}
"""Causes that have a kind of their own besides what is done about them."""


def lifecycle(query: Query, signal: Signal) -> list[Lifecycle]:
    """What `signal` means for the life of the watch of `query`."""
    if isinstance(signal, Connected):
        return [Lifecycle("connect", query, signal.version)]
    if isinstance(signal, Synced):
        return [Lifecycle("list", query, signal.version, signal.objects)]
    if isinstance(signal, Bookmark):
        return [Lifecycle("bookmark", query, signal.version)]
    if isinstance(signal, Notice) and signal.cause:
        return _ended(query, signal)
    return []


def _ended(query: Query, notice: Notice) -> list[Lifecycle]:
    special = _SPECIAL.get(notice.cause)
    kinds: list[LifecycleKind] = [special] if special else []
    kinds.append("relist" if notice.relist else "reconnect")
    return [Lifecycle(kind, query, cause=notice.cause, reason=notice.reason, delay=notice.delay) for kind in kinds]


HELD_SECONDS = 10.0
"""A watch that was accepted and held for so long has worked, though nothing happened: its end is a first failure."""
_ORDERLY = frozenset(("ENDED", "DUE", "UNAUTHORIZED", "NO_STREAM"))
_SILENT = frozenset(("OVERDUE", "SILENT"))
"""Causes after which it hasn't worked, however long it held."""


class Failures:
    """Counts the failures in a row of one watch; what comes of the server begins the count anew."""

    def __init__(self, most: int | None) -> None:
        self._most = float("inf") if most is None else most
        self._accepted: float | None = None
        self.count = 0
        self.last = ""
        """What failed last, in words, and wasn't followed by an answer yet."""

    def take(self, signal: Signal, now: float) -> bool:
        """Whether with `signal`, which came at `now` (monotonic seconds), there are as many as are allowed."""
        if isinstance(signal, (Change, Bookmark, Listed, Synced)):
            self.count, self.last = 0, ""
        elif isinstance(signal, Connected):
            self._accepted, self.last = now, ""
        elif isinstance(signal, Notice) and signal.cause and signal.cause not in _ORDERLY:
            self.last = signal.reason
            self._failed(signal.cause, now)
            return self.count >= self._most
        return False

    def _failed(self, cause: str, now: float) -> None:
        held = self._accepted is not None and now - self._accepted >= HELD_SECONDS
        self.count = 1 if held and cause not in _SILENT else self.count + 1
        self._accepted = None
