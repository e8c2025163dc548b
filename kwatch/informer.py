"""An informer: a store of objects that follows the cluster, and handlers that are told of each change, in order.

What client-go's shared informer is to Go. All handlers run in the informer's own thread; what one raises goes to its
error handler and ends nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from kwatch.api import Event
from kwatch.arguments import LONGEST_SECONDS, callback, named, seconds, takes_second
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import KwatchError, UsageError
from kwatch.feed import LOG, TICK_SECONDS, TRACE, Access, Feed, Limits, Subscription, selection_of
from kwatch.labels import selects
from kwatch.lifecycle import Lifecycle, lifecycle
from kwatch.model import Batch, Change, ChangeType, Key, Query, Resource, Signal, Synced
from kwatch.protocol.forms import Document, SharedForm
from kwatch.protocol.session import PAGE_SIZE
from kwatch.text import one_line

Object = dict[str, Any]
Objects = list[Object]
IndexFunction = Callable[[Object], Iterable[str]]
ErrorHandler = Callable[[Exception], object] | Callable[[Exception, Event | None], object]


class ObjectStore:
    """The objects as the informer knows them, to be read from any thread.

    What it gives is shared, with handlers too, and not to be changed (as in client-go): `copy.deepcopy` it first.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._documents: dict[Key, Document] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexed: dict[str, dict[str, dict[Key, None]]] = {}
        self._values_of: dict[str, dict[Key, tuple[str, ...]]] = {}
        self._complained: set[str] = set()

    def get(self, namespace: str, name: str) -> Object | None:
        """The object, None if there is none; `namespace` is "" for types that are in none."""
        document = self._documents.get((namespace, name))
        return None if document is None else document.object

    def list(self, namespace: str | None = None, labels: str | Mapping[str, str] | None = None) -> Objects:
        """The objects, of `namespace` alone if given, and with these labels: `{"app": "web"}`, or a label selector as
        `"app=web,tier!=db"`. Raises UsageError for what is none."""
        chosen = selects(labels or {})
        with self._lock:
            found = [each for key, each in self._documents.items() if not namespace or namespace == key[0]]
        objects = (document.object for document in found)
        return [value for value in objects if chosen(value["metadata"].get("labels") or {})]

    def keys(self) -> tuple[Key, ...]:
        """(namespace, name) of each object."""
        with self._lock:
            return tuple(self._documents)

    def add_index(self, index: str, function: IndexFunction) -> None:
        """Keep the objects by the values that `function` gives of each: `lambda pod: [pod["spec"]["nodeName"]]`.

        An object of which it raises, or gives a text and not several, is in the index by no value; the first one is
        logged. Raises UsageError where there is that index already.
        """
        callback("an index", function)
        with self._lock:
            if index in self._functions:
                raise UsageError(f'there is an index "{index}" already')
            self._functions[index], self._indexed[index], self._values_of[index] = function, {}, {}
            for key, document in self._documents.items():
                self._enter(index, key, document)

    def by_index(self, index: str, value: str) -> Objects:
        """The objects with that value in an index of `add_index`. Raises UsageError where there is no such index."""
        with self._lock:
            if index not in self._functions:
                raise UsageError(f'there is no index "{index}"; make it with add_index')
            found = [self._documents[key] for key in self._indexed[index].get(value, ())]
        return [document.object for document in found]

    def __repr__(self) -> str:
        return f"<ObjectStore: {len(self)} object{'' if len(self) == 1 else 's'}>"

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
            values = dict.fromkeys(_values(self._functions[index], document.object))
        except Exception as error:
            if index not in self._complained:
                self._complained.add(index)
                why = str(error) if isinstance(error, UsageError) else f"{_name(error)}: {error}"
                LOG.error("the index %s can't be made of %s, and perhaps of others: %s", index, _shown(key), why)
            return
        self._values_of[index][key] = tuple(values)
        for value in values:
            self._indexed[index].setdefault(value, {})[key] = None

    def _leave(self, index: str, key: Key) -> None:
        for value in self._values_of[index].pop(key, ()):
            keys = self._indexed[index][value]
            keys.pop(key, None)
            if not keys:
                del self._indexed[index][value]


