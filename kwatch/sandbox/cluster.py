"""The state of a cluster: objects, one monotonic resourceVersion, a bounded history. No sockets, no threads of its own.

Every stored version of an object is a `Record` that is never changed; every write is a `Change` that goes to the
history and to the watchers of its kind. Thread-safe: one lock around all of it; watchers are woken under that lock.
"""

from __future__ import annotations

import random
import threading
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .defaults import apply_defaults, managed_fields, ordered
from .encoding import Object, copied, lookup
from .errors import (
    already_exists,
    bad_request,
    conflict,
    expired_list,
    expired_watch,
    invalid,
    not_found,
)
from .kinds import CRD, Kind, Registry, custom_kinds
from .patches import merge
from .selection import Selection

Key = tuple[str, str]  # (namespace + "/", name): sorts as etcd's keys do, and never collides
Keys = list[Key]
Objects = list[Object]
Changes = list[tuple[str, Object]]
Overlay = dict[Key, "Record | None"]
Records = list["Record"]
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
MANAGER = "sandbox"
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_NAME_CHARS = "bcdfghjklmnpqrstvwxz2456789"
_SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def key_of(namespace: str, name: str) -> Key:
    """The key of an object; a cluster-scoped one has namespace ""."""
    return namespace + "/", name


@dataclass(eq=False, slots=True)
class Record:
    """One version of one object. `encoded` is a cache of its representations."""

    item: Object
    version: int
    key: Key
    encoded: dict[str, bytes] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return str(self.item["metadata"]["uid"])

    def at(self, version: int) -> Record:
        """The same content under another resourceVersion."""
        metadata = {**self.item["metadata"], "resourceVersion": str(version)}
        return Record({**self.item, "metadata": metadata}, version, self.key)


@dataclass(eq=False, slots=True)
class Change:
    """One write: the new record (for DELETED the last content under the deletion's version) and what it replaced."""

    type: str
    record: Record
    previous: Record | None = None
    _departed: Record | None = None

    def seen_by(self, selection: Selection) -> tuple[str, Record] | None:
        """The (type, record) that a watcher of the selection gets: entering it is ADDED, leaving it is DELETED."""
        if not selection.predicates:
            return self.type, self.record
        now = self.type != DELETED and selection.matches(self.record.item)
        before = self.previous is not None and selection.matches(self.previous.item)
        if now:
            return (MODIFIED if before else ADDED), self.record
        return (DELETED, self.departed) if before else None

    @property
    def departed(self) -> Record:
        """The old content under the new version: what a watcher gets of an object that leaves its selector."""
        if self.type == DELETED or self.previous is None:
            return self.record
        if self._departed is None:
            self._departed = self.previous.at(self.record.version)
        return self._departed


class Watcher:
    """A subscriber's queue. `notify` is called under the cluster's lock, so it must neither block nor call back.

    `initial` is what comes before the queue; `started_at` is the cluster's version at the subscription.
    """

    def __init__(self, cluster: Cluster, namespace: str, after: int, notify: Callable[[], None], limit: int) -> None:
        self._cluster = cluster
        self._queue: deque[Change] = deque()
        self._notify = notify
        self._limit = limit
        self.namespace = namespace
        self.after = after
        self.initial: list[Change] = []
        self.started_at = cluster.resource_version
        self.closed = False

    def offer(self, change: Change) -> None:
        """Hand over a change; a watcher that is too far behind is closed, as the server does."""
        if self.closed or change.record.version <= self.after:
            return
        if self.namespace and change.record.key[0] != self.namespace + "/":
            return
        self._queue.append(change)
        if len(self._queue) > self._limit:
            self.closed = True
        self._notify()

    def take(self, limit: int) -> tuple[list[Change], int | None]:
        """Up to `limit` changes, and the cluster's version unless something older is left to take."""
        with self._cluster.lock:
            taken = [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]
            return taken, None if self._queue else self._cluster.resource_version

    def discard(self) -> None:
        """Drop what is queued: for those who only want to be woken."""
        with self._cluster.lock:
            self._queue.clear()

    def __len__(self) -> int:
        return len(self._queue)

    def close(self) -> None:
        """End the subscription from the cluster's side."""
        self.closed = True
        self._notify()


