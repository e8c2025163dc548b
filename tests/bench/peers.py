"""`make peers`: what kwatch, kubectl and the Python client do when a watch breaks, against the sandbox.

Each program prints the events of three Pods; the watch is broken, a Pod is deleted and two are created; then what it
printed is compared with what the server has. Prints a table. A program that isn't installed is left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from programs import BIN, Program

from kwatch.sandbox import Cluster, Fault, Server

TEMPLATE = '{.type} {.object.metadata.name} {.object.metadata.resourceVersion}{"\\n"}'
SECONDS = 30.0
"""For a program to find its way back; few are needed, but for one that has lost it and runs on."""

PROGRAMS = (
    Program("kwatch", lambda url: [str(BIN / "kwatch"), *_watching(url), "--output-watch-events"], "kwatch"),
    Program(
        "kubectl get -w", lambda url: ["kubectl", "get", "-w", *_watching(url), "--output-watch-events"], "kubectl"
    ),
    Program(
        "kubernetes (Python)",
        lambda url: [sys.executable, str(Path(__file__).with_name("watching.py")), url],
        "kubernetes",
    ),
)


def _watching(url: str) -> list[str]:
    return ["pods", "-s", url, "-o", f"jsonpath={TEMPLATE}"]


def _end(server: Server) -> None:
    """As a server does it every five to ten minutes."""
    server.cluster.rewind(server.cluster.resource_version)


def _cut(server: Server) -> None:
    server.disconnect(reset=True)


def _overload(server: Server) -> None:
    server.script(*[Fault(status=503, verb="any")] * 2)
    server.disconnect()


def _forget(server: Server) -> None:
    """The watch ends, and what asks for the events since then gets 410."""
    with server.cluster.lock:
        _end(server)
        _change(server, "missed")
        server.cluster.compact()


FAULTS: dict[str, Callable[[Server], None]] = {
    "the server ends the watch": _end,
    "the connection is reset": _cut,
    "the server is overloaded (503)": _overload,
    "the events since are gone (410)": _forget,
}


@dataclass(frozen=True)
class Outcome:
    """`ended` is None of a program that goes on; `knows`: its events, replayed, are what the server has."""

    ended: int | None
    knows: bool
    repeated: int
    words: str

    def __str__(self) -> str:
        known = "knows what is there" if self.knows else "doesn't know what is there"
        again = f", {self.repeated} events again" if self.repeated else ""
        return f"{'goes on' if self.ended is None else f'ends with {self.ended}'}, {known}{again}; {self.words}"


def _change(server: Server, name: str) -> None:
    pod = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    server.cluster.create("pods", pod)


def _replayed(lines: list[str]) -> dict[str, str]:
    state: dict[str, str] = {}
    for kind, name, version in map(str.split, lines):
        state[name] = version
        if kind == "DELETED":
            del state[name]
    return state


def _poll(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def outcome(program: Program, fault: Callable[[Server], None], home: Path) -> Outcome:
    """What a program makes of a fault."""
    with Server(Cluster()) as server, (home / "out").open("w") as out, (home / "err").open("w") as err:
        for name in ("c", "b", "a"):
            _change(server, name)
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "KWATCH_"))}
        running = subprocess.Popen(
            program.command(server.url), stdout=out, stderr=err, env=variables | {"HOME": str(home)}
        )

        def lines() -> list[str]:
            return (home / "out").read_text().splitlines()

        def knows() -> bool:
            there = {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in server.cluster.list("pods")}
            return _replayed(lines()) == there

        _poll(lambda: server.watches == 1 and len(lines()) == 3, 30)
        fault(server)
        server.cluster.delete("pods", "default", "b", grace=0)
        _change(server, "new")
        _poll(lambda: running.poll() is not None, 1)
        _poll(lambda: running.poll() is not None or knows(), SECONDS)
        time.sleep(0.5)  # for what would come again
        ended = running.poll()
        running.kill()
        running.wait()
        said = (home / "err").read_text().strip().splitlines() or ["says nothing"]
        return Outcome(ended, knows(), len(lines()) - len(set(lines())), said[-1])


def main() -> None:
    """A line for each fault and program."""
    for title, fault in FAULTS.items():
        print(f"\n{title}")
        for program in PROGRAMS:
            if program.is_here:
                with tempfile.TemporaryDirectory() as home:
                    print(f"  {program.name:20}  {outcome(program, fault, Path(home))}")


if __name__ == "__main__":
    main()
