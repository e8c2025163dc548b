"""Watches: what starts them, what they send and in what order, bookmarks, and how they end."""

from __future__ import annotations

import json
import threading
import time

import pytest
from polling import eventually
from sandbox.wire import TABLE, Client, pod

from kwatch.sandbox import Cluster, Server

PODS = "/api/v1/pods?watch=1"


def brief(events):
    return [
        (e["type"], e["object"]["metadata"].get("name"), int(e["object"]["metadata"]["resourceVersion"]))
        for e in events
    ]


def test_a_watch_from_a_version_sends_what_came_after_it_and_goes_on(cluster, client):
    cluster.create("pods", pod("a"))
    version = cluster.resource_version
    cluster.create("pods", pod("b"))
    answer = client.stream(f"{PODS}&resourceVersion={version}")
    cluster.delete("pods", "default", "a")
    assert brief(answer.read_events(2)) == [("ADDED", "b", version + 1), ("DELETED", "a", version + 2)]


def test_a_change_is_sent_at_once(cluster, client):
    answer = client.stream(f"{PODS}&resourceVersion={cluster.resource_version}")
    started = time.monotonic()
    for number in range(20):
        cluster.create("pods", pod(f"p{number}"))
        answer.read_events(number + 1)
    assert time.monotonic() - started < 1


def test_a_deleted_object_has_its_last_content_and_the_version_of_the_deletion(cluster, client):
    created = cluster.create("pods", pod("a", labels={"app": "x"}))
    answer = client.stream(f"{PODS}&resourceVersion={cluster.resource_version}")
    deleted = cluster.delete("pods", "default", "a")
    (event,) = answer.read_events(1)
    assert event["object"]["metadata"]["labels"] == {"app": "x"}
    assert event["object"]["metadata"]["uid"] == created["metadata"]["uid"]
    assert int(event["object"]["metadata"]["resourceVersion"]) == cluster.resource_version
    assert deleted["metadata"]["resourceVersion"] == event["object"]["metadata"]["resourceVersion"]


def test_a_namespaced_watch_hears_of_its_namespace_only(cluster, client):
    answer = client.stream(f"/api/v1/namespaces/a/pods?watch=1&resourceVersion={cluster.resource_version}")
    for namespace in ("b", "a", "a-b"):
        cluster.create("pods", pod("x", namespace))
    cluster.create("pods", pod("last", "a"))
    assert [e["object"]["metadata"]["namespace"] for e in answer.read_events(2)] == ["a", "a"]


def test_a_selector_sees_objects_enter_change_and_leave(cluster, client):
    cluster.create("pods", pod("a"))
    version = cluster.resource_version
    answer = client.stream(f"{PODS}&labelSelector=on&resourceVersion={version}")
    for labels in ({"on": "1"}, {"on": "2"}, {"on": None}, {"off": "1"}, {"on": "3"}):
        cluster.patch("pods", "default", "a", {"metadata": {"labels": labels}})
    cluster.delete("pods", "default", "a")
    events = answer.read_events(5)
    assert brief(events) == [
        ("ADDED", "a", version + 1),
        ("MODIFIED", "a", version + 2),
        ("DELETED", "a", version + 3),
        ("ADDED", "a", version + 5),
        ("DELETED", "a", version + 6),
    ]
    assert events[2]["object"]["metadata"]["labels"] == {"on": "2"}


def test_a_field_selector_sees_a_phase_reached_and_left(cluster, client):
    cluster.create("pods", pod("a"))
    answer = client.stream(f"{PODS}&fieldSelector=status.phase%3DRunning&resourceVersion={cluster.resource_version}")
    for phase in ("Running", "Succeeded"):
        cluster.patch("pods", "default", "a", {"status": {"phase": phase}})
    events = answer.read_events(2)
    assert [(e["type"], e["object"]["status"]["phase"]) for e in events] == [
        ("ADDED", "Running"),
        ("DELETED", "Running"),
    ]


def test_an_object_can_be_watched_by_its_path(cluster, client):
    cluster.create("pods", pod("a"))
    answer = client.stream(f"/api/v1/namespaces/default/pods/a?watch=1&resourceVersion={cluster.resource_version}")
    cluster.create("pods", pod("b"))
    cluster.delete("pods", "default", "a")
    assert [e["object"]["metadata"]["name"] for e in answer.read_events(1)] == ["a"]


@pytest.mark.parametrize("version", ["", "&resourceVersion=0"])
def test_a_watch_without_a_version_begins_with_what_exists(cluster, client, version):
    for name in "ab":
        cluster.create("pods", pod(name))
    answer = client.stream(PODS + version)
    cluster.create("pods", pod("c"))
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in answer.read_events(3)] == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("ADDED", "c"),
    ]


def test_send_initial_events_false_begins_with_nothing(cluster, client):
    cluster.create("pods", pod("a"))
    answer = client.stream(f"{PODS}&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=1")
    cluster.create("pods", pod("b"))
    assert [e["object"]["metadata"]["name"] for e in answer.read().events] == ["b"]


def test_initial_events_end_with_their_bookmark_before_anything_live(cluster, client):
    for name in "ab":
        cluster.create("pods", pod(name))
    version = cluster.resource_version
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    answer = client.stream(PODS + query)
    cluster.create("pods", pod("c"))
    events = answer.read_events(4)
    assert [e["type"] for e in events] == ["ADDED", "ADDED", "BOOKMARK", "ADDED"]
    assert events[2]["object"]["metadata"] == {
        "resourceVersion": str(version),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }


