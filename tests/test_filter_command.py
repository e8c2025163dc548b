"""Filters and the diff through the command: what a user types, sees, and gets as exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command import Running, kwatch

from kwatch.filters import parse_where
from kwatch.sandbox import Cluster, Server


def pod(name: str, namespace: str = "default") -> dict[str, Any]:
    containers = [{"name": "c", "image": "nginx:1"}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "x"}},
        "spec": {"containers": containers},
    }


def crash(cluster: Cluster, name: str, reason: str | None = "CrashLoopBackOff", restarts: int = 4) -> None:
    state = {"waiting": {"reason": reason}} if reason else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    status = {"name": "c", "ready": not reason, "restartCount": restarts, "state": state, "image": "", "imageID": ""}
    patch = {"status": {"phase": "Running", "containerStatuses": [status]}}
    cluster.patch("pods", "default", name, patch, subresource="status")


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for name in ("web-0", "web-1", "db-0"):
        cluster.create("pods", pod(name))
    crash(cluster, "web-0", None, 0)
    return cluster


def events(text: str) -> list[tuple[str, str, bool]]:
    lines = map(json.loads, text.splitlines())
    return [(line["type"], line["object"]["metadata"]["name"], line.get("synthetic", False)) for line in lines]


def test_a_condition_is_an_alarm_in_one_line(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    arguments = ["po", "-A", "-s", server.url, "--where", "STATUS=CrashLoopBackOff", "--count", "1", "--no-headers"]
    with Running(arguments, tmp_path) as run:
        run.until(lambda: "none of 3 objects passes --where 'STATUS=CrashLoopBackOff'" in run.stderr)
        assert run.stdout == ""
        crash(cluster, "web-0")
        assert run.process.wait(15) == 0
        assert run.stdout.split()[:5] == ["ADDED", "default", "web-0", "0/1", "CrashLoopBackOff"]


def test_who_leaves_the_filter_is_deleted_and_who_enters_is_added(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    arguments = ["po", "-s", server.url, "-o", "ndjson", "--where", "RESTARTS>3", "--name", "web-*", "--count", "4"]
    with Running(arguments, tmp_path) as run:
        run.until(lambda: "none of 3 objects" in run.stderr)
        crash(cluster, "db-0", restarts=9)
        crash(cluster, "web-0", restarts=3)
        crash(cluster, "web-0", restarts=4)
        crash(cluster, "web-0", "Error", restarts=5)
        crash(cluster, "web-0", None, restarts=0)
        crash(cluster, "web-1", restarts=5)
        assert run.process.wait(15) == 0
        assert events(run.stdout) == [
            ("ADDED", "web-0", False), ("MODIFIED", "web-0", False), ("DELETED", "web-0", True),
            ("ADDED", "web-1", False),
        ]  # fmt: skip


@pytest.mark.parametrize("output", ["ndjson", "csv", "wide", "diff", "table"])
def test_the_filter_is_for_every_output(server: Server, tmp_path: Path, output: str) -> None:
    where = ["--where", "ready<50%", "--where", "NOMINATED_NODE=<none>", "--where", "NAME!=db-0"]
    run = kwatch(["po", "-s", server.url, "-o", output, "--count", "1", *where], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "web-1" in run.stdout
    assert not re.search("web-0|db-0", run.stdout)


def test_objects_beside_a_condition_are_as_without_one(server: Server, tmp_path: Path) -> None:
    plain = kwatch(["po", "-s", server.url, "-o", "ndjson", "--count", "3"], tmp_path)
    filtered = kwatch(["po", "-s", server.url, "-o", "ndjson", "--count", "3", "--where", "NAME=~."], tmp_path)
    assert list(map(json.loads, filtered.stdout.splitlines())) == list(map(json.loads, plain.stdout.splitlines()))


@pytest.mark.parametrize("namespace", ["default", "empty"])
@pytest.mark.parametrize("output", ["table", "ndjson"])
def test_an_unknown_column_is_a_usage_error_even_where_there_is_nothing(
    server: Server, tmp_path: Path, namespace: str, output: str
) -> None:
    run = kwatch(["po", "-n", namespace, "-s", server.url, "-o", output, "--where", "STATSU=x"], tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    [error] = run.stderr.splitlines()[-1:]
    assert 'pods have no column "STATSU"; did you mean STATUS? They have NAME, READY, STATUS' in error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--where", "STATUS~x"], "'STATUS~x', at character 7: there should be one of = =="),
        (["--where", "NAME=~("], "'NAME=~(', at character 7: not a regular expression"),
        (["--types", "ADDED,GONE"], '"GONE" is none of ADDED, MODIFIED, DELETED'),
    ],
)
def test_a_bad_filter_is_a_usage_error(server: Server, tmp_path: Path, arguments: list[str], text: str) -> None:
    run = kwatch(["po", "-s", server.url, *arguments], tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert text in run.stderr
    assert run.stderr.count("\n") == 1


def test_variables_hold_conditions_with_blanks(server: Server, tmp_path: Path) -> None:
    more = {"KWATCH_WHERE": "NAME != web-0\nNAME != web-1"}
    run = kwatch(["po", "-s", server.url, "--count", "1", "--no-headers"], tmp_path, **more)
    assert run.stdout.split()[:2] == ["ADDED", "db-0"]


def test_types_are_only_about_what_is_shown(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    arguments = ["po", "-s", server.url, "--types", "deleted", "--where", "STATUS=CrashLoopBackOff", "--count", "2"]
    with Running(arguments, tmp_path) as run:
        run.until(lambda: server.watches > 0)
        crash(cluster, "web-0")
        crash(cluster, "web-0", None)
        crash(cluster, "web-1")
        cluster.delete("pods", "default", "web-1")
        assert run.process.wait(15) == 0
        assert [line.split()[:2] for line in run.stdout.splitlines()[1:]] == [
            ["DELETED", "web-0"],
            ["DELETED", "web-1"],
        ]


def test_an_object_enters_by_its_age_alone(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    with cluster.at(cluster.now() - 3598):
        cluster.create("pods", pod("old"))
    run = kwatch(["po", "-s", server.url, "--where", "AGE>1h", "--count", "1", "--no-headers"], tmp_path)
    assert (run.returncode, run.stdout.split()[:2]) == (0, ["ADDED", "old"])


# -o diff


def test_the_diff_shows_what_a_change_was(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    with Running(["po", "web-1", "-s", server.url, "-o", "diff", "--count", "3"], tmp_path) as run:
        run.until(lambda: server.watches > 0)
        cluster.patch("pods", "default", "web-1", {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}})
        cluster.delete("pods", "default", "web-1")
        assert run.process.wait(15) == 0
        assert run.stdout == (
            "ADDED pod/web-1 in default\n"
            "MODIFIED pod/web-1 in default\n"
            "    spec.containers[c].image: nginx:1 → nginx:2\n"
            "DELETED pod/web-1 in default\n"
        )


def test_diff_all_shows_who_manages_which_field(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    with Running(["po", "web-1", "-s", server.url, "-o", "diff", "--diff-all", "--count", "2"], tmp_path) as run:
        run.until(lambda: server.watches > 0)
        cluster.patch("pods", "default", "web-1", {"metadata": {"labels": {"a": "b"}}})
        assert run.process.wait(15) == 0
        assert "metadata.resourceVersion: " in run.stdout
        assert "metadata.managedFields[" in run.stdout


def test_a_secret_in_a_diff_changes_and_stays_secret(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("secrets", {"metadata": {"name": "s", "namespace": "default"}, "data": {"p": "aGVsbG8="}})
    with Running(["secret", "-s", server.url, "-o", "diff", "--count", "2"], tmp_path) as run:
        run.until(lambda: server.watches > 0)
        cluster.patch("secrets", "default", "s", {"data": {"p": "aHVsbG8="}})
        assert run.process.wait(15) == 0
        assert run.stdout.splitlines()[-1] == "    data.p: <redacted, 5 bytes> → <redacted, 5 bytes, another value>"


@pytest.mark.parametrize("text", ["STATUS!=Running AGE>1m", "STATUS=~Run RESTARTS >= 3", "NAME=a  NODE=b"])
def test_a_condition_that_holds_a_second_one_is_refused(text: str, tmp_path: Path) -> None:
    run = kwatch(["pods", "-s", "http://127.0.0.1:1", "--where", text], tmp_path)
    assert run.returncode == 2
    assert "a second condition begins here; give " in run.stderr
    assert " a --where of its own" in run.stderr


@pytest.mark.parametrize("text", ["MESSAGE='exit CODE=137'", "MESSAGE=~exit code=137", "MESSAGE=a=b", "X=A B"])
def test_a_value_may_look_like_a_condition_in_quotes_and_hold_what_is_none(text: str) -> None:
    parse_where(text)


def test_a_selector_that_the_server_refuses_is_repeated(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-l", "a=b=c", "-s", server.url, "--duration", "0"], tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("kwatch: error: pods in default: 400 ")
    assert run.stderr.endswith('; check the selector "a=b=c"\n')
