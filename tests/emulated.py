"""A live sink on an emulated terminal, in time that is turned by hand: what a person sees after a script of events."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pyte

from kwatch.model import Change, Column, Environment, Query, Resource, Row, Signal, Terminal
from kwatch.sinks import SinkOptions
from kwatch.sinks.live import LiveSink

START = datetime(2026, 1, 2, 12, 0, 0, tzinfo=timezone.utc)
PODS = Query(Resource("", "v1", "pods", "Pod", singular="pod"), "default")
NODES = Query(Resource("", "v1", "nodes", "Node", namespaced=False, singular="node"))
DEPLOYMENTS = Query(Resource("apps", "v1", "deployments", "Deployment", singular="deployment"), "default")
POD_COLUMNS = (
    Column("Name", format="name"),
    Column("Ready"),
    Column("Status"),
    Column("Restarts"),
    Column("Age"),
    Column("IP", priority=1),
    Column("Node", priority=1),
)
NODE_COLUMNS = (Column("Name", format="name"), Column("Status"), Column("Age"))
DEPLOYMENT_COLUMNS = (Column("Name", format="name"), Column("Ready"), Column("Age"))


def created(age: float) -> str:
    """The creationTimestamp of what is so many seconds old at the start."""
    return (START - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, status: str = "Running", ready: str = "1/1", restarts: object = 0, age: float = 3600,
        node: str = "node-0") -> Row:  # fmt: skip
    """A pod's row."""
    return Row(POD_COLUMNS, (name, ready, status, restarts, "?", "10.0.0.1", node), created(age), {})


def node(name: str, status: str = "Ready") -> Row:
    """A node's row."""
    return Row(NODE_COLUMNS, (name, status, "?"), created(86400 * 9), {})


def deployment(name: str, ready: str = "1/1") -> Row:
    """A Deployment's row."""
    return Row(DEPLOYMENT_COLUMNS, (name, ready, "?"), created(3600), {})


def change(kind: str, row: Row, namespace: str = "default", *, initial: bool = False) -> Change:
    """An event with that row."""
    return Change(kind, (namespace, str(row.cells[0])), "u", "1", row, initial=initial)  # type: ignore[arg-type]


class Writes(io.BytesIO):
    """A stream that keeps what was written in one piece apart."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[bytes] = []

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Note it."""
        self.each.append(bytes(data))
        return len(data)


class Screen:
    """The sink, the terminal it draws on, and the time."""

    def __init__(self, columns: int = 80, lines: int = 24, *queries: Query, above: Sequence[str] = (),
                 variables: dict[str, str] | None = None, **options: object) -> None:  # fmt: skip
        """`above`: what stands in the terminal already."""
        self.size = (columns, lines)
        self.terminal = pyte.HistoryScreen(columns, lines)
        self._stream = pyte.ByteStream(self.terminal)
        for line in above:
            self._stream.feed(f"{line}\r\n".encode())
        self.out = Writes()
        self.state = Terminal()
        env = Environment(
            stdout=self.out,
            stderr=io.StringIO(),
            variables={"TERM": "xterm"} | (variables or {}),
            stdout_is_terminal=True,
            size=lambda: os.terminal_size(self.size),
            terminal=self.state,
        )
        self.now = 0.0
        self.slept = 0.0
        """Seconds that the machine's monotonic clock knows nothing of."""
        given = {"queries": queries or (PODS,), **options}
        self.sink = LiveSink(SinkOptions(**given), env, lambda: START + timedelta(seconds=self.now + self.slept))  # type: ignore[arg-type]
        self._read = 0

    def at_start(self, *rows: Row, query: Query = PODS, namespace: str = "default") -> None:
        """What is there when the watch begins."""
        self.sink.change(query, [change("ADDED", row, namespace, initial=True) for row in rows])

    def event(self, kind: str, row: Row, query: Query = PODS, namespace: str = "default") -> None:
        """One event."""
        self.sink.change(query, [change(kind, row, namespace)])

    def tell(self, signal: Signal, query: Query = PODS) -> None:
        """A signal of the connection's."""
        self.sink.signal(query, signal)

    def wait(self, seconds: float = 0.0) -> list[str]:
        """Let time pass, as the command's loop does, ten ticks a second; what is to be seen then."""
        for _ in range(round(seconds * 10)):
            self.now = round(self.now + 0.1, 3)
            self.sink.tick(self.now)
        if not seconds:
            self.sink.tick(self.now)
        return self.seen()

    def close(self) -> list[str]:
        """The run ends."""
        self.sink.close()
        return self.seen()

    def resize(self, columns: int, lines: int) -> None:
        """The window gets another size, as in a terminal that doesn't reflow."""
        self.seen()
        self.size = (columns, lines)
        self.terminal.resize(lines, columns)

    def seen(self) -> list[str]:
        """The lines on the screen, without what is blank at their ends."""
        for data in self.out.each[self._read :]:
            self._stream.feed(data.replace(b"\n", b"\r\n"))
        self._read = len(self.out.each)
        return "\n".join(line.rstrip() for line in self.terminal.display).rstrip("\n").split("\n")

    def bytes_of(self, seconds: float) -> list[bytes]:
        """What is written during that time."""
        before = len(self.out.each)
        self.wait(seconds)
        return self.out.each[before:]

    def style(self, text: str) -> pyte.screens.Char:
        """How the first character of `text` is shown."""
        for number, line in enumerate(self.terminal.display):
            if text in line:
                return self.terminal.buffer[number][line.index(text)]
        raise AssertionError(f"{text!r} is not to be seen")