def test_bookmarks_come_regularly_and_carry_the_current_version(cluster, server, client):
    server.bookmark_interval = 0.05
    answer = client.stream(f"{PODS}&allowWatchBookmarks=true&resourceVersion={cluster.resource_version}")
    answer.read_events(2)
    cluster.create("configmaps", {"metadata": {"name": "unrelated"}})
    eventually(
        lambda: (
            int(answer.read_events(len(answer.events) + 1)[-1]["object"]["metadata"]["resourceVersion"])
            == cluster.resource_version
        )
    )
    assert {e["type"] for e in answer.events} == {"BOOKMARK"}


def test_a_bookmark_is_never_ahead_of_an_event_that_is_still_to_come(cluster, server, client):
    server.bookmark_interval = 0.001
    answer = client.stream(f"{PODS}&allowWatchBookmarks=true&resourceVersion={cluster.resource_version}")
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            cluster.create("pods", pod(f"p{number}"))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    answer.read(lambda answer: answer.body.count(b"BOOKMARK") > 20)
    stop.set()
    writer.join()
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in answer.events]
    assert versions == sorted(versions)


def test_no_bookmarks_without_asking(cluster, server, client):
    server.bookmark_interval = 0.01
    assert client.stream(f"{PODS}&timeoutSeconds=1").read().body == b""


def test_timeout_seconds_ends_the_stream_cleanly_and_the_connection_is_kept(cluster, server, client):
    started = time.monotonic()
    answer = client.stream(f"{PODS}&timeoutSeconds=1").read()
    assert answer.end == "complete"
    assert 0.9 < time.monotonic() - started < 2
    assert "Connection" not in answer.headers
    assert server.connections == 1


def test_columns_come_with_the_first_frame_of_a_table_even_if_it_is_a_bookmark(cluster, server, client):
    server.bookmark_interval = 0.05
    answer = client.stream(f"{PODS}&allowWatchBookmarks=true&resourceVersion={cluster.resource_version}", TABLE)
    answer.read_events(1)
    cluster.create("pods", pod("a"))
    answer.read(lambda answer: b"ADDED" in answer.body)
    first, *rest = answer.events
    assert first["type"] == "BOOKMARK"
    assert len(first["object"]["columnDefinitions"]) == 9
    assert all(event["object"]["columnDefinitions"] is None for event in rest)


def test_a_watcher_that_lags_too_far_behind_is_ended(client):
    cluster = Cluster(watch_buffer=10)
    watcher = cluster.watch(cluster.kind("pods"))
    for number in range(11):
        cluster.create("pods", pod(f"p{number}"))
    assert watcher.closed


def test_what_a_watcher_hasnt_read_yet_survives_a_compaction(cluster, client):
    answer = client.stream(f"{PODS}&resourceVersion={cluster.resource_version}")
    cluster.create("pods", pod("a"))
    cluster.compact()
    assert [e["type"] for e in answer.read_events(1)] == ["ADDED"]


def test_a_client_that_leaves_frees_its_thread_at_once(cluster, server, client):
    answers = [client.stream(PODS) for _ in range(5)]
    eventually(lambda: server.watches == 5)
    for answer in answers:
        answer.close()
    eventually(lambda: (server.watches, server.connections) == (0, 0), seconds=1)


def test_many_events_arrive_in_order_without_loss(cluster, client):
    version = cluster.resource_version
    answer = client.stream(f"{PODS}&resourceVersion={version}")
    kind = cluster.kind("pods")
    for number in range(3000):
        cluster.create_record(kind, pod(f"p{number}"))
    answer.read(lambda answer: answer.body.count(b"\n") >= 3000, patience=20)
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in answer.events]
    assert versions == list(range(version + 1, version + 3001))


def test_the_history_of_a_recording_cluster_is_what_a_full_watcher_saw(cluster, client):
    answer = client.stream(f"{PODS}&resourceVersion=1")
    cluster.create("pods", pod("a"))
    cluster.patch("pods", "default", "a", {"metadata": {"labels": {"x": "y"}}})
    cluster.compact()
    cluster.delete("pods", "default", "a")
    seen = [(e["type"], e["object"]) for e in answer.read_events(3)]
    assert json.loads(json.dumps(cluster.history("pods"))) == [list(pair) for pair in seen]


def test_a_cluster_that_doesnt_record_says_so():
    with pytest.raises(RuntimeError, match="record=True"):
        Cluster().history("pods")


def test_a_removed_crd_ends_its_watches(cluster, client):
    cluster.declare(
        {
            "spec": {
                "group": "example.com",
                "names": {"plural": "widgets", "kind": "Widget"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True}],
            }
        }
    )
    path = "/apis/example.com/v1/widgets"
    answer = client.stream(f"{path}?watch=1")
    cluster.create("widgets", {"metadata": {"name": "w"}})
    cluster.delete("customresourcedefinitions", "", "widgets.example.com")
    assert [e["type"] for e in answer.read().events] == ["ADDED", "DELETED"]
    assert answer.end == "complete"
    assert client.get(path).body == b"404 page not found\n"


def test_servers_of_one_cluster_share_its_state(cluster, server):
    with Server(cluster) as second:
        client = Client(second)
        answer = client.stream(f"{PODS}&resourceVersion={cluster.resource_version}")
        cluster.create("pods", pod("a"))
        assert len(answer.read_events(1)) == 1
        client.close()
