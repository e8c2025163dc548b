"""Drives a session over a transport: one watch as an endless iterator of batches of signals.

No thread of its own. Waiting goes through the clock, so that a stop ends it at once and a test needs no real time.
"""

from __future__ import annotations

from collections.abc import Iterator

from kwatch.errors import ConfigError, Cut, FrameTooLong, KwatchError, Overdue, TransportError, Unreachable, Untrusted
from kwatch.model import Checkpoint, Clock, Notice, Signal
from kwatch.protocol.decisions import Cause
from kwatch.protocol.session import Request, WatchSession
from kwatch.transport import Response, Transport

_CAUSES = {
    Unreachable: Cause.UNREACHABLE,
    Untrusted: Cause.UNTRUSTED,
    Cut: Cause.CUT,
    Overdue: Cause.OVERDUE,
}


class Watcher:
    """One watch. `batches` runs in one thread; `stop` and `expire` may be called from another."""

    def __init__(self, session: WatchSession, transport: Transport, clock: Clock) -> None:
        self._session = session
        self._transport = transport
        self._clock = clock
        self._stopped = False
        self.received = 0
        """Bytes of lists and watches so far, decompressed."""
        self._warned: set[str] = set()

    @property
    def checkpoint(self) -> Checkpoint:
        """From where another watch may go on that has all the batches so far. For the thread that takes them."""
        return self._session.checkpoint

    def batches(self) -> Iterator[list[Signal]]:
        """What happens, in order, a list for each piece of data. Raises KwatchError where the watch can't go on."""
        try:
            while not self._stopped:
                request = self._session.next_request(self._clock.monotonic(), self._clock.chance())
                yield from self._pending()
                if request.delay and self._clock.wait(request.delay):
                    return
                yield from self._exchange(request)
                yield from self._pending()
        finally:
            self._transport.close()

    def stop(self) -> None:
        """End the watch: a blocked read returns at once."""
        self._stopped = True
        self._transport.abort()

    def expire(self, now: float) -> None:
        """Give up an exchange that is past its deadline at `now` (monotonic seconds)."""
        self._transport.expire(now)

    def _exchange(self, request: Request) -> Iterator[list[Signal]]:
        started = self._clock.monotonic()
        cause, detail = Cause.ENDED, ""
        error: KwatchError | None = None
        try:
            with self._transport.send(request) as response:
                yield [_log(request, response.status, self._clock.monotonic() - started)]
                yield from self._receive(request, response)
        except ConfigError as broken:
            cause, detail, error = Cause.NO_CREDENTIALS, str(broken), broken
        except TransportError as broken:
            cause, detail, error = _CAUSES[type(broken)], broken.detail, broken
        except FrameTooLong as broken:
            cause, detail = Cause.TOO_LONG, str(broken)
        if not self._stopped:
            self._session.receive_end(cause, detail, self._clock.monotonic() - started, error)

    def _receive(self, request: Request, response: Response) -> Iterator[list[Signal]]:
        if complaint := self._transport.complaint():
            yield [Notice(f"warning: {complaint}; what was there before stays in use")]
        yield from self._new_warnings(response)
        if response.status != 200:
            self._session.receive_status(response.status, response.read_error(), response.retry_after)
        elif request.verb == "list":
            body = response.read()
            self.received += len(body)
            self._session.receive_page(body)
        else:
            self._session.receive_accepted()
            yield from self._stream(response)

    def _stream(self, response: Response) -> Iterator[list[Signal]]:
        yield from self._pending()
        for data in response.chunks():
            self.received += len(data)
            going_on = self._session.receive_data(data)
            yield from self._pending()
            if self._stopped or not going_on:
                return

    def _pending(self) -> Iterator[list[Signal]]:
        if signals := self._session.signals():
            yield signals

    def _new_warnings(self, response: Response) -> Iterator[list[Signal]]:
        """The server's Warning headers, each text once, as kubectl shows them."""
        if fresh := [text for text in response.warnings if text not in self._warned]:
            self._warned.update(fresh)
            yield [Notice(f"warning: {text}") for text in fresh]


def _log(request: Request, status: int, seconds: float) -> Notice:
    """The line that `-v` shows of a request: no header and so no credential is in it."""
    query = "&".join(f"{name}={value}" for name, value in request.parameters.items())
    return Notice(f"GET {request.path}?{query}: {status} in {seconds * 1000:.0f} ms", detail=True)
