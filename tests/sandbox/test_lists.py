"""Lists: order, pages, snapshots, versions, selectors; and a cluster that compacts or is restored."""

from __future__ import annotations

import pytest
from sandbox.wire import TABLE, Client, pod

from kwatch.sandbox import ApiError, Cluster, Server

PODS = "/api/v1/pods"


def names(answer):
    return [item["metadata"]["name"] for item in answer.json["items"]]


def pages(client, path, between=lambda: None):
    """The names of all pages, doing something between them, and the versions that they say they are of."""
    token, found, versions = "", [], []
    while True:
        answer = client.get(f"{path}&continue={token}")
        assert answer.status == 200, answer.body
        found.append(names(answer))
        versions.append(answer.json["metadata"]["resourceVersion"])
        token = answer.json["metadata"].get("continue", "")
        if not token:
            return found, versions
        between()


def test_items_come_in_the_order_of_etcd(cluster, client):
    for namespace, name in [("b", "x"), ("a", "z"), ("a-b", "y"), ("a", "b")]:
        cluster.create("pods", pod(name, namespace))
    found = [(i["metadata"]["namespace"], i["metadata"]["name"]) for i in client.get(PODS).json["items"]]
    assert found == [("a-b", "y"), ("a", "b"), ("a", "z"), ("b", "x")], '"a-b/" sorts before "a/"'
    assert names(client.get("/api/v1/namespaces/a/pods")) == ["b", "z"]


@pytest.mark.parametrize("scope", ["/api/v1/pods", "/api/v1/namespaces/default/pods"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_hold_everything_once(cluster, client, scope, limit):
    for number in range(7):
        cluster.create("pods", pod(f"p{number}"))
    found, _ = pages(client, f"{scope}?limit={limit}")
    assert [name for page in found for name in page] == [f"p{number}" for number in range(7)]
    assert {len(page) for page in found[:-1]} <= {limit}


def test_pages_are_of_one_moment_whatever_happens_between_them(cluster, client):
    for number in range(6):
        cluster.create("pods", pod(f"p{number}"))
    changes = iter(
        [
            lambda: cluster.delete("pods", "default", "p4"),
            lambda: (cluster.create("pods", pod("p2b")), cluster.delete("pods", "default", "p2b")),
            lambda: (cluster.create("pods", pod("p3b")), cluster.delete("pods", "default", "p3")),
            lambda: cluster.create("pods", pod("p9")),
            lambda: cluster.patch("pods", "default", "p5", {"metadata": {"labels": {"a": "b"}}}),
        ]
    )
    found, versions = pages(client, f"{PODS}?limit=1", lambda: next(changes)())
    assert [name for page in found for name in page] == [f"p{number}" for number in range(6)]
    assert len(set(versions)) == 1


def test_remaining_items_are_counted_as_of_the_first_page_and_not_with_a_selector(cluster, client):
    for number in range(5):
        cluster.create("pods", pod(f"p{number}", labels={"app": "a"}))
    first = client.get(f"{PODS}?limit=2").json["metadata"]
    assert first["remainingItemCount"] == 3
    cluster.delete("pods", "default", "p4")
    assert client.get(f"{PODS}?limit=1&continue={first['continue']}").json["metadata"]["remainingItemCount"] == 2
    assert "remainingItemCount" not in client.get(f"{PODS}?limit=2&labelSelector=app").json["metadata"]


def test_pages_with_a_selector_hold_what_it_selects(cluster, client):
    for number in range(9):
        cluster.create("pods", pod(f"p{number}", labels={"odd": str(number % 2)}))
    found, _ = pages(client, f"{PODS}?limit=2&labelSelector=odd%3D1")
    assert [name for page in found for name in page] == ["p1", "p3", "p5", "p7"]


def test_a_list_at_an_exact_version_is_the_past(cluster, client):
    cluster.create("pods", pod("old"))
    version = cluster.resource_version
    cluster.delete("pods", "default", "old")
    cluster.create("pods", pod("new"))
    exact = client.get(f"{PODS}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert (names(exact), exact.json["metadata"]["resourceVersion"]) == (["old"], str(version))
    assert names(client.get(f"{PODS}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")) == ["new"]
    assert names(client.get(f"{PODS}?resourceVersion=0")) == ["new"]


def test_the_history_is_bounded_for_each_resource():
    cluster = Cluster(history=3)
    cluster.create("pods", pod("first"))
    first = cluster.resource_version
    for number in range(4):
        cluster.create("configmaps", {"metadata": {"name": f"c{number}"}})
    with Server(cluster) as server:
        client = Client(server)
        exact = f"resourceVersion={first}&resourceVersionMatch=Exact"
        assert client.get(f"{PODS}?{exact}").status == 200
        for number in range(4):
            cluster.create("pods", pod(f"p{number}"))
        assert client.get(f"{PODS}?{exact}").status == 410


def test_a_version_older_than_a_compaction_is_410_and_the_present_is_not(cluster, client):
    cluster.create("pods", pod("a"))
    before = cluster.resource_version
    cluster.create("configmaps", {"metadata": {"name": "c"}})
    cluster.compact()
    watch = f"{PODS}?watch=1&timeoutSeconds=1"
    assert client.stream(f"{watch}&resourceVersion={before}").read().json["object"]["code"] == 410
    now = client.stream(f"{watch}&resourceVersion={cluster.resource_version}").read()
    assert (now.body, now.end) == (b"", "complete")


def test_a_restored_etcd_has_its_state_and_version_back(cluster, client):
    cluster.create("pods", pod("a"))
    version = cluster.resource_version
    stream = client.stream(f"{PODS}?watch=1&resourceVersion={version}")
    cluster.create("pods", pod("b"))
    cluster.delete("pods", "default", "a")
    assert len(stream.read_events(2)) == 2
    cluster.rewind(version)
    assert stream.read().end == "complete"
    answer = client.get(PODS)
    assert (names(answer), answer.json["metadata"]["resourceVersion"]) == (["a"], str(version))
    cluster.compact()
    with pytest.raises(ApiError, match="too old"):
        cluster.rewind(version - 1)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=x", 400),
        ("continue=!!!", 400),
        ("continue=e30", 400),
        ("resourceVersion=1x", 500),
        ("resourceVersion=-1", 500),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("labelSelector=a%20b", 400),
        ("fieldSelector=metadata.name", 400),
        ("shardSelector=nonsense", 400),
    ],
)
def test_what_makes_no_sense_is_refused(client, query, status):
    answer = client.get(f"{PODS}?{query}")
    assert (answer.status, answer.json["code"], answer.json["kind"]) == (status, status, "Status")


LABELS = [
    ("", "abc"),
    ("app", "ab"),
    ("!app", "c"),
    ("app=x", "a"),
    ("app==x", "a"),
    ("app!=x", "bc"),
    ("app in (x, y)", "ab"),
    ("app notin (x)", "bc"),
    ("app in (x),tier", "a"),
    ("app,!tier", "b"),
    ("tier=", ""),
    ("size>1", "b"),
    ("size<2", "a"),
    ("example.com/part=1", "c"),
    (" app = x , tier = front ", "a"),
]


@pytest.mark.parametrize(("selector", "expected"), LABELS)
def test_label_selectors(cluster, selector, expected):
    cluster.create("pods", pod("a", labels={"app": "x", "tier": "front", "size": "1"}))
    cluster.create("pods", pod("b", labels={"app": "y", "size": "2"}))
    cluster.create("pods", pod("c", labels={"example.com/part": "1"}))
    assert "".join(item["metadata"]["name"] for item in cluster.list("pods", label_selector=selector)) == expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("==", "found '==', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b', expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a>x", "must be an integer"),
        ("-a=b", "Invalid value"),
        ("a=$", "Invalid value"),
    ],
)
def test_bad_label_selectors_say_what_was_expected(cluster, selector, message):
    with pytest.raises(ApiError) as caught:
        cluster.list("pods", label_selector=selector)
    assert caught.value.code == 400
    assert message in caught.value.message


