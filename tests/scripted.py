"""A server that is a script of bytes: each connection it accepts plays the next script."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType

Script = Callable[["Peer"], None]
"""What one connection does; the connection closes when it returns."""


class Peer:
    """One accepted connection."""

    def __init__(self, connection: socket.socket, released: threading.Event) -> None:
        self._connection = connection
        self._released = released
        self.request = b""

    def read_request(self) -> None:
        """Wait for a request's headers."""
        data = b""
        while b"\r\n\r\n" not in data and (piece := self._connection.recv(65536)):
            data += piece
        self.request = data

    def send(self, data: bytes) -> None:
        """Send it all."""
        self._connection.sendall(data)

    def hold(self) -> None:
        """Send nothing more until the test is over."""
        self._released.wait(30)

    def reset(self) -> None:
        """Close with RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class ScriptedServer:
    """Plays `scripts` in the order of connections, the last one again and again."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._tls = tls
        self._released = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> ScriptedServer:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                self._start(self._play, connection, script)

    def _play(self, connection: socket.socket, script: Script) -> None:
        with contextlib.suppress(OSError), connection:
            wrapped = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with wrapped:
                peer = Peer(wrapped, self._released)
                peer.read_request()
                self.requests.append(peer.request)
                script(peer)


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer with its Content-Length."""
    return head(status, Content_Length=str(len(body)), **headers) + body


def head(status: str = "200 OK", **headers: str) -> bytes:
    """Status line and headers; underscores in names become hyphens."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
