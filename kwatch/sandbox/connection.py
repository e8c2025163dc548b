"""One TCP connection: HTTP/1.1 requests in, bytes out, every wait interruptible from another thread.

The socket is non-blocking; a wait watches it and a `Waker`. `Gone` is raised when the peer has left or the server
wants the connection to end.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    import ssl

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # needs no descriptor of its own


class Gone(Exception):
    """The connection is to end: the peer left, or `abort` was called, or a fault cuts it."""


class Waker:
    """Wakes a thread that waits in a selector; safe to set from any thread, and cheap when it is set already."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._set = False

    def set(self) -> None:
        """Wake the waiter, now or at its next wait."""
        if not self._set:
            self._set = True
            with contextlib.suppress(OSError):
                self._writer.send(b"\0")

    def clear(self) -> None:
        """Take the wake-up; what was handed over before it is to be looked at after this."""
        with contextlib.suppress(BlockingIOError):
            self.reader.recv(64)
        self._set = False

    def close(self) -> None:
        """Free the descriptors."""
        self.reader.close()
        self._writer.close()


@dataclass(frozen=True)
class Request:
    """A request as it came; `time` is monotonic. The server fills in `verb` and `resource`.

    Header names are in lower case; a header that came several times has its values joined by ", ". Over TLS,
    `server_name` is the name the client asked for (SNI), `subject` the common name of its verified certificate.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)
    version: str = "HTTP/1.1"
    time: float = field(default_factory=time.monotonic)
    verb: str = ""
    resource: str = ""
    server_name: str = ""
    subject: str = ""

    @property
    def segments(self) -> list[str]:
        """The path's segments, decoded one by one (a name may carry an encoded slash)."""
        return [unquote(segment) for segment in self.path.split("/") if segment]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection kept."""
        return self.version == "HTTP/1.1" and self.headers.get("connection", "").lower() != "close"


class Connection:
    """A client's connection, used by one thread but for `wake` and `abort`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._waker = Waker()
        self._selector = _Selector()
        self._selector.register(sock, _READ)
        self._selector.register(self._waker.reader, _READ)
        self._buffer = b""
        self._aborted = False
        self._reset = False
        self._server_name = ""
        self._subject = ""
        self.closed = threading.Event()

    # -------------------------------------------------------------- from any thread

    def wake(self) -> None:
        """End the current wait."""
        self._waker.set()

    def abort(self, reset: bool = False) -> None:
        """End the connection: its thread gets Gone at its next step."""
        self._reset = self._reset or reset
        self._aborted = True
        self._waker.set()

    # -------------------------------------------------------------- waiting

    def _wait(self, interest: int, timeout: float | None) -> bool:
        """Wait for the socket or the waker; True if the socket is ready."""
        if self._aborted:
            raise Gone
        if interest != self._selector.get_key(self._sock).events:
            self._selector.modify(self._sock, interest)
        ready = [key.fileobj for key, _ in self._selector.select(timeout)]
        if self._waker.reader in ready:
            self._waker.clear()
        if self._aborted:
            raise Gone
        return self._sock in ready

    def pause(self, timeout: float | None) -> None:
        """Wait until woken, or for the time; Gone if the client leaves."""
        if self._wait(_READ, timeout):
            self._check_peer()

    def _check_peer(self) -> None:
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if _wants(error):
                return
            raise Gone from error
        if not data:
            raise Gone
        self._buffer += data  # a pipelined request, or nonsense
        if len(self._buffer) > MAX_HEAD:
            raise Gone

    def wait_for_end(self, dribble: float | None = None, send: bytes = b" ") -> None:
        """Wait until the client leaves, and then raise Gone; `dribble` sends something every so many seconds."""
        while True:
            self.pause(dribble)
            if dribble is not None:
                self.send(send)

    # -------------------------------------------------------------- bytes

    def handshake(self, context: ssl.SSLContext) -> None:
        """TLS, as the server."""
        self._selector.unregister(self._sock)
        self._sock = secured = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        self._selector.register(self._sock, _READ)
        while True:
            try:
                secured.do_handshake()
                self._server_name = getattr(secured, "server_name", "")
                self._subject = _common_name(secured)
                return
            except OSError as error:
                self._wait_after(error, 0)

    def _receive(self) -> bytes:
        """The next bytes; b"" at the end of the stream."""
        while True:
            try:
                return self._sock.recv(65536)
            except OSError as error:
                self._wait_after(error, _READ)

    def send(self, data: bytes) -> None:
        """Send it all; waits while the client doesn't read."""
        view = memoryview(data)
        while view:
            if self._aborted:
                raise Gone
            try:
                view = view[self._sock.send(view) :]
            except OSError as error:
                self._wait_after(error, _WRITE)

    def _wait_after(self, error: OSError, interest: int) -> None:
        """Wait until what failed so may go on: for `interest`, or what TLS wants. Gone where it can't go on."""
        wanted = interest if isinstance(error, (BlockingIOError, InterruptedError)) else _wants(error)
        if not wanted:
            raise Gone from error
        self._wait(wanted, None)

    # -------------------------------------------------------------- requests

    def read_request(self) -> Request | None:
        """The next request; None at the end of the stream. Gone where it can't be understood."""
        head = self._read_until(b"\r\n\r\n")
        if head is None:
            return None
        try:
            line, *rest = head.decode("latin-1").split("\r\n")
            method, target, version = line.split(" ")
            headers = _headers(rest)
            parts = urlsplit(target)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
        except ValueError as error:
            self.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            raise Gone from error
        body = self._read_body(headers)
        server_name, subject = self._server_name, self._subject
        return Request(method, parts.path, query, headers, body, version, server_name=server_name, subject=subject)

    def _read_until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            data = self._receive() if len(self._buffer) < MAX_HEAD else b""
            if not data:
                return None
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _read_exactly(self, count: int) -> bytes:
        parts = [self._buffer]
        have = len(self._buffer)
        while have < count:
            data = self._receive()
            if not data:
                raise Gone
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self._buffer = whole[count:]
        return whole[:count]

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise Gone
        return self._read_exactly(int(length))

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        while True:
            line = self._read_until(b"\r\n")
            if line is None:
                raise Gone
            size = int(line.partition(b";")[0], 16)
            data = self._read_exactly(size + 2)[:-2]
            if not size:
                return b"".join(chunks)
            chunks.append(data)

    # -------------------------------------------------------------- the end

    def reset(self) -> None:
        """Have `close` end the connection by RST."""
        self._reset = True

    def finish(self) -> None:
        """A clean end of TLS (close_notify), so that a body that lasts until EOF is seen to be complete."""
        unwrap = getattr(self._sock, "unwrap", None)
        if unwrap:
            with contextlib.suppress(OSError, ValueError):
                unwrap()

    def close(self) -> None:
        """Close the socket: FIN, or RST after `reset`."""
        self._selector.close()
        with contextlib.suppress(OSError):
            if self._reset:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        self._waker.close()
        self.closed.set()


def remember_server_names(context: ssl.SSLContext) -> None:
    """Have the sockets of `context` know the name that their client asked for (SNI)."""

    def remember(secured: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        secured.server_name = name or ""  # type: ignore[union-attr]

    context.sni_callback = remember


def _common_name(secured: ssl.SSLSocket) -> str:
    subject: Any = (secured.getpeercert() or {}).get("subject", ())
    return next((value for part in subject for name, value in part if name == "commonName"), "")


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return headers


def _wants(error: OSError) -> int:
    """What TLS waits for: the event to wait for, 0 for a real error."""
    return {"SSLWantReadError": _READ, "SSLWantWriteError": _WRITE}.get(type(error).__name__, 0)
