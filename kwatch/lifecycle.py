"""What happens to a watch besides changes, for programs: kinds in place of texts, and when it has failed too often.

Pure: time is an argument.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from kwatch.model import Bookmark, Change, Connected, Listed, Notice, Query, Signal, Synced

LifecycleKind = Literal[
    "connect", "list", "bookmark", "reconnect", "relist", "old_resource_version", "data_error", "give_up"
]
LifecycleCause = Literal[
    "",
    "ENDED",
    "DUE",
    "SHORT",
    "SILENT",
    "CUT",
    "UNREACHABLE",
    "UNTRUSTED",
    "NO_CREDENTIALS",
    "OVERDUE",
    "MALFORMED",
    "TOO_LONG",
    "GONE",
    "CONTINUE_GONE",
    "FUTURE",
    "WENT_BACK",
    "ERROR_EVENT",
    "UNKNOWN_EVENT",
    "THROTTLED",
    "SERVER_ERROR",
    "UNAUTHORIZED",
    "NOT_FOUND",
    "NO_STREAM",
]
"""The names of `kwatch.protocol.decisions.Cause` after which a watch goes on."""


class Lifecycle(NamedTuple):
    """One step in the life of a watch. `kind` is

    connect               the server accepted the watch that starts after `version`
    list                  a list is complete: `objects` of them at `version`
    bookmark              nothing before `version` is still to come
    reconnect             the watch ended by `cause` and goes on from its place in `delay` seconds
    relist                the same, but what exists is listed again
    old_resource_version  the server no longer has the events since; a relist follows
    data_error            the server sent what isn't the watch protocol; a reconnect or relist follows
    give_up               it can't go on: `error`

    and by it these fields say something:

    kind      one of the above
    query     what is watched: its `resource`, `namespace` and `name`
    version   a resourceVersion
    objects   how many of them
    cause     why the watch ended, one of those below
    reason    the same in words, with what the server or the network said
    delay     seconds
    error     what `kwatch.Informer.join` raises: mostly a KwatchError

    The causes:

    ENDED           the server ended the watch in good order, as it does every few minutes
    DUE             the periodic list of `relist_interval`
    SHORT           the server closed the watch at once
    SILENT          no word of the server during a whole watch, no bookmark even
    CUT             the connection was lost
    UNREACHABLE     no connection could be made
    UNTRUSTED       the server's certificate doesn't verify
    NO_CREDENTIALS  a token file or credential plugin gave nothing
    OVERDUE         no byte for too long
    MALFORMED       something that isn't JSON, or not the API's
    TOO_LONG        a line or body over its cap
    GONE            the resourceVersion is too old (410)
    CONTINUE_GONE   the same between two pages of a list
    FUTURE          the server is behind the resourceVersion
    WENT_BACK       the server's history is another: it was restored
    ERROR_EVENT     an ERROR of the server's amid the watch
    UNKNOWN_EVENT   an event of a type that nobody knows
    THROTTLED       429 or 503
    SERVER_ERROR    any other 5xx
    UNAUTHORIZED    401; the credentials are renewed, once
    NOT_FOUND       404: the type isn't served any more
    NO_STREAM       no list as a stream, as `watch_list` asks for
    """

    kind: LifecycleKind
    query: Query
    version: str = ""
    objects: int = 0
    cause: LifecycleCause = ""
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
    special, cause = _SPECIAL.get(notice.cause), cast("LifecycleCause", notice.cause)
    kinds: list[LifecycleKind] = [special] if special else []
    kinds.append("relist" if notice.relist else "reconnect")
    return [Lifecycle(kind, query, cause=cause, reason=notice.reason, delay=notice.delay) for kind in kinds]


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
