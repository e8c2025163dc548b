"""A server that replays a recorded rollout: lists and watches of its objects, on its own clock or faster."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

FOLDER = Path(__file__).parents[1] / "data" / "rollouts"
PLURALS = {
    "Pod": "pods",
    "Event": "events",
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "ControllerRevision": "controllerrevisions",
    "Job": "jobs",
}


class Recorded(NamedTuple):
    """One watch event: seconds since the recording's start, type, object."""

    t: float
    type: str
    object: dict[str, Any]

    @property
    def version(self) -> int:
        return int(self.object["metadata"]["resourceVersion"])

    @property
    def plural(self) -> str:
        return PLURALS[self.object["kind"]]


def recorded(case: str) -> list[Recorded]:
    """All that happened in the case, in order."""
    lines = gzip.decompress((FOLDER / f"{case}.ndjson.gz").read_bytes()).decode().splitlines()
    return [Recorded(**json.loads(line)) for line in lines]


def verdicts(case: str) -> list[dict[str, Any]]:
    """What kubectl said of it: command, exit, t, output."""
    return json.loads((FOLDER / f"{case}.verdicts.json").read_text())["verdicts"]


class Replay:
    """Serves `events` from the moment `start` (recorded seconds) on, `speed` times as fast; the clock runs from the
    first request on. `delay` holds back, by plural, what a watch hears, in recorded seconds; `frozen`: lists show what
    was at the start, whenever they are asked for."""

    def __init__(
        self,
        events: list[Recorded],
        start: float,
        speed: float = 1.0,
        delay: dict[str, float] | None = None,
        *,
        frozen: bool = False,
    ) -> None:
        self._frozen = frozen
        self._events, self._start, self._speed, self._delay = events, start, speed, delay or {}
        self._began: float | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    replay._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.namespace = events[0].object["metadata"]["namespace"]

    def __enter__(self) -> Replay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def began(self) -> float:
        """When the first request came, in monotonic seconds."""
        with self._lock:
            if self._began is None:
                self._began = time.monotonic()
            return self._began

    def recorded_at(self, moment: float) -> float:
        """A moment of this machine's clock on the recording's."""
        return self._start + (moment - self.began) * self._speed

    def _now(self) -> float:
        return self.recorded_at(time.monotonic())

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        address = urlsplit(handler.path)
        parameters = {name: values[0] for name, values in parse_qs(address.query).items()}
        plural = address.path.rpartition("/")[2]
        events = [event for event in self._events if event.plural == plural]
        if parameters.get("watch"):
            self._watch(
                handler, plural, [event for event in events if event.version > int(parameters["resourceVersion"])]
            )
        else:
            self._list(handler, plural, events, parameters)

    def _list(
        self, handler: BaseHTTPRequestHandler, plural: str, events: list[Recorded], parameters: dict[str, str]
    ) -> None:
        past = [event for event in events if event.t <= (self._start if self._frozen else self._now())]
        state = {event.object["metadata"]["uid"]: event for event in past}
        items = [event.object for event in state.values() if event.type != "DELETED"]
        version = max(
            (event.version for event in past), default=min((event.version for event in events), default=2) - 1
        )
        kind = next((kind for kind, name in PLURALS.items() if name == plural), "Nothing")
        body = json.dumps(
            {"kind": f"{kind}List", "metadata": {"resourceVersion": str(version)}, "items": items}
        ).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _watch(self, handler: BaseHTTPRequestHandler, plural: str, events: list[Recorded]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        handler.close_connection = True
        for event in events:
            due = event.t + self._delay.get(plural, 0.0)
            if self._ended.wait(max((due - self._now()) / self._speed, 0)):
                return
            line = json.dumps({"type": event.type, "object": event.object}).encode() + b"\n"
            handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            handler.wfile.flush()
        self._ended.wait()
