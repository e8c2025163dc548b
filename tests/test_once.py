"""A list that ends (`--duration 0`, `-w=false`), and a name among several that isn't there."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command import Running, kwatch
from kubectl import kubectl, needs_kubectl
from polling import eventually

from kwatch.sandbox import Cluster, Fault, Server

LISTS = [["--duration", "0"], ["-w=false"], ["--watch=false"], ["--no-watch"]]


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for name in ("web-0", "web-1"):
        cluster.create("pods", {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
    cluster.create("configmaps", {"metadata": {"name": "settings"}})
    return cluster


def listed(server: Server, home: Path, *arguments: str) -> str:
    run = kwatch([*arguments, "-s", server.url], home)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


@pytest.mark.parametrize("spelled", LISTS)
def test_a_list_is_all_there_is_without_events_and_ends_with_0(
    spelled: list[str], server: Server, tmp_path: Path
) -> None:
    rows = [line.split()[:2] for line in listed(server, tmp_path, "pods", *spelled).splitlines()]
    assert rows == [["NAME", "READY"], ["web-0", "0/1"], ["web-1", "0/1"]]


@needs_kubectl
def test_a_list_is_what_kubectl_get_prints(server: Server, tmp_path: Path) -> None:
    theirs = kubectl(tmp_path, "-s", server.url, "get", "pods").stdout
    ours = listed(server, tmp_path, "pods", "-w=false")
    assert [line.split()[:4] for line in ours.splitlines()] == [line.split()[:4] for line in theirs.splitlines()]


def test_a_list_is_complete_in_each_output_and_of_several_types(server: Server, tmp_path: Path) -> None:
    def once(output: str, types: str = "po,cm") -> str:
        return listed(server, tmp_path, types, "-o", output, "--duration", "0")

    assert once("name").split() == ["pod/web-0", "pod/web-1", "configmap/settings"]
    assert [json.loads(line)["type"] for line in once("ndjson").splitlines()] == ["ADDED"] * 3
    assert [line[1:3] for line in csv.reader(io.StringIO(once("csv", "po")))][1:] == [
        ["ADDED", "web-0"],
        ["ADDED", "web-1"],
    ]
    assert once('jsonpath={.metadata.name}{"\\n"}').split() == ["web-0", "web-1", "settings"]
    assert once("yaml").count("\nkind: Pod\n") == 2


def test_a_list_in_pages_or_as_a_stream_is_whole_before_it_ends(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    for index in range(7):
        cluster.create("configmaps", {"metadata": {"name": f"more-{index}"}})
    for how in (["--chunk-size", "2"], ["--watch-list"]):
        assert len(listed(server, tmp_path, "cm", "-o", "name", "-w=false", *how).split()) == 8


def test_a_list_that_is_refused_for_a_moment_is_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.script(Fault(verb="list", status=503, headers={"Retry-After": "0"}))
    run = kwatch(["pods", "-o", "name", "--duration", "0", "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout.split()) == (0, ["pod/web-0", "pod/web-1"])


def test_an_empty_list_says_so_and_waits_for_nothing(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-n", "nosuch", "--duration", "0", "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "kwatch: No resources found in nosuch namespace\n")
    several = kwatch(["all,cm", "-n", "nosuch", "--duration", "0", "-s", server.url], tmp_path)
    assert several.stderr == "kwatch: No resources found in nosuch namespace\n"


def test_a_type_that_the_server_is_asked_for_can_be_listed(server: Server, tmp_path: Path) -> None:
    assert len(listed(server, tmp_path, "all", "-w=false", "-o", "name").split()) == 2


def test_what_a_list_lacks_makes_it_no_success(server: Server, tmp_path: Path) -> None:
    server.forbid("list", "secrets")
    run = kwatch(["po,secrets", "-o", "name", "--duration", "0", "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout.split()) == (1, ["pod/web-0", "pod/web-1"])
    assert "cannot list resource" in run.stderr


def test_a_cluster_out_of_reach_is_not_waited_for_by_a_list(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config"
    entries = [("near", server.url), ("gone", "http://127.0.0.1:1")]
    config.write_text(json.dumps({
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in entries],
        "contexts": [{"name": name, "context": {"cluster": name}} for name, _ in entries],
    }))  # fmt: skip
    asked = ["pods", "--kubeconfig", str(config), "--context", "gone,near", "-o", "name", "--duration", "0"]
    run = kwatch(asked, tmp_path)
    assert (run.returncode, run.stdout.split()) == (1, ["pod/web-0", "pod/web-1"])
    assert "127.0.0.1:1" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-w=false", "--duration", "3s"], "--watch=false is a list"),
        (["--duration", "0", "--state", "state"], "give it time: --duration 10s"),
        (["--duration", "0", "--watch-only"], "--watch-only leaves out all that a list has"),
    ],
)
def test_what_a_list_cannot_do_is_refused(arguments: list[str], text: str, server: Server, tmp_path: Path) -> None:
    run = kwatch(["pods", "-o", "ndjson", *arguments, "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
    assert text in run.stderr


@pytest.mark.parametrize("end", [["--count", "1"], ["--count", "2"], ["--duration", "1s"], ["--duration", "0"]])
@pytest.mark.parametrize("names", [["web-0", "nosuch"], ["nosuch", "web-0"]])
def test_a_name_that_isnt_there_among_several_is_said_and_ends_with_1(
    names: list[str], end: list[str], server: Server, tmp_path: Path
) -> None:
    if end == ["--count", "2"]:
        end = [*end, "--duration", "1s"]
    run = kwatch(["pod", *names, "-o", "name", *end, "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout) == (1, "pod/web-0\n")
    assert [line.split(";")[0] for line in run.stderr.splitlines()] == [
        'kwatch: error: pods "nosuch" not found in namespace default'
    ]


def test_names_that_are_all_there_end_with_0_however_late_the_other_is_known(server: Server, tmp_path: Path) -> None:
    run = kwatch(["pod", "web-0", "web-1", "-o", "name", "--count", "1", "-s", server.url], tmp_path)
    assert (run.returncode, len(run.stdout.split()), run.stderr) == (0, 1, "")


def test_a_name_that_is_missing_leaves_the_others_watched(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    with Running(["pod", "web-0", "nosuch", "-o", "name", "--count", "2", "-s", server.url], tmp_path) as run:
        run.until(lambda: "not found" in run.stderr)
        eventually(lambda: server.watches)
        cluster.delete("pods", "default", "web-0")
        assert run.process.wait(20) == 1
        assert run.stdout == "pod/web-0\npod/web-0\n"
