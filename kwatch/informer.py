"""An informer: a store of objects that follows the cluster, and handlers that are told of each change, in order.

What client-go's shared informer is to Go. All handlers run in the informer's own thread; what one raises goes to its
error handler and ends nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from kwatch.api import Event
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import UsageError
from kwatch.feed import LOG, TICK_SECONDS, Access, Feed, Limits, Subscription, selection_of
from kwatch.lifecycle import Lifecycle, lifecycle
from kwatch.model import Batch, Change, Key, Query, Resource, Signal, Synced
from kwatch.protocol.forms import Document, SharedForm
from kwatch.protocol.session import PAGE_SIZE

Object = dict[str, Any]
Objects = list[Object]
IndexFunction = Callable[[Object], Iterable[str]]


class ObjectStore:
    """The objects as the informer knows them, to be read from any thread.

    What it gives is shared, with handlers too, and not to be changed (as in client-go): `copy.deepcopy` it first.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._documents: dict[Key, Document] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexed: dict[str, dict[str, dict[Key, None]]] = {}
        self._values: dict[str, dict[Key, tuple[str, ...]]] = {}

    def get(self, namespace: str, name: str) -> Object | None:
        """The object, None if there is none; `namespace` is "" for types that are in none."""
        document = self._documents.get((namespace, name))
        return None if document is None else document.object

    def list(self, namespace: str = "", labels: Mapping[str, str] | None = None) -> Objects:
        """The objects, of `namespace` alone if given, and with these labels."""
        with self._lock:
            found = [each for key, each in self._documents.items() if namespace in ("", key[0])]
        objects = (document.object for document in found)
        wanted = (labels or {}).items()
        return [value for value in objects if wanted <= (value["metadata"].get("labels") or {}).items()]

    def keys(self) -> tuple[Key, ...]:
        """(namespace, name) of each object."""
        with self._lock:
            return tuple(self._documents)

    def add_index(self, index: str, function: IndexFunction) -> None:
        """Keep the objects by the values that `function` gives of each: `lambda pod: [pod["spec"]["nodeName"]]`.

        An object of which it raises is in the index by no value. Raises UsageError where there is that index already.
        """
        with self._lock:
            if index in self._functions:
                raise UsageError(f'there is an index "{index}" already')
            self._functions[index], self._indexed[index], self._values[index] = function, {}, {}
            for key, document in self._documents.items():
                self._enter(index, key, document)

    def by_index(self, index: str, value: str) -> Objects:
        """The objects with that value in an index of `add_index`. Raises UsageError where there is no such index."""
        with self._lock:
            if index not in self._functions:
                raise UsageError(f'there is no index "{index}"; make it with add_index')
            found = [self._documents[key] for key in self._indexed[index].get(value, ())]
        return [document.object for document in found]

    def __len__(self) -> int:
        return len(self._documents)

    def __contains__(self, key: object) -> bool:
        return key in self._documents

    def __iter__(self) -> Iterator[Object]:
        return iter(self.list())

    def _apply(self, change: Change) -> None:
        with self._lock:
            for index in self._functions:
                self._leave(index, change.key)
            if change.type == "DELETED":
                self._documents.pop(change.key, None)
                return
            self._documents[change.key] = change.state
            for index in self._functions:
                self._enter(index, change.key, change.state)

    def _enter(self, index: str, key: Key, document: Document) -> None:
        try:
            values = tuple(self._functions[index](document.object))
        except Exception:
            LOG.exception("the index %s can't be made of %s", index, "/".join(filter(None, key)))
            return
        self._values[index][key] = values
        for value in values:
            self._indexed[index].setdefault(value, {})[key] = None

    def _leave(self, index: str, key: Key) -> None:
        for value in self._values[index].pop(key, ()):
            keys = self._indexed[index][value]
            keys.pop(key, None)
            if not keys:
                del self._indexed[index][value]


