"""Proxies over real sockets: one tunnels what it is asked to CONNECT to and forwards absolute URLs, one is SOCKS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from urllib.parse import urlsplit

from listening import Listener, read_head, shut


class Proxy(Listener):
    """A proxy while its `with` block runs; `requests` are the heads it got.

    `refusal` is what it answers in place of doing its work, b"" for nothing at all: it keeps the client waiting.
    """

    def __init__(self, *, refusal: bytes | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._refusal = refusal
        self.carried = b""

    def with_login(self, login: str) -> str:
        """Its URL with `user:password`."""
        return self.url.replace("://", f"://{login}@")

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, self._secured(connection) as secured:
            self._sockets.append(secured)
            head = read_head(secured)
            self.requests.append(head)
            if self._refusal is not None:
                secured.sendall(self._refusal)
                if not self._refusal:
                    self._ended.wait(30)
                return
            self._carry(secured, head)

    def _carry(self, client: socket.socket, head: bytes) -> None:
        method, target, _ = head.decode("latin-1").split(" ", 2)
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        with socket.create_connection((parts.hostname, parts.port)) as server:
            self._sockets.append(server)
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(self._forwarded(head, f"{parts.scheme}://{parts.netloc}"))
            self._both_ways(client, server, forward=method != "CONNECT")

    def _both_ways(self, client: socket.socket, server: socket.socket, *, forward: bool = False) -> None:
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        self._threads.append(back)
        back.start()
        self._pump(client, server, forward)
        back.join(5)

    def _forwarded(self, data: bytes, origin: str = "") -> bytes:
        """The request as the server is to see it: a path in place of the URL, nothing that was for the proxy."""
        first, *rest = data.split(b"\r\n")
        kept = [line for line in rest if not line.lower().startswith(b"proxy-")]
        return b"\r\n".join([first.replace(origin.encode(), b"", 1), *kept])

    def _pump(self, source: socket.socket, target: socket.socket, forward: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.carried += data
                if forward:  # the next request on a kept connection comes whole, as small as it is
                    self.requests.append(data)
                    data = self._forwarded(data, data.split(b" ")[1].partition(b"/api")[0].decode())
                target.sendall(data)
        for each in (source, target):
            shut(each)


class SocksProxy(Proxy):
    """SOCKS 5 (RFC 1928, 1929) to IPv4 addresses, with or without a login; `logins` are those it got."""

    def __init__(self) -> None:
        super().__init__()
        self.url = f"socks5://{self.address}"
        self.logins: list[bytes] = []

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as sent:
            self._sockets.append(connection)
            methods = sent.read(sent.read(2)[1])
            connection.sendall(b"\x05\x02" if 2 in methods else b"\x05\x00")
            if 2 in methods:
                user = sent.read(sent.read(2)[1])
                self.logins.append(user + b":" + sent.read(sent.read(1)[0]))
                connection.sendall(b"\x01\x00")
            wanted = sent.read(10)
            target = (socket.inet_ntoa(wanted[4:8]), int.from_bytes(wanted[8:], "big"))
            with socket.create_connection(target) as server:
                self._sockets.append(server)
                connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
                self._both_ways(connection, server)
