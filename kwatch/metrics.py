"""Prometheus' metrics and a health check over HTTP, in a thread of their own: the numbers are read when asked for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from kwatch.cluster.files import config_error, why
from kwatch.vitals import Vitals

REQUEST_SECONDS = 10
"""How long a client may take to say what it wants."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the numbers are that no batch carries: bytes from the servers, batches that wait, the file, the state."""

    received: Callable[[], int]
    waiting: Callable[[], int]
    file_bytes: Callable[[], int]
    commits: Callable[[], int]


class Metrics:
    """Serves `/metrics` and `/healthz` (503 with the reasons where all isn't well) while it is entered."""

    def __init__(self, host: str, port: int, vitals: Vitals, readings: Readings) -> None:
        """Raises ConfigError where the address can't be listened on. Port 0: a free one."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Numbers(vitals, readings))
        self._metrics = make_wsgi_app(registry)
        self._vitals = vitals
        try:
            self._server = make_server(host, port, self._answer, _Server6 if ":" in host else _Server, _Quiet)
        except (OSError, OverflowError, UnicodeError) as error:
            raise config_error(f"metrics can't be served at {host}:{port}: {why(error)}; choose another") from error
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True)

    def __enter__(self) -> Metrics:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            numbers: Iterable[bytes] = self._metrics(environ, start)
            return numbers
        if path == "/healthz":
            problems = self._vitals.problems(time.monotonic())
            status, lines = ("503 Service Unavailable", problems) if problems else ("200 OK", ["ok"])
        else:
            status, lines = "404 Not Found", ["there are /metrics and /healthz"]
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return ["".join(f"{line}\n" for line in lines).encode(errors="replace")]


class _Numbers(Collector):
    """The numbers as they are when they are asked for."""

    def __init__(self, vitals: Vitals, readings: Readings) -> None:
        self._vitals = vitals
        self._readings = readings

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """A family each."""
        events = CounterMetricFamily("kwatch_events", "Events handed on.", labels=("resource", "type"))
        for (resource, kind), count in list(self._vitals.events.items()):
            events.add_metric((resource, kind), count)
        yield events
        reconnects = CounterMetricFamily("kwatch_reconnects", "Watches after the first.", labels=("source",))
        relists = CounterMetricFamily("kwatch_relists", "Lists after the first.", labels=("source",))
        lag = GaugeMetricFamily("kwatch_lag_seconds", "Seconds since the last word.", labels=("source",))
        now = time.monotonic()
        for query, pulse in list(self._vitals.pulses.items()):
            reconnects.add_metric((str(query),), max(pulse.connections - 1, 0))
            relists.add_metric((str(query),), max(pulse.lists - 1, 0))
            lag.add_metric((str(query),), now - pulse.heard)
        yield from (reconnects, relists, lag)
        read = self._readings
        yield CounterMetricFamily("kwatch_received_bytes", "Bytes of lists and watches.", value=read.received())
        yield GaugeMetricFamily("kwatch_queue_depth", "Batches that wait to be written.", value=read.waiting())
        yield GaugeMetricFamily("kwatch_file_bytes", "Bytes in the output file.", value=read.file_bytes())
        yield CounterMetricFamily("kwatch_state_commits", "Transactions of the state.", value=read.commits())


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Bind, and ask no name server what this machine is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away is no news."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: who reads metrics is no news."""
