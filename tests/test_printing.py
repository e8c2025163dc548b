"""Rows made of recorded objects are the rows of the server's own table."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from polling import eventually
from recordings import body

from kwatch.columns import Layout, View
from kwatch.model import Column, Row
from kwatch.printing import PRINTERS, row
from kwatch.sandbox import Cluster, Server
from kwatch.sandbox.scenarios import SCENARIOS

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PATHS = {
    "/api/v1/pods": "Pod",
    "/api/v1/services": "Service",
    "/api/v1/nodes": "Node",
    "/api/v1/configmaps": "ConfigMap",
    "/api/v1/secrets": "Secret",
    "/api/v1/namespaces": "Namespace",
    "/apis/apps/v1/deployments": "Deployment",
    "/apis/apps/v1/replicasets": "ReplicaSet",
    "/apis/apps/v1/statefulsets": "StatefulSet",
    "/apis/apps/v1/daemonsets": "DaemonSet",
    "/apis/batch/v1/jobs": "Job",
}
NOW = datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    cluster = Cluster()
    stop = threading.Event()
    drive = SCENARIOS["crashloop"](cluster, stop)
    with Server(cluster) as server:
        driver = threading.Thread(target=drive, daemon=True)
        driver.start()
        eventually(lambda: b"CrashLoopBackOff" in fetched(f"{server.url}/api/v1/pods"))
        stop.set()
        driver.join(5)
        yield server


def fetched(url: str, accept: str = "application/json") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as answer:
        return answer.read()


def get(url: str, accept: str) -> dict[str, Any]:
    return json.loads(fetched(url, accept))


def theirs(table: dict[str, Any]) -> list[Row]:
    columns = tuple(
        Column(one["name"], one["type"], one["format"], one["priority"]) for one in table["columnDefinitions"]
    )
    return [
        Row(columns, tuple(one["cells"]), one["object"]["metadata"]["creationTimestamp"], {}) for one in table["rows"]
    ]


def printed(rows: list[Row]) -> list[list[str]]:
    layout = Layout(rows[0].columns, View(wide=True))
    return [layout.headings, *(layout.cells(one, NOW) for one in rows)]


@pytest.mark.parametrize("path", PATHS)
def test_the_cells_are_those_of_the_servers_table(server: Server, path: str) -> None:
    table, items = get(server.url + path, TABLE), get(server.url + path, "application/json")
    head = {"kind": PATHS[path], "apiVersion": items["apiVersion"]}
    assert items["items"]
    ours = [row({**head, **value}, NOW)._replace(labels={}) for value in items["items"]]
    assert [one.columns for one in ours] == [one.columns for one in theirs(table)]
    assert printed(ours) == printed(theirs(table))


def test_the_cells_are_those_that_a_real_server_printed() -> None:
    items, table = json.loads(body("list-objects")), json.loads(body("list-table"))
    ours = {one["metadata"]["name"]: row({"kind": "Pod", "apiVersion": "v1", **one}, NOW) for one in items["items"]}
    real = {one.cells[0]: one for one in theirs(table)}
    common = ours.keys() & real.keys()
    assert common
    for name in common:
        assert printed([ours[name]])[1] == printed([real[name]])[1]


def test_any_other_kind_is_its_name_and_age() -> None:
    value = {"apiVersion": "example.com/v1", "kind": "Pod", "metadata": {"name": "x"}}
    assert row(value, NOW).cells == ("x", "")


@pytest.mark.parametrize("broken", [None, [], "x", 1, {"containerStatuses": 1}, {"containerStatuses": ["x"]}])
def test_what_isnt_as_the_api_has_it_is_printed_all_the_same(broken: Any) -> None:
    for group, kind in PRINTERS:
        value = {"apiVersion": f"{group}/v1".lstrip("/"), "kind": kind, "metadata": {"name": "x"}}
        assert row({**value, "status": broken, "spec": broken}, NOW).cells


def pod(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec, "status": status}


ONE = {"containers": [{"name": "a"}]}
INIT = {**ONE, "initContainers": [{"name": "i"}, {"name": "j"}]}
SIDE = {**ONE, "initContainers": [{"name": "i", "restartPolicy": "Always"}]}


def status(name: str, ready: bool = False, restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": ready, "restartCount": restarts, "started": ready, "state": state}


@pytest.mark.parametrize(
    ("value", "cells"),
    [
        (pod({"phase": "Pending"}, **ONE), ("0/1", "Pending", "0")),
        (pod({"phase": "Running", "containerStatuses": [status("a", True, 2, running={})]}, **ONE),
         ("1/1", "Running", "2")),
        (
            pod({"phase": "Running", "containerStatuses": [status("a", waiting={"reason": "ImagePullBackOff"})]},
                **ONE),
            ("0/1", "ImagePullBackOff", "0"),
        ),
        (pod({"containerStatuses": [status("a", terminated={"signal": 9})]}, **ONE), ("0/1", "Signal:9", "0")),
        (pod({"containerStatuses": [status("a", terminated={"exitCode": 3})]}, **ONE), ("0/1", "ExitCode:3", "0")),
        (pod({"initContainerStatuses": [status("i", terminated={}), status("j")]}, **INIT), ("0/1", "Init:1/2", "0")),
        (
            pod({"initContainerStatuses": [status("i", terminated={"exitCode": 1, "reason": "Error"})]}, **INIT),
            ("0/1", "Init:Error", "0"),
        ),
        (
            pod(
                {
                    "phase": "Running",
                    "initContainerStatuses": [status("i", True, 1, running={})],
                    "containerStatuses": [status("a", True, 2, running={})],
                },
                **SIDE,
            ),
            ("2/2", "Running", "3"),
        ),
        (pod({"phase": "Failed", "reason": "Evicted"}, **ONE), ("0/1", "Evicted", "0")),
        (pod({"conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}, **ONE),
         ("0/1", "SchedulingGated", "0")),
    ],
)  # fmt: skip
def test_the_states_of_a_pod(value: dict[str, Any], cells: tuple[str, ...]) -> None:
    assert row(value, NOW).cells[1:4] == cells
