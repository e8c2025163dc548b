"""What the live table costs: CPU and memory of the whole command on a terminal, beside kubectl against the same server.

Run by hand (`make bench-live`): a server in a process of its own sends table rows at a rate, kwatch draws them on a
pseudoterminal that somebody reads. Prints, a line each: percent of a core, bytes written to the terminal a second,
redraws a second, memory, and the events a second that kwatch counted; in the end the memory a row. `--quick` takes
three seconds for each, not twenty.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import multiprocessing
import os
import pty
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

NAMES = ("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates")
COLUMNS = [
    {"name": name, "type": "string", "format": "name" if name == "Name" else "", "priority": int(place > 4)}
    for place, name in enumerate(NAMES)
]
TICKS = os.sysconf("SC_CLK_TCK")
STATUSES = ["Running"] * 8 + ["Pending", "CrashLoopBackOff"]


def row(index: int, version: int, chance: random.Random) -> dict:
    """A pod's row as a server sends it."""
    name, status = f"web-{index // 50:05}-5f6c49c5db-{index:06}", chance.choice(STATUSES)
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"00000000-0000-4000-8000-{index:012}",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": f"web-{index // 50:05}", "pod-template-hash": "5f6c49c5db", "tier": "front"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name[:-7], "uid": "u" * 36}],
    }
    ready = "1/1" if status == "Running" else "0/1"
    cells = [name, ready, status, chance.randrange(9), "9d", f"10.1.{index % 250}.{index // 250}", f"node-{index % 90}",
             "<none>", "<none>"]  # fmt: skip
    return {
        "cells": cells,
        "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata},
    }


def table(rows: list[dict], version: int, columns: list[dict] | None, token: str = "") -> dict:
    """Rows as a Table."""
    metadata = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    }


def serve(listener: socket.socket, pods: int, rate: int) -> None:
    """Answer lists in pages of 500 and a watch with MODIFIED rows at the rate, until killed."""
    chance = random.Random(1)
    rows = [row(index, 1, chance) for index in range(pods)]
    pages = [rows[start : start + 500] for start in range(0, pods, 500)]
    bodies = [
        json.dumps(table(page, 10, COLUMNS, str(number + 1) if number + 1 < len(pages) else "")).encode()
        for number, page in enumerate(pages)
    ]
    events = []
    for _ in range(min(pods, 20_000)):
        event = {"type": "MODIFIED", "object": table([row(chance.randrange(pods), 777777777, chance)], 0, None)}
        events.append(tuple(json.dumps(event).encode().split(b"777777777")))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, bodies, events, rate), daemon=True).start()


def answer(connection: socket.socket, bodies: list[bytes], events: list[tuple[bytes, ...]], rate: int) -> None:
    """All requests of one connection."""
    with connection, contextlib.suppress(OSError, IndexError, ValueError):
        while request := connection.recv(65536).decode():
            line = request.partition("\r\n")[0]
            if "/pods" not in line:
                send(connection, DISCOVERY.get(line.split()[1].partition("?")[0], b"{}"))
            elif "watch=" in line:
                stream(connection, events, rate)
            else:
                token = line.partition("continue=")[2].split("&")[0].split(" ")[0]
                send(connection, bodies[int(token or 0)])


DISCOVERY = {
    "/api": b'{"kind":"APIVersions","versions":["v1"]}',
    "/api/v1": json.dumps({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "shortNames": ["po"],
         "verbs": ["get", "list", "watch"]}]}).encode(),
    "/apis": b'{"kind":"APIGroupList","apiVersion":"v1","groups":[]}',
}  # fmt: skip