FIELDS = [
    ("metadata.name=a", "a"),
    ("metadata.name!=a", "bc"),
    ("status.phase=Pending", "abc"),
    ("status.phase==Running", ""),
    ("spec.nodeName=n1", "b"),
    ("spec.nodeName=", "ac"),
    ("metadata.namespace=default,spec.nodeName!=n1", "ac"),
    ("spec.hostNetwork=true", "c"),
]


@pytest.mark.parametrize(("selector", "expected"), FIELDS)
def test_field_selectors(cluster, selector, expected):
    cluster.create("pods", pod("a"))
    cluster.create("pods", {**pod("b"), "spec": {"nodeName": "n1", "containers": []}})
    cluster.create("pods", {**pod("c"), "spec": {"hostNetwork": True, "containers": []}})
    assert "".join(item["metadata"]["name"] for item in cluster.list("pods", field_selector=selector)) == expected


def test_events_are_selected_by_what_they_are_about(cluster, client):
    for name, kind in (("x", "Pod"), ("y", "Node")):
        about = {"kind": kind, "name": name}
        cluster.create("events", {"metadata": {"name": f"{name}.1"}, "involvedObject": about, "reason": "Started"})
    query = "?fieldSelector=involvedObject.kind%3DPod,reason%3DStarted"
    assert names(client.get(f"/api/v1/events{query}")) == ["x.1"]
    assert names(client.get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.kind%3DNode")) == ["y.1"]


def test_metadata_and_tables_can_be_asked_for_in_any_mixture(cluster, client):
    cluster.create("pods", pod("a"))
    for include, expected in (("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "Pod")):
        row = client.get(f"{PODS}?includeObject={include}", TABLE).json["rows"][0]
        assert (row["object"] or {}).get("kind") == expected
    assert client.get(PODS, "application/xml, application/json").json["kind"] == "PodList"
    assert client.get(PODS, "*/*").json["kind"] == "PodList"
    assert client.get(PODS, "application/json;as=Nonsense").status == 406
