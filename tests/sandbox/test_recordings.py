"""What the sandbox serves has the shape of what a real kube-apiserver served: key by key, in order."""

from __future__ import annotations

import json
import re

import pytest
from sandbox.wire import Client, pod, recording

from kwatch.sandbox import Cluster, Server

POD_CASES = ["list-objects", "list-partial", "list-table", "get-object", "get-table", "list-unknown-namespace"]


def shape(value, within=""):
    """Keys in order and types; managedFields down to the keys of an entry."""
    if within == "managedFields":
        return "managedFields"
    if within in ("labels", "annotations", "fieldsV1"):
        return "map"
    if isinstance(value, dict):
        return [(key, shape(item, key)) for key, item in value.items()]
    if isinstance(value, list):
        shapes = [shape(item) for item in value]
        return [item for index, item in enumerate(shapes) if item not in shapes[:index]]
    return type(value).__name__


def shapes_of(text):
    return [shape(json.loads(line)) for line in text.split("\n") if line.strip()]


def assert_same_form(answer, recorded):
    """Status, header names and values but for lengths and dates, the shape of the body, the newline at its end."""
    assert answer.status == int(recorded["status"].split()[1])
    for name, value in recorded["headers"].items():
        if name not in ("Content-Length", "Transfer-Encoding"):
            assert answer.headers[name] == value
    streamed = recorded["request"].count("watch=1") and answer.status == 200
    assert (answer.headers.get("Transfer-Encoding") == "chunked") == (bool(streamed) or len(answer.body) > 2048)
    assert answer.body.endswith(b"\n") == recorded["body"].endswith("\n")


@pytest.fixture
def recorded_cluster(cluster):
    """Namespace `rec` with the recorded pods, written as they were: created by one manager, started by another."""
    cluster.create("namespaces", {"metadata": {"name": "rec"}})
    for item in json.loads(recording("list-objects")["body"])["items"]:
        status = item.pop("status")
        del item["metadata"]["uid"], item["metadata"]["creationTimestamp"]
        created = cluster.create("pods", item, manager="kubectl-create")
        cluster.update("pods", {**created, "status": status}, subresource="status", manager="python-requests")
    return cluster


@pytest.mark.parametrize("case", POD_CASES)
def test_pods_are_served_in_the_recorded_form(recorded_cluster, client, case):
    recorded = recording(case)
    answer = client.get(recorded["request"].split()[1], recorded["accept"])
    assert_same_form(answer, recorded)
    assert shape(answer.json) == shape(json.loads(recorded["body"]))


def test_pages_have_the_recorded_form_and_the_token_is_made_alike(recorded_cluster, client):
    token = ""
    for number in (1, 2, 3):
        recorded = recording(f"list-page-{number}")
        answer = client.get(f"/api/v1/namespaces/rec/pods?limit=2&continue={token}")
        assert_same_form(answer, recorded)
        want = json.loads(recorded["body"])
        assert shape(answer.json) == shape(want)
        assert answer.json["metadata"].get("remainingItemCount") == want["metadata"].get("remainingItemCount")
        assert [i["metadata"]["name"] for i in answer.json["items"]] == [i["metadata"]["name"] for i in want["items"]]
        token = answer.json["metadata"].get("continue", "")
        assert "=" not in token


def test_an_empty_list_and_table_have_the_recorded_form(recorded_cluster, client):
    for case in ("list-empty", "list-empty-table", "events-table", "events"):
        recorded = recording(case)
        answer = client.get(recorded["request"].split()[1], recorded["accept"])
        assert shape(answer.json) == shape(json.loads(recorded["body"]))


def frames_of(client, case, version=None):
    recorded = recording(case)
    path = re.sub(r"resourceVersion=\d{2,}", f"resourceVersion={version}", recorded["request"].split()[1])
    path = re.sub(r"timeoutSeconds=[23]", "timeoutSeconds=1", path).replace("timeoutSeconds=4", "timeoutSeconds=3")
    answer = client.stream(path, recorded["accept"])
    return recorded, answer