class Registration:
    """Handlers that were added together; `remove` them, or wait until they were told of what was there."""

    def __init__(
        self,
        add: Callable[[Object], object] | None,
        update: Callable[[Object, Object], object] | None,
        delete: Callable[[Object], object] | None,
        event: Callable[[Event], object] | None,
        error: Callable[[Exception], object] | None,
        on_lifecycle: Callable[[Lifecycle], object] | None,
        resync: float | None,
    ) -> None:
        """Made by `Informer.add_handler`, which says what the parameters mean."""
        if resync is not None and not resync > 0:
            raise UsageError(f"resync is more than 0 seconds, or None; not {resync!r}")
        self._add = add
        self._update = update
        self._delete = delete
        self._event = event
        self._error = error
        self._on_lifecycle = on_lifecycle
        self._resync = resync
        self._due = float("inf")
        self._removed = False

    def remove(self) -> None:
        """Call these handlers no more. From another thread, one that is running now comes to its end."""
        self._removed = True

    @property
    def is_removed(self) -> bool:
        """Whether it was removed."""
        return self._removed

    def _begin(self, now: float) -> None:
        self._due = float("inf") if self._resync is None else now + self._resync

    def _is_due(self, now: float) -> bool:
        return now >= self._due

    def _changed(self, change: Change, resource: Resource) -> None:
        state = change.state.object
        if change.type == "ADDED":
            self._call(self._add, state)
        elif change.type == "DELETED":
            self._call(self._delete, state)
        else:
            self._call(self._update, change.old.object, state)
        self._call(self._event, Event(change, resource))

    def _resynced(self, state: Object) -> None:
        self._call(self._update, state, state)

    def _lived(self, step: Lifecycle) -> None:
        self._call(self._on_lifecycle, step)

    def _failed(self, error: Exception) -> None:
        """Tell the error handler; without one, the log."""
        if self._error is None:
            LOG.error("a handler raised, or the informer gave up", exc_info=error)
            return
        try:
            self._error(error)
        except Exception:
            LOG.exception("an error handler raised")

    def _call(self, handler: Callable[..., object] | None, *args: object) -> None:
        if handler is None or self._removed:
            return
        try:
            handler(*args)
        except Exception as error:  # a handler's failure must end neither the informer nor other handlers
            self._failed(error)


