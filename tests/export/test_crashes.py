"""kwatch killed again and again while it exports: what the files hold in the end is the server's history, once."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest

from kwatch.errors import ConfigError
from kwatch.export.state import contents
from kwatch.sandbox import Cluster, Server

CALLS = ("write", "sync", "commit", "rename")
WHEN = ("before", "amid", "after")
LIVES = int(os.environ.get("KWATCH_TEST_LIVES", "42"))
OBJECTS = 12
SECONDS = 30


class Exporter:
    """The process that runs one life after another."""

    def __init__(self, folder: Path, url: str) -> None:
        self._fixed = {"folder": str(folder), "url": url}
        command = [sys.executable, str(Path(__file__).with_name("lives.py"))]
        variables = {**os.environ, "PYTHONWARNINGS": "error"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables, text=True
        )

    def live(self, **life: Any) -> str:
        assert self._process.stdin
        assert self._process.stdout
        defaults = {"deadly": 0, "at": "", "when": "", "full": 0.0, "seed": 0, "rotate": 6000, "compress": False}
        whole = {**defaults, "duration": SECONDS, "killed_after": 0.0, **self._fixed, **life}
        self._process.stdin.write(json.dumps(whole) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(SECONDS)


class Churn:
    """ConfigMaps that come, change, go, and come again under their names."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._live = [f"thing-{index:02}" for index in range(OBJECTS)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        for name in self._live:
            self._create(name)

    def _create(self, name: str) -> None:
        self._cluster.create("configmaps", {"metadata": {"name": name}, "data": {"é": "ü\u2028" * 20}})

    def step(self) -> None:
        chance, index = self._random.random(), self._random.randrange(len(self._live))
        if chance < 0.1:
            self._live.append(f"new-{self._cluster.resource_version}")
            self._create(self._live[-1])
        elif chance < 0.2 and len(self._live) > 3:
            self._cluster.delete("configmaps", "default", self._live.pop(index))
        elif chance < 0.3:
            self._cluster.delete("configmaps", "default", self._live[index])
            self._create(self._live[index])
        else:
            labels = {"step": str(self._cluster.resource_version)}
            self._cluster.patch("configmaps", "default", self._live[index], {"metadata": {"labels": labels}})

    def _run(self) -> None:
        while not self._stopped.wait(0.005):
            self.step()

    def __enter__(self) -> Churn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(SECONDS)


def exported(folder: Path) -> list[tuple[str, dict]]:
    """The events in the files, joined in the order of their names. Every line has to be whole."""
    events = []
    for path in sorted(folder.glob("events*")):
        assert path.name.endswith((".ndjson", ".ndjson.gz")), path
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not data or data.endswith(b"\n"), path
        for line in data.splitlines():
            event = json.loads(line)
            events.append((event["type"], event["object"]))
    return events


def bare(kind: str, value: dict) -> tuple[str, dict]:
    metadata = {key: part for key, part in value["metadata"].items() if key != "managedFields"}
    return kind, value | {"metadata": metadata}


@contextlib.contextmanager
def exporting(folder: Path, cluster: Cluster) -> Iterator[Exporter]:
    with Server(cluster) as server:
        exporter = Exporter(folder, server.url)
        try:
            yield exporter
        finally:
            exporter.close()


def fates(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Without end: death at one of the first of each kind of call, then at a moment of its own choosing."""
    while True:
        for at, when in product(CALLS, WHEN):
            yield {"at": at, "when": when, "deadly": rng.randrange(1, 5)}
        for _ in range(2):
            yield {"killed_after": rng.uniform(0.01, 0.25)}


def list_was_committed(folder: Path) -> bool:
    with contextlib.suppress(ConfigError):
        return contents(folder / "state").summaries[0].checkpoint.resume != ""
    return False


def of_old_age(told: str) -> bool:
    """Whether a life ended as its time was over, perhaps while there was no room on the disk."""
    return told.startswith("ended 0") or (told.startswith("ended 1") and "make room and start again" in told)


def settle(exporter: Exporter, folder: Path, cluster: Cluster, **life: Any) -> None:
    """Lives without a fate until all is committed."""
    deadline, duration = time.monotonic() + 3 * SECONDS, 0.3
    while True:
        told = exporter.live(duration=duration, **life)
        duration *= 2
        assert told.startswith("ended 0"), told
        if contents(folder / "state").summaries[0].checkpoint.resume == str(cluster.resource_version):
            return
        assert time.monotonic() < deadline


@pytest.mark.parametrize(("compress", "full"), [(False, 0.0), (True, 0.1)])
def test_killed_at_any_write_sync_rename_or_commit_the_files_joined_are_the_servers_history(
    tmp_path: Path, compress: bool, full: float
) -> None:
    rng = random.Random(f"{compress} {full}")
    cluster = Cluster(history=1_000_000, record=True)
    fate = fates(rng)
    deaths: Counter[str] = Counter()
    with exporting(tmp_path, cluster) as exporter:
        churn = Churn(cluster, 1)
        while not list_was_committed(tmp_path):
            exporter.live(compress=compress, seed=rng.random(), duration=0.3, **next(fate))
        with churn:
            for destiny in islice(fate, LIVES):
                told, duration = "ended 0", 1
                while of_old_age(told) and duration < SECONDS:  # before its fate came: on a busy machine
                    told = exporter.live(compress=compress, full=full, seed=rng.random(), duration=duration, **destiny)
                    duration *= 2
                assert not told.startswith("ended"), told
                deaths[told] += 1
        settle(exporter, tmp_path, cluster, compress=compress)
    history = [bare(*event) for event in cluster.history("configmaps")]
    assert exported(tmp_path) == history
    print(f"{deaths.total()} deaths, {len(history)} events, {len(list(tmp_path.glob('events*')))} files: {deaths}")
    for call in CALLS:
        for when in WHEN:
            assert deaths[f"{call} {when}"], deaths


def test_what_a_compaction_swallowed_while_away_is_made_up_for_by_the_difference(tmp_path: Path) -> None:
    rng = random.Random(7)
    cluster = Cluster(history=1_000_000, record=True)
    fate = fates(rng)
    with exporting(tmp_path, cluster) as exporter:
        churn = Churn(cluster, 2)
        for life in range(LIVES // 3):
            with churn_of(churn, rng.randrange(20)):
                if life % 3 == 0:
                    cluster.compact()
                told = exporter.live(seed=life, **next(fate), duration=0.3)
            assert told.startswith("ended 0") or not told.startswith("ended"), told
        settle(exporter, tmp_path, cluster)
    metadata = [value["metadata"] for _, value in cluster.history("configmaps")]
    versions = {(one["uid"], one["resourceVersion"]) for one in metadata}
    state: dict[str, dict] = {}
    once = set()
    for kind, value in exported(tmp_path):
        name, uid, version = (value["metadata"][key] for key in ("name", "uid", "resourceVersion"))
        assert (uid, version) in versions
        assert (kind, uid, version) not in once
        once.add((kind, uid, version))
        known = state.get(name)
        if kind == "ADDED":
            assert known is None
        else:
            assert known is not None
            assert known["metadata"]["uid"] == uid
        if kind == "DELETED":
            del state[name]
        else:
            state[name] = value
    now = [bare("", value)[1] for value in cluster.list("configmaps", "default")]
    assert sorted(state.values(), key=lambda one: one["metadata"]["name"]) == now


@contextlib.contextmanager
def churn_of(churn: Churn, steps: int) -> Iterator[None]:
    """So many changes before what follows."""
    for _ in range(steps):
        churn.step()
    yield
