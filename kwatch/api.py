"""The Python API of a watch: `for event in kwatch.watch("pods"): ...`, with the words of the command.

The same session as the command's: it never loses its place, and hands nothing on twice.
"""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.errors import TimedOut, TimeIsUp
from kwatch.feed import TICK_SECONDS, Access, Feed, Limits, Subscription, selection_of
from kwatch.lifecycle import Lifecycle, lifecycle
from kwatch.model import Batch, Change, ChangeType, Key, Resource
from kwatch.protocol.forms import ObjectForm
from kwatch.protocol.session import PAGE_SIZE


class Event:
    """A change of one object."""

    __slots__ = ("_change", "resource")

    resource: Resource
    """Its type: `resource.plural`, `resource.kind`, `resource.api_version`."""

    def __init__(self, change: Change, resource: Resource) -> None:
        self._change = change
        self.resource = resource

    @property
    def type(self) -> ChangeType:
        """ "ADDED", "MODIFIED" or "DELETED"."""
        return self._change.type

    @property
    def object(self) -> dict[str, Any]:
        """The object as it is now; of a DELETED, as it was last."""
        value: dict[str, Any] = self._change.state.object
        return value

    @property
    def old(self) -> dict[str, Any] | None:
        """The object as it was known before; None of what wasn't."""
        value: dict[str, Any] | None = None if self._change.old is None else self._change.old.object
        return value

    @property
    def key(self) -> Key:
        """(namespace, name); of a type that is in no namespace, ("", name)."""
        return self._change.key

    @property
    def namespace(self) -> str:
        """The object's namespace, "" where its type has none."""
        return self._change.key[0]

    @property
    def name(self) -> str:
        """The object's name."""
        return self._change.key[1]

    @property
    def uid(self) -> str:
        """What tells the lives of a name apart."""
        return self._change.uid

    @property
    def resource_version(self) -> str:
        """Its resourceVersion: to be compared for equality."""
        return self._change.version

    @property
    def synthetic(self) -> bool:
        """Whether the server never sent it: it was concluded from a list after a gap."""
        return self._change.synthetic

    @property
    def initial(self) -> bool:
        """Whether it was there at the start."""
        return self._change.initial

    def __repr__(self) -> str:
        where = "/".join(filter(None, (*self.key,)))
        return f"<Event {self.type} {self.resource.qualified} {where} at {self.resource_version}>"


