"""An exporter that dies where it is told to: one process that forks a child for each life, for speed.

Reads a life a line as JSON from stdin, runs the watch in a child with a disk that kills, fails or tears, and answers
with what became of it. A process without threads of its own, so that forking is safe.
"""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kwatch.app.exporting  # everything a life needs, imported once
import kwatch.export
import kwatch.sinks.ndjson  # noqa: F401
from kwatch import retry
from kwatch.app import Options, loop, run
from kwatch.app.options import ExportOptions
from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.export import compress
from kwatch.export.disk import Disk
from kwatch.model import Environment
from kwatch.sinks import SinkOptions

CALLS = ("open", "write", "sync", "truncate", "rename", "unlink", "commit")
WHEN = ("before", "amid", "after")


class Fate:
    """What befalls one life: death at the `deadly`-th of the calls named `at`, a full disk at some."""

    def __init__(self, deadly: int, at: str, when: str, full: float, seed: int, report: int) -> None:
        self._deadly, self._at, self._when, self._full = deadly, at, when, full
        self._random = random.Random(seed)
        self._report = report
        self._count = 0
        self._lock = threading.Lock()

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def fated(disk: Disk, *arguments: Any) -> Any:
            with self._lock:
                self._count += name == self._at
                dies = name == self._at and self._count == self._deadly
                full = self._random.random() < self._full
            if dies and self._when == "before":
                self._die(name)
            if name == "write" and ((dies and self._when == "amid") or full):
                call(disk, arguments[0], arguments[1][: len(arguments[1]) // 2])
            if dies and self._when == "amid":
                self._die(name)
            if full and name in ("write", "sync", "commit"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = call(disk, *arguments)
            if dies:
                self._die(name)
            return result

        return fated

    def _die(self, name: str) -> None:
        os.write(self._report, f"{name} {self._when}".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def live(life: dict[str, Any], report: int) -> None:
    """The watch, until its fate or its duration ends it."""
    fate = Fate(life["deadly"], life["at"], life["when"], life["full"], life["seed"], report)
    for name in CALLS:
        setattr(Disk, name, fate.wrap(name, getattr(Disk, name)))
    retry.BASE = 0.001
    loop.LATE_SECONDS = 0.002
    compress.LEVEL = 1
    folder = Path(life["folder"])
    options = Options(
        "configmaps",
        sink=SinkOptions(output="ndjson"),
        export=ExportOptions(
            output_file=str(folder / "events.ndjson"),
            state=str(folder / "state"),
            rotate_size=life["rotate"],
            compress=life["compress"],
        ),
        duration=life["duration"],
        connection=ConnectionOptions(server=life["url"]),
    )
    stderr = io.StringIO()
    code = run(options, Environment(stdout=io.BytesIO(), stderr=stderr))
    os.write(report, f"ended {int(code)} {stderr.getvalue()[-3000:] if code else ''}".encode())


def one(life: dict[str, Any]) -> str:
    """Fork, wait, tell. A life with `killed_after` seconds is killed from outside."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            live(life, writing)
        finally:
            os._exit(0)
    os.close(writing)
    if life["killed_after"]:
        time.sleep(life["killed_after"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as told:
        text = told.read().decode()
    os.waitpid(child, 0)
    return text or "killed"


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(one(json.loads(line))), flush=True)