def _values(function: IndexFunction, value: Object) -> Iterable[str]:
    found = function(value)
    if isinstance(found, str):
        raise UsageError("it gives a text; give a list of texts")
    return found


class _Told:
    """Whether what was there at the start was told, and why it never will be: for those who await it elsewhere."""

    def __init__(self) -> None:
        self._settled = threading.Event()
        self.is_complete = False
        self.error: BaseException | None = None

    def complete(self) -> None:
        """All of it was told."""
        self.is_complete = True
        self._settled.set()

    def end(self, error: BaseException | None) -> None:
        """Nothing more will be told; `error` is why, if it wasn't asked for."""
        self.error = self.error or error
        self._settled.set()

    def wait(self, timeout: float | None) -> bool:
        """Wait until one of the two: whether it is complete. Raises why it ended."""
        self._settled.wait(seconds("timeout", timeout))
        return self.now()

    def now(self) -> bool:
        """The same without waiting."""
        if self.error:
            raise self.error
        return self.is_complete


class Registration:
    """Handlers that were added together; `remove` them, or `wait_for_sync` until they were told of what was there."""

    def __init__(
        self,
        add: Callable[[Object], object] | None,
        update: Callable[[Object, Object], object] | None,
        delete: Callable[[Object], object] | None,
        event: Callable[[Event], object] | None,
        error: ErrorHandler | None,
        on_lifecycle: Callable[[Lifecycle], object] | None,
        resync: float | None,
    ) -> None:
        """Made by `Informer.add_handler`, which says what the parameters mean."""
        given = {"add": add, "update": update, "delete": delete, "event": event, "on_lifecycle": on_lifecycle}
        handlers = {name: callback(name, handler) for name, handler in given.items()}
        self._handlers = {name: handler for name, handler in handlers.items() if handler}
        self._error = callback("error", error)
        self._error_takes_event = error is not None and takes_second(error, "event")
        self._resync = seconds("resync", resync, least="more than 0")
        self._due = float("inf")
        self._removed = False
        self._told = _Told()
        self._thread: threading.Thread | None = None

    def remove(self) -> None:
        """Call these handlers no more. From another thread, one that is running now comes to its end."""
        self._removed = True
        self._told.end(None)

    @property
    def is_removed(self) -> bool:
        """Whether it was removed."""
        return self._removed

    @property
    def has_synced(self) -> bool:
        """Whether these handlers were told of all that was there at the start, or in the store when they came."""
        return self._told.is_complete

    def wait_for_sync(self, timeout: float | None = None) -> bool:
        """Wait until `has_synced`; False where that takes more than `timeout` seconds, or they were removed or the
        informer stopped before. Raises what made the informer give up. In a handler it doesn't wait."""
        return self._told.now() if threading.current_thread() is self._thread else self._told.wait(timeout)

    def __repr__(self) -> str:
        names = [*self._handlers, *(["error"] if self._error else [])]
        state = "removed" if self._removed else "synced" if self.has_synced else "waiting"
        return f"<Registration {', '.join(names)}: {state}>"

    def _begin(self, now: float) -> None:
        self._thread = threading.current_thread()
        self._due = float("inf") if self._resync is None else now + self._resync

    def _is_due(self, now: float) -> bool:
        return now >= self._due

    def _complete(self) -> None:
        if not self._removed:
            self._told.complete()

    def _end(self, error: BaseException | None) -> None:
        self._told.end(error)

    def _changed(self, event: Event) -> None:
        name, objects = _HANDLERS[event.type]
        if name in self._handlers:
            self._call(name, event, *objects(event))
        self._call("event", event, event)

    def _resynced(self, event: Event) -> None:
        self._call("update", event, event.old, event.object)

    def _lived(self, step: Lifecycle) -> None:
        self._call("on_lifecycle", None, step)

    def _gave_up(self, step: Lifecycle) -> bool:
        """Whether an error handler was told. What isn't an Exception, as of `sys.exit()`, is none's."""
        try:
            self._lived(step)
            if self._error is None or self._removed or not isinstance(step.error, Exception):
                return False
            self._failed(step.error, None, "")
            return True
        except BaseException:  # the informer is ending already, and others are to be told
            LOG.exception("a handler exited that was told why the informer of %s gave up", step.query)
            return False

    def _failed(self, error: Exception, event: Event | None, what: str) -> None:
        """Tell the error handler; without one, the log."""
        if self._error is None:
            LOG.error("%s: %s: %s", what, _name(error), error, exc_info=error)
            return
        arguments = (error, event) if self._error_takes_event else (error,)
        try:
            self._error(*arguments)
        except Exception as raised:
            LOG.exception("the handler error=%s raised: %s: %s", named(self._error), _name(raised), raised)

    def _call(self, name: str, event: Event | None, *args: object) -> None:
        handler = self._handlers.get(name)
        if handler is None or self._removed:
            return
        try:
            handler(*args)
        except Exception as error:  # a handler's failure must end neither the informer nor other handlers
            on = f" on {event.resource.qualified} {_shown(event.key)}" if event else ""
            self._failed(error, event, f"the handler {name}={named(handler)} raised{on}")


