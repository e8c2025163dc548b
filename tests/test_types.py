"""Which types the command watches, and what finding out costs: counted in the server's own log of requests."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from cluster.kubeconfigs import CANARY
from command import Running, kwatch
from customs import asked, crd, install
from scripted import ScriptedServer

from kwatch.sandbox import Cluster, Fault, Server


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.create("pods", {"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
    cluster.create("configmaps", {"metadata": {"name": "settings"}})
    return cluster


def watched(server: Server, home: Path, *arguments: str, count: int = 1) -> list[str]:
    """`Kind/name` of the first events, sorted; what was said is in none of them."""
    run = kwatch([*arguments, "-s", server.url, "-o", "ndjson", "--count", str(count)], home)
    assert run.returncode == 0, run.stderr
    found = [json.loads(line)["object"] for line in run.stdout.splitlines()]
    return sorted(f"{each['kind']}/{each['metadata']['name']}" for each in found)


@pytest.mark.parametrize("name", ["pods", "pod/web-0", "Pod.v1.,cm"])
def test_a_startup_asks_for_no_discovery_for_built_in_types(name: str, server: Server, tmp_path: Path) -> None:
    watched(server, tmp_path, name, count=1 + (name.endswith(",cm")))
    assert asked(server) == 0
    assert not (tmp_path / ".kube").exists()


def test_a_custom_type_is_asked_for_once_and_not_again(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget", names={"shortNames": ["wd"]}))
    assert watched(server, tmp_path, "wd") == ["Widget/widgets-1"]
    assert asked(server) == 2
    assert watched(server, tmp_path, "widgets.v1.example.com") == ["Widget/widgets-1"]
    assert asked(server) == 2
    kept = [path for path in tmp_path.rglob("*") if "kwatch" in path.parts]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept if path.is_file()} == {0o600}
    install(cluster, crd("gadgets", "Gadget"))
    assert watched(server, tmp_path, "gadget") == ["Gadget/gadgets-1"]
    assert asked(server) == 4


@pytest.mark.parametrize("way", ["--cache-dir", "KUBECACHEDIR"])
def test_the_cache_goes_where_it_is_told_to(way: str, cluster: Cluster, server: Server, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget"))
    there = str(tmp_path / "there")
    given = {"--cache-dir": ["--cache-dir", there]}.get(way, [])
    variables = {} if given else {way: there}
    for _ in range(2):
        run = kwatch(["widgets", "-s", server.url, "--count", "1", *given], tmp_path, **variables)
        assert run.returncode == 0, run.stderr
    assert asked(server) == 2
    assert len(list((tmp_path / "there" / "kwatch").glob("127.0.0.1_*.json"))) == 1
    assert not (tmp_path / ".kube").exists()


def test_a_cache_that_cannot_be_used_is_a_detail_for_v(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget"))
    arguments = ["widgets", "-s", server.url, "--count", "1", "--cache-dir", "/dev/null"]
    run = kwatch(arguments, tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert (
        "the cache in /dev/null/kwatch can't be written: Not a directory" in kwatch([*arguments, "-v"], tmp_path).stderr
    )


@pytest.mark.parametrize("then", [["v2"], None])
def test_a_type_that_the_cache_has_and_the_server_no_longer_has_is_asked_for_anew(
    then: list[str] | None, cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    install(cluster, crd("widgets", "Widget", versions=["v1"]))
    assert watched(server, tmp_path, "widgets") == ["Widget/widgets-1"]
    cluster.delete("customresourcedefinitions", "", "widgets.example.com")
    if then:
        install(cluster, crd("widgets", "Widget", versions=then))
        assert watched(server, tmp_path, "widgets") == ["Widget/widgets-1"]
    else:
        run = kwatch(["widgets", "-s", server.url, "--count", "1"], tmp_path)
        assert run.returncode == 1
        unknown = 'the server doesn\'t have a resource type "widgets"; see `kwatch resources`'
        assert run.stderr == f"kwatch: error: {unknown}\n"
    assert asked(server) == 4


def test_a_category_is_all_of_its_types_and_mixes_with_others(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget", names={"categories": ["all"]}), crd("gadgets", "Gadget", "b.io"))
    assert watched(server, tmp_path, "all", count=2) == ["Pod/web-0", "Widget/widgets-1"]
    assert watched(server, tmp_path, "all,cm", count=3) == ["ConfigMap/settings", "Pod/web-0", "Widget/widgets-1"]
    assert watched(server, tmp_path, "po,all", count=2) == ["Pod/web-0", "Widget/widgets-1"]


def test_an_api_that_is_down_hides_no_other_and_is_named_on_a_miss(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    install(cluster, crd("widgets", "Widget"), crd("gadgets", "Gadget", "down.io"))
    server.take_down("down.io")
    assert watched(server, tmp_path, "widgets") == ["Widget/widgets-1"]
    run = kwatch(["gadgets", "-s", server.url], tmp_path)
    assert run.returncode == 1
    assert 'type "gadgets"; did you mean widgets? (not asked, for it is unavailable: down.io/v1: ' in run.stderr
    server.bring_up("down.io")
    assert watched(server, tmp_path, "gadgets") == ["Gadget/gadgets-1"]


def test_a_short_name_with_two_meanings_is_a_notice(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    both = {"shortNames": ["x"]}
    install(cluster, crd("widgets", "Widget", names=both), crd("gadgets", "Gadget", "b.io", names=both))
    arguments = ["x", "-s", server.url, "--count", "1"]
    said = 'kwatch: widgets.example.com is watched; the short name "x" could also mean gadgets.b.io\n'
    assert [kwatch(arguments, tmp_path).stderr for _ in range(2)] == [said, said]
    assert kwatch([*arguments, "-q"], tmp_path).stderr == ""


def test_two_runs_at_once_do_not_hurt_each_other(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget"))
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    arguments = ["widgets", "-s", server.url, "--cache-dir", str(tmp_path), "-o", "ndjson"]
    with Running(arguments, homes[0]) as one, Running(arguments, homes[1]) as two:
        one.until(lambda: "widgets-1" in one.stdout)
        two.until(lambda: "widgets-1" in two.stdout)
        assert (one.stderr, two.stderr) == ("", "")
    assert sorted(path.suffix for path in (tmp_path / "kwatch").iterdir()) == ["", ".json"]


def test_two_users_behind_one_proxy_never_share_an_answer_and_leave_no_trace(cluster: Cluster, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget"))
    with Server(cluster) as server:
        for secret in (CANARY, "another"):
            run = kwatch(["widgets", "-s", server.url, "--count", "1", "--header", f"X-Agent: {secret}"], tmp_path)
            assert run.returncode == 0, run.stderr
        assert asked(server) == 4
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if CANARY in str(path) or CANARY.encode() in path.read_bytes()]


def test_the_demo_keeps_nothing(tmp_path: Path) -> None:
    run = kwatch(["demo", "all", "--duration", "300ms"], tmp_path)
    assert run.returncode == 0, run.stderr
    assert not (tmp_path / ".kube").exists()


def test_overload_at_the_start_is_waited_for_with_a_notice(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    install(cluster, crd("widgets", "Widget"))
    server.script(Fault(verb="discovery", status=429, headers={"Retry-After": "1"}, body="busy"))
    run = kwatch(["widgets", "-s", server.url, "--count", "1"], tmp_path)
    assert run.returncode == 0
    assert re.fullmatch(rf"kwatch: {server.url}/apis?: 429 busy; asking again in 1.0s\n", run.stderr)


def test_duration_and_ctrl_c_cut_a_hanging_discovery_short(tmp_path: Path) -> None:
    with ScriptedServer(lambda peer: peer.hold()) as server:
        run = kwatch(["widgets", "-s", server.url, "--duration", "500ms"], tmp_path)
        said = "kwatch: error: widgets: never listed within 0.5s: no answer\n"
        assert (run.returncode, run.stdout, run.stderr) == (1, "", said)
        with Running(["widgets", "-s", server.url], tmp_path) as running:
            running.until(lambda: len(server.requests) == 2)
            code, seconds = running.end()
            assert code == 130
            assert seconds < 5
