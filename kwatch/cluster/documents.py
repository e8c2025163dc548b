"""Fetches a server's API documents: credentials renewed once, an overloaded server asked again, all within a time.

Everything runs in the caller's thread, but for one that watches the time: neither a server that hangs nor one that
dribbles holds a run up for longer than its `--duration`, give or take a connect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ApiError, Cut, KwatchError, Overdue, TimeIsUp, TransportError
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
MAX_BYTES = 64 << 20

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

    def get(self, path: str, accept: str) -> bytes:
        """The body of the 200. Raises ApiError for a lasting refusal, TransportError, and TimeIsUp past `ends`."""
        transport = self._transport or self._open()
        request = Request("get", path, accept)
        backoff = Backoff()
        for tries in range(1, TRIES + 1):
            try:
                return self._fetch(transport, request)
            except _Refused as refused:
                error, after = refused.error, refused.after
            if error.code == 401 and not self._renewed:  # fault 28
                self._renewed, request = True, replace(request, renew=True)
                continue
            if tries == TRIES or not _may_pass(error, path, after):
                raise error
            pause, backoff = backoff.step(self._clock.monotonic(), self._clock.chance())
            self._pause(error, min(pause if after is None else retry_after(after), MAX_PAUSE))
            request = replace(request, renew=False)
        raise AssertionError("the last try returns or raises")

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

    def _fetch(self, transport: Transport, request: Request) -> bytes:
        started = self._clock.monotonic()
        left = self._limit - started
        if left <= 0:
            raise self._late()
        try:
            with transport.send(replace(request, silence=min(SILENCE, left))) as response:
                body = self._body(response)
        except TransportError as error:
            if self._clock.monotonic() >= self._limit:
                raise self._late() from error
            raise
        seconds = self._clock.monotonic() - started
        self._tell(Notice(f"GET {request.path}: {response.status} in {seconds * 1000:.0f} ms", detail=True))
        if response.status == 200:
            return body
        refusal = api_error(f"{self._connection.server}{request.path}", response.status, body)
        raise _Refused(refusal, response.retry_after)

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

    def _pause(self, error: ApiError, seconds: float) -> None:
        left = self._limit - self._clock.monotonic()
        if seconds >= left and self._limit < self._ends:
            raise error
        self._tell(Notice(f"{error}; asking again in {seconds:.1f}s", delay=seconds))
        self._clock.wait(max(min(seconds, left), 0.0))

    def _cut_at_limit(self) -> None:
        self._done.wait(max(self._limit - self._clock.monotonic(), 0.0))
        while not self._done.wait(_LOOK_SECONDS):  # again and again: a connection that is only being made can't be cut
            if self._transport:
                self._transport.abort()


class _Refused(Exception):
    """An answer that isn't 200, and its Retry-After."""

    def __init__(self, error: ApiError, after: float | None) -> None:
        super().__init__(error)
        self.error = error
        self.after = after


def _may_pass(error: ApiError, path: str, after: float | None) -> bool:
    """Whether to ask again. A root that is unavailable comes back, a single group's server mostly doesn't."""
    return error.code == 429 or (error.code == 503 and (after is not None or path in _ROOTS))
