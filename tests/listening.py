"""What the servers of tests stand on that are made of bytes: a socket that listens, a thread a connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

Each = TypeVar("Each", bound="Listener")


class Listener:
    """Listens on loopback while its `with` block runs; `requests` are those it got. Its threads end with it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"

    def __enter__(self: Each) -> Each:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for each in (self._listener, *self._sockets):
            shut(each)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._accepted(self._listener.accept()[0])

    def _accepted(self, connection: socket.socket) -> None:
        """What is done with the next connection, before another is accepted."""
        self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        """What a connection's thread does; it may put what blocks it into `_sockets`."""
        raise NotImplementedError

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


def shut(connection: socket.socket) -> None:
    """Wake whoever reads it or writes to it, without a word of TLS."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def read_head(connection: socket.socket) -> bytes:
    """A request's line and headers, and what came with them; less where the client leaves."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
        data += piece
    return data