def send(connection: socket.socket, body: bytes) -> None:
    """A whole answer."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def stream(connection: socket.socket, events: list[tuple[bytes, ...]], rate: int) -> None:
    """Events at the rate, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    started, sent = time.monotonic(), 0
    while True:
        time.sleep(0.01 if rate > 100 else 0.1)
        due = int((time.monotonic() - started) * rate)
        lines = []
        for number in range(sent, due):
            head, tail = events[number % len(events)]
            lines.append(b"%b%d%b\n" % (head, 100 + number, tail))
        sent = max(sent, due)
        if data := b"".join(lines):
            connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))


@contextlib.contextmanager
def serving(pods: int, rate: int) -> Iterator[str]:
    """The server, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listener, pods, rate), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.kill()
            process.join()


class Measured:
    """A command on a pseudoterminal whose output is read and counted."""

    def __init__(self, command: list[str], columns: int = 200, lines: int = 50) -> None:
        self.written = self.writes = self.lines = 0
        self.tail = b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        variables = os.environ | {"TERM": "xterm-256color"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=variables)
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 1 << 16):
                self.written += len(data)
                self.writes += 1
                self.lines += data.count(b"\n")
                self.tail = (self.tail + data)[-8192:]

    def cpu(self) -> float:
        """Seconds of CPU so far, of all its threads, and of the children that ended."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rpartition(") ")[2].split()  # noqa: SIM115
        return sum(map(int, fields[11:15])) / TICKS

    def events(self) -> int:
        """How many kwatch says it has seen."""
        seen = re.findall(rb"([0-9,]+) events", self.tail)
        return int(seen[-1].replace(b",", b"")) if seen else 0

    def memory(self) -> int:
        """Bytes of resident memory now."""
        status = open(f"/proc/{self.process.pid}/status").read()  # noqa: SIM115
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def settled(self, ready: Callable[[Measured], bool]) -> None:
        """Wait until the start is over."""
        while not ready(self):
            time.sleep(0.1)
        time.sleep(1)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def listed(pods: int, run: Measured) -> bool:
    """Whether so many rows were printed."""
    return run.lines > pods


def measure(name: str, command: list[str], seconds: float, ready: Callable[[Measured], bool]) -> int:
    """Run it for so long once it has started; print a line; its memory."""
    run = Measured(command)
    try:
        run.settled(ready)
        cpu, written, writes, events, started = run.cpu(), run.written, run.writes, run.events(), time.monotonic()
        time.sleep(seconds)
        took, memory = time.monotonic() - started, run.memory()
        print(
            f"{name:44} {100 * (run.cpu() - cpu) / took:6.1f} % of a core "
            f"{(run.written - written) / took / 1024:8.1f} KiB/s in {(run.writes - writes) / took:5.1f} writes/s "
            f"{memory / 2**20:7.0f} MiB {(run.events() - events) / took:7,.0f} events/s",
            flush=True,
        )
        return memory
    finally:
        run.close()


def main() -> None:
    """All measurements."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    seconds = 3 if parser.parse_args().quick else 20
    kwatch = [sys.executable, "-m", "kwatch", "pods", "-s"]
    memory = {}
    for pods, rate in ((100, 0), (1_000, 50), (50_000, 0), (50_000, 5_000)):
        what = f"{pods:,} pods, {rate:,} events/s"
        with serving(pods, rate) as url:
            memory[pods, rate] = measure(
                f"kwatch        {what}", [*kwatch, url], seconds, lambda run: b"live" in run.tail
            )
            if kubectl := shutil.which("kubectl"):
                measure(
                    f"kubectl get -w {what}",
                    [kubectl, "-s", url, "get", "pods", "-w"],
                    seconds,
                    partial(listed, pods),
                )
            if rate == 50 and (watch := shutil.which("watch")):
                measure(
                    "watch -n1 kubectl get pods",
                    [watch, "-n1", f"kubectl -s {url} get pods"],
                    seconds,
                    lambda run: True,
                )
    a_row = (memory[50_000, 5_000] - memory[100, 0]) / 49_900
    print(f"memory: {a_row / 1024:.2f} KiB a row, of the whole command")


if __name__ == "__main__":
    main()
