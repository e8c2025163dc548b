"""The HTTP server: a thread a connection on 127.0.0.1, the watch streams, the log of requests, the script of faults."""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from .access import Access
from .api import TEXT, Api, Reply, Route, Watching, error_reply
from .cluster import Cluster
from .connection import Connection, Gone, Request, Waker, remember_server_names
from .encoding import encode
from .errors import ApiError, generic, unauthorized
from .faults import NO_FAULT, Fault, Script
from .representations import event
from .responses import Response, body_length
from .streams import WatchStream

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

LOGGED = 100_000  # requests; a sandbox may run for days
SMALL = 2048  # a body up to this size has a Content-Length, a larger one is chunked


class Server:
    """An API server over a cluster; listens from its creation, ends with `close` or its `with` block.

    `token` is the bearer token that requests must carry, `access` a whole rule set; `ssl_context` may ask for client
    certificates; `prefix` a path before the API's, as of a proxy;
    `bookmark_interval` is in seconds; `user` is whom a 403 names; `aggregated_discovery` False is an older server.
    """

    def __init__(
        self,
        cluster: Cluster,
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        token: str | None = None,
        prefix: str = "",
        *,
        access: Access | None = None,
        bookmark_interval: float = 60.0,
        user: str = "reader",
        aggregated_discovery: bool = True,
    ) -> None:
        self.cluster = cluster
        self.bookmark_interval = bookmark_interval
        self._ssl_context = ssl_context
        if ssl_context:
            remember_server_names(ssl_context)
        self._access = access or _by_token(token)
        self._prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._api = Api(cluster, f"127.0.0.1:{self.port}", user, aggregated_discovery)
        self._script = Script()
        self._requests: deque[Request] = deque(maxlen=LOGGED)
        self._connections: dict[Connection, threading.Thread] = {}
        self._watches = 0
        self._lock = threading.Lock()
        self._closing = False
        self._paused = False
        self._waker = Waker()
        self._thread = threading.Thread(target=self._accept, name="sandbox-accept", daemon=True)
        self._thread.start()

    # -------------------------------------------------------------- for users

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, with the prefix."""
        return f"{'https' if self._ssl_context else 'http'}://127.0.0.1:{self.port}{self._prefix}"

    @property
    def requests(self) -> list[Request]:
        """The requests so far (the latest 100,000), oldest first."""
        return list(self._requests)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def watches(self) -> int:
        """How many watches are subscribed: a change made now reaches them."""
        return self._watches

    def script(self, *faults: Fault) -> None:
        """Append faults; each request takes the first one that matches it."""
        self._script.add(*faults)

    def clear_script(self) -> None:
        """Drop the faults that weren't taken yet."""
        self._script.clear()

    def pending_faults(self) -> int:
        """How many faults are still to be taken."""
        return self._script.pending()

    def forbid(self, verb: str, resource: str, namespace: str | None = None) -> None:
        """Answer 403 to a verb on a resource (plural or plural.group), in one namespace or (None) everywhere."""
        self._api.forbid(verb, resource, namespace)

    def allow(self, verb: str, resource: str, namespace: str | None = None) -> None:
        """Take back a `forbid`."""
        self._api.allow(verb, resource, namespace)

    def take_down(self, group: str) -> None:
        """The server behind an API group (an APIService) answers no more: its discovery is stale, or 503."""
        self._api.down.add(group)

    def bring_up(self, group: str) -> None:
        """Take back a `take_down`."""
        self._api.down.discard(group)

    def set_token(self, token: str | None) -> None:
        """Demand another bearer token from now on."""
        self._access = _by_token(token)

    def disconnect(self, reset: bool = False) -> None:
        """End all open connections now, by FIN or by RST, and wait until they are closed."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.abort(reset)
        for connection in connections:
            connection.closed.wait(1)

    def pause_accept(self) -> None:
        """Accept no connections: clients connect (the backlog takes them) and hear nothing."""
        self._paused = True
        self._waker.set()

    def resume_accept(self) -> None:
        """Accept again."""
        self._paused = False
        self._waker.set()

    def close(self) -> None:
        """Stop listening, end all connections and threads."""
        if self._closing:
            return
        self._closing = True
        self._waker.set()
        self._thread.join()
        self._listener.close()
        self._waker.close()
        with self._lock:
            threads = list(self._connections.items())
        for connection, _ in threads:
            connection.abort()
        for _, thread in threads:
            thread.join(1)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -------------------------------------------------------------- connections

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._waker.reader, selectors.EVENT_READ)
            listening = False
            while not self._closing:
                if listening == self._paused:
                    listening = not self._paused
                    if listening:
                        selector.register(self._listener, selectors.EVENT_READ)
                    else:
                        selector.unregister(self._listener)
                ready = [key.fileobj for key, _ in selector.select()]
                if self._waker.reader in ready:
                    self._waker.clear()
                if self._listener in ready and not self._paused:
                    self._start_connection()

    def _start_connection(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # the client left before it was accepted
            return
        connection = Connection(sock)
        thread = threading.Thread(target=self._serve, args=(connection,), name="sandbox-connection", daemon=True)
        with self._lock:
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            if self._ssl_context:
                connection.handshake(self._ssl_context)
            while True:
                request = connection.read_request()
                if request is None or not self._answer(connection, request):
                    return
        except Gone:
            pass
        finally:
            connection.close()
            with self._lock:
                del self._connections[connection]

    # -------------------------------------------------------------- requests

    def _answer(self, connection: Connection, request: Request) -> bool:
        """Answer a request; False where the connection is to end."""
        path = request.path.removeprefix(self._prefix) if request.path.startswith(self._prefix + "/") else "/-"
        route = self._api.route(replace(request, path=path))
        request = replace(request, verb=route.verb, resource=route.plural)
        self._requests.append(request)
        if not self._access.admits(request):
            return self._reply(connection, request, error_reply(unauthorized()), NO_FAULT)
        fault = self._script.take(route.verb, route.plural)
        reply: Reply | Watching | None = self._faulty_reply(route, fault)
        if reply is None:
            try:
                reply = self._api.handle(replace(request, path=path), route)
            except ApiError as error:
                reply = error_reply(error)
            except Exception as error:  # a bug of the sandbox is to be seen by the client that meets it
                reply = error_reply(ApiError(500, "InternalError", f"Internal error occurred: {error!r}"))
        if isinstance(reply, Watching):
            return self._watch(connection, request, reply, fault)
        return self._reply(connection, request, reply, fault)

    @staticmethod
    def _faulty_reply(route: Route, fault: Fault) -> Reply | None:
        """What a fault answers instead of the API; None where it lets the API answer."""
        watch = route.verb == "watch"
        if fault.status is not None:
            return _status_reply(fault)
        if fault.gone or (fault.expire and not watch):
            return error_reply(generic(410))
        if fault.empty:
            return Reply(200, b"", stream=watch)
        if fault.expire:
            return _error_event(generic(410))
        return None

    def _reply(self, connection: Connection, request: Request, reply: Reply, fault: Fault) -> bool:
        body = fault.garbage + b"\n" + reply.body if fault.garbage else reply.body
        headers = {"Cache-Control": reply.cache, "Content-Type": reply.content_type, **reply.headers}
        known = fault.framing == "length" or (len(body) <= SMALL and not reply.stream)
        response = Response(
            connection,
            reply.status,
            headers,
            fault,
            length=body_length(body, fault) if known else None,
            keep_alive=request.keeps_alive,
            chunked=request.version != "HTTP/1.0",
        )
        response.write(body, reply.chunk)
        response.end()
        return response.keeps_alive

    def _watch(self, connection: Connection, request: Request, watching: Watching, fault: Fault) -> bool:
        try:
            watcher = self.cluster.watch(
                watching.kind,
                watching.selection.namespace,
                after=watching.after,
                initial=watching.initial,
                replay=fault.replay,
                notify=connection.wake,
            )
        except ApiError as error:
            return self._reply(connection, request, _error_event(error), fault)
        with self._lock:
            self._watches += 1
        try:
            stream = WatchStream(self.cluster, connection, watching, watcher, fault, self.bookmark_interval)
            return stream.run(request.keeps_alive, chunked=request.version != "HTTP/1.0")
        finally:
            self.cluster.unwatch(watching.kind, watcher)
            with self._lock:
                self._watches -= 1


def _by_token(token: str | None) -> Access:
    return Access() if token is None else Access(tokens=[token])


def _error_event(error: ApiError) -> Reply:
    return Reply(200, event("ERROR", encode(error.status())), stream=True)


def _status_reply(fault: Fault) -> Reply:
    assert fault.status is not None
    if fault.body is None:
        return replace(error_reply(generic(fault.status)), headers=fault.headers)
    if isinstance(fault.body, (str, bytes)):
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        return Reply(fault.status, body, TEXT, fault.headers)
    return Reply(fault.status, encode(fault.body) + b"\n", headers=fault.headers)
