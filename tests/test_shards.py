"""--shard: one of several equal parts of a watch, whether or not the server knows of shards."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from command import kwatch
from hypothesis import given
from hypothesis import strategies as st
from recordings import body, recording
from watching import CONFIG_MAPS, watched

from kwatch.cluster.kubeconfig import Connection
from kwatch.model import Change, Query, Signal, Synced
from kwatch.sandbox import Cluster, Fault, Server, selection
from kwatch.shards import Shard, fnv1a

COUNT = 5


@given(st.text(), st.integers(1, 64))
def test_each_uid_is_of_exactly_one_shard(uid: str, count: int) -> None:
    assert sum(Shard(index, count).holds(uid) for index in range(count)) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 1000])
def test_the_shards_cover_all_hashes_and_are_equal_but_for_one(count: int) -> None:
    bounds = [Shard(index, count).bounds for index in range(count)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == 2**64
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert {end - first for first, end in bounds} <= {2**64 // count, 2**64 // count + 1}


def test_the_hash_and_the_selector_are_those_of_a_real_server() -> None:
    half = Shard(0, 2)
    assert half.selector == "shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000')"
    assert f"shardSelector={half.selector}" in unquote(recording("list-shard")["request"])
    uids = [one["metadata"]["uid"] for one in json.loads(body("list-shard"))["items"]]
    assert uids
    assert all(half.holds(uid) for uid in uids)
    assert fnv1a("") == 0xCBF29CE484222325
    assert fnv1a("a") == 0xAF63DC4C8601EC8C


def of_shard(server: Server, index: int) -> list[Change]:
    """What a watch of one shard hands on up to a relist, while objects go and come again."""
    query = Query(CONFIG_MAPS.resource, "default", shard=Shard(index, COUNT))
    synced: list[int] = []

    def enough(signals: list[Signal]) -> bool:
        found = sum(isinstance(one, Synced) for one in signals)
        if found == 1 and not synced:
            synced.append(1)
            for number in range(12):
                server.cluster.delete("configmaps", "default", f"thing-{number}")
            for number in range(6):
                server.cluster.create("configmaps", {"metadata": {"name": f"thing-{number}"}})
            server.cluster.compact()
        return found == 2

    return [one for one in watched(Connection(server=server.url), enough, query=query) if isinstance(one, Change)]


@pytest.mark.parametrize("known", [True, False])
def test_the_union_of_all_shards_is_the_whole_over_recreation_and_relist(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not known:  # as before Kubernetes 1.36: the parameter is ignored
        monkeypatch.setattr(selection, "shard_predicate", lambda text: None)
    seen: list[Change] = []
    state: dict[tuple[str, str], str] = {}
    for index in range(COUNT):
        cluster = Cluster(seed=3)  # the same history again, for each shard on its own
        for number in range(40):
            cluster.create("configmaps", {"metadata": {"name": f"thing-{number}"}})
        with Server(cluster) as running:
            running.script(Fault(verb="watch", cut=0))
            seen += of_shard(running, index)
            now = {one["metadata"]["uid"] for one in cluster.list("configmaps", "default")}
    for change in seen:
        if change.type == "DELETED":
            del state[change.key[1], change.uid]
        else:
            assert (change.key[1], change.uid) not in state
            state[change.key[1], change.uid] = change.version
    assert {uid for _, uid in state} == now
    assert len(seen) == 40 + 12 + 6


def test_the_server_is_asked_for_the_shard_and_the_command_prints_it(tmp_path: Path) -> None:
    cluster = Cluster()
    for number in range(60):
        cluster.create("configmaps", {"metadata": {"name": f"thing-{number}"}})
    names: list[str] = []
    with Server(cluster) as server:
        for index in range(3):
            arguments = ["configmaps", "-s", server.url, "-o", "ndjson", "--shard", f"{index}/3", "--duration", "0.5s"]
            done = kwatch(arguments, tmp_path)
            assert done.returncode == 0, done.stderr
            names += [json.loads(line)["object"]["metadata"]["name"] for line in done.stdout.splitlines()]
        asked = {request.query["shardSelector"] for request in server.requests if "shardSelector" in request.query}
    assert sorted(names) == sorted(f"thing-{number}" for number in range(60))
    assert asked == {Shard(index, 3).selector for index in range(3)}


@pytest.mark.parametrize("wrong", ["3/3", "0/0", "a/b", "1", "-1/3"])
def test_what_is_no_shard_is_refused(tmp_path: Path, wrong: str) -> None:
    done = kwatch(["configmaps", "--shard", wrong], tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "shard" in done.stderr