_HANDLERS: dict[ChangeType, tuple[str, Callable[[Event], tuple[Object | None, ...]]]] = {
    "ADDED": ("add", lambda event: (event.object,)),
    "MODIFIED": ("update", lambda event: (event.old, event.object)),
    "DELETED": ("delete", lambda event: (event.object,)),
}
"""Which handler is told of an event, and of which objects."""


class Informer:
    """Follows objects of one type. Use it as a context manager, or `start` and `stop` it; it runs once.

    Left running, it goes on until the process ends, though nobody holds it any more: its thread does.
    """

    def __init__(
        self,
        type: str,
        *names: str,
        namespace: str | Sequence[str] | None = None,
        all_namespaces: bool = False,
        label_selector: str | Mapping[str, str] | None = None,
        field_selector: str | Mapping[str, str] | None = None,
        connection: Connection | None = None,
        kubeconfig: str | os.PathLike[str] = "",
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
        cache_dir: str | os.PathLike[str] | None = "",
    ) -> None:
        """All as for `kwatch.watch`, but for one type. Nothing is read or asked before `start`.

        The values of Secrets are redacted here, too, unless `show_secrets`: see `kwatch.watch`.
        """
        self._store = ObjectStore()
        self._subscription = Subscription(
            selection_of(type, names, namespace, all_namespaces, label_selector, field_selector),
            Access(connection, kubeconfig, context, server),
            lambda query: SharedForm(managed_fields=show_managed_fields, secrets=show_secrets, trace=TRACE),
            Limits(max_failures, relist_interval, idle_timeout),
            chunk_size,
            watch_list,
            patient,
            cache_dir,
        )
        self._what = " ".join((type, *names))
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._over = False
        self._told = _Told()
        self._unsynced = 0
        self._added: SimpleQueue[Registration] = SimpleQueue()
        self._registrations: list[Registration] = []

    @property
    def store(self) -> ObjectStore:
        """The objects as they are known: complete once `wait_for_sync` says so, and readable from any thread."""
        return self._store

    def add_handler(
        self,
        *,
        add: Callable[[Object], object] | None = None,
        update: Callable[[Object, Object], object] | None = None,
        delete: Callable[[Object], object] | None = None,
        event: Callable[[Event], object] | None = None,
        error: ErrorHandler | None = None,
        on_lifecycle: Callable[[Lifecycle], object] | None = None,
        resync: float | None = None,
    ) -> Registration:
        """Tell these of what happens, at any time and from any thread; who comes late is told of each object in the
        store as an add first. All are called in the informer's thread, one after another, so that a slow one holds up
        the others, and the store.

        `add(object)`, `update(old, new)`, `delete(object)` (as it was last) and `event(Event)`, which is told of all
        three. `error(exception)` gets what one of these raised, and why the informer gave up; one with a second
        parameter that has no default, or that is called `event`, also gets the Event it was about (None of a step or
        the end). Without it the log does. What isn't an Exception (`sys.exit()`) ends the informer: it is told as
        `give_up`, and raised by `join` and `wait_for_sync`.
        `on_lifecycle(Lifecycle)`: lists, connects, bookmarks, gaps. `resync`: each so many seconds `update(object,
        object)` for all there is in the store, to make up for what a handler failed to do; the server isn't asked.
        Objects are those of the store: not to be changed.
        """
        registration = Registration(add, update, delete, event, error, on_lifecycle, resync)
        self._added.put(registration)
        if self._over:  # nobody will take it out any more
            registration._end(self.error)
        return registration

    def start(self) -> Informer:
        """Find the type and follow it. Raises UsageError, ConfigError and NotFound, as `kwatch.watch`."""
        if self._thread:
            raise UsageError("an informer runs once; make another")
        if self._stopping.is_set():
            raise UsageError("the informer was stopped before it began; make another")
        feed = Feed(self._subscription)
        if len({query.resource for query in feed.queries}) > 1:
            feed.stop()
            raise UsageError(f'"{self._subscription.selection.type}" are several types; an informer follows one')
        self._unsynced, self._what = len(feed.queries), ", ".join(map(str, feed.queries))
        self._thread = threading.Thread(target=self._run, args=(feed,), name=f"informer {feed.queries[0]}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it, from any thread, and await the end of a handler that is running. After it no handler is called."""
        self._stopping.set()
        if self._thread and not self._is_own_thread():
            self._await_end(None)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is stopped: whether it is after `timeout` seconds. Raises what made it give up, be it that a
        handler called `sys.exit()`. Ctrl-C ends the waiting alone: leave a `with`, or `stop`, to end the informer."""
        if self._thread is None:
            raise UsageError("start the informer first")
        if self._is_own_thread():
            raise UsageError("a handler can't await the end of its own informer; stop() it, and join() it elsewhere")
        ended = self._await_end(timeout)
        if self.error:
            raise self.error
        return ended

    def wait_for_sync(self, timeout: float | None = None) -> bool:
        """Wait until the store has, and the handlers were told of, what was there at the start; False where that takes
        more than `timeout` seconds, or it was stopped. Raises what made it give up. In a handler it doesn't wait."""
        if self._thread is None:
            raise UsageError("start the informer first")
        return self._told.now() if self._is_own_thread() else self._told.wait(timeout)

    @property
    def has_synced(self) -> bool:
        """Whether the store has what was there at the start."""
        return self._told.is_complete

    @property
    def error(self) -> BaseException | None:
        """Why it gave up; None while it hasn't."""
        return self._told.error

    def __repr__(self) -> str:
        return f"<Informer {self._what}: {self._state()}>"

    def _state(self) -> str:
        if self.error:
            return f"gave up, {_name(self.error)}: {self.error}"
        if self._stopping.is_set():
            return "stopped"
        if self._thread is None:
            return "not started"
        return "synced" if self.has_synced else "listing"

    def __enter__(self) -> Informer:
        return self if self._thread and not self._stopping.is_set() else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _await_end(self, timeout: float | None) -> bool:
        """Whether its thread is over. It is joined bit by bit and says itself that it is over: Python 3.10 to 3.12 take
        a thread for ended once Ctrl-C came amid a join, and nobody would await the handler that runs. No lock is taken
        here in Python code, so that a signal handler may stop what the main thread joins."""
        given = seconds("timeout", timeout)
        ends = time.monotonic() + (LONGEST_SECONDS if given is None else given)
        while self._thread and not self._over and (left := ends - time.monotonic()) > 0:
            self._thread.join(min(left, TICK_SECONDS))
            if not self._thread.is_alive() and not self._over:
                time.sleep(min(left, TICK_SECONDS / 10))
        return self._over

    # In its own thread

    def _run(self, feed: Feed) -> None:
        error: BaseException | None = None
        try:
            feed.start()
            while not self._stopping.is_set():
                self._welcome(feed.queries[0].resource)
                self._resync(feed.queries[0].resource)
                self._take(feed.take(TICK_SECONDS))
        except BaseException as caught:  # whoever started it is elsewhere: they ask for it, or have an error handler
            error = caught
            self._give_up(feed.queries[0], error)
        finally:
            feed.stop()
            self._over = True
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Let go of all who wait to be told something."""
        self._told.end(error)
        while registration := self._next_added():
            self._registrations.append(registration)
        for registration in self._registrations:
            registration._end(error)

    def _welcome(self, resource: Resource) -> None:
        """Tell those who came of what is there, and forget those who left."""
        self._registrations = [each for each in self._registrations if not each.is_removed]
        while registration := self._next_added():
            self._registrations.append(registration)
            registration._begin(time.monotonic())
            for key, document in list(self._store._documents.items()):
                if self._stopping.is_set():
                    return
                registration._changed(_event("ADDED", key, document, None, resource))
            if self.has_synced:
                registration._complete()

    def _next_added(self) -> Registration | None:
        try:
            return self._added.get_nowait()
        except Empty:
            return None

    def _resync(self, resource: Resource) -> None:
        now = time.monotonic()
        for registration in self._registrations:
            if registration._is_due(now):
                registration._begin(now)
                for key, document in list(self._store._documents.items()):
                    if self._stopping.is_set():
                        return
                    registration._resynced(_event("MODIFIED", key, document, document, resource))

    def _take(self, batch: Batch | None) -> None:
        for signal in batch.signals if batch else ():
            if batch is None or self._stopping.is_set():
                return
            self._handle(batch.query, signal)

    def _handle(self, query: Query, signal: Signal) -> None:
        if isinstance(signal, Change):
            self._store._apply(signal)
            for registration in self._registrations:
                registration._changed(Event(signal, query.resource))
        for step in lifecycle(query, signal):
            self._tell(step)
        if isinstance(signal, Synced) and signal.first:
            self._unsynced -= 1
            if not self._unsynced:
                for registration in self._registrations:
                    registration._complete()
                self._told.complete()

    def _tell(self, step: Lifecycle) -> None:
        for registration in self._registrations:
            registration._lived(step)

    def _give_up(self, query: Query, error: BaseException) -> None:
        """Tell all who listen, whatever they do about it; where no error handler takes it, the log, too."""
        reason = str(error) if isinstance(error, KwatchError) else ": ".join(filter(None, (_name(error), str(error))))
        self._end(error)
        taken = [
            registration._gave_up(Lifecycle("give_up", query, reason=reason, error=error))
            for registration in self._registrations
        ]
        if not any(taken):
            unexpected = None if isinstance(error, KwatchError) else error
            LOG.error("the informer of %s gave up: %s", query, reason, exc_info=unexpected)


def _event(kind: ChangeType, key: Key, document: Document, old: Document | None, resource: Resource) -> Event:
    """What is there, as an event."""
    metadata = document.object["metadata"]
    uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
    return Event(Change(kind, key, uid, version, document, old, initial=old is None), resource)


def _shown(key: Key) -> str:
    return one_line("/".join(filter(None, key)))


def _name(value: object) -> str:
    return type(value).__name__
