"""A client made of a socket: it sees chunks, ends and resets as they are on the wire, and waits with deadlines."""

from __future__ import annotations

import json
import pathlib
import socket
import time
from urllib.parse import urlsplit

DATA = pathlib.Path(__file__).parents[1] / "data" / "wire"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PATIENCE = 5.0


def recording(case):
    """A recorded case: request, accept, status, headers, body, chunks, end."""
    return json.loads((DATA / f"{case}.json").read_text())


class Answer:
    """A response as it arrives. `end` is None while it goes on, then "complete", "eof" or "reset"."""

    def __init__(self, sock):
        self.sock = sock
        self.raw = b""
        self.chunks = []
        self.body = b""
        self.end = None
        self.headers = {}
        self.status = None

    def _receive(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return False
        except ConnectionResetError:
            self.end = "reset"
            return False
        if not data:
            self.end = "eof"
            return False
        self.raw += data
        return True

    def read_head(self, patience=PATIENCE):
        """Wait for the headers; False if they don't come."""
        deadline = time.monotonic() + patience
        while b"\r\n\r\n" not in self.raw:
            if not self._receive(deadline):
                return False
        head, _, self.raw = self.raw.partition(b"\r\n\r\n")
        line, *rest = head.decode().split("\r\n")
        self.status = int(line.split()[1])
        self.headers = dict(text.split(": ", 1) for text in rest)
        self._parse()
        return True

    def _parse(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._parse_chunks()
            return
        self.body += self.raw
        self.raw = b""
        length = self.headers.get("Content-Length")
        if length is not None and len(self.body) >= int(length):
            self.end = "complete"

    def _parse_chunks(self):
        while b"\r\n" in self.raw:
            size, _, rest = self.raw.partition(b"\r\n")
            count = int(size, 16)
            if len(rest) < count + 2:
                return
            self.raw = rest[count + 2 :]
            if not count:
                self.end = "complete"
                return
            self.chunks.append(rest[:count])
            self.body += rest[:count]

    def read(self, until=lambda answer: answer.end, patience=PATIENCE):
        """Read until a condition on the answer holds or it ends; returns the answer."""
        deadline = time.monotonic() + patience
        while self.end is None and not until(self):
            if not self._receive(deadline):
                break
            self._parse()
        return self

    def read_events(self, count, patience=PATIENCE):
        """The first `count` events, fewer only if the stream ends or time is up."""
        self.read(lambda answer: answer.body.count(b"\n") >= count, patience)
        return self.events[:count]

    @property
    def events(self):
        """The events of the complete lines so far."""
        return [json.loads(line) for line in self.body.decode().split("\n")[:-1] if line.strip()]

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)

    def close(self):
        self.sock.close()


class Client:
    """Requests to a server, each on a connection of its own; `close` closes them all."""

    def __init__(self, server):
        parts = urlsplit(server.url)
        self.address = (parts.hostname, parts.port)
        self.prefix = parts.path
        self.answers = []

    def open(self, path, method="GET", accept="application/json", body=None, **headers):
        """Send a request; nothing is read yet."""
        sock = socket.create_connection(self.address, timeout=PATIENCE)
        answer = Answer(sock)
        self.answers.append(answer)
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = {"Host": "x", "Accept": accept, "Content-Length": str(len(data))}
        shown.update({name.replace("_", "-"): value for name, value in headers.items()})
        if data and "Content-Type" not in shown:
            shown["Content-Type"] = "application/json"
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in shown.items())]
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        return answer

    def stream(self, path, accept="application/json", **headers):
        """Open a stream and read its headers."""
        answer = self.open(path, accept=accept, **headers)
        assert answer.read_head()
        return answer

    def request(self, path, method="GET", accept="application/json", body=None, **headers):
        """A whole request and its answer."""
        answer = self.open(path, method, accept, body, **headers)
        assert answer.read_head()
        answer.read()
        answer.close()
        return answer

    def get(self, path, accept="application/json", **headers):
        return self.request(path, accept=accept, **headers)

    def close(self):
        for answer in self.answers:
            answer.close()


def pod(name, namespace="default", image="nginx:1", **metadata):
    """A pod's manifest."""
    spec = {"containers": [{"name": "c", "image": image}]}
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}