class _Store:
    """The objects of one resource, their order, and the latest changes to them."""

    def __init__(self, limit: int) -> None:
        self.records: dict[Key, Record] = {}
        self.keys: list[Key] = []
        self.log: deque[Change] = deque()
        self.limit = limit
        self.compacted = 0
        self.watchers: list[Watcher] = []

    def apply(self, change: Change) -> None:
        key = change.record.key
        if change.type == DELETED:
            del self.records[key]
            del self.keys[bisect_left(self.keys, key)]
        else:
            if key not in self.records:
                insort(self.keys, key)
            self.records[key] = change.record
        self.log.append(change)
        if len(self.log) > self.limit:
            self.compacted = self.log.popleft().record.version
        for watcher in self.watchers:
            watcher.offer(change)

    def since(self, version: int) -> list[Change]:
        """The changes after a version, oldest first; the caller has checked that they are all kept."""
        found: list[Change] = []
        for change in reversed(self.log):
            if change.record.version <= version:
                break
            found.append(change)
        found.reverse()
        return found

    def before(self, version: int, namespace: str) -> list[Change]:
        """The changes up to a version that are kept, oldest first."""
        older = [change for change in self.log if change.record.version <= version]
        return [change for change in older if not namespace or change.record.key[0] == namespace + "/"]

    def at(self, version: int) -> tuple[Keys, Overlay]:
        """The keys as of a version, and the records that differ from today's; needs the history back to it."""
        overlay: Overlay = {}
        for change in self.since(version):
            overlay.setdefault(change.record.key, change.previous)
        if not overlay:
            return self.keys, overlay
        kept = (key for key in self.keys if key not in overlay)
        return sorted([*kept, *(key for key, record in overlay.items() if record)]), overlay


@dataclass(frozen=True)
class Page:
    """A part of a list: records in key order, the version they are of, and where the rest starts (None: no rest)."""

    records: list[Record]
    version: int
    next_key: Key | None = None
    remaining: int = 0