class Informer:
    """Follows objects of one type. Use it as a context manager, or `start` and `stop` it; it runs once."""

    def __init__(
        self,
        type: str,
        *names: str,
        namespace: str | Sequence[str] = (),
        all_namespaces: bool = False,
        label_selector: str = "",
        field_selector: str = "",
        connection: Connection | None = None,
        kubeconfig: str = "",
        context: str = "",
        server: str = "",
        relist_interval: float | None = None,
        idle_timeout: float | None = None,
        max_failures: int | None = None,
        patient: bool = False,
        watch_list: bool = False,
        chunk_size: int = PAGE_SIZE,
        show_managed_fields: bool = False,
        show_secrets: bool = False,
        cache_dir: str | None = "",
    ) -> None:
        """All as for `kwatch.watch`, but for one type. Nothing is read or asked before `start`."""
        self.store = ObjectStore()
        self._subscription = Subscription(
            selection_of(type, names, namespace, all_namespaces, label_selector, field_selector),
            Access(connection, kubeconfig, context, server),
            lambda query: SharedForm(managed_fields=show_managed_fields, secrets=show_secrets),
            Limits(max_failures, relist_interval, idle_timeout),
            chunk_size,
            watch_list,
            patient,
            cache_dir,
        )
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._unsynced = 0
        self._added: SimpleQueue[Registration] = SimpleQueue()
        self._registrations: list[Registration] = []
        self._synced = False
        self._error: Exception | None = None

    def add_handler(
        self,
        *,
        add: Callable[[Object], object] | None = None,
        update: Callable[[Object, Object], object] | None = None,
        delete: Callable[[Object], object] | None = None,
        event: Callable[[Event], object] | None = None,
        error: Callable[[Exception], object] | None = None,
        on_lifecycle: Callable[[Lifecycle], object] | None = None,
        resync: float | None = None,
    ) -> Registration:
        """Tell these of what happens, at any time and from any thread; who comes late is told of each object in the
        store as an add first. All are called in the informer's thread, one after another, so that a slow one holds up
        the others, and the store.

        `add(object)`, `update(old, new)`, `delete(object)` (as it was last) and `event(Event)`, which is told of all
        three. `error(exception)` gets what one of these raised, and why the informer gave up; without it the log does.
        `on_lifecycle(Lifecycle)`: lists, connects, bookmarks, gaps. `resync`: each so many seconds `update(object,
        object)` for all there is in the store, to make up for what a handler failed to do; the server isn't asked.
        Objects are those of the store: not to be changed.
        """
        registration = Registration(add, update, delete, event, error, on_lifecycle, resync)
        self._added.put(registration)
        return registration

    def start(self) -> Informer:
        """Find the type and follow it. Raises UsageError, ConfigError and NotFound, as `kwatch.watch`."""
        if self._thread:
            raise UsageError("an informer runs once; make another")
        feed = Feed(self._subscription)
        if len({query.resource for query in feed.queries}) > 1:
            feed.stop()
            raise UsageError(f'"{self._subscription.selection.type}" are several types; an informer follows one')
        self._unsynced = len(feed.queries)
        self._thread = threading.Thread(target=self._run, args=(feed,), name=f"informer {feed.queries[0]}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it, from any thread, and await the end of a handler that is running. After it no handler is called."""
        self._stopping.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is stopped: whether it is after `timeout` seconds. Raises what made it give up."""
        if self._thread is None:
            raise UsageError("start the informer first")
        self._thread.join(timeout)
        if self._error:
            raise self._error
        return not self._thread.is_alive()

    def wait_for_sync(self, timeout: float | None = None) -> bool:
        """Wait until the store has, and the handlers were told of, what was there at the start; False where that takes
        more than `timeout` seconds, or it was stopped. Raises what made it give up. In a handler it doesn't wait."""
        if self._thread is None:
            raise UsageError("start the informer first")
        if self._thread is not threading.current_thread():
            self._settled.wait(timeout)
        if self._error:
            raise self._error
        return self._synced

    @property
    def has_synced(self) -> bool:
        """Whether the store has what was there at the start."""
        return self._synced

    @property
    def error(self) -> Exception | None:
        """Why it gave up; None while it hasn't."""
        return self._error

    def __enter__(self) -> Informer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # In its own thread

    def _run(self, feed: Feed) -> None:
        try:
            feed.start()
            while not self._stopping.is_set():
                self._welcome(feed.queries[0].resource)
                self._resync()
                self._take(feed.take(TICK_SECONDS))
        except Exception as error:  # whoever started it is elsewhere: they ask for it, or have an error handler
            self._give_up(feed.queries[0], error)
        finally:
            feed.stop()
            self._settled.set()

    def _welcome(self, resource: Resource) -> None:
        """Tell those who came of what is there, and forget those who left."""
        self._registrations = [each for each in self._registrations if not each.is_removed]
        while registration := self._next_added():
            registration._begin(time.monotonic())
            for key, document in list(self.store._documents.items()):
                if self._stopping.is_set():
                    return
                metadata = document.object["metadata"]
                uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
                registration._changed(Change("ADDED", key, uid, version, document, initial=True), resource)
            self._registrations.append(registration)

    def _next_added(self) -> Registration | None:
        try:
            return self._added.get_nowait()
        except Empty:
            return None

    def _resync(self) -> None:
        now = time.monotonic()
        for registration in self._registrations:
            if registration._is_due(now):
                registration._begin(now)
                for state in self.store:
                    if self._stopping.is_set():
                        return
                    registration._resynced(state)

    def _take(self, batch: Batch | None) -> None:
        for signal in batch.signals if batch else ():
            if batch is None or self._stopping.is_set():
                return
            self._handle(batch.query, signal)

    def _handle(self, query: Query, signal: Signal) -> None:
        if isinstance(signal, Change):
            self.store._apply(signal)
            for registration in self._registrations:
                registration._changed(signal, query.resource)
        for step in lifecycle(query, signal):
            self._tell(step)
        if isinstance(signal, Synced) and signal.first:
            self._unsynced -= 1
            if not self._unsynced:
                self._synced = True
                self._settled.set()

    def _tell(self, step: Lifecycle) -> None:
        for registration in self._registrations:
            registration._lived(step)

    def _give_up(self, query: Query, error: Exception) -> None:
        self._error = error
        self._settled.set()
        self._tell(Lifecycle("give_up", query, reason=str(error), error=error))
        for registration in self._registrations:
            if not registration.is_removed:
                registration._failed(error)
        if not self._registrations:
            LOG.error("an informer gave up", exc_info=error)
