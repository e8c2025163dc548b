"""`kwatch resources`, beside `kubectl api-resources`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster.documents import aggregated, entry, group
from command import kwatch
from customs import asked, crd
from kubectl import kubectl, needs_kubectl
from scripted import ScriptedServer, answer

from kwatch.sandbox import Cluster, Server

HEADER = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for definition in (
        crd("widgets", "Widget", "z.io", names={"shortNames": ["wd", "w"], "categories": ["all", "gear"]}),
        crd("gadgets", "Gadget", "b.io", names={"categories": ["gear"]}, versions=["v1beta1", "v1"]),
        crd("widgets", "Widget", "a.io", scope="Cluster"),
    ):
        cluster.create("customresourcedefinitions", definition)
    return cluster


def listed(server: Server, home: Path, *arguments: str) -> list[list[str]]:
    run = kwatch(["resources", "-s", server.url, *arguments], home)
    assert (run.returncode, run.stderr) == (0, "")
    return [line.split() for line in run.stdout.splitlines()]


def test_the_types_stand_in_columns_each_in_its_preferred_version(server: Server, tmp_path: Path) -> None:
    header, *rows = listed(server, tmp_path)
    assert header == HEADER
    assert rows[0] == ["configmaps", "cm", "v1", "true", "ConfigMap"]
    assert ["gadgets", "b.io/v1beta1", "true", "Gadget"] in rows
    assert ["widgets", "wd,w", "z.io/v1", "true", "Widget"] in rows
    assert ["widgets", "a.io/v1", "false", "Widget"] in rows
    assert len([row for row in rows if row[0] == "gadgets"]) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--api-group", "b.io"], ["gadgets.b.io"]),
        (["--categories", "gear", "--categories", "all"], ["widgets.z.io"]),
        (["--api-group", "a.io", "--namespaced"], []),
        (["--api-group", "a.io", "--namespaced=false"], ["widgets.a.io"]),
        (["--api-group", "z.io", "--verbs", "list,watch"], ["widgets.z.io"]),
        (["--api-group", "z.io", "--verbs", "proxy"], []),
    ],
)
def test_filters(arguments: list[str], expected: list[str], server: Server, tmp_path: Path) -> None:
    assert listed(server, tmp_path, *arguments, "-o", "name") == [[name] for name in expected]


def test_the_core_group_is_the_empty_one(server: Server, tmp_path: Path) -> None:
    found = listed(server, tmp_path, "--api-group", "", "--no-headers")
    assert {row[-3] for row in found} == {"v1"}


@needs_kubectl
@pytest.mark.parametrize(
    "arguments",
    [[], ["-o", "wide"], ["-o", "name", "--sort-by=kind"], ["--no-headers", "--sort-by=name"], ["--api-group=nosuch"]],
)
def test_it_is_what_kubectl_prints(arguments: list[str], server: Server, tmp_path: Path) -> None:
    theirs = kubectl(tmp_path, "api-resources", "-s", server.url, *arguments)
    run = kwatch(["resources", "-s", server.url, *arguments], tmp_path)
    assert theirs.returncode == 0, theirs.stderr
    assert run.stdout.splitlines() == [line.rstrip() for line in theirs.stdout.splitlines()]


def test_the_server_is_asked_unless_the_cache_will_do(server: Server, tmp_path: Path) -> None:
    first = listed(server, tmp_path, "--cached")
    assert asked(server) == 2
    assert listed(server, tmp_path, "--cached") == first
    assert asked(server) == 2
    assert listed(server, tmp_path) == first
    assert asked(server) == 4


def test_the_context_says_of_which_cluster(server: Server, tmp_path: Path) -> None:
    config = {
        "clusters": [
            {"name": "a", "cluster": {"server": "http://127.0.0.1:1"}},
            {"name": "b", "cluster": {"server": server.url}},
        ],
        "contexts": [{"name": name, "context": {"cluster": name}} for name in "ab"],
        "current-context": "a",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    arguments = ["resources", "--kubeconfig", str(tmp_path / "config"), "-o", "name"]
    assert "Connection refused" in kwatch(arguments, tmp_path).stderr
    run = kwatch([*arguments, "--context", "b"], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "gadgets.b.io" in run.stdout.splitlines()


def test_a_group_that_is_down_is_announced_and_the_rest_is_listed(server: Server, tmp_path: Path) -> None:
    server.take_down("b.io")
    run = kwatch(["resources", "-s", server.url, "-o", "name"], tmp_path)
    assert run.returncode == 0
    assert (
        run.stderr
        == "kwatch: not asked, for it is unavailable: b.io/v1beta1: the server behind it doesn't answer\n"
        + ("kwatch: not asked, for it is unavailable: b.io/v1: the server behind it doesn't answer\n")
    )
    assert "widgets.z.io" in run.stdout
    assert "gadgets" not in run.stdout
    alone = kwatch(["resources", "-s", server.url, "--api-group", "b.io"], tmp_path)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr.splitlines()[-1].startswith("kwatch: error: b.io can't be asked what it has now; ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "json"], 'there is no output "json"; -o takes wide, name'),
        (["--sort-by", "age"], "--sort-by takes name or kind"),
        (["--context", "a,b"], "resources are listed of one cluster at a time; give one --context"),
        (["--namespaced=perhaps"], "not a valid boolean"),
    ],
)
def test_what_cannot_be_is_a_usage_error(arguments: list[str], said: str, server: Server, tmp_path: Path) -> None:
    run = kwatch(["resources", "-s", server.url, *arguments], tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert server.requests == []


def test_hostile_names_are_inert(cluster: Cluster, tmp_path: Path) -> None:
    document = json.dumps(aggregated(group("evil.io", v1={"resources": [entry("a\x1b[2J", "K\u202e")]}))).encode()
    with ScriptedServer(lambda peer: peer.send(answer(document, Connection="close"))) as server:
        run = kwatch(["resources", "-s", server.url], tmp_path)
    assert run.returncode == 0
    assert run.stdout.splitlines()[1].split() == ["a[2J", "evil.io/v1", "true", "K"]