class Cluster:
    """An API server's storage. `history` is the number of changes kept per resource; what is older is compacted.

    `now` gives seconds since the epoch; `record=True` keeps every change for `history()`; `seed` makes uids and
    generated names reproducible; `watch_buffer` is how many changes a watcher may lag behind before it is closed. The
    namespaces that every cluster has were created `age` seconds ago.
    """

    def __init__(
        self,
        history: int = 1000,
        now: Callable[[], float] = time.time,
        *,
        record: bool = False,
        seed: int | None = None,
        watch_buffer: int = 200_000,
        first_version: int = 0,
        age: float = 0.0,
    ) -> None:
        self.kinds = Registry()
        self.graceful = False  # set by whoever plays the kubelet: deleted pods that are bound get Terminating first
        self.pod_limits: dict[str, int] = {}  # by namespace: how many pods its quota allows the controllers
        self.random = random.Random(seed)
        self.lock = threading.RLock()
        self._now = now
        self._moment: float | None = None
        self._history = history
        self._watch_buffer = watch_buffer
        self._version = self._first_version = first_version
        self._stores: dict[str, _Store] = {}
        self._dependents: dict[str, set[tuple[str, Key]]] = {}
        self._recorded: dict[str, list[tuple[str, Record]]] | None = {} if record else None
        with self.at(self.now() - age):
            for name in NAMESPACES:
                self.create("namespaces", {"metadata": {"name": name}})

    # -------------------------------------------------------------- reading

    @property
    def resource_version(self) -> int:
        """The version of the latest write."""
        return self._version

    def now(self) -> float:
        """Seconds since the epoch, or the moment of `at()`."""
        return self._now() if self._moment is None else self._moment

    def stamp(self, offset: float = 0) -> str:
        """The time as the API writes it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now() + offset))

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """Writes inside happen at `moment`: for objects that are to be older than the cluster."""
        with self.lock:
            self._moment, before = moment, self._moment
            try:
                yield
            finally:
                self._moment = before

    def kind(self, resource: str) -> Kind:
        """The kind of a plural or `plural.group`; ApiError 404 where there is none."""
        return self.kinds.find(resource)

    def record_of(self, kind: Kind, namespace: str, name: str) -> Record:
        """The current record; ApiError 404 where there is none."""
        with self.lock:
            found = self._store(kind).records.get(key_of(namespace if kind.namespaced else "", name))
        if found is None:
            raise not_found(kind, name)
        return found

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """A copy of an object; `namespace` is ignored for a cluster-scoped kind."""
        item: Object = copied(self.record_of(self.kind(resource), namespace, name).item)
        return item

    def list(
        self, resource: str, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> Objects:
        """Copies of the objects, in key order."""
        kind = self.kind(resource)
        selection = Selection.of(kind, namespace or "", label_selector, field_selector)
        return [copied(record.item) for record in self.page(kind, selection).records]

    def page(
        self, kind: Kind, selection: Selection, *, version: int | None = None, start: Key | None = None, limit: int = 0
    ) -> Page:
        """Records from key `start` on, as of `version` (None: now); ApiError 410 where that is compacted."""
        with self.lock:
            store = self._store(kind)
            keys, overlay = store.keys, Overlay()
            if version is None or version >= self._version:
                version = self._version
            elif version < store.compacted:
                raise expired_list()
            else:
                keys, overlay = store.at(version)
            low, high = _bounds(keys, selection.namespace, start)
            found: list[Record] = []
            for index in range(low, high):
                record = overlay.get(keys[index]) or store.records[keys[index]]
                if selection.predicates and not selection.matches(record.item):
                    continue
                if limit and len(found) == limit:
                    namespace, name = found[-1].key
                    return Page(found, version, (namespace, name + "\0"), high - index)
                found.append(record)
            return Page(found, version)

    def records(self, kind: Kind) -> Records:
        """All current records of a kind, in key order: shared, not to be changed."""
        return self.page(kind, Selection()).records

    def dependents(self, kind: Kind, uid: str) -> Records:
        """The records of a kind that an object owns, in key order."""
        with self.lock:
            keys = sorted(key for store, key in self._dependents.get(uid, ()) if store == kind.store)
            return [self._store(kind).records[key] for key in keys]

    def history(self, resource: str) -> Changes:
        """(type, object) of every change to a resource since the beginning, whatever was compacted since."""
        if self._recorded is None:
            raise RuntimeError("history is kept by Cluster(record=True) only")
        with self.lock:
            return [(kind, copied(record.item)) for kind, record in self._recorded.get(self.kind(resource).store, [])]

    # -------------------------------------------------------------- writing

    def create(self, resource: str, item: Object, *, manager: str = MANAGER) -> Object:
        """Store a new object and return it; ApiError 409 where it exists. `generateName` and a given
        creationTimestamp are honoured, the namespace defaults to "default"."""
        created: Object = copied(self.create_record(self.kind(resource), item, manager=manager).item)
        return created

    def create_record(self, kind: Kind, item: Object, *, manager: str = MANAGER) -> Record:
        """As `create`, without the copy."""
        with self.lock:
            return self._create(kind, kind.absorb(copied(item)), manager)

    def update(self, resource: str, item: Object, *, subresource: str | None = None, manager: str = MANAGER) -> Object:
        """Replace an object. `subresource` None replaces all of it, "" all but the status, "status" only that.

        ApiError 404 where it is missing, 409 where the item carries a stale resourceVersion.
        """
        kind = self.kind(resource)
        updated: Object = copied(self.update_record(kind, item, subresource=subresource, manager=manager).item)
        return updated

    def update_record(
        self, kind: Kind, item: Object, *, subresource: str | None = None, manager: str = MANAGER
    ) -> Record:
        """As `update`, without the copy."""
        metadata = item.get("metadata") or {}
        with self.lock:
            old = self.record_of(kind, metadata.get("namespace") or "default", metadata.get("name", ""))
            return self._update(kind, old, kind.absorb(copied(item)), subresource, manager)

    def patch(self, resource: str, namespace: str, name: str, patch: Any, *, subresource: str | None = None) -> Object:
        """Merge a patch into an object (RFC 7386) and return it."""
        patched: Object = copied(
            self.patch_record(self.kind(resource), namespace, name, patch, subresource=subresource).item
        )
        return patched

    def patch_record(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        function: Callable[[Any, Any], Any] = merge,
        subresource: str | None = None,
        manager: str = MANAGER,
    ) -> Record:
        """As `patch`, with any patch function and without the copy."""
        with self.lock:
            old = self.record_of(kind, namespace, name)
            shown = kind.present(old.item)
            patched = function({**shown, "kind": kind.kind, "apiVersion": kind.api_version}, patch)
            return self._update(kind, old, kind.absorb(copied(patched)), subresource, manager)

    def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        grace: int | None = None,
        cascade: bool = True,
        uid: str | None = None,
    ) -> Object:
        """Delete an object, and by default all that it owns; returns its last state.

        With finalizers, or for a bound pod with a grace period while `graceful` is set, it is only marked.
        """
        deleted: Object = copied(self.delete_record(self.kind(resource), namespace, name, grace, cascade, uid).item)
        return deleted

    def delete_record(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        grace: int | None = None,
        cascade: bool = True,
        uid: str | None = None,
    ) -> Record:
        """As `delete`, without the copy."""
        with self.lock:
            record = self.record_of(kind, namespace, name)
            if uid and uid != record.uid:
                raise conflict(kind, name)
            return self._delete(kind, record, grace, cascade)

    def declare(self, definition: Object | Kind) -> None:
        """Serve a kind: a CustomResourceDefinition manifest (which is stored too), or a Kind."""
        if isinstance(definition, Kind):
            with self.lock:
                self.kinds.add(definition)
            return
        spec = definition["spec"]
        name = f"{spec['names']['plural']}.{spec['group']}"
        self.create(CRD, {**definition, "metadata": {**(definition.get("metadata") or {}), "name": name}})

    def compact(self) -> None:
        """Forget the history now: every version before this one is 410 from then on (open watches go on)."""
        with self.lock:
            for kind in self.kinds:
                store = self._store(kind)
                store.log.clear()
                store.compacted = self._version

    def rewind(self, resource_version: int) -> None:
        """A restored etcd: state and resourceVersion go back, open watches end. Needs the history back to there."""
        with self.lock:
            if any(resource_version < store.compacted for store in self._stores.values()):
                raise expired_list()
            for store in self._stores.values():
                keys, overlay = store.at(resource_version)
                store.records = {key: overlay.get(key) or store.records[key] for key in keys}
                store.keys = list(keys)
                store.log = deque(change for change in store.log if change.record.version <= resource_version)
                for watcher in store.watchers:
                    watcher.close()
            self._version = resource_version
            self._index_owners()

    # -------------------------------------------------------------- watching

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        after: int | None = None,
        initial: bool = False,
        replay: int = 0,
        notify: Callable[[], None] = lambda: None,
    ) -> Watcher:
        """Subscribe to a kind's changes after a version (None: from now on); ApiError 410 where it is compacted.

        `initial` puts an ADDED for all that exists into `watcher.initial`; `replay` puts that many changes from
        before the version first.
        """
        with self.lock:
            store = self._store(kind)
            if after is not None and after < store.compacted:
                raise expired_watch(after, store.compacted)
            version = self._version if after is None else after
            watcher = Watcher(self, namespace, version, notify, self._watch_buffer)
            if initial:
                selection = Selection(namespace)
                watcher.initial = [Change(ADDED, record) for record in self.page(kind, selection).records]
            for change in store.since(version):
                watcher.offer(change)
            if replay:
                watcher.initial += store.before(version, namespace)[-replay:]
            store.watchers.append(watcher)
            return watcher

    def unwatch(self, kind: Kind, watcher: Watcher) -> None:
        """End a subscription."""
        with self.lock:
            watchers = self._store(kind).watchers
            if watcher in watchers:
                watchers.remove(watcher)

    # -------------------------------------------------------------- inside (all under the lock)

    def _store(self, kind: Kind) -> _Store:
        with self.lock:
            store = self._stores.get(kind.store)
            if store is None:
                store = self._stores[kind.store] = _Store(self._history)
                store.compacted = self._first_version
            return store

    def _create(self, kind: Kind, item: Object, manager: str) -> Record:
        metadata = item["metadata"] = item.get("metadata") or {}
        self._name(kind, metadata)
        namespace = metadata.setdefault("namespace", "default") if kind.namespaced else ""
        key = key_of(namespace, metadata["name"])
        if key in self._store(kind).records:
            raise already_exists(kind, metadata["name"])
        metadata["uid"] = self._uid()
        metadata["creationTimestamp"] = metadata.get("creationTimestamp") or self.stamp()
        metadata.pop("managedFields", None)
        if kind.generation:
            metadata["generation"] = 1
        if kind.plural == CRD:
            _check_definition(item)
        apply_defaults(kind, item)
        metadata["managedFields"] = managed_fields(kind, item, manager, self.stamp())
        return self._commit(kind, ADDED, self._arranged(kind, item), None, key)

    def _name(self, kind: Kind, metadata: Object) -> None:
        if not kind.namespaced:
            metadata.pop("namespace", None)
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise invalid(kind, "", "metadata.name", "Required value: name or generateName is required")
            metadata["name"] = metadata["generateName"] + self.suffix()

    def suffix(self, length: int = 5) -> str:
        """Random letters and digits as in generated names."""
        return "".join(self.random.choices(_NAME_CHARS, k=length))

    def _uid(self) -> str:
        digits = f"{self.random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    @staticmethod
    def _arranged(kind: Kind, item: Object) -> Object:
        item["metadata"].setdefault("resourceVersion", "")  # its place; the commit fills it in
        return ordered(kind, {**item, "kind": kind.kind, "apiVersion": kind.api_version})

    def _update(self, kind: Kind, old: Record, item: Object, subresource: str | None, manager: str) -> Record:
        metadata = item["metadata"] = item.get("metadata") or {}
        self._check_fresh(kind, old, metadata)
        before: Object = old.item["metadata"]
        for name in _SERVER_FIELDS:
            metadata.pop(name, None)
            if name in before:
                metadata[name] = before[name]
        metadata.update({name: before[name] for name in ("name", "namespace") if name in before})
        item = self._scoped(kind, old.item, item, subresource)
        metadata = item["metadata"]
        apply_defaults(kind, item)
        if kind.generation and _desired(item) != _desired(old.item):
            metadata["generation"] = before.get("generation", 0) + 1
        metadata.update({name: before[name] for name in ("managedFields", "resourceVersion") if name in before})
        item = self._arranged(kind, item)
        if item == old.item:
            return old
        scope = subresource or ""
        item["metadata"]["managedFields"] = managed_fields(kind, item, manager, self.stamp(), scope)
        record = self._commit(kind, MODIFIED, item, old, old.key)
        ended = "deletionTimestamp" in before and not item["metadata"].get("finalizers")
        if ended and not before.get("deletionGracePeriodSeconds"):
            return self._remove(kind, record, cascade=True)
        return record

    @staticmethod
    def _check_fresh(kind: Kind, old: Record, metadata: Object) -> None:
        given = metadata.get("resourceVersion")
        stale = given not in (None, "", str(old.version))
        if stale or metadata.get("uid") not in (None, "", old.uid):
            raise conflict(kind, old.key[1])

    @staticmethod
    def _scoped(kind: Kind, old: Object, item: Object, subresource: str | None) -> Object:
        """What a write through the main resource, or through /status, may change."""
        if subresource is None or "status" not in kind.subresources:
            return item
        if subresource == "":
            scoped = {key: value for key, value in item.items() if key != "status"}
            return {**scoped, **({"status": copied(old["status"])} if "status" in old else {})}
        scoped = copied({key: value for key, value in old.items() if key != "status"})
        return {**scoped, **({"status": item["status"]} if "status" in item else {})}

    def _commit(self, kind: Kind, change: str, item: Object, previous: Record | None, key: Key) -> Record:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        record = Record(item, self._version, key)
        if self._recorded is not None:
            self._recorded.setdefault(kind.store, []).append((change, record))
        self._store(kind).apply(Change(change, record, previous))
        self._track_owners(kind, record, previous, change == DELETED)
        if kind.plural == CRD:
            self._serve(item, change)
        return record

    def _serve(self, definition: Object, change: str) -> None:
        names = definition["spec"]
        store = f"{names['names']['plural']}.{names['group']}"
        if change == DELETED:
            for watcher in self._stores[store].watchers if store in self._stores else []:
                watcher.close()
        self.kinds.remove(store)
        for kind in custom_kinds(definition) if change != DELETED else []:
            self.kinds.add(kind)

    def _track_owners(self, kind: Kind, record: Record, previous: Record | None, gone: bool) -> None:
        before = _owners(previous.item) if previous else set()
        after = set() if gone else _owners(record.item)
        for uid in before - after:
            dependents = self._dependents[uid]
            dependents.discard((kind.store, record.key))
            if not dependents:
                del self._dependents[uid]
        for uid in after - before:
            self._dependents.setdefault(uid, set()).add((kind.store, record.key))

    def _index_owners(self) -> None:
        self._dependents = {}
        for name, store in self._stores.items():
            for key, record in store.records.items():
                for uid in _owners(record.item):
                    self._dependents.setdefault(uid, set()).add((name, key))

    def _delete(self, kind: Kind, record: Record, grace: int | None, cascade: bool) -> Record:
        metadata = record.item["metadata"]
        seconds = self._grace(kind, record, grace)
        if not seconds and not metadata.get("finalizers"):
            if metadata.get("deletionGracePeriodSeconds"):
                record = self._mark(kind, record, 0)  # as the kubelet's last delete does
            return self._remove(kind, record, cascade)
        if metadata.get("deletionGracePeriodSeconds", seconds + 1) <= seconds:
            return record
        return self._mark(kind, record, seconds)

    def _mark(self, kind: Kind, record: Record, seconds: int) -> Record:
        item = copied(record.item)
        metadata = item["metadata"]
        if kind.generation and "deletionTimestamp" not in metadata:
            metadata["generation"] = metadata.get("generation", 0) + 1
        metadata.update(deletionTimestamp=self.stamp(seconds), deletionGracePeriodSeconds=seconds)
        return self._commit(kind, MODIFIED, ordered(kind, item), record, record.key)

    def _grace(self, kind: Kind, record: Record, grace: int | None) -> int:
        if kind.store != "pods" or not self.graceful or not lookup(record.item, ("spec", "nodeName")):
            return 0
        if lookup(record.item, ("status", "phase")) in ("Succeeded", "Failed"):
            return 0
        return int(lookup(record.item, ("spec", "terminationGracePeriodSeconds"), 30)) if grace is None else grace

    def _remove(self, kind: Kind, record: Record, cascade: bool) -> Record:
        if kind.store == "namespaces":
            record = self._empty_namespace(kind, record)
        if kind.plural == CRD:
            self._delete_instances(record.item)
        dependents = sorted(self._dependents.get(record.uid, ())) if cascade else []
        gone = self._commit(kind, DELETED, record.at(0).item, record, record.key)
        for store, key in dependents:
            found = self._stores[store].records.get(key)
            if found:
                self._delete(self._kind_of_store(store), found, None, cascade)
        return gone

    def _empty_namespace(self, kind: Kind, record: Record) -> Record:
        item = copied(record.item)
        item["metadata"]["deletionTimestamp"] = self.stamp()
        item["status"] = {"phase": "Terminating"}
        record = self._commit(kind, MODIFIED, ordered(kind, item), record, record.key)
        for name in list(self._stores):
            within = [found for found in self._stores[name].records.values() if found.key[0] == record.key[1] + "/"]
            for found in within:
                if found.key in self._stores[name].records:  # not gone with its owner meanwhile
                    self._remove(self._kind_of_store(name), found, cascade=False)
        return record

    def _delete_instances(self, definition: Object) -> None:
        kind = custom_kinds(definition)[0]
        for record in list(self._store(kind).records.values()):
            self._remove(kind, record, cascade=True)

    def _kind_of_store(self, store: str) -> Kind:
        return next(kind for kind in self.kinds if kind.store == store)


def _owners(item: Object) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences") or ()}


def _desired(item: Object) -> Object:
    """The spec as far as it is somebody's wish: binding a pod to a node leaves its generation alone."""
    return {key: value for key, value in (item.get("spec") or {}).items() if key != "nodeName"}


def _bounds(keys: list[Key], namespace: str, start: Key | None) -> tuple[int, int]:
    low, high = 0, len(keys)
    if namespace:
        low, high = (
            bisect_left(keys, (namespace + "/", "")),
            bisect_left(keys, (namespace + "0", "")),
        )  # "0" follows "/"
    return (max(low, bisect_left(keys, start)) if start else low), high


def _check_definition(item: Object) -> None:
    try:
        custom_kinds(item)
    except (KeyError, TypeError, ValueError) as error:
        raise bad_request(f"CustomResourceDefinition not understood: {error}") from error
