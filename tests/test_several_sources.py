"""Several namespaces and several clusters in one watch: who fails is announced, the others go on, none is an error."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command import Running, kwatch

from kwatch.sandbox import Cluster, Server


def cluster(*names: str, namespace: str = "default") -> Cluster:
    made = Cluster()
    for name in names:
        made.create("configmaps", {"metadata": {"name": name, "namespace": namespace}})
    return made


@contextmanager
def clusters(folder: Path, *names: str, **others: dict[str, Any]) -> Iterator[dict[str, Server]]:
    """A server for each name, with a ConfigMap `in-NAME`; a kubeconfig of these and of `others`, as they are."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(cluster(f"in-{name}"))) for name in names}
        kubeconfig(folder, {name: {"server": server.url} for name, server in servers.items()} | others)
        yield servers


def kubeconfig(folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    document = {
        "contexts": [{"name": name, "context": {"cluster": name}} for name in entries],
        "clusters": [{"name": name, "cluster": entry} for name, entry in entries.items()],
    }
    (folder / ".kube").mkdir()
    (folder / ".kube" / "config").write_text(json.dumps(document))


def free_port() -> int:
    """One that nobody listens on, for now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def seen(output: str) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in output[: output.rfind("\n") + 1].splitlines()]
    return [(line.get("cluster", ""), line["type"], line["object"]["metadata"]["name"]) for line in lines]


def contexts(*names: str) -> list[str]:
    return [word for name in names for word in ("--context", name)]


NDJSON = ["cm", "-o", "ndjson"]


def test_one_that_is_forbidden_later_is_announced_and_the_other_goes_on(tmp_path: Path) -> None:
    with clusters(tmp_path, "a", "b") as servers, Running([*NDJSON, *contexts("a", "b")], tmp_path) as running:
        running.until(lambda: len(seen(running.stdout)) == 2 and all(server.watches for server in servers.values()))
        servers["b"].forbid("watch", "configmaps")
        servers["b"].disconnect()
        running.until(lambda: "error: configmaps in default of b: 403" in running.stderr)
        servers["a"].cluster.create("configmaps", {"metadata": {"name": "later"}})
        running.until(lambda: ("a", "ADDED", "later") in seen(running.stdout))
        servers["a"].forbid("watch", "configmaps")
        servers["a"].disconnect()
        assert running.process.wait(30) == 1
        assert "error: configmaps in default of a: 403" in running.stderr


def test_one_that_cannot_be_reached_at_the_start_is_tried_until_it_can(tmp_path: Path) -> None:
    port = free_port()
    with (
        clusters(tmp_path, "a", b={"server": f"http://127.0.0.1:{port}"}),
        Running([*NDJSON, *contexts("b", "a")], tmp_path) as running,
    ):
        running.until(lambda: seen(running.stdout) == [("a", "ADDED", "in-a")])
        running.until(lambda: "of b: can't connect (Connection refused); listing again in" in running.stderr)
        assert f"kwatch: error: can't connect to http://127.0.0.1:{port}: " in running.stderr
        with Server(cluster("in-b"), port):
            running.until(lambda: ("b", "ADDED", "in-b") in seen(running.stdout))
            assert running.end()[0] == 130


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_where_none_can_be_reached_it_ends_with_1_and_names_each(order: tuple[str, str], tmp_path: Path) -> None:
    addresses = {name: f"http://127.0.0.1:{free_port()}" for name in "ab"}
    with clusters(tmp_path, **{name: {"server": address} for name, address in addresses.items()}):
        run = kwatch([*NDJSON, *contexts(*order)], tmp_path)
        quiet = kwatch([*NDJSON, *contexts(*order), "-q"], tmp_path)
    errors = [line for line in run.stderr.splitlines() if line.startswith("kwatch: error: can't connect to ")]
    assert (run.returncode, run.stdout) == (1, "")
    assert (quiet.returncode, sorted(quiet.stderr.splitlines())) == (1, sorted(errors))
    assert sorted(error.split()[5].rstrip(":") for error in errors) == sorted(addresses.values())


def test_an_object_or_anything_at_all_that_is_missing_is_told_of_each_cluster(tmp_path: Path) -> None:
    with clusters(tmp_path, "a", "b"):
        run = kwatch(["cm/nosuch", *contexts("a", "b")], tmp_path)
        none = kwatch(["cm", "-n", "empty", "--duration", "2s", *contexts("a", "b")], tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert sorted(run.stderr.splitlines()) == [
        f'kwatch: error: configmaps "nosuch" not found in namespace default of {name}; check the name, or -n'
        for name in ("a", "b")
    ]
    assert sorted(none.stderr.splitlines()) == [
        f"kwatch: No resources found: namespace empty of {name} doesn't exist (yet); waiting for configmaps to appear"
        for name in ("a", "b")
    ]


def test_one_server_that_cannot_be_reached_is_one_line_however_many_watches_it_has(tmp_path: Path) -> None:
    run = kwatch(["po,deploy,cm", "-n", "x,y", "-s", f"http://127.0.0.1:{free_port()}"], tmp_path)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)


def test_where_the_one_is_forbidden_and_the_other_out_of_reach_it_ends_with_1(tmp_path: Path) -> None:
    with clusters(tmp_path, "a", b={"server": f"http://127.0.0.1:{free_port()}"}) as servers:
        servers["a"].forbid("list", "configmaps")
        run = kwatch([*NDJSON, *contexts("a", "b")], tmp_path)
    assert run.returncode == 1
    assert "is forbidden" in run.stderr
    assert "error: can't connect to" in run.stderr


def test_the_last_one_that_answered_takes_those_along_that_never_did(tmp_path: Path) -> None:
    with (
        clusters(tmp_path, "a", b={"server": f"http://127.0.0.1:{free_port()}"}) as servers,
        Running([*NDJSON, *contexts("a", "b")], tmp_path) as running,
    ):
        running.until(lambda: "can't connect" in running.stderr and bool(servers["a"].watches))
        servers["a"].forbid("watch", "configmaps")
        servers["a"].disconnect()
        assert running.process.wait(30) == 1


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ({"server": "https://127.0.0.1:1", "certificate-authority": "nowhere"}, "certificate-authority"),
        (
            {
                "server": "https://127.0.0.1:1",
                "certificate-authority-data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==",
            },
            "the certificate authority isn't a valid PEM certificate",
        ),
        ({"server": ""}, "has no server"),
        ({"server": "http://127.0.0.1:1", "proxy-url": "ftp://x"}, "proxy-url"),
    ],
)
def test_one_that_is_configured_wrongly_does_not_stop_the_other(
    broken: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with clusters(tmp_path, "a", b=broken):
        run = kwatch([*NDJSON, *contexts("b", "a"), "--count", "1", "--duration", "20s"], tmp_path)
    assert (run.returncode, seen(run.stdout)) == (0, [("a", "ADDED", "in-a")])
    assert text in run.stderr


def test_a_context_that_is_given_twice_is_watched_once(tmp_path: Path) -> None:
    with clusters(tmp_path, "a") as servers, Running([*NDJSON, *contexts("a", "a")], tmp_path) as running:
        running.until(lambda: bool(servers["a"].watches))
        servers["a"].cluster.create("configmaps", {"metadata": {"name": "later"}})
        running.until(lambda: "later" in running.stdout)
        assert running.end()[0] == 130
        assert seen(running.stdout) == [("", "ADDED", "in-a"), ("", "ADDED", "later")]


def test_a_pipe_gives_several_contexts(tmp_path: Path) -> None:
    with clusters(tmp_path, "a", "b"):
        content = (tmp_path / ".kube" / "config").read_text()
        command = [*NDJSON, *contexts("a", "b"), "--count", "2", "--kubeconfig", "/dev/stdin"]
        run = kwatch(command, tmp_path, stdin=content)
    assert (run.returncode, run.stderr) == (0, "")
    assert sorted(seen(run.stdout)) == [("a", "ADDED", "in-a"), ("b", "ADDED", "in-b")]


def test_a_type_of_its_own_is_watched_where_the_server_says_that_it_has_it(tmp_path: Path) -> None:
    definition = {
        "metadata": {"name": "widgets.acme.io"},
        "spec": {
            "group": "acme.io",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }
    with clusters(tmp_path, "a", b={"server": f"http://127.0.0.1:{free_port()}"}) as servers:
        servers["a"].cluster.create("customresourcedefinitions", definition)
        servers["a"].cluster.create("widgets.acme.io", {"metadata": {"name": "w"}})
        run = kwatch(["widgets", "-o", "ndjson", *contexts("a", "b"), "--count", "1"], tmp_path)
    assert (run.returncode, seen(run.stdout)) == (0, [("a", "ADDED", "w")])
    assert "kwatch: error: b: can't connect to" in run.stderr


def test_several_namespaces_each_once(tmp_path: Path) -> None:
    here = Cluster()
    for namespace in ("x", "y", "z"):
        here.create("configmaps", {"metadata": {"name": f"in-{namespace}", "namespace": namespace}})
    with Server(here) as server:
        run = kwatch([*NDJSON, "-n", "x,y", "-n", "x", "-s", server.url, "--duration", "1s"], tmp_path)
        rows = kwatch(["cm", "-n", "x", "-n", "y", "-s", server.url, "--count", "2"], tmp_path)
    assert (run.returncode, [name for _, _, name in seen(run.stdout)]) == (0, ["in-x", "in-y"])
    assert [line.split()[:3] for line in rows.stdout.splitlines()] == [
        ["EVENT", "NAMESPACE", "NAME"],
        ["ADDED", "x", "in-x"],
        ["ADDED", "y", "in-y"],
    ]


def test_a_namespace_that_is_forbidden_does_not_stop_the_other(tmp_path: Path) -> None:
    here = cluster("in-x", namespace="x")
    with Server(here) as server:
        server.forbid("list", "configmaps", "y")
        run = kwatch([*NDJSON, "-n", "y,x", "-s", server.url, "--count", "1"], tmp_path)
        assert (run.returncode, [name for _, _, name in seen(run.stdout)]) == (0, ["in-x"])
        server.forbid("list", "configmaps", "x")
        none = kwatch([*NDJSON, "-n", "y,x", "-s", server.url], tmp_path)
        assert (none.returncode, none.stdout, none.stderr.count("is forbidden")) == (1, "", 2)
