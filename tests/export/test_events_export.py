"""Events into a file: counts as the updates they are, no expiry, repeats folded where that is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import Running

from kwatch.export.state import contents
from kwatch.sandbox import Cluster, Server


def event(name: str, message: str, count: int = 1, **more: Any) -> dict[str, Any]:
    about = {"kind": "Pod", "namespace": "default", "name": "web-0", "uid": "u"}
    times = {"firstTimestamp": "2026-11-25T12:00:00Z", "lastTimestamp": f"2026-11-25T12:00:{count:02}Z"}
    said = {"reason": "BackOff", "message": message, "type": "Warning", "count": count}
    return {"metadata": {"name": name}, "involvedObject": about, **times, **said, **more}


def committed(state: Path) -> str:
    return contents(state).summaries[0].checkpoint.resume


def happens(cluster: Cluster) -> None:
    """One event, twice; the same said by another; another; a series; the first expires."""
    cluster.create("events", event("a", "back-off"))
    cluster.patch("events", "default", "a", {"count": 2, "lastTimestamp": "2026-11-25T12:00:02Z"})
    cluster.create("events", event("b", "back-off"))
    cluster.create("events", event("c", "pulled"))
    series = {"count": 5, "lastObservedTime": "2026-11-25T12:00:05.000000Z"}
    cluster.patch("events", "default", "c", {"series": series})
    cluster.delete("events", "default", "a")
    cluster.patch("events", "default", "b", {"message": "something else"})
    cluster.create("events", event("last", "the end"))


ALL = ["ADDED a 1", "MODIFIED a 2", "ADDED b 1", "ADDED c 1", "MODIFIED c 5", "MODIFIED b 1", "ADDED last 1"]
FOLDED = ["ADDED a 1", "ADDED c 1", "MODIFIED b 1", "ADDED last 1"]


def exported(path: Path) -> list[str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    values = [(one["type"], one["object"]) for one in lines]
    return [f"{kind} {one['metadata']['name']} {(one.get('series') or one)['count']}" for kind, one in values]


@pytest.mark.parametrize(("more", "expected"), [([], ALL), (["--dedup-events"], FOLDED)])
def test_events_are_exported_as_what_they_are(
    server: Server, tmp_path: Path, more: list[str], expected: list[str]
) -> None:
    path = tmp_path / "e.ndjson"
    arguments = ["events", "-A", "-s", server.url, "-o", "ndjson", "--output-file", str(path)]
    state = tmp_path / "state"
    arguments += ["--state", str(state), *more]
    with Running(arguments, tmp_path) as running:
        running.until(lambda: any(request.verb == "watch" for request in server.requests))
        happens(server.cluster)
        running.until(lambda: committed(state) == str(server.cluster.resource_version))
        assert running.end()[0] == 130
    assert exported(path) == expected
    server.cluster.patch("events", "default", "last", {"count": 3})
    server.cluster.create("events", event("again", "the end"))
    server.cluster.create("events", event("new", "news"))
    with Running(arguments, tmp_path) as running:
        running.until(lambda: committed(state) == str(server.cluster.resource_version))
        running.end()
    again = [] if more else ["MODIFIED last 3", "ADDED again 1"]
    assert exported(path) == [*expected, *again, "ADDED new 1"]
