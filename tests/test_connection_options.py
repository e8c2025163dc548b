"""--request-timeout, --chunk-size, addresses without a scheme, and variables that are at fault."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from command import Running, kwatch
from scripted import Peer, ScriptedServer, answer, chunk, head
from securing import kubeconfig
from watching import Impatient, changes, notices, watched

from kwatch.cluster.kubeconfig import Connection
from kwatch.model import Connected, Signal
from kwatch.sandbox import Cluster, Server

LIST = b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'
ADDED = (
    b'{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1",'
    b'"metadata":{"name":"late","namespace":"default","uid":"u","resourceVersion":"6"}}}\n'
)


def silent(peer: Peer) -> None:
    peer.hold()


def dribbling(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked"))
    while True:  # until the client has had enough
        peer.send(chunk(b" "))
        time.sleep(0.05)


def listing(peer: Peer) -> None:
    peer.send(answer(LIST, Connection="close"))


def late_event(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked"))
    time.sleep(0.5)
    peer.send(chunk(ADDED))
    peer.hold()


def test_a_list_that_takes_longer_than_request_timeout_is_given_up_and_asked_for_again_but_a_watch_is_not() -> None:
    with ScriptedServer(silent, listing, late_event) as server:
        clock = Impatient()
        connection = Connection(server.url, request_timeout=0.2)

        def until(signals: list[Signal]) -> bool:
            return bool(changes(signals)) or len(server.requests) > 3

        signals = watched(connection, until, clock=clock)
        assert len(server.requests) == 3
    assert [text.partition(" (")[0] for text in notices(signals)] == [
        "configmaps in default: the server fell silent",
    ]
    assert sum(isinstance(signal, Connected) for signal in signals) == 1


def test_request_timeout_bounds_a_list_that_dribbles(tmp_path: Path) -> None:
    with (
        ScriptedServer(dribbling, listing, late_event) as server,
        Running(["cm", "-s", server.url, "--request-timeout", "500ms", "-o", "ndjson"], tmp_path) as running,
    ):
        running.until(lambda: "late" in running.stdout)
        assert "the server fell silent" in running.stderr


@pytest.mark.parametrize(
    ("asked", "limits"), [([], ["500"]), (["--chunk-size", "2"], ["2"] * 3), (["--chunk-size=0"], [None])]
)
def test_chunk_size_is_how_many_objects_are_listed_at_a_time(
    asked: list[str], limits: list[str | None], tmp_path: Path
) -> None:
    cluster = Cluster()
    for number in range(5):
        cluster.create("configmaps", {"metadata": {"name": f"cm-{number}"}})
    with Server(cluster) as server:
        run = kwatch(["cm", "-s", server.url, "-o", "ndjson", "--count", "5", *asked], tmp_path)
        assert (run.returncode, run.stdout.count("\n")) == (0, 5)
        assert [request.query.get("limit") for request in server.requests if request.verb == "list"] == limits


def test_an_address_without_a_scheme_is_plain_http(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "here"}})
    with Server(cluster) as server:
        run = kwatch(["cm", "-s", server.url.partition("//")[2], "--count", "1"], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")


def test_an_empty_context_or_namespace_is_as_good_as_none(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "here"}})
    with Server(cluster) as server:
        config = kubeconfig(tmp_path / "config", {"server": server.url}, {})
        arguments = ["cm", "--context", "", "-n", "", "-o", "name", "--count", "1", "--kubeconfig", str(config)]
        run = kwatch(arguments, tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "configmap/here\n", "")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("KWATCH_DURATION", "x", "'x' is not a duration"),
        ("KWATCH_COUNT", "0", "0 is not in the range"),
        ("KWATCH_CHUNK_SIZE", "-1", "-1 is not in the range"),
        ("KWATCH_REQUEST_TIMEOUT", "soon", "'soon' is not a duration"),
        ("KWATCH_NAMESPACE", "a,,b", "'a,,b' holds an empty name"),
        ("KWATCH_HEADERS", "canary", "write it as 'Name: value'"),
        ("KWATCH_QUIET", "perhaps", "'perhaps' is not a valid boolean"),
    ],
)
def test_a_variable_that_is_at_fault_is_named(name: str, value: str, text: str, tmp_path: Path) -> None:
    run = kwatch(["pods", "-s", "http://127.0.0.1:1"], tmp_path, **{name: value})
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert f"Invalid value for the variable {name}: {text}" in run.stderr
    assert "canary" not in run.stderr


def test_an_option_that_is_at_fault_is_named_though_a_variable_is_set(tmp_path: Path) -> None:
    run = kwatch(["pods", "--duration", "x"], tmp_path, KWATCH_DURATION="5s")
    assert run.returncode == 2
    assert "Invalid value for '--duration'" in run.stderr


@pytest.mark.parametrize("flag", ["--as-group", "--as-uid"])
def test_a_group_or_uid_without_a_user_is_an_error(flag: str, tmp_path: Path) -> None:
    run = kwatch(["pods", "-s", "127.0.0.1:1", flag, "x"], tmp_path)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "pass --as USER" in run.stderr
