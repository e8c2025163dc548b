"""The command against the sandbox: what a user types, sees, and gets as exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from command import SECONDS, Running, kwatch, variables
from kubectl import kubectl

from kwatch.sandbox import Cluster, Fault, Server

GREETING = "héllo 漢字 🚀"


def pod(name: str, namespace: str = "default", **labels: str) -> dict:
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": {"greeting": GREETING}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for index in range(3):
        cluster.create("pods", pod(f"web-{index}", app="web"))
    cluster.create("pods", pod("db-0", "other", app="db"))
    return cluster


def names(text: str) -> list[str]:
    return [json.loads(line)["object"]["metadata"]["name"] for line in text.splitlines()]


# Selection and output


def test_rows_of_one_namespace(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-n", "default", "-s", server.url, "--count", "3"], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    lines = [line.split() for line in run.stdout.splitlines()]
    assert lines[0] == ["EVENT", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line[:4] for line in lines[1:]] == [["ADDED", f"web-{index}", "0/1", "Pending"] for index in range(3)]


def test_rows_of_all_namespaces_and_wide(server: Server, tmp_path: Path) -> None:
    run = kwatch(["po", "-A", "-o", "wide", "-s", server.url, "--count", "4"], tmp_path)
    header, *rows = [line.split() for line in run.stdout.splitlines()]
    assert header[:3] == ["EVENT", "NAMESPACE", "NAME"]
    assert header[-6:] == ["IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    assert [row[1:3] for row in rows] == [["default", f"web-{index}"] for index in range(3)] + [["other", "db-0"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pods"], ["web-0", "web-1", "web-2"]),
        (["Pod", "-n", "other"], ["db-0"]),
        (["pods", "-n", "default,other"], ["db-0", "web-0", "web-1", "web-2"]),
        (["pods", "-n", "default", "-n", "other"], ["db-0", "web-0", "web-1", "web-2"]),
        (["po", "-A", "-l", "app=db"], ["db-0"]),
        (["po", "-A", "--field-selector", "metadata.name=web-1"], ["web-1"]),
        (["pod", "web-1"], ["web-1"]),
        (["pod", "web-1", "web-2"], ["web-1", "web-2"]),
        (["pod/web-1", "pod/web-0"], ["web-0", "web-1"]),
        (["-n", "other", "pods"], ["db-0"]),
        (["-n", "other", "watch", "pods.v1."], ["db-0"]),
        (["watch", "pods", "-n", "other"], ["db-0"]),
    ],
)
def test_selection(arguments: list[str], expected: list[str], server: Server, tmp_path: Path) -> None:
    count = str(len(expected))
    run = kwatch([*arguments, "-s", server.url, "-o", "ndjson", "--count", count], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert sorted(names(run.stdout)) == expected


def test_built_in_types_cost_no_discovery_and_others_are_discovered(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    kwatch(["deploy", "-s", server.url, "--duration", "300ms"], tmp_path)
    assert {request.verb for request in server.requests} == {"list", "watch"}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    cluster.create("customresourcedefinitions", {"metadata": {"name": "widgets.example.com"}, "spec": spec})
    cluster.create("widgets", {"metadata": {"name": "one"}})
    run = kwatch(["wd", "-s", server.url, "-o", "ndjson", "--count", "1"], tmp_path)
    assert (run.stderr, names_of(run.stdout)) == ("", [("Widget", "one")])


def names_of(text: str) -> list[tuple[str, str]]:
    objects = [json.loads(line)["object"] for line in text.splitlines()]
    return [(value["kind"], value["metadata"]["name"]) for value in objects]


def test_ndjson_drops_managed_fields_unless_asked(server: Server, tmp_path: Path) -> None:
    arguments = ["pods", "-s", server.url, "-o", "ndjson", "--count", "1"]
    first = json.loads(kwatch(arguments, tmp_path).stdout)
    assert (first["type"], first["object"]["kind"], first["object"]["apiVersion"]) == ("ADDED", "Pod", "v1")
    assert first["object"]["metadata"]["annotations"]["greeting"] == GREETING
    assert "managedFields" not in first["object"]["metadata"]
    assert (
        "managedFields"
        in json.loads(kwatch([*arguments, "--show-managed-fields"], tmp_path).stdout)["object"]["metadata"]
    )


def test_csv(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-A", "-s", server.url, "-o", "csv", "--count", "4"], tmp_path)
    header, *records = csv.reader(io.StringIO(run.stdout, newline=""))
    assert header[:5] == ["time", "event", "namespace", "NAME", "READY"]
    assert [record[1:4] for record in records][-1] == ["ADDED", "other", "db-0"]


def test_secrets_are_redacted_unless_asked(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("secrets", {"metadata": {"name": "s"}, "data": {"password": "Q0FOQVJZ"}})
    arguments = ["secrets", "-s", server.url, "-o", "ndjson", "--count", "1"]
    assert json.loads(kwatch(arguments, tmp_path).stdout)["object"]["data"] == {"password": "<redacted, 6 bytes>"}
    assert "Q0FOQVJZ" in kwatch([*arguments, "--show-secrets"], tmp_path).stdout


def test_watch_only_leaves_out_what_is_there(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    arguments = ["pods", "-s", server.url, "-o", "ndjson", "--watch-only", "--count", "2", "-v"]
    with Running(arguments, tmp_path) as run:
        run.until(lambda: "watching from" in run.stderr)
        cluster.create("pods", pod("new"))
        cluster.delete("pods", "default", "web-1")
        assert run.process.wait(10) == 0
        events = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in events] == [
        ("ADDED", "new"),
        ("DELETED", "web-1"),
    ]


def test_duration_ends_the_run_with_success(server: Server, tmp_path: Path) -> None:
    started = time.monotonic()
    run = kwatch(["pods", "-s", server.url, "--duration", "500ms"], tmp_path)
    assert (run.returncode, len(run.stdout.splitlines())) == (0, 4)
    assert 0.5 <= time.monotonic() - started < 5


def test_options_have_variables(server: Server, tmp_path: Path) -> None:
    given = {"KWATCH_SERVER": server.url, "KWATCH_NAMESPACE": "other", "KWATCH_OUTPUT": "ndjson", "KWATCH_COUNT": "1"}
    assert names(kwatch(["pods"], tmp_path, **given).stdout) == ["db-0"]
    assert names(kwatch(["pods", "-n", "default"], tmp_path, **given).stdout) == ["web-0"]


def test_verbose_shows_each_request_its_status_its_time_and_each_decision(server: Server, tmp_path: Path) -> None:
    server.script(Fault(cut=0), Fault(status=503, headers={"Retry-After": "1"}))
    with Running(["pods", "-s", server.url, "-v"], tmp_path) as run:
        run.until(lambda: run.stderr.count("watching from") == 2)
        run.end()
        text = run.stderr
    path = r"/api/v1/namespaces/default/pods\?"
    for pattern in [
        rf"GET {path}limit=500: 200 in [0-9]+ ms",
        rf"GET {path}watch=1&allowWatchBookmarks=true&resourceVersion=[0-9]+&timeoutSeconds=[0-9]+: 503 in [0-9]+ ms",
        r"pods in default: listed 3 at resourceVersion [0-9]+",
        r"CUT \(closed amid an answer\), fault 1 5 8 9 31: RESUME in [0-9.]+s",
        r"THROTTLED \(503 .*\), fault 26: RESUME in 1.0s",
    ]:
        assert re.search(pattern, text), (pattern, text)


# Faults, seen from outside


def test_a_stream_cut_amid_a_code_point_gives_whole_events_and_one_notice(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    cluster.create("pods", pod("new-x"))
    address = f"{server.url}/api/v1/pods?watch=1&resourceVersion={cluster.resource_version - 1}&timeoutSeconds=1"
    event = requests.get(address, timeout=10).content
    while server.watches:  # that one's end may take a moment; its own limit is a second
        time.sleep(0.01)
    server.script(Fault(cut=event.index("漢".encode()) + 1))
    arguments = ["pods", "-n", "default", "-o", "ndjson", "--watch-only", "--count", "3", "-s", server.url]
    with Running(arguments, tmp_path) as run:
        run.until(lambda: server.watches > 0)
        for index in range(3):
            cluster.create("pods", pod(f"new-{index}"))
        assert run.process.wait(15) == 0
        assert names(run.stdout) == ["new-0", "new-1", "new-2"]
        objects = [json.loads(line)["object"] for line in run.stdout.splitlines()]
        assert {value["metadata"]["annotations"]["greeting"] for value in objects} == {GREETING}
        [notice] = run.stderr.splitlines()
    assert "connection lost" in notice


def test_a_410_is_relisted_with_a_notice_and_the_right_difference(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    server.script(Fault(cut=0), Fault(expire=True))
    with Running(["pods", "-s", server.url, "-o", "ndjson", "--count", "5"], tmp_path) as run:
        run.until(lambda: "connection lost" in run.stderr or "closed the watch" in run.stderr)
        cluster.delete("pods", "default", "web-0")
        cluster.create("pods", pod("web-3"))
        assert run.process.wait(15) == 0
        events = [json.loads(line) for line in run.stdout.splitlines()][3:]
        assert [(one["type"], one["object"]["metadata"]["name"], one.get("synthetic")) for one in events] == [
            ("ADDED", "web-3", None),
            ("DELETED", "web-0", True),
        ]
        assert "no longer has the events since" in run.stderr


def test_a_clean_close_is_resumed_without_a_word(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    server.script(Fault(framing="close", times=None))
    with Running(["pods", "-s", server.url, "-o", "ndjson", "--count", "6"], tmp_path) as run:
        for name in ["new-0", "new-1", "new-2"]:
            run.until(lambda: server.watches > 0)
            cluster.create("pods", pod(name))
            if name != "new-2":
                run.until(lambda name=name: name in run.stdout)
                seen = len(server.requests)
                server.disconnect()
                run.until(lambda seen=seen: len(server.requests) > seen)
        assert run.process.wait(15) == 0
        assert names(run.stdout)[3:] == ["new-0", "new-1", "new-2"]
        assert run.stderr == ""


# Ends


def test_ctrl_c_in_a_quiet_watch_ends_within_a_second_with_130(server: Server, tmp_path: Path) -> None:
    with Running(["pods", "-s", server.url, "-v"], tmp_path) as run:
        run.until(lambda: "watching from" in run.stderr)
        code, seconds = run.end(signal.SIGINT)
    assert code == 130
    assert seconds < 1
    assert "Traceback" not in run.stderr


def test_sigterm_ends_within_a_second_with_143(server: Server, tmp_path: Path) -> None:
    with Running(["pods", "-s", server.url, "-v"], tmp_path) as run:
        run.until(lambda: "watching from" in run.stderr)
        code, seconds = run.end(signal.SIGTERM)
    assert (code, seconds < 1) == (143, True)
    assert "Traceback" not in run.stderr


def test_a_reader_that_goes_away_ends_the_watch_at_once_with_141(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kwatch", "pods", "-s", server.url]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables(tmp_path))
    assert watching.stdout is not None
    assert watching.stderr is not None
    with watching:
        assert watching.stdout.readline().startswith(b"EVENT")
        started = time.monotonic()
        watching.stdout.close()
        assert watching.wait(10) == 141
        assert time.monotonic() - started < 1
        assert watching.stderr.read() == b""


def test_piped_into_head_it_ends_at_once(server: Server, tmp_path: Path) -> None:
    pipeline = f"{sys.executable} -m kwatch pods -s {server.url} | head -1"
    run = subprocess.run(
        ["sh", "-c", pipeline], capture_output=True, text=True, timeout=10, env=variables(tmp_path), check=False
    )
    assert run.stdout.startswith("EVENT")
    assert run.stderr == ""


# Bad input


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nosuch"], 1, 'the server doesn\'t have a resource type "nosuch"'),
        (["pdos"], 1, "pods"),
        (["pods", "nosuch"], 1, 'pods "nosuch" not found in namespace default'),
        (["pods", "web-0", "-A"], 2, "by name across all namespaces"),
        (["pods", "-o", "nosuch"], 2, 'there is no output "nosuch"'),
        (["pods", "--count", "0"], 2, "--count"),
        (["pods", "--duration", "soon"], 2, "duration"),
        (["pods", "-o", "csv", "--output-watch-events"], 2, "--output-watch-events is for json, yaml, jsonpath"),
        (["pods", "-o", "diff", "--output-watch-events"], 2, "with -o diff leave it out"),
        (["pods", "-o", "json", "--diff-all"], 2, "--diff-all is for -o diff"),
        (["pods", "--diff-all"], 2, "with -o table leave it out"),
        (["pods", "-o", "json", "--show-labels"], 2, "--show-labels is for tables and csv"),
        (["pods,"], 2, "TYPE/NAME"),
        (["pods,deploy", "-o", "csv"], 2, "one type at a time"),
        (["pods/"], 2, "TYPE/NAME"),
        (["pods", "--nosuch"], 2, "--nosuch"),
        (["pods", "-l", "=="], 1, "found '=='"),
        (["pods", "--field-selector", "spec.nope=1"], 1, "field label not supported: spec.nope"),
        (["pods", "--context", "nosuch"], 1, "nosuch"),
        (["pods", "--kubeconfig", "/no/such/file"], 1, "/no/such/file"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], code: int, text: str, server: Server, tmp_path: Path
) -> None:
    run = kwatch([*arguments, "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout) == (code, "")
    assert run.stderr.startswith("kwatch: error: ")
    assert len(run.stderr.splitlines()) == 1
    assert text in run.stderr


def test_a_type_is_asked_for(tmp_path: Path) -> None:
    run = kwatch(["watch"], tmp_path)
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)


def test_a_namespace_that_is_not_there_is_empty_with_a_notice(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-n", "nosuch", "-s", server.url, "--duration", "500ms"], tmp_path)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr == (
        "kwatch: No resources found: namespace nosuch doesn't exist (yet); waiting for pods to appear\n"
    )
    assert kwatch(["pods", "-n", "nosuch", "-s", server.url, "--duration", "500ms", "-q"], tmp_path).stderr == ""


def test_an_empty_namespace_and_one_that_may_not_be_asked_for_are_said_to_be_empty(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    cluster.create("namespaces", {"metadata": {"name": "bare"}})
    expected = "kwatch: No resources found in bare namespace; waiting for pods to appear\n"
    assert kwatch(["pods", "-n", "bare", "-s", server.url, "--duration", "500ms"], tmp_path).stderr == expected
    server.script(Fault("get", "namespaces", status=403))
    expected = expected.replace("bare", "nosuch")
    assert kwatch(["pods", "-n", "nosuch", "-s", server.url, "--duration", "500ms"], tmp_path).stderr == expected


def test_nothing_is_said_of_an_empty_type_beside_others_and_once_of_all_of_them(server: Server, tmp_path: Path) -> None:
    asked = ["-s", server.url, "--duration", "1s"]
    assert kwatch(["po,deploy,cm", *asked], tmp_path).stderr == ""
    assert "daemonsets" not in kwatch(["all", *asked], tmp_path).stderr
    assert kwatch(["cm,deploy", *asked], tmp_path).stderr == (
        "kwatch: No resources found in default namespace; waiting for configmaps, deployments to appear\n"
    )
    assert kwatch(["all", "-n", "kube-public", *asked], tmp_path).stderr == (
        "kwatch: No resources found in kube-public namespace; waiting for any of them to appear\n"
    )


def test_refusals_say_what_and_what_to_do(cluster: Cluster, tmp_path: Path) -> None:
    with Server(cluster, token="right") as server:
        run = kwatch(["pods", "-s", server.url], tmp_path)
        assert run.returncode == 1
        assert run.stderr.startswith("kwatch: error: pods in default: 401 Unauthorized; ")
        assert len(run.stderr.splitlines()) == 1
    with Server(cluster) as server:
        server.forbid("list", "pods")
        run = kwatch(["pods", "-A", "-s", server.url], tmp_path)
        assert run.returncode == 1
        assert "cannot list resource" in run.stderr
        assert "-n NAMESPACE" in run.stderr
        server.script(Fault(verb="list", status=404))
        run = kwatch(["deploy", "-s", server.url], tmp_path)
        assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
        assert "deployments.apps in default: 404" in run.stderr


def test_a_refused_connection_says_where(tmp_path: Path) -> None:
    run = kwatch(["pods", "-s", "http://127.0.0.1:1"], tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("kwatch: error: can't connect to http://127.0.0.1:1: Connection refused; ")


def test_a_broken_kubeconfig_says_which_file(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("a: [b\n")
    run = kwatch(["pods"], tmp_path, KUBECONFIG=str(config))
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
    assert str(config) in run.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["pods", "-n", ".."], '".." can\'t be a namespace'),
        (["pods", "-n", "a/b"], '"a/b" can\'t be a namespace'),
        (["pods", "web-0", "-l", "app=web"], "a selector and a name exclude each other"),
        (["get", "pods"], 'leave out "get": `kwatch pods`'),
        (["pods", "-n", "\udcff"], "is not text"),
        (["pods", "--duration", "\u0661s"], "is not a duration"),
        (["pods", "--name", ""], "no object has an empty name"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], text: str, server: Server, tmp_path: Path) -> None:
    run = kwatch([*arguments, "-s", server.url], tmp_path, PYTHONUTF8="1")
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert text in run.stderr
    assert server.requests == []


def test_a_namespace_or_name_given_twice_is_watched_once(server: Server, tmp_path: Path) -> None:
    given = ["-n", "default,other", "-n", "default", "-s", server.url, "-o", "ndjson", "--duration", "700ms"]
    assert sorted(names(kwatch(["pods", *given], tmp_path).stdout)) == ["db-0", "web-0", "web-1", "web-2"]
    twice = ["pod/web-0", "pod/web-0", "-s", server.url, "-o", "ndjson", "--duration", "700ms"]
    assert names(kwatch(twice, tmp_path).stdout) == ["web-0"]


def test_kubectls_w_is_taken_for_granted(server: Server, tmp_path: Path) -> None:
    assert kwatch(["pods", "-w", "-s", server.url, "--count", "1"], tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pods", "-n=other", "-o=name"], ["pod/db-0"]),
        (["pods", "-Ao=name", "-l=app=web"], ["pod/web-0"]),
        (["pods", "--all-namespaces=true", "-oname", "--name=db-*"], ["pod/db-0"]),
        (["pods", "--all-namespaces=false", "-n", "other", "-o", "name"], ["pod/db-0"]),
        (["pods", "-qA=true", "-o=name", "--name", "db-*"], ["pod/db-0"]),
        (["pods", "-A=false", "-nother", "-o=name"], ["pod/db-0"]),
        (["--no-headers=true", "pods", "-n", "other", "-o=custom-columns=N:.metadata.name"], ["db-0"]),
        (["pods", "-A", "-o", "name", "--where", "NAME=db-0"], ["pod/db-0"]),
    ],
)
def test_options_may_be_spelled_as_kubectl_takes_them(
    arguments: list[str], expected: list[str], server: Server, tmp_path: Path
) -> None:
    run = kwatch([*arguments, "-s=" + server.url, "--count=1"], tmp_path)
    assert (run.returncode, run.stdout.splitlines(), run.stderr) == (0, expected, "")


def test_the_command_is_found_behind_a_switch_with_a_value(server: Server, tmp_path: Path) -> None:
    run = kwatch(["--no-headers=true", "events", "-s", server.url, "--duration", "100ms"], tmp_path)
    assert (run.returncode, run.stdout) == (0, "")


def test_a_switch_takes_true_and_false_alone(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "--no-headers=yes", "-s", server.url], tmp_path)
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert "Invalid value for '--no-headers': 'yes' is neither true nor false" in run.stderr


@pytest.mark.parametrize(("wanted", "coloured"), [("always", True), ("never", False), ("auto", False)])
def test_colour_is_as_asked_for_in_a_pipe(wanted: str, coloured: bool, server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-s", server.url, "--count", "1", "--color", wanted], tmp_path, NO_COLOR="1")
    assert ("\x1b[32mADDED\x1b[0m" in run.stdout) is coloured


def test_without_any_kubeconfig_the_error_says_where_it_looked(tmp_path: Path) -> None:
    run = kwatch(["pods"], tmp_path, KUBERNETES_MASTER="http://127.0.0.1:1")
    assert run.returncode == 1
    assert (
        f"no kubeconfig was found ({tmp_path}/.kube/config), so this is the default server; set KUBECONFIG"
        in run.stderr
    )
    named = kwatch(["pods"], tmp_path, KUBECONFIG=str(tmp_path / "none"), KUBERNETES_MASTER="http://127.0.0.1:1")
    assert named.returncode == 1
    assert f"KUBECONFIG names no file that is there ({tmp_path}/none), so this is the default server" in named.stderr


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("pods --duration 1s >&-", 1),
        ("pods --duration 1s >&- <&-", 1),
        ("--help >&-", 1),
        ("pods --nosuch >&-", 2),
        ("--version >/dev/full", 1),
        ("pods --duration 1s 2>&-", 0),
        ("wait pod/web-0 --for create >&-", 0),
        ("wait pod/web-0 --for create >&- 2>&- <&-", 0),
        ("wait pod/nosuch --for create --timeout 0 >&-", 124),
    ],
)
def test_closed_and_full_streams_are_no_traceback(shell: str, code: int, server: Server, tmp_path: Path) -> None:
    given = variables(tmp_path) | {"KWATCH_SERVER": server.url}
    command = ["sh", "-c", f"{sys.executable} -m kwatch {shell}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, env=given, check=False)
    assert run.returncode == code
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) <= 1


def test_a_second_ctrl_c_disturbs_nothing_and_the_cursor_comes_back(server: Server, tmp_path: Path) -> None:
    for pause in (0, 0.0005, 0.001, 0.002, 0.005):
        master, slave = pty.openpty()
        given = variables(tmp_path) | {"TERM": "xterm"}
        command = [sys.executable, "-m", "kwatch", "pods", "-s", server.url]
        with subprocess.Popen(command, stdout=slave, stderr=slave, env=given) as run:
            os.close(slave)
            screen = b""
            while b"web-2" not in screen:
                screen += os.read(master, 65536)
            for _ in range(3):
                run.send_signal(signal.SIGINT)
                time.sleep(pause)
            assert run.wait(5) == 130
            while more := read_all(master):
                screen += more
        os.close(master)
        assert screen.rindex(b"\x1b[?25h") > screen.rindex(b"\x1b[?25l")
        assert b"Traceback" not in screen


def read_all(descriptor: int) -> bytes:
    """What is there; nothing once the other end is closed."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def test_a_server_started_anew_on_the_same_port_is_listed_anew(tmp_path: Path) -> None:
    with Running(["sandbox"], tmp_path) as first:
        first.until(lambda: first.stdout.endswith("\n"))
        address = first.stdout.strip()
        home = tmp_path / "home"
        home.mkdir()
        with Running(["nodes", "-s", address, "-o", "ndjson"], home) as watching:
            watching.until(lambda: watching.stdout.count("\n") >= 3)
            first.end(signal.SIGTERM)
            again = tmp_path / "again"
            again.mkdir()
            with Running(["sandbox", "--port", address.rpartition(":")[2]], again):
                watching.until(lambda: watching.stdout.count("ADDED") >= 6)
                events = [json.loads(line) for line in watching.stdout.splitlines()]
    lives: dict[str, str] = {}
    for each in events:
        name, uid = each["object"]["metadata"]["name"], each["object"]["metadata"]["uid"]
        assert lives.get(name, "") == ("" if each["type"] == "ADDED" else uid)
        lives[name] = "" if each["type"] == "DELETED" else uid


