"""A server that is a script of bytes: each connection it accepts plays the next script."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

from listening import Listener, read_head

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
        self.request = read_head(self._connection)

    def send(self, data: bytes) -> None:
        """Send it all."""
        self._connection.sendall(data)

    def hold(self) -> None:
        """Send nothing more until the test is over."""
        self._released.wait(30)

    def reset(self) -> None:
        """Close with RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class ScriptedServer(Listener):
    """Plays `scripts` in the order of connections, the last one again and again."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._scripts = list(scripts)

    def _accepted(self, connection: socket.socket) -> None:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self._start(self._play, connection, script)

    def _play(self, connection: socket.socket, script: Script) -> None:
        with contextlib.suppress(OSError), connection, self._secured(connection) as secured:
            peer = Peer(secured, self._ended)
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
