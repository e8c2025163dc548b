"""Where nothing is found at the start: it is said of all types of a namespace together, and if there is no such
namespace. A typo would be waited for without end otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import KwatchError, NotFound
from kwatch.model import Clock, Query, Signal, Synced
from kwatch.protocol.session import WatchSession
from kwatch.transport import Transport
from kwatch.watcher import Watcher

ALWAYS_THERE = ("", "default")
"""Namespaces that needn't be asked for: that of what has none, and the one that no server lets go."""
_MOST_NAMED = 3


class NamespaceWatcher(Watcher):
    """A watch that asks, when its first list is empty, whether there is the namespace, and notes it in its Synced."""

    def __init__(
        self, session: WatchSession, transport: Transport, clock: Clock, is_missing: Callable[[], bool]
    ) -> None:
        super().__init__(session, transport, clock)
        self._is_missing = is_missing

    def batches(self) -> Iterator[list[Signal]]:
        """As Watcher."""
        batches = super().batches()
        for signals in batches:
            yield [self._checked(signal) for signal in signals]
            if any(isinstance(signal, Synced) for signal in signals):
                break
        yield from batches

    def _checked(self, signal: Signal) -> Signal:
        if isinstance(signal, Synced) and signal.first and not signal.objects:
            return signal._replace(namespace_missing=self._is_missing())
        return signal


def is_missing(namespace: str, connection: Connection) -> bool:
    """Whether the server says that there is no such namespace; who may not ask doesn't know."""
    transport = Transport(connection)
    try:
        transport.get(f"/api/v1/namespaces/{quote(namespace, safe='')}", "application/json")
    except NotFound as error:
        return error.code == 404
    except KwatchError:
        return False
    finally:
        transport.close()
    return False


class Absence:
    """What to say of namespaces in which nothing was found: once all types asked for are listed."""

    def __init__(self, queries: Sequence[Query]) -> None:
        self._unlisted = Counter(map(_place, queries))
        self._found: set[tuple[str, str]] = set()
        self._empty: dict[tuple[str, str], list[str]] = {}

    def listed(self, query: Query, synced: Synced, what: str) -> bool:
        """Note the first list of `query`, objects named `what`; whether it is the last one of an empty namespace."""
        place = _place(query)
        self._unlisted[place] -= 1
        if synced.objects:
            self._found.add(place)
        else:
            self._empty.setdefault(place, []).append(what)
        return not self._unlisted[place] and place not in self._found

    def told(self, query: Query, synced: Synced, nothing: str) -> str:
        """Where `nothing` was found, and what is waited for."""
        names = list(dict.fromkeys(self._empty[_place(query)]))
        what = ", ".join(names) if len(names) <= _MOST_NAMED else "any of them"
        cluster = f" of {query.cluster}" if query.cluster else ""
        if synced.namespace_missing:
            where = f": namespace {query.namespace}{cluster} doesn't exist (yet)"
        else:
            where = f" in {query.namespace} namespace{cluster}" if query.namespace else cluster
        return f"No {nothing} found{where}; waiting for {what} to appear"


def _place(query: Query) -> tuple[str, str]:
    return query.cluster, query.namespace