class Watch:
    """The events of a watch, as an iterator; also a context manager. One thread iterates, any may `stop` it.

    It ends by `stop`, by its duration, or by an error; a closed stream isn't an end. Left alone, it stops when it is
    collected as garbage.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        watch_only: bool = False,
        duration: float | None = None,
        timeout: float | None = None,
        on_lifecycle: Callable[[Lifecycle], None] | None = None,
    ) -> None:
        """Made by `watch`, which says what the parameters mean."""
        self._feed = feed
        self._watch_only = watch_only
        self._duration = duration
        self._timeout = timeout
        self._on_lifecycle = on_lifecycle
        self._events: deque[Event] = deque()
        self._started: float | None = None
        self._stopped = False
        self._release = weakref.finalize(self, feed.stop)

    def stop(self) -> None:
        """End it, from any thread: whoever iterates gets no more events, within a second whatever it waits for."""
        self._stopped = True
        self._release()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Event:
        try:
            while not self._is_over():
                if self._events:
                    return self._events.popleft()
                self._take(self._feed.take(TICK_SECONDS))
        except BaseException:
            self.stop()
            raise
        self.stop()
        raise StopIteration

    def _is_over(self) -> bool:
        """Whether it was stopped or its duration is over; begins it at the first call."""
        if self._stopped:
            return True
        now = time.monotonic()
        if self._started is None:
            self._started = now
            self._feed.start()
        if self._timeout is not None and now - self._started >= self._timeout:
            raise TimedOut(f"timed out after {self._timeout:g}s")
        return self._duration is not None and now - self._started >= self._duration

    def _take(self, batch: Batch | None) -> None:
        for signal in batch.signals if batch else ():
            if batch and isinstance(signal, Change) and not (self._watch_only and signal.initial):
                self._events.append(Event(signal, batch.query.resource))
            if batch and self._on_lifecycle:
                for step in lifecycle(batch.query, signal):
                    self._on_lifecycle(step)


def watch(
    type: str,
    *names: str,
    namespace: str | Sequence[str] = (),
    all_namespaces: bool = False,
    label_selector: str = "",
    field_selector: str = "",
    watch_only: bool = False,
    duration: float | None = None,
    timeout: float | None = None,
    on_lifecycle: Callable[[Lifecycle], None] | None = None,
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
) -> Watch:
    """Watch as `kwatch TYPE NAME...` does, and iterate over the events: what is there at the start comes as ADDED.

    `type` and `names` are written as for the command: `"po,deploy"`, `"deploy/web"`, `"hpa.v2.autoscaling"`, `"all"`.
    `namespace` is one or several; none is that of the connection. A name that isn't there is waited for.
    `watch_only` leaves out what is there at the start. Times are seconds: after `duration` the iteration ends, after
    `timeout` it raises TimedOut. The connection is `connection` (see `connect`), else found as kubectl finds it.

    `relist_interval` lists again so often; `idle_timeout` reconnects after so long without a byte (a quiet server sends
    a bookmark about once a minute); `max_failures` in a row raise GaveUp; `patient` goes on trying where the server
    can't be reached at the start. `on_lifecycle` is called, by whoever iterates, with what happens besides changes.
    `cache_dir` is where kubectl's caches are ("": the usual place; None keeps nothing of what the server serves).

    An object of an event is a fresh dict that you may change. `metadata.managedFields` is left out and Secrets are
    redacted unless `show_managed_fields` and `show_secrets` say otherwise, as in the command.

    Raises UsageError, ConfigError and NotFound here; while iterating, any KwatchError that ends a watch.
    """
    times = [seconds for seconds in (duration, timeout) if seconds is not None]
    subscription = Subscription(
        selection_of(type, names, namespace, all_namespaces, label_selector, field_selector),
        Access(connection, kubeconfig, context, server),
        lambda query: ObjectForm(managed_fields=show_managed_fields, secrets=show_secrets),
        Limits(max_failures, relist_interval, idle_timeout),
        chunk_size,
        watch_list,
        patient,
        cache_dir,
        ends=time.monotonic() + min(times, default=float("inf")),
    )
    try:
        feed = Feed(subscription)
    except TimeIsUp as error:
        raise TimedOut(str(error)) from error
    return Watch(feed, watch_only=watch_only, duration=duration, timeout=timeout, on_lifecycle=on_lifecycle)


def connect(
    *,
    kubeconfig: str = "",
    context: str = "",
    cluster: str = "",
    user: str = "",
    server: str = "",
    proxy_url: str = "",
    token: str = "",
    tls_server_name: str = "",
    certificate_authority: str = "",
    client_certificate: str = "",
    client_key: str = "",
    insecure_skip_tls_verify: bool = False,
    as_user: str = "",
    as_groups: Sequence[str] = (),
    as_uid: str = "",
    request_timeout: float = 0.0,
    headers: Sequence[tuple[str, str]] = (),
) -> Connection:
    """Where the server is, whom to trust and who we are: as kubectl finds it, with its flags as arguments.

    Nothing is asked of the server yet; a credential plugin of the kubeconfig's user is run. One connection may serve
    many watches. `request_timeout` is in seconds and for lists alone; `headers` go with each request.
    Raises ConfigError.
    """
    options = ConnectionOptions(
        kubeconfig=kubeconfig,
        context=context,
        cluster=cluster,
        user=user,
        server=server,
        proxy_url=proxy_url,
        token=token,
        tls_server_name=tls_server_name,
        certificate_authority=certificate_authority,
        client_certificate=client_certificate,
        client_key=client_key,
        insecure_skip_tls_verify=insecure_skip_tls_verify,
        as_user=as_user,
        as_groups=tuple(as_groups),
        as_uid=as_uid,
        request_timeout=request_timeout,
        headers=tuple(headers),
    )
    return resolve(options, os.environ)