def play_recorded_changes(cluster):
    """What happened while watch-objects was recorded: labels, an annotation, a deletion in two steps, a new pod."""
    cluster.graceful = True
    cluster.patch("pods", "rec", "p0", {"metadata": {"labels": {"step": "1"}}})
    cluster.patch("pods", "rec", "p0", {"metadata": {"annotations": {"note": "naïve 🚀"}}})
    cluster.delete("pods", "rec", "p1")
    created = cluster.create("pods", pod("p9", "rec", labels={"run": "p9"}))
    created["spec"]["nodeName"] = "node-2"
    stamp = cluster.stamp()
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": stamp}
    created["status"] = {"phase": "Pending", "conditions": [scheduled], "qosClass": "BestEffort"}
    created = cluster.update("pods", created)
    running = cluster.get("pods", "rec", "p0")["status"]
    waiting = {**running["containerStatuses"][0], "state": {"waiting": {"reason": "ContainerCreating"}}}
    status = {**running, "phase": "Pending", "containerStatuses": [waiting]}
    created = cluster.update("pods", {**created, "status": status}, subresource="status")
    cluster.delete("pods", "rec", "p1", grace=0)
    cluster.update("pods", {**created, "status": running}, subresource="status")


@pytest.mark.parametrize("case", ["watch-objects", "watch-table", "watch-partial"])
def test_a_watch_has_frames_of_the_recorded_shapes(recorded_cluster, client, case):
    recorded, answer = frames_of(client, case, recorded_cluster.resource_version)
    assert_same_form(answer, {**recorded, "body": ""})
    play_recorded_changes(recorded_cluster)
    want = shapes_of(recorded["body"])
    types = [event["type"] for event in answer.read_events(9)]
    got = shapes_of(answer.body.decode())
    assert got[0] == want[0]
    for frame in want:
        assert frame in got
    for frame in got if case != "watch-table" else ():  # there p0 came once only, in the frame with the columns
        assert frame in want
    assert types == [*["MODIFIED"] * 3, "ADDED", *["MODIFIED"] * 3, "DELETED", "MODIFIED"]


@pytest.mark.parametrize("case", ["watch-no-rv", "watch-rv-0", "watch-initial-events", "watch-initial-events-table"])
def test_initial_events_have_the_recorded_form(recorded_cluster, client, case):
    recorded, answer = frames_of(client, case)
    answer.read()
    want = [json.loads(line) for line in recorded["body"].split("\n")[:-1]]
    got = answer.events[: len(want)]  # one more bookmark may come before the end
    assert [e["type"] for e in got] == [e["type"] for e in want]
    assert shape(got[0]) == shape(want[0])
    if want[-1]["type"] == "BOOKMARK":
        assert shape(got[-1]) == shape(want[-1])
        assert got[-1]["object"]["metadata"]["resourceVersion"] == str(recorded_cluster.resource_version)
    assert answer.end == "complete"


@pytest.mark.parametrize("case", ["watch-timeout-bookmark", "watch-timeout-bookmark-table"])
def test_the_bookmark_before_the_end_has_the_recorded_form(recorded_cluster, client, case):
    recorded, answer = frames_of(client, case, recorded_cluster.resource_version)
    recorded_cluster.patch("pods", "rec", "p0", {"metadata": {"labels": {"step": "2"}}})
    answer.read(patience=6)
    assert answer.end == "complete"
    last, want = answer.body.decode().split("\n")[-2], recorded["body"].split("\n")[-2]
    number = re.compile(r'"resourceVersion":"\d+"')
    assert number.sub("", last) == number.sub("", want)


def test_a_pod_that_leaves_a_selector_and_enters_it_again_has_the_recorded_form(recorded_cluster, client):
    recorded, answer = frames_of(client, "watch-leaves-selector", recorded_cluster.resource_version)
    for label in ("b", "a"):
        recorded_cluster.patch("pods", "rec", "p3", {"metadata": {"labels": {"app": label}}})
    events = answer.read_events(2)
    assert shapes_of(answer.body.decode()) == shapes_of(recorded["body"])
    left, entered = events
    assert (left["type"], entered["type"]) == ("DELETED", "ADDED")
    assert left["object"]["metadata"]["labels"] == {"app": "a"}
    assert int(left["object"]["metadata"]["resourceVersion"]) == recorded_cluster.resource_version - 1


