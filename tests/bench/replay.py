"""An API server of Pods that only replays: what it sends is made before it is asked, so that the client is measured.

A process of its own: `python replay.py` prints its port and serves until its stdin closes. The first part of a path
says what there is, as `Load` has it: `/objects=1000,events=50000,size=3000,every=0/api/v1/pods`. A watch from the
list's version gets all events and a clean end; one from a later version is forbidden, which ends every client. `POST`
on the load makes its streams ready. The last load alone is kept.
"""

from __future__ import annotations

import itertools
import json
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from http.server import BaseHTTPRequestHandler
from random import Random
from urllib.parse import parse_qs, urlsplit

import pods
from pods import Pod

BLOCK = 256 * 1024
"""Bytes handed to the socket at a time."""
KEEP = 400_000_000
"""Bytes of streams kept ready; longer ones are made while they are sent."""


@dataclass(frozen=True)
class Load:
    """What a server has: so many Pods of so many bytes, and the events that follow the list.

    `every`: milliseconds between two events. Each, and the list's first Pod, then has an annotation `sent`: the time on
    the monotonic clock, in nanoseconds.
    """

    objects: int = 1000
    events: int = 50_000
    size: int = 3000
    every: int = 0

    @property
    def version(self) -> int:
        """The list's resourceVersion."""
        return self.objects + 1

    def __str__(self) -> str:
        return ",".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))

    @classmethod
    def parse(cls, text: str) -> Load:
        """The load that `str` wrote. Raises ValueError."""
        return cls(**{name: int(value) for name, _, value in (part.partition("=") for part in text.split(","))})

    def listed(self, start: int, end: int) -> Iterator[Pod]:
        """The Pods as the list has them."""
        return (Pod(index, index + 1) for index in range(start, min(end, self.objects)))

    def changed(self) -> Iterator[Pod]:
        """The Pod of each event: one after the other restarts."""
        for number in range(self.events):
            turn, index = divmod(number, self.objects)
            yield Pod(index, self.version + 1 + number, turn + 1)


def page(load: Load, start: int, limit: int, *, table: bool) -> bytes:
    """A page of the list, from the object `start` on."""
    end = start + limit if limit else load.objects
    left = load.objects - end
    more = b',"continue":"%d","remainingItemCount":%d' % (end, left) if left > 0 else b""
    render = pods.row if table else pods.encoded
    items = b",".join(render(pod, load.size) for pod in load.listed(start, end))
    if not table:
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"%s},"items":[%s]}\n'
        return head % (load.version, more, items)
    columns = json.dumps(pods.COLUMNS, separators=(",", ":")).encode()
    head = b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"%d"%s},'
    return head % (load.version, more) + b'"columnDefinitions":%s,"rows":[%s]}\n' % (columns, items)


def lines(load: Load, *, table: bool) -> Iterator[bytes]:
    """The events of the watch."""
    for number, pod in enumerate(load.changed()):
        yield pods.table_event(pod, load.size, columns=not number) if table else pods.event(pod, load.size)


def blocks(events: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The events in HTTP chunks of about the size of one, as the server sends them, with other boundaries."""
    chance = Random(1)
    sizes = [chance.randrange(size // 4, 2 * size) for _ in range(997)]
    waiting, block = bytearray(), bytearray()
    for line, wanted in zip(events, itertools.cycle(sizes), strict=False):
        waiting += line
        if len(waiting) >= wanted:
            block += b"%x\r\n%s\r\n" % (wanted, waiting[:wanted])
            del waiting[:wanted]
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    if waiting:
        block += b"%x\r\n%s\r\n" % (len(waiting), waiting)
    yield bytes(block) + b"0\r\n\r\n"


class Streams:
    """What a load's answers consist of, made once."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._made: dict[object, list[bytes]] = {}

    def page(self, start: int, limit: int, *, table: bool) -> bytes:
        """A page of the list."""
        return b"".join(self._kept((start, limit, table), lambda: [page(self.load, start, limit, table=table)], 0))

    def watch(self, *, table: bool) -> Iterable[bytes]:
        """The watch's body, framed."""
        size = self.load.size * self.load.events
        return self._kept(table, lambda: blocks(lines(self.load, table=table), self.load.size), size)

    def prepare(self, *, table: bool) -> None:
        """Make all that will be asked for."""
        for start in range(0, self.load.objects, 500):
            self.page(start, 500, table=table)
        self.watch(table=table)

    def _kept(self, key: object, make: Callable[[], Iterable[bytes]], size: int) -> Iterable[bytes]:
        if size > KEEP:
            return make()
        if key not in self._made:
            self._made[key] = list(make())
        return self._made[key]


CORE = [{"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list", "watch"]}]
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [{**CORE[0], "shortNames": ["po"]}]},
    "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
}
FORBIDDEN = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "replayed", "reason": "Forbidden"}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _lock = threading.Lock()
    _streams = Streams(Load(objects=0, events=0))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Make a load ready, as objects or with `?table=1` as table rows."""
        load, _, query = self._asked()
        self._of(load).prepare(table="table" in query)
        self._answer(b"")

    def do_GET(self) -> None:
        """Discovery, a page of the list, or the watch."""
        load, path, query = self._asked()
        table = "as=Table" in self.headers.get("Accept", "")
        if path in DISCOVERY:
            self._answer(json.dumps(DISCOVERY[path]).encode())
        elif not path.endswith("/pods"):
            self._answer(json.dumps({**FORBIDDEN, "code": 404, "reason": "NotFound"}).encode(), 404)
        elif query.get("watch", "0").lower() not in ("1", "true"):
            page = self._of(load).page(int(query.get("continue", 0)), int(query.get("limit", 0)), table=table)
            self._answer(_stamped(page) if load.every else page)
        elif query.get("resourceVersion", str(load.version)) not in ("", "0", str(load.version)):
            self._answer(json.dumps({**FORBIDDEN, "code": 403}).encode(), 403)
        else:
            self._stream(self._timed(load) if load.every else self._of(load).watch(table=table))

    def _asked(self) -> tuple[Load, str, dict[str, str]]:
        url = urlsplit(self.path)
        _, load, rest = (url.path + "/").split("/", 2)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        return Load.parse(load), "/" + rest.rstrip("/"), query

    def _of(self, load: Load) -> Streams:
        with self._lock:
            if Handler._streams.load != load:
                Handler._streams = Streams(load)
            return Handler._streams

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, body: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for block in body:
            self.wfile.write(block)

    def _timed(self, load: Load) -> Iterator[bytes]:
        """One event at a time."""
        for pod in load.changed():
            time.sleep(load.every / 1000)
            line = _stamped(pods.event(pod, load.size))
            yield b"%x\r\n%s\r\n" % (len(line), line)
        yield b"0\r\n\r\n"


def _stamped(body: bytes) -> bytes:
    """With the time in the annotations of the first Pod."""
    return body.replace(b'"padding":"', b'"sent":"%d","padding":"' % time.monotonic_ns(), 1)


class Server(socketserver.ThreadingTCPServer):
    """Loopback only."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    """Serve until stdin closes."""
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
