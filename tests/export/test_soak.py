"""Months in fast motion: a long churn through rotation, compression and restarts, equal to the server's history.

Short here; `make soak-export` makes it a million events. What it took of memory and disk is printed.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from command import variables
from polling import eventually

from kwatch.errors import ConfigError
from kwatch.export.state import contents
from kwatch.sandbox import Cluster, Server

EVENTS = int(os.environ.get("KWATCH_TEST_EVENTS", "6000"))
LIVES = 6 if EVENTS < 100_000 else 40
AHEAD = min(EVENTS // 20, 2000)
"""Changes that the server may be ahead of what is committed; its history holds many more."""
OBJECTS = 200
SECONDS = 60


class History:
    """What the server's history is, as a digest: a million events need not be kept."""

    def __init__(self, cluster: Cluster) -> None:
        self._watcher = cluster.watch(cluster.kind("configmaps"), "", after=cluster.resource_version)
        self.digest = hashlib.sha256()
        self.count = 0

    def follow(self) -> None:
        changes, _ = self._watcher.take(1_000_000)
        for change in changes:
            self.digest.update(line(change.type, change.record.item))
        self.count += len(changes)


def line(kind: str, value: dict[str, Any]) -> bytes:
    metadata = {key: part for key, part in value["metadata"].items() if key != "managedFields"}
    whole = {"kind": "ConfigMap", "apiVersion": "v1", **value, "metadata": metadata}
    return orjson.dumps([kind, whole], option=orjson.OPT_SORT_KEYS)


def lines(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("events*")):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for text in file:
                assert text.endswith(b"\n")
                event = orjson.loads(text)
                yield line(event["type"], event["object"])


class Churn:
    """Random changes, so many."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._random = random.Random(1)
        self._live: list[str] = []
        self._made = 0

    def step(self) -> None:
        self._made += 1
        chance = self._random.random()
        if len(self._live) < OBJECTS:
            self._live.append(f"thing-{self._made}")
            self._cluster.create("configmaps", {"metadata": {"name": self._live[-1]}, "data": {"a": "x" * 200}})
        elif chance < 0.1:
            self._cluster.delete("configmaps", "default", self._live.pop(self._random.randrange(OBJECTS)))
        else:
            labels = {"step": str(self._made)}
            patch = {"metadata": {"labels": labels}}
            self._cluster.patch("configmaps", "default", self._random.choice(self._live), patch)


class Life:
    """One run of the command."""

    def __init__(self, url: str, folder: Path) -> None:
        size = max(EVENTS * 40, 200_000)
        command = [sys.executable, "-m", "kwatch", "configmaps", "-s", url, "-o", "ndjson", "--compress"]
        command += ["--output-file", str(folder / "events.ndjson"), "--state", str(folder / "state")]
        command += ["--rotate-size", f"{size}B"]
        self._process = subprocess.Popen(command, env=variables(folder), stderr=subprocess.PIPE)

    def end(self, number: int) -> int:
        """Send the signal; the most memory it had, in KiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()  # getrusage counts what it was forked from, too
        self._process.send_signal(number)
        said = self._process.communicate()[1].decode()
        assert self._process.returncode in (-signal.SIGKILL, 143), said
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def committed(folder: Path) -> int:
    try:
        return int(contents(folder / "state").summaries[0].checkpoint.resume or 0)
    except (ConfigError, IndexError):
        return 0


def wait_for(folder: Path, version: int) -> None:
    eventually(lambda: committed(folder) >= version, f"{version} was never committed", seconds=SECONDS)


def size(folder: Path) -> int:
    """Bytes in it; a file that is compressed away meanwhile counts for nothing."""
    found = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


def test_a_long_churn_through_rotation_and_restarts_is_exported_whole_and_once(tmp_path: Path) -> None:
    cluster = Cluster(history=10 * AHEAD)
    memory, disk, started = [], 0, time.monotonic()
    with Server(cluster) as server:
        history, churn = History(cluster), Churn(cluster)
        for turn in range(LIVES):
            life = Life(server.url, tmp_path)
            if not turn:
                wait_for(tmp_path, cluster.resource_version)
            for step in range(EVENTS // LIVES):
                churn.step()
                if step % (AHEAD // 4) == 0:
                    history.follow()
                    wait_for(tmp_path, cluster.resource_version - AHEAD)
            if turn == LIVES - 1:
                wait_for(tmp_path, cluster.resource_version)
            disk = max(disk, size(tmp_path))
            memory.append(life.end(signal.SIGTERM if turn % 2 else signal.SIGKILL))
        history.follow()
    digest, count = hashlib.sha256(), 0
    for text in lines(tmp_path):
        digest.update(text)
        count += 1
    seconds, files = time.monotonic() - started, len(list(tmp_path.glob("events*")))
    print(
        f"{count:,} events in {seconds:.0f} s through {LIVES} lives and {files} files, "
        f"at most {max(memory) >> 10} MiB of memory and {disk / (1 << 20):.1f} MiB of disk"
    )
    assert count == history.count
    assert digest.digest() == history.digest.digest()
    assert files > 3
    assert max(memory) < 120 << 10


def test_the_soaks_own_history_sees_each_change() -> None:
    cluster = Cluster()
    history = History(cluster)
    for _ in range(3):
        Churn(cluster).step() if not history.count else None
        history.follow()
    assert history.count == 1
    assert json.loads(line("ADDED", cluster.list("configmaps", "default")[0]))[0] == "ADDED"
