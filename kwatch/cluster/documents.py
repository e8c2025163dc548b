"""Fetches a server's API documents: credentials renewed once, an overloaded server asked again, all within a time.

Everything runs in the caller's thread, but for one that watches the time: neither a server that hangs nor one that
dribbles holds a run up for longer than its `--duration`, give or take a connect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ApiError, Cut, KwatchError, Overdue, TimeIsUp, TransportError, Unauthorized
from kwatch.model import Clock, Notice
from kwatch.protocol.session import Request, api_error
from kwatch.retry import Backoff, retry_after
from kwatch.transport import Response, Transport

TRIES = 4
MAX_PAUSE = 10.0
"""Seconds to wait for an overloaded server at a time, whatever its Retry-After: somebody waits for the first row."""
MAX_SECONDS = 60.0
"""Seconds for all documents together; the legacy form may have fifty."""
SILENCE = 10.0
MAX_BYTES = 32 << 20
"""Bytes a document may have: a cluster of 2,000 types has under 4 MiB."""

_ROOTS = ("/api", "/apis")
_LOOK_SECONDS = 0.1


class Documents:
    """GETs of one server, over one connection. Use as a context manager; nothing is opened before the first `get`.

    `ends` is the monotonic time at which the run is to end.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        ends: float = float("inf"),
        tell: Callable[[Notice], None] = lambda notice: None,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._ends = ends
        self._limit = ends
        self._tell = tell
        self._transport: Transport | None = None
        self._done = threading.Event()
        self._guard = threading.Thread(target=self._cut_at_limit, name="discovery", daemon=True)
        self._renewed = False
        self._retry_after: float | None = None

    def get(self, path: str, accept: str) -> bytes:
        """The body of the 200. Raises ApiError for a lasting refusal, TransportError, and TimeIsUp past `ends`."""
        request = Request("get", path, accept)
        backoff = Backoff()
        for tries in range(1, TRIES + 1):
            try:
                return self._fetch(request)
            except (ApiError, Cut) as error:
                request = request._replace(renew=self._may_renew(error))
                if not request.renew:
                    if tries == TRIES or not self._may_pass(error, path):
                        raise
                    pause, backoff = backoff.step(self._clock.monotonic(), self._clock.chance())
                    self._pause(error, pause)
        raise AssertionError("the last try returns or raises")

    def _may_renew(self, error: KwatchError) -> bool:
        """Whether newer credentials may help: once (fault 28)."""
        if not isinstance(error, Unauthorized) or self._renewed:
            return False
        self._renewed = True
        return True

    def _may_pass(self, error: ApiError | Cut, path: str) -> bool:
        """Whether to ask again (fault 26). A root comes back, the server of a single group mostly doesn't."""
        if isinstance(error, Cut):
            return path in _ROOTS
        return error.code == 429 or (error.code == 503 and (self._retry_after is not None or path in _ROOTS))

    def _pause(self, error: ApiError | Cut, pause: float) -> None:
        """Wait as long as the server says, else `pause`; raise `error` rather than wait beyond the limit."""
        seconds = min(pause if self._retry_after is None else retry_after(self._retry_after), MAX_PAUSE)
        left = self._limit - self._clock.monotonic()
        if seconds >= left and self._limit < self._ends:
            raise error
        self._tell(Notice(f"{error}; asking again in {seconds:.1f}s", delay=seconds))
        self._clock.wait(max(min(seconds, left), 0.0))

    def close(self) -> None:
        """Release the connection."""
        if self._transport:
            self._done.set()
            self._guard.join()
            self._transport.close()

    def __enter__(self) -> Documents:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Transport:
        self._transport = Transport(self._connection)
        self._limit = min(self._ends, self._clock.monotonic() + MAX_SECONDS)
        self._guard.start()
        return self._transport

    def _fetch(self, request: Request) -> bytes:
        transport = self._transport or self._open()
        started = self._clock.monotonic()
        left = self._limit - started
        if left <= 0:
            raise self._late()
        self._retry_after = None
        try:
            with transport.send(request._replace(silence=min(SILENCE, left))) as response:
                self._retry_after = response.retry_after
                body = self._body(response)
        except TransportError as error:
            if self._clock.monotonic() >= self._limit:
                raise self._late() from error
            raise
        seconds = self._clock.monotonic() - started
        self._tell(Notice(f"GET {request.path}: {response.status} in {seconds * 1000:.0f} ms", detail=True))
        if response.status == 200:
            return body
        raise api_error(f"{self._connection.server}{request.path}", response.status, body)

    def _body(self, response: Response) -> bytes:
        try:
            return response.read(MAX_BYTES) if response.status == 200 else response.read_error()
        except (Cut, Overdue) as error:
            text = f"{self._connection.server}: the connection broke amid what it serves: {error}; try again"
            raise type(error)(text, error.detail) from error

    def _late(self) -> KwatchError:
        if self._clock.monotonic() >= self._ends:
            return TimeIsUp("the time was up before the server had said what it serves")
        text = f"{self._connection.server} took longer than {MAX_SECONDS:.0f} s to say what it serves"
        return Overdue(f"{text}; check that it is a Kubernetes API server")

    def _cut_at_limit(self) -> None:
        self._done.wait(max(self._limit - self._clock.monotonic(), 0.0))
        while not self._done.wait(_LOOK_SECONDS):  # again and again: a connection that is only being made can't be cut
            if self._transport:
                self._transport.abort()
