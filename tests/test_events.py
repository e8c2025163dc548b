"""Events: their rows as `kubectl events` prints them, their order, and the command."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import Running, kwatch
from kubectl import kubectl, needs_kubectl

from kwatch.columns import Layout, View
from kwatch.events import COLUMNS, EventRows, in_time, interval, last_seen, order, row
from kwatch.model import Batch, Change, Query, Resource, Synced
from kwatch.protocol.forms import Document
from kwatch.sandbox import Cluster, Fault, Server

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=timezone.utc)
EVENTS = Query(Resource("", "v1", "events", "Event"), "default")
PODS = Query(Resource("", "v1", "pods", "Pod"), "default")


def at(time: str) -> str:
    return f"2026-11-25T{time}Z"


@pytest.mark.parametrize(
    ("event", "text", "last"),
    [
        ({"firstTimestamp": at("11:59:55"), "lastTimestamp": at("11:59:55"), "count": 1}, "5s", at("11:59:55")),
        ({"firstTimestamp": at("11:50:00"), "lastTimestamp": at("11:57:00"), "count": 5}, "3m (x5 over 10m)",
         at("11:57:00")),
        ({"eventTime": at("11:59:00.250000"), "firstTimestamp": None, "lastTimestamp": None}, "59s",
         at("11:59:00.250000")),
        ({"eventTime": at("11:00:00.000000"), "series": {"count": 9, "lastObservedTime": at("11:58:00.500000")}},
         "119s (x9 over 60m)", at("11:58:00.500000")),
        ({"deprecatedFirstTimestamp": at("11:50:00"), "deprecatedLastTimestamp": at("11:57:00"), "deprecatedCount": 2},
         "3m (x2 over 10m)", at("11:57:00")),
        ({"count": 3, "firstTimestamp": at("11:57:00")}, "<unknown> (x3 over 3m)", at("11:57:00")),
        ({}, "<unknown>", ""),
        ({"series": "?", "count": "many", "firstTimestamp": 5}, "<unknown>", ""),
    ],
)  # fmt: skip
def test_when_and_how_often_whatever_fields_say_it(event: dict[str, Any], text: str, last: str) -> None:
    assert interval(event, NOW) == text
    assert last_seen(event) == last


CORE = {
    "metadata": {"name": "web.1", "namespace": "default", "creationTimestamp": at("11:00:00")},
    "involvedObject": {"kind": "Pod", "name": "web-0", "apiVersion": "v1", "fieldPath": "spec.containers{web}"},
    "type": "Warning", "reason": "BackOff", "message": "  back-off\nfor long\n", "count": 2,
    "firstTimestamp": at("11:50:00"), "lastTimestamp": at("11:59:50"), "source": {"component": "kubelet", "host": "n1"},
}  # fmt: skip
NEW = {
    "metadata": CORE["metadata"], "regarding": CORE["involvedObject"], "type": "Warning", "reason": "BackOff",
    "note": CORE["message"], "deprecatedCount": 2, "deprecatedFirstTimestamp": at("11:50:00"),
    "deprecatedLastTimestamp": at("11:59:50"), "reportingController": "kubelet", "reportingInstance": "n1",
}  # fmt: skip


@pytest.mark.parametrize("event", [CORE, NEW], ids=["v1", "events.k8s.io"])
def test_an_event_of_either_api_is_the_same_row(event: dict[str, Any]) -> None:
    state = row(Document(orjson.dumps(event)), NOW)
    cells = Layout(COLUMNS, View(wide=True)).cells(state, NOW)
    assert cells == [
        "10s (x2 over 10m)", "Warning", "BackOff", "Pod/web-0", "back-off...", "spec.containers{web}", "kubelet, n1",
        "2", "web.1",
    ]  # fmt: skip
    assert Layout(COLUMNS, View()).headings == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


def change(version: str, event: dict[str, Any], kind: str = "ADDED") -> Change:
    return Change(kind, ("default", version), version, version, Document(orjson.dumps(event)))  # type: ignore[arg-type]


def test_events_are_in_the_order_in_which_they_happened_last() -> None:
    changes = [
        change("10", {"lastTimestamp": at("11:00:01")}),
        change("9", {"lastTimestamp": at("11:00:01")}),
        change("3", {"eventTime": at("11:00:01.500000")}),
        change("4", {"eventTime": at("11:00:01.250000"), "series": {"lastObservedTime": at("11:00:02.000000")}}),
        change("5", {"lastTimestamp": at("11:00:00")}),
        change("6", {}),
    ]
    assert [one.version for one in sorted(changes, key=in_time)] == ["6", "5", "9", "10", "3", "4"]


def test_among_other_types_events_are_sorted_and_these_stay_as_they_come() -> None:
    key = order([PODS, EVENTS])
    late, early = (
        change(version, {"lastTimestamp": at(time)}) for version, time in (("1", "11:01:00"), ("2", "11:00:00"))
    )
    pairs = [(EVENTS, late), (EVENTS, early), (PODS, change("8", {})), (PODS, change("7", {}))]
    assert [one.version for _, one in sorted(pairs, key=lambda pair: key(*pair))] == ["8", "7", "2", "1"]


def test_events_about_a_kind_of_another_group_are_left_out_whatever_the_version() -> None:
    def about(version: str, api_version: str | None) -> Change:
        return change(version, {"involvedObject": {"kind": "Service", "name": "web", "apiVersion": api_version}})

    stage = EventRows(lambda: NOW, {EVENTS: Resource("apps", "v1", "deployments", "Deployment")}, rows=False)
    synced = Synced("9", 5, True)
    given = [
        about("1", "apps/v1"),
        about("2", "apps/v1beta1"),
        about("3", "v1"),
        about("4", "other/v1"),
        about("5", None),
    ]
    [batch] = stage.take(Batch(EVENTS, [*given, synced]))
    assert [getattr(one, "version", "") for one in batch.signals] == ["1", "2", "5", "9"]
    assert batch.signals[0] is given[0]


# The command

numbers = itertools.count()


def event(about: str, last: str, *, count: int = 1, type: str = "Normal", reason: str = "Pulled") -> dict[str, Any]:
    kind, name = about.split("/")
    return {
        "metadata": {"name": f"{name}.{next(numbers):x}", "namespace": "default"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "default", "apiVersion": "v1"},
        "type": type, "reason": reason, "message": f"{reason} {name}", "count": count,
        "firstTimestamp": at("10:00:00"), "lastTimestamp": at(last), "source": {"component": "kubelet"},
    }  # fmt: skip


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for about, last, more in (
        ("Pod/b", "10:30:00", {"type": "Warning", "reason": "BackOff", "count": 4}),
        ("Pod/c", "10:10:00", {}),
        ("Node/b", "10:20:00", {}),
        ("Pod/a", "10:40:00", {"count": 2}),
    ):
        cluster.create("events", event(about, last, **more))
    return cluster


def objects(text: str) -> list[str]:
    return [next(word for word in line.split() if "/" in word) for line in text.splitlines()[1:]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["Pod/c", "Node/b", "Pod/b", "Pod/a"]),
        (["--types", "warning"], ["Pod/b"]),
        (["--types", "Normal,Warning", "--types=normal"], ["Pod/c", "Node/b", "Pod/b", "Pod/a"]),
        (["--for", "pod/b"], ["Pod/b"]),
        (["--for", "no/b", "--types=Normal"], ["Node/b"]),
        (["--where", "LAST_SEEN=~x4", "--where", "TYPE!=Normal"], ["Pod/b"]),
        (["--name", "c.*"], ["Pod/c"]),
    ],
)
def test_events_come_sorted_and_selected(
    server: Server, tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    run = kwatch(["events", "-s", server.url, "--count", str(len(expected)), *arguments], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert objects(run.stdout) == expected


def test_events_as_objects_and_as_csv_are_sorted_too(server: Server, tmp_path: Path) -> None:
    run = kwatch(["events", "-s", server.url, "--count", "4", "-o", "ndjson"], tmp_path)
    assert [json.loads(line)["object"]["involvedObject"]["name"] for line in run.stdout.splitlines()] == list("cbba")
    run = kwatch(["events", "-A", "-s", server.url, "--count", "4", "-o", "csv"], tmp_path)
    header, *lines = run.stdout.splitlines()
    assert header == "time,event,namespace,LAST SEEN,TYPE,REASON,OBJECT,MESSAGE,SUBOBJECT,SOURCE,COUNT,NAME"
    assert [line.split(",")[6] for line in lines] == ["Pod/c", "Node/b", "Pod/b", "Pod/a"]


def test_the_plain_resource_is_sorted_on_the_first_screen_too(server: Server, tmp_path: Path) -> None:
    run = kwatch(["watch", "events", "-s", server.url, "--count", "4", "--no-headers"], tmp_path)
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["ADDED"] * 4
    assert objects(f"\n{run.stdout}") == ["pod/c", "node/b", "pod/b", "pod/a"]


def test_a_count_is_an_update_an_expired_event_is_no_news_and_a_relist_repeats_nothing(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    name = cluster.list("events")[0]["metadata"]["name"]
    server.script(Fault(cut=0), Fault(expire=True))
    with Running(["events", "-s", server.url], tmp_path) as run:
        run.until(lambda: "listing again" in run.stderr and run.stdout.count("\n") == 5)
        cluster.patch("events", "default", name, {"count": 77, "lastTimestamp": at("11:00:00")})
        run.until(lambda: "(x77 over " in run.stdout)
        cluster.patch("events", "default", name, {"metadata": {"labels": {"seen": "1"}}})
        cluster.delete("events", "default", name)
        cluster.create("events", event("Pod/z", "11:30:00"))
        run.until(lambda: "Pod/z" in run.stdout)
        assert len(run.stdout.splitlines()) == 1 + 4 + 1 + 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--for", "pod"], 'error: "pod": --for takes TYPE/NAME, as pod/web-0'),
        (["--for", "pod/a/b"], "--for takes TYPE/NAME"),
        (["--for", "pod/"], "--for takes TYPE/NAME"),
        (["--for", "all/x"], "--for takes TYPE/NAME"),
        (["--types", "Foo"], "valid are Normal and Warning"),
        (["a-name"], "Got unexpected extra argument (a-name)"),
    ],
)
def test_what_events_does_not_take_is_a_usage_error(
    server: Server, tmp_path: Path, arguments: list[str], text: str
) -> None:
    run = kwatch(["events", "-s", server.url, *arguments], tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert text in run.stderr
    assert run.stderr.count("\n") == 1


def test_an_unknown_type_after_for_is_kubectls_error(server: Server, tmp_path: Path) -> None:
    run = kwatch(["events", "-s", server.url, "--for", "nosuch/x"], tmp_path)
    assert run.returncode == 1
    assert 'the server doesn\'t have a resource type "nosuch"' in run.stderr


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--for", "pod/quiet"], "events about pod/quiet"),
        (["--types", "warning", "--for", "pod/quiet"], "Warning events about pod/quiet"),
    ],
)
def test_where_no_event_is_wanted_the_notice_says_which(
    server: Server, tmp_path: Path, arguments: list[str], wanted: str
) -> None:
    run = kwatch(["events", "-s", server.url, "--duration", "3s", *arguments], tmp_path)
    assert run.stderr == f"kwatch: No {wanted} found in default namespace; waiting for {wanted} to appear\n"


@needs_kubectl
@pytest.mark.parametrize("arguments", [[], ["-A"], ["--for", "pod/b"], ["--types", "Normal"], ["--no-headers"]])
def test_the_first_screen_is_kubectls(server: Server, tmp_path: Path, arguments: list[str]) -> None:
    theirs = kubectl(tmp_path, "events", "-s", server.url, *arguments).stdout
    count = len(theirs.splitlines()) - ("--no-headers" not in arguments)
    ours = kwatch(["events", "-s", server.url, "--count", str(count), *arguments], tmp_path)
    assert (ours.returncode, ours.stderr, count > 0) == (0, "", True)
    assert aged(ours.stdout) == aged(theirs)


def aged(text: str) -> list[list[str]]:
    """The words of each line, but for ages: between two runs they may differ by a second."""
    return [[word for word in line.split() if not word.rstrip(")")[0].isdigit()] for line in text.splitlines()]
