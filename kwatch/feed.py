"""What `watch` and `Informer` stand on: the words of a program to running watches, their batches, and their end.

Notices go to the logger `kwatch` (details as DEBUG); no credential is in one, nor in an error.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from kwatch.cluster.cache import cache_folder
from kwatch.cluster.catalog import Catalog
from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.cluster.masking import masked
from kwatch.errors import GaveUp, KwatchError, NotFound, TransportError, UsageError
from kwatch.lifecycle import Failures
from kwatch.model import Batch, Clock, Notice, Query, Signal
from kwatch.protocol.forms import Form
from kwatch.protocol.session import PAGE_SIZE, WatchSession
from kwatch.pump import Pump
from kwatch.selection import Selection, catalog, queries
from kwatch.text import one_line
from kwatch.transport import Transport
from kwatch.watcher import Watcher

LOG = logging.getLogger("kwatch")
TICK_SECONDS = 0.1
"""How often whoever waits for something looks whether it was stopped."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_failures` in a row end it; seconds from list to list; seconds of silence after which to reconnect."""

    max_failures: int | None = None
    relist_interval: float | None = None
    idle_timeout: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_failures", "relist_interval", "idle_timeout"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise UsageError(f"{name} is more than 0, or None for no limit; not {value!r}")


@dataclass(frozen=True, slots=True)
class Access:
    """Where a program says that the server is: by a connection, or by words; by neither, where kubectl would look."""

    connection: Connection | None = None
    kubeconfig: str = ""
    context: str = ""
    server: str = ""

    def open(self) -> Connection:
        """The connection that was given, else the one that kubectl would make. Raises ConfigError, UsageError."""
        if self.connection is None:
            words = ConnectionOptions(kubeconfig=self.kubeconfig, context=self.context, server=self.server)
            return resolve(words, os.environ)
        if self.kubeconfig or self.context or self.server:
            raise UsageError("a connection says where the server is; leave out kubeconfig, context and server, or it")
        return self.connection


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to watch, where, in which form and within which limits. Nothing is read or asked for it yet."""

    selection: Selection
    access: Access
    form: Callable[[Query], Form]
    limits: Limits = field(default_factory=Limits)
    chunk_size: int = PAGE_SIZE
    watch_list: bool = False
    patient: bool = False
    cache_dir: str | None = ""
    ends: float = float("inf")
    """The monotonic time by which the server must have said what it serves."""


def selection_of(
    type: str,
    names: Sequence[str],
    namespace: str | Sequence[str],
    all_namespaces: bool,
    label_selector: str,
    field_selector: str,
) -> Selection:
    """The words of a program as they are typed for the command; a single namespace may be a text."""
    namespaces = (namespace,) if isinstance(namespace, str) else tuple(namespace)
    spaces = tuple(filter(None, namespaces))
    return Selection(type, tuple(names), spaces, all_namespaces, label_selector, field_selector)


class Feed:
    """Running watches. `take` is for one thread; `stop` may be called from any, and more than once."""

    def __init__(self, subscription: Subscription) -> None:
        """Finds the server and the types. Raises UsageError, ConfigError, NotFound and what a GET raises."""
        self._subscription = subscription
        self._connection = subscription.access.open()
        self._lock = threading.RLock()
        self._stopped = False
        self._heard = False
        self._failure: KwatchError | None = None
        self._pump: Pump | None = None
        try:
            self.queries, self._catalog = self._resolve()
        except KwatchError as error:
            self.stop()
            raise self.fit(error) from error.__cause__

    def start(self) -> None:
        """Begin to watch, unless it was stopped meanwhile."""
        with self._lock:
            if self._stopped or self._pump:
                return
            self._failures = {query: Failures(self._subscription.limits.max_failures) for query in self.queries}
            self._pump = Pump(self.queries, self._watcher)
            self._pump.__enter__()

    def take(self, seconds: float) -> Batch | None:
        """What a watch found, waiting for it at most so long. Raises what ends a watch that can't go on, unless it was
        added: then that is the batch's failure."""
        if self._failure:
            raise self._failure
        pump = self._pump
        batch = pump.take(seconds) if pump else None
        if batch is None or self._stopped:
            return None
        if batch.failure and batch.query in self.queries:
            self._failed(batch.failure)
            return None
        self._heard = self._heard or any(not isinstance(signal, Notice) for signal in batch.signals)
        now = time.monotonic()
        return batch._replace(signals=[self._noted(batch.query, signal, now) for signal in batch.signals])

    def add(self, query: Query) -> None:
        """Watch one more, whatever becomes of it."""
        with self._lock:
            if self._pump and not self._stopped:
                self._failures[query] = Failures(None)
                self._pump.add(query)

    def drop(self, query: Query) -> None:
        """Watch one that was added no longer."""
        with self._lock:
            if self._pump and not self._stopped:
                self._pump.drop(query)

    def fit(self, error: KwatchError) -> KwatchError:
        """The error, its text without a credential."""
        error.args = (self._inert(str(error)),)
        if isinstance(error, TransportError):
            error.detail = self._inert(error.detail)
        return error

    def stop(self) -> None:
        """End the watches and await their threads' end, for half a second at most."""
        with self._lock:
            pump, self._stopped = self._pump, True
        if pump:
            pump.stop()
        if self._subscription.access.connection is None:  # else others may use what it holds of the machine
            self._connection.credentials.close()

    def _resolve(self) -> tuple[list[Query], Catalog]:
        wanted = self._subscription
        folder = None if wanted.cache_dir is None else cache_folder(wanted.cache_dir, os.environ)
        with catalog(self._connection, folder, wanted.ends, self._log) as types:
            return queries(wanted.selection, self._connection, types), types

    def _watcher(self, query: Query, clock: Clock) -> Watcher:
        wanted, limits = self._subscription, self._subscription.limits
        session = WatchSession(
            query,
            wanted.form(query),
            page_size=wanted.chunk_size,
            stream_list=wanted.watch_list,
            patient=wanted.patient or query not in self.queries,
            relist_interval=limits.relist_interval or float("inf"),
            idle_timeout=limits.idle_timeout or float("inf"),
        )
        return Watcher(session, Transport(self._connection), clock)

    def _noted(self, query: Query, signal: Signal, now: float) -> Signal:
        """The signal, counted and logged, without a credential."""
        if isinstance(signal, Notice):
            signal = signal._replace(text=self._inert(signal.text), reason=self._inert(signal.reason))
            self._log(signal)
        failures = self._failures[query]
        if failures.take(signal, now):
            last = signal.reason if isinstance(signal, Notice) else ""
            self._failure = GaveUp(f"{query}: given up after {failures.count} failures in a row; the last: {last}")
        return signal

    def _failed(self, failure: Exception) -> None:
        """Ask for the types anew, once, where all that was wrong is what an earlier run kept of them."""
        if not isinstance(failure, KwatchError):
            raise failure
        absent = isinstance(failure, NotFound) and failure.code == HTTPStatus.NOT_FOUND
        if not absent or self._heard or len(self.queries) > 1 or not self._catalog.distrust():
            raise self.fit(failure) from failure.__cause__
        self._log(Notice(f"{failure}; asking the server anew", detail=True))
        assert self._pump is not None
        self._pump.stop()
        self.queries, self._catalog = self._resolve()
        self._pump = None
        self.start()

    def _log(self, notice: Notice) -> None:
        LOG.log(logging.DEBUG if notice.detail else logging.WARNING, "%s", self._inert(notice.text))

    def _inert(self, text: str) -> str:
        return one_line(masked(text, [self._connection]))