ERRORS = [
    "bad-field-selector-400",
    "bad-label-selector-400",
    "bad-rv-500",
    "list-continue-with-rv-400",
    "no-such-resource-404",
    "not-acceptable-406",
    "not-found-404",
    "watch-initial-events-bad-422",
]


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_word_for_word_the_recorded_one(recorded_cluster, client, case):
    recorded = recording(case)
    answer = client.get(recorded["request"].split()[1], recorded["accept"])
    assert_same_form(answer, recorded)
    assert answer.body.decode() == recorded["body"]


def test_unauthorized_is_word_for_word_the_recorded_one(cluster):
    with Server(cluster, token="right") as server:
        client = Client(server)
        recorded = recording("unauthorized-401")
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = client.get("/api/v1/pods", **headers)
            assert_same_form(answer, recorded)
            assert answer.body.decode() == recorded["body"]
        assert client.get("/api/v1/pods", Authorization="Bearer right").status == 200


def test_forbidden_is_word_for_word_the_recorded_one(cluster, server, client):
    recorded = recording("forbidden-403")
    server.forbid("list", "pods", namespace="rec")
    answer = client.get("/api/v1/namespaces/rec/pods")
    assert answer.body.decode() == recorded["body"]
    assert client.get("/api/v1/namespaces/other/pods").status == 200
    server.allow("list", "pods", namespace="rec")
    assert client.get("/api/v1/namespaces/rec/pods").status == 200