@pytest.mark.parametrize("words", [["--sort-by", "-NAME"], ["--sort-by=-NAME"], ["--sort-by", "-{.metadata.name}"]])
def test_sort_by_takes_a_minus_for_the_other_direction(words: list[str], server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-s", server.url, "-o", "name", "--count", "3", *words], tmp_path)
    assert (run.stdout.split(), run.stderr) == (["pod/web-2", "pod/web-1", "pod/web-0"], "")


def test_a_path_to_sort_by_that_no_object_has_is_said(server: Server, tmp_path: Path) -> None:
    asked = ["-s", server.url, "--duration", "1s", "--sort-by", "{.metadata.nam}"]
    assert kwatch(["pods,cm", *asked], tmp_path).stderr.count("--sort-by: no object has {.metadata.nam}") == 1
    assert "--sort-by" not in kwatch(["pods", "-n", "kube-public", *asked], tmp_path).stderr


def test_a_run_that_was_stopped_and_continued_ends_in_time_though_nothing_happens(
    server: Server, tmp_path: Path
) -> None:
    with Running(["pods", "-s", server.url, "--duration", "2s"], tmp_path) as run:
        run.until(lambda: "web-0" in run.stdout)
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        run.process.send_signal(signal.SIGCONT)
        assert run.process.wait(SECONDS) == 0


# Demo, sandbox, help


def test_the_demo_shows_a_rollout_in_rows(tmp_path: Path) -> None:
    run = kwatch(["demo", "--duration", "4s", "-o", "ndjson"], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert {json.loads(line)["type"] for line in run.stdout.splitlines()} >= {"ADDED", "MODIFIED"}


def test_the_sandbox_prints_its_address_and_serves_until_ctrl_c(tmp_path: Path) -> None:
    with Running(["sandbox"], tmp_path) as run:
        run.until(lambda: run.stdout.endswith("\n"))
        home = tmp_path / "second"
        home.mkdir()
        assert kwatch(["nodes", "-s", run.stdout.strip(), "--count", "1"], home).returncode == 0
        assert run.end(signal.SIGINT)[0] == 130


def test_the_sandbox_says_what_to_type_and_which_images_are_broken(tmp_path: Path) -> None:
    with Running(["sandbox"], tmp_path) as run:
        run.until(lambda: "exit" in run.stderr)
        url = run.stdout.strip()
        assert f"kwatch: kubectl -s {url} get pods -A\n" in run.stderr
        assert "nosuch" in run.stderr


def test_the_sandbox_writes_a_kubeconfig_that_can_be_exported_and_writes_it_anew(tmp_path: Path) -> None:
    file = tmp_path / "sand box.yaml"
    for number in (1, 2):
        home = tmp_path / f"home{number}"
        home.mkdir()
        with Running(["sandbox", "--write-kubeconfig", str(file)], home) as run:
            run.until(lambda: "exit" in run.stderr)
            assert f"kwatch: export KUBECONFIG='{file}'\n" in run.stderr
            assert file.stat().st_mode & 0o777 == 0o600
            watched = kwatch(["nodes", "--count", "1"], home, KUBECONFIG=str(file))
            assert (watched.returncode, watched.stderr) == (0, "")
            if shutil.which("kubectl"):
                assert "node-0" in kubectl(home, "get", "nodes", kubeconfig=str(file)).stdout


@pytest.mark.parametrize("content", ["", "apiVersion: v1\nkind: Config\n"])
def test_the_sandbox_overwrites_no_kubeconfig_but_its_own(content: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    (tmp_path / "link").symlink_to(file)
    for path in (file, tmp_path / "link"):
        run = kwatch(["sandbox", "--write-kubeconfig", str(path)], tmp_path)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (1, "", 1)
        assert f"{path} is there" in run.stderr
    assert file.read_text() == content


def test_a_kubeconfig_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    run = kwatch(["sandbox", "--write-kubeconfig", str(tmp_path / "nosuch" / "config")], tmp_path)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (1, "", 1)
    assert "can't be written" in run.stderr


def test_the_help_of_the_sandbox_says_which_types_it_serves_and_which_images_are_broken(tmp_path: Path) -> None:
    text = " ".join(kwatch(["sandbox", "--help"], tmp_path).stdout.split())
    missing = {kind.plural for kind in Cluster().kinds} - set(re.findall(r"\w+", text))
    assert missing == set()
    assert "nosuch" in text


@pytest.mark.parametrize("scenario", ["nosuch", ""])
def test_an_unknown_scenario_is_a_usage_error(scenario: str, tmp_path: Path) -> None:
    run = kwatch(["demo", "--scenario", scenario], tmp_path)
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert "rollout" in run.stderr


def test_a_port_in_use_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    run = kwatch(["sandbox", "--port", server.url.rpartition(":")[2]], tmp_path)
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
    assert "in use" in run.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_and_version_load_neither_requests_nor_tabulate(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, runpy, atexit, os\n"
        f"sys.argv = ['kwatch', *{arguments!r}]\n"
        "leave = os._exit\n"
        "os._exit = lambda code: print(sorted({'requests', 'tabulate', 'yaml'} & set(sys.modules))) or leave(code)\n"
        "runpy.run_module('kwatch', run_name='__main__')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables(tmp_path), check=False
    )
    assert run.returncode == 0


def test_as_kubectls_plugin_help_shows_that_name(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['/usr/bin/kubectl-kwatch', '--help']\nfrom kwatch.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables(tmp_path), check=False
    )
    assert run.stdout.startswith("Usage: kubectl kwatch ")
    assert os.linesep == "\n"


# Several types, several clusters


def test_several_types_in_one_watch(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("configmaps", {"metadata": {"name": "settings", "namespace": "default"}, "data": {}})
    run = kwatch(["pods,cm", "-s", server.url, "--count", "4", "-o", "ndjson"], tmp_path)
    kinds = [json.loads(line)["object"]["kind"] for line in run.stdout.splitlines()]
    assert (run.returncode, sorted(kinds)) == (0, ["ConfigMap", "Pod", "Pod", "Pod"])


def test_objects_of_several_types_by_name(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("configmaps", {"metadata": {"name": "settings", "namespace": "default"}, "data": {}})
    run = kwatch(["po/web-0", "configmap/settings", "-s", server.url, "--count", "2"], tmp_path)
    rows = [line.split() for line in run.stdout.splitlines()]
    assert sorted(row[1:3] for row in rows if row[0] == "ADDED") == [["ConfigMap", "settings"], ["Pod", "web-0"]]


def contexts(tmp_path: Path, **servers: str) -> Path:
    """A kubeconfig with a context for each server."""
    path = tmp_path / "config"
    clusters = [{"name": name, "cluster": {"server": url}} for name, url in servers.items()]
    named = [{"name": name, "context": {"cluster": name, "user": ""}} for name in servers]
    path.write_text(json.dumps({"clusters": clusters, "contexts": named}))
    return path


def test_several_clusters_in_one_watch(server: Server, tmp_path: Path) -> None:
    other = Cluster()
    other.create("pods", pod("far-0"))
    with Server(other) as far:
        config = contexts(tmp_path, near=server.url, far=far.url)
        asked = ["pods", "--kubeconfig", str(config), "--context", "near", "--context", "far", "--count", "4"]
        run = kwatch([*asked, "-o", "ndjson"], tmp_path)
        rows = kwatch(asked, tmp_path)
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted((event["cluster"], event["object"]["metadata"]["name"]) for event in found) == [
        ("far", "far-0"),
        *(("near", f"web-{index}") for index in range(3)),
    ]
    assert rows.stdout.splitlines()[0].split()[:3] == ["EVENT", "CLUSTER", "NAME"]


def test_one_cluster_that_fails_is_announced_while_the_others_go_on(server: Server, tmp_path: Path) -> None:
    config = contexts(tmp_path, near=server.url, gone="http://127.0.0.1:1")
    asked = ["pods", "--kubeconfig", str(config), "--context", "near,gone,nosuch"]
    run = kwatch([*asked, "--duration", "2s", "-o", "ndjson"], tmp_path)
    assert (run.returncode, len(run.stdout.splitlines())) == (1, 3)
    assert "127.0.0.1:1" in run.stderr
    assert 'context "nosuch"' in run.stderr


def test_when_all_clusters_have_failed_it_ends_with_1(tmp_path: Path) -> None:
    config = contexts(tmp_path, a="http://127.0.0.1:1", b="http://127.0.0.1:2")
    run = kwatch(["pods", "--kubeconfig", str(config), "--context", "a,b"], tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert "127.0.0.1:1" in run.stderr
    assert "127.0.0.1:2" in run.stderr