def test_expired_versions_are_refused_in_the_recorded_words(recorded_cluster, client):
    path = "/api/v1/namespaces/rec/pods"
    token = client.get(f"{path}?limit=2").json["metadata"]["continue"]
    recorded_cluster.create("configmaps", {"metadata": {"name": "later"}})
    recorded_cluster.compact()
    exact = client.get(f"{path}?resourceVersion=1&resourceVersionMatch=Exact&limit=2")
    assert exact.body.decode() == recording("list-410-exact")["body"]
    expired = client.get(f"{path}?limit=2&continue={token}")
    want = json.loads(recording("list-continue-expired-410")["body"])
    assert expired.status == 410
    assert expired.json == want, "the token of the recording too: it holds no version but -1, and the same name"
    rest = client.get(f"{path}?limit=2&continue={expired.json['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest.json["items"]] == ["p2", "p3"]


@pytest.mark.parametrize("case", ["watch-410-event", "watch-410-event-table"])
def test_an_expired_watch_ends_with_the_recorded_error_event(recorded_cluster, client, case):
    recorded_cluster.compact()
    recorded, answer = frames_of(client, case)
    answer.read()
    numbers = re.compile(r"\(\d+\)")
    assert_same_form(answer, recorded)
    assert numbers.sub("", answer.body.decode()) == numbers.sub("", recorded["body"])
    assert answer.end == "complete"


def test_a_list_of_the_future_is_a_504_with_retry_after(recorded_cluster, client):
    recorded = recording("list-rv-too-large-504")
    answer = client.get(recorded["request"].split()[1])
    assert answer.headers["Retry-After"] == recorded["headers"]["Retry-After"]
    current = re.compile(r"current: \d+")
    assert current.sub("", answer.body.decode()) == current.sub("", recorded["body"])


def test_a_watch_of_the_future_is_silent_until_its_end(recorded_cluster, client):
    path = "/api/v1/namespaces/rec/pods?watch=1&timeoutSeconds=1&resourceVersion=999999999"
    answer = client.stream(path)
    recorded_cluster.patch("pods", "rec", "p0", {"metadata": {"labels": {"step": "9"}}})
    answer.read()
    assert (answer.status, answer.body, answer.end) == (200, b"", "complete")


def test_a_shard_holds_the_objects_whose_uid_hashes_into_it(recorded_cluster, client):
    recorded = recording("list-shard")
    low = client.get(recorded["request"].split()[1], recorded["accept"])
    assert shape(low.json["metadata"]) == shape(json.loads(recorded["body"])["metadata"])
    high = client.get(low_to_high(recorded["request"].split()[1]), recorded["accept"])
    names = [{item["metadata"]["name"] for item in answer.json["items"]} for answer in (low, high)]
    assert names[0] | names[1] == {f"p{number}" for number in range(5)}
    assert not names[0] & names[1]


def low_to_high(path):
    return path.replace("0x8000000000000000", "0x10000000000000000").replace("0x0000000000000000", "0x8000000000000000")


def test_the_recorded_uids_are_in_the_recorded_shard():
    """The hash itself, checked against what the real server chose."""
    from kwatch.sandbox.selection import fnv1a64

    inside = [item["metadata"]["uid"] for item in json.loads(recording("list-shard")["body"])["items"]]
    everything = [item["metadata"]["uid"] for item in json.loads(recording("list-objects")["body"])["items"]]
    assert all(fnv1a64(uid) < 2**63 for uid in inside)
    assert {fnv1a64(uid) < 2**63 for uid in everything} == {True, False}


@pytest.mark.parametrize("case", ["wait-deployment", "wait-deployment-table"])
def test_a_deployment_is_served_in_the_recorded_form(cluster, client, case):
    item = json.loads(recording("wait-deployment")["body"])["items"][0]
    status = item.pop("status")
    del item["metadata"]["uid"]
    created = cluster.create("deployments", item, manager="kubectl-create")
    cluster.update("deployments", {**created, "status": status}, subresource="status", manager="controller")
    recorded = recording(case)
    answer = client.get(recorded["request"].split()[1], recorded["accept"])
    want = json.loads(recorded["body"])
    assert shape(answer.json) == shape(want)
    if "table" in case:
        assert answer.json["columnDefinitions"] == want["columnDefinitions"]
        cells, wanted = answer.json["rows"][0]["cells"], want["rows"][0]["cells"]
        assert cells[:4] + cells[5:] == wanted[:4] + wanted[5:]


def test_nodes_have_the_recorded_columns_and_cells(cluster, client):
    recorded = recording("nodes-table")
    want = json.loads(recorded["body"])
    info = {"kubeletVersion": "v1.36.2", "osImage": "linux", "kernelVersion": "6", "architecture": "amd64"}
    status = {
        "nodeInfo": {**info, "containerRuntimeVersion": "x://1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    cluster.create("nodes", {"metadata": {"name": "node-0"}, "status": status})
    table = client.get("/api/v1/nodes", recorded["accept"]).json
    assert table["columnDefinitions"] == want["columnDefinitions"]
    cells, wanted = table["rows"][0]["cells"], want["rows"][0]["cells"]
    assert cells[:3] + cells[4:] == wanted[:3] + wanted[4:]


@pytest.mark.parametrize(
    ("case", "resource"),
    [("list-table", "pods"), ("events-table", "events"), ("list-empty-table", "configmaps")],
)
def test_column_definitions_are_the_recorded_ones(client, case, resource):
    recorded = recording(case)
    table = client.get(f"/api/v1/{resource}", recorded["accept"]).json
    assert table["columnDefinitions"] == json.loads(recorded["body"])["columnDefinitions"]


EVENT = """{"kind":"Event","apiVersion":"v1","metadata":{"name":"x.18ea327b0dfd4933","namespace":"default",
"uid":"165faadd-ff11-406e-a523-606a0df1d801","resourceVersion":"6959","creationTimestamp":"2026-11-21T23:15:05Z"},
"involvedObject":{"kind":"ReplicaSet","namespace":"default","name":"x","uid":"de82f379-0ff4-4435-a8e7-bc993f803e35",
"apiVersion":"apps/v1","resourceVersion":"6954"},"reason":"SuccessfulCreate","message":"Created pod: x-fqmkj",
"source":{"component":"replicaset-controller"},"firstTimestamp":"2026-11-21T23:15:05Z",
"lastTimestamp":"2026-11-21T23:15:05Z","count":1,"type":"Normal","eventTime":null,
"reportingComponent":"replicaset-controller","reportingInstance":""}"""


def test_an_event_has_the_form_of_the_real_ones_in_both_its_groups(cluster, client):
    want = json.loads(EVENT)
    cluster.create("events", {key: value for key, value in want.items() if key not in ("kind", "apiVersion")})
    got = cluster.list("events")[0]
    del got["metadata"]["managedFields"]
    assert shape(got) == shape(want)
    new = client.get("/apis/events.k8s.io/v1/namespaces/default/events/x.18ea327b0dfd4933").json
    assert (new["apiVersion"], new["note"], new["regarding"]) == (
        "events.k8s.io/v1",
        want["message"],
        want["involvedObject"],
    )
    assert new["deprecatedCount"] == 1
    assert "message" not in new


# ------------------------------------------------------------------ discovery


def served(entries, name="name"):
    """The recorded entries of the resources that the sandbox serves."""
    own = {"configmaps", "events", "namespaces", "nodes", "pods", "secrets", "services"}
    own |= {"controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"}
    keep = []
    for entry in entries:
        plural, _, sub = entry[name].partition("/")
        if plural in own and sub in ("", "status", "scale", "finalize"):
            subresources = entry.get("subresources")
            if subresources:
                known = [s for s in subresources if s["subresource"] in ("status", "scale", "finalize")]
                entry = {**entry, "subresources": known}
            keep.append(entry)
    return keep


@pytest.mark.parametrize("case", ["api-v1", "apis-apps-v1"])
def test_legacy_discovery_says_of_its_kinds_what_was_recorded(client, case):
    recorded = recording(case)
    answer = client.get(recorded["request"].split()[1])
    want = json.loads(recorded["body"])
    assert answer.json == {**want, "resources": served(want["resources"])}
    assert list(answer.json) == list(want)


def test_aggregated_discovery_says_of_its_kinds_what_was_recorded(client):
    for case in ("api-aggregated", "apis-aggregated"):
        recorded = recording(case)
        answer = client.get(recorded["request"].split()[1], recorded["accept"])
        assert_same_form(
            answer,
            {**recorded, "headers": {"Cache-Control": "public", "Content-Type": recorded["headers"]["Content-Type"]}},
        )
        want = {item["metadata"].get("name"): item for item in json.loads(recorded["body"])["items"]}
        for item in answer.json["items"]:
            name = item["metadata"].get("name")
            if name in (None, "apps", "events.k8s.io"):
                version = want[name]["versions"][0]
                assert item["versions"] == [{**version, "resources": served(version["resources"], "resource")}]


def test_an_older_server_answers_the_question_for_aggregated_discovery_in_the_legacy_form(cluster):
    recorded = recording("apis-aggregated")
    with Server(cluster, aggregated_discovery=False) as server:
        answer = Client(server).get("/apis", recorded["accept"])
    assert (answer.json["kind"], answer.headers["Content-Type"]) == ("APIGroupList", "application/json")


def test_groups_and_versions_have_the_recorded_form(client):
    for case in ("api", "apis"):
        recorded = recording(case)
        answer = client.get(recorded["request"].split()[1])
        assert shape(answer.json) == shape(json.loads(recorded["body"]))


def test_the_version_is_the_recorded_one(client):
    recorded = recording("version")
    answer = client.get("/version")
    assert_same_form(answer, recorded)
    assert answer.body.decode() == recorded["body"]


def test_a_plain_list_leaves_in_chunks_of_2048_and_a_table_in_one(recorded_cluster, client):
    plain = client.get("/api/v1/namespaces/rec/pods")
    assert {len(chunk) for chunk in plain.chunks[:-1]} == {2048}
    assert len(client.get("/api/v1/namespaces/rec/pods", recording("list-table")["accept"]).chunks) == 1


def test_html_characters_and_line_separators_are_escaped_as_go_does(cluster, client):
    nasty = "<a> & \u2028\u2029 \u0085 é"
    cluster.create("configmaps", {"metadata": {"name": "x"}, "data": {"k": nasty}})
    body = client.get("/api/v1/namespaces/default/configmaps/x").body
    assert b"\\u003ca\\u003e \\u0026 \\u2028\\u2029 \xc2\x85 \xc3\xa9" in body
    assert json.loads(body)["data"]["k"] == nasty


def test_kind_comes_before_api_version_before_metadata(cluster, client):
    cluster.create("pods", pod("a"))
    body = client.get("/api/v1/namespaces/default/pods/a").body
    assert body.startswith(b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"default","uid":"')
    assert body.endswith(b"}\n")


def test_the_cluster_of_a_recording_is_a_cluster():
    assert Cluster().list("namespaces")[0]["metadata"]["name"] == "default"
