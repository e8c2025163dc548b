"""Writes: through the API and through the cluster, what they fill in, what they refuse, what they cause."""

from __future__ import annotations

import json
import re

import pytest
from customs import crd
from sandbox.wire import pod

from kwatch.sandbox import ApiError, Cluster

PODS = "/api/v1/namespaces/default/pods"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def patch(client, path, body, media=MERGE):
    return client.request(path, "PATCH", body=body, Content_Type=media)


def test_create_fills_in_what_the_server_fills_in(cluster, client):
    manifest = {"kind": "Pod", "apiVersion": "v1", **pod("a"), "status": {"phase": "Running"}}
    manifest["metadata"]["creationTimestamp"] = None
    answer = client.request(PODS, "POST", body=manifest, User_Agent="tool/1.0")
    item = answer.json
    assert answer.status == 201
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", item["metadata"]["uid"])
    assert (item["metadata"]["generation"], item["metadata"]["resourceVersion"]) == (1, str(cluster.resource_version))
    assert item["metadata"]["creationTimestamp"].endswith("Z")
    assert item["metadata"]["managedFields"][0]["manager"] == "tool"
    assert item["status"] == {"phase": "Pending", "qosClass": "BestEffort"}, "the client has no say in the status"
    assert item["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert item == cluster.get("pods", "default", "a")


def test_a_secrets_string_data_is_kept_in_its_data(client):
    secrets = "/api/v1/namespaces/default/secrets"
    manifest = {"metadata": {"name": "s"}, "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "né"}}
    assert client.request(secrets, "POST", body=manifest).json["data"] == {"a": "bsOp", "b": "Yg=="}
    answer = patch(client, f"{secrets}/s", {"stringData": {"c": "x"}}).json
    assert (answer["data"], "stringData" in answer) == ({"a": "bsOp", "b": "Yg==", "c": "eA=="}, False)
    assert "f:stringData" not in json.dumps(answer["metadata"]["managedFields"])


def test_generated_names_end_in_five_random_characters(cluster):
    created = cluster.create("pods", {"metadata": {"generateName": "x-"}})
    assert re.fullmatch(r"x-[a-z0-9]{5}", created["metadata"]["name"])


def test_a_seed_makes_a_cluster_reproducible():
    uids = [Cluster(seed=7).create("pods", pod("a"))["metadata"]["uid"] for _ in range(2)]
    assert uids[0] == uids[1]


def test_what_goes_in_and_comes_out_are_copies(cluster):
    manifest = pod("a", labels={"x": "1"})
    created = cluster.create("pods", manifest)
    manifest["metadata"]["labels"]["x"] = created["metadata"]["labels"]["x"] = "2"
    assert cluster.get("pods", "default", "a")["metadata"]["labels"] == {"x": "1"}


REFUSED = [
    ("POST", PODS, pod("taken"), 409, "AlreadyExists"),
    ("POST", PODS, b"{nonsense", 400, "BadRequest"),
    ("POST", PODS, [1], 400, "BadRequest"),
    ("POST", PODS, {"metadata": {}}, 422, "Invalid"),
    ("POST", PODS, pod("x", "other"), 400, "BadRequest"),
    ("POST", PODS, {**pod("x"), "kind": "Node"}, 400, "BadRequest"),
    ("POST", "/api/v1/namespaces/nosuch/pods", pod("x", "nosuch"), 404, "NotFound"),
    ("POST", f"{PODS}?dryRun=All", pod("x"), 400, "BadRequest"),
    ("PUT", f"{PODS}/nosuch", pod("nosuch"), 404, "NotFound"),
    ("PUT", f"{PODS}/taken", pod("other"), 400, "BadRequest"),
    ("PUT", f"{PODS}/taken", pod("taken", resourceVersion="1"), 409, "Conflict"),
    ("PUT", f"{PODS}/taken", pod("taken", uid="wrong"), 409, "Conflict"),
    ("PUT", PODS, pod("taken"), 405, "MethodNotAllowed"),
    ("PATCH", f"{PODS}/nosuch", {}, 404, "NotFound"),
    ("DELETE", f"{PODS}/nosuch", None, 404, "NotFound"),
    ("DELETE", f"{PODS}/taken", {"preconditions": {"uid": "wrong"}}, 409, "Conflict"),
    ("GET", f"{PODS}/taken/nosuch", None, 404, "NotFound"),
    ("GET", "/api/v1/nosuch", None, 404, "NotFound"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "reason"), REFUSED)
def test_what_cant_be_done_is_refused_with_a_status(cluster, client, method, path, body, status, reason):
    cluster.create("pods", pod("taken"))
    before = cluster.resource_version
    media = MERGE if method == "PATCH" else "application/json"
    answer = client.request(path, method, body=body, Content_Type=media)
    assert (answer.status, answer.json["reason"], answer.json["kind"]) == (status, reason, "Status")
    assert cluster.resource_version == before


def test_media_types_that_it_doesnt_read_are_a_415(cluster, client):
    cluster.create("pods", pod("a"))
    assert client.request(PODS, "POST", body=b"x: y", Content_Type="application/yaml").status == 415
    assert patch(client, f"{PODS}/a", {}, "application/nonsense").status == 415


def test_the_generation_counts_changes_of_the_spec(cluster):
    item = {"metadata": {"name": "d"}, "spec": {"replicas": 1, "template": {"metadata": {"labels": {"a": "b"}}}}}
    cluster.create("deployments", item)
    steps = [{"spec": {"replicas": 2}}, {"status": {"replicas": 2}}, {"metadata": {"labels": {"x": "y"}}}]
    generations = [cluster.patch("deployments", "default", "d", step)["metadata"]["generation"] for step in steps]
    assert generations == [2, 2, 2]


def test_an_update_that_changes_nothing_is_no_event(cluster):
    created = cluster.create("pods", pod("a"))
    before = cluster.resource_version
    assert cluster.update("pods", created) == created
    assert cluster.patch("pods", "default", "a", {"metadata": {"labels": None}}) == created
    assert cluster.resource_version == before


def test_the_status_is_written_through_its_subresource_and_only_there(cluster, client):
    item = cluster.create("pods", pod("a"))
    item["status"]["phase"] = "Running"
    item["spec"]["containers"][0]["image"] = "other"
    updated = client.request(f"{PODS}/a", "PUT", body=item).json
    assert (updated["status"]["phase"], updated["spec"]["containers"][0]["image"]) == ("Pending", "other")
    del item["metadata"]["resourceVersion"]
    item["spec"]["containers"][0]["image"] = "third"
    updated = client.request(f"{PODS}/a/status", "PUT", body=item).json
    assert (updated["status"]["phase"], updated["spec"]["containers"][0]["image"]) == ("Running", "other")
    assert [entry.get("subresource") for entry in updated["metadata"]["managedFields"]][-1] == "status"
    assert patch(client, f"{PODS}/a/status", {"status": {"message": "m"}}).json["status"]["message"] == "m"
    assert client.get(f"{PODS}/a/status").json["status"]["phase"] == "Running"


def test_merge_patches(cluster, client):
    cluster.create("pods", pod("a", labels={"x": "1", "y": "2"}))
    item = patch(client, f"{PODS}/a", {"metadata": {"labels": {"x": None, "z": "3"}}}).json
    assert item["metadata"]["labels"] == {"y": "2", "z": "3"}


def test_json_patches(cluster, client):
    cluster.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1", "b/c": "2"}})
    path = "/api/v1/namespaces/default/configmaps/c"
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "9"},
        {"op": "copy", "from": "/data/a", "path": "/data/d"},
        {"op": "move", "from": "/data/b~1c", "path": "/data/e"},
        {"op": "add", "path": "/data/f", "value": "new"},
        {"op": "remove", "path": "/data/a"},
    ]
    assert patch(client, path, operations, JSON_PATCH).json["data"] == {"d": "9", "e": "2", "f": "new"}
    for wrong in ({"op": "test", "path": "/data/d", "value": "0"}, {"op": "remove", "path": "/data/nosuch"}):
        assert patch(client, path, [wrong], JSON_PATCH).status == 422
    assert patch(client, path, [{"op": "pray"}], JSON_PATCH).status == 400


def test_strategic_merge_patches_merge_lists_by_their_key(cluster, client):
    spec = {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}], "nodeSelector": {"x": "y"}}
    cluster.create("pods", {"metadata": {"name": "p", "finalizers": ["one/f"]}, "spec": spec})
    body = {
        "metadata": {"finalizers": ["two/f"], "$deleteFromPrimitiveList/finalizers": ["one/f"]},
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}],
            "containers": [
                {"name": "b", "image": "b:2"},
                {"$patch": "delete", "name": "a"},
                {"name": "c", "image": "c:1"},
            ],
            "nodeSelector": None,
        },
    }
    item = patch(client, f"{PODS}/p", body, STRATEGIC).json
    assert [(c["name"], c["image"]) for c in item["spec"]["containers"]] == [("b", "b:2"), ("c", "c:1")]
    assert "nodeSelector" not in item["spec"]
    assert item["metadata"]["finalizers"] == ["two/f"]


def test_scale_is_a_view_of_the_replicas(cluster, client):
    template = {"metadata": {"labels": {"app": "d"}}}
    cluster.create("deployments", {"metadata": {"name": "d"}, "spec": {"replicas": 2, "template": template}})
    path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
    scale = client.get(path).json
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 2, "app=d")
    assert client.request(path, "PUT", body={**scale, "spec": {"replicas": 5}}).json["spec"]["replicas"] == 5
    assert patch(client, path, {"spec": {"replicas": 6}}).json["spec"]["replicas"] == 6
    assert patch(client, path, {"spec": {"replicas": -1}}).status == 422
    assert cluster.get("deployments", "default", "d")["spec"]["replicas"] == 6


# ------------------------------------------------------------------ deletion


def test_a_delete_answers_with_a_status_or_with_the_pod(cluster, client):
    cluster.create("configmaps", {"metadata": {"name": "c"}})
    cluster.create("pods", pod("p"))
    status = client.request("/api/v1/namespaces/default/configmaps/c", "DELETE").json
    assert (status["kind"], status["status"], status["details"]["name"]) == ("Status", "Success", "c")
    assert client.request(f"{PODS}/p", "DELETE").json["kind"] == "Pod"
    assert cluster.list("pods") == cluster.list("configmaps") == []


def test_a_collection_can_be_deleted_by_selector(cluster, client):
    for name in "abc":
        cluster.create("pods", pod(name, labels={"name": name}))
    deleted = client.request(f"{PODS}?labelSelector=name%21%3Db", "DELETE").json
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in cluster.list("pods")] == ["b"]


def test_finalizers_hold_an_object_until_they_are_gone(cluster, client):
    cluster.create("configmaps", {"metadata": {"name": "c", "finalizers": ["a/b"]}})
    marked = cluster.delete("configmaps", "default", "c")
    assert "deletionTimestamp" in marked["metadata"]
    assert cluster.get("configmaps", "default", "c") == marked
    cluster.patch("configmaps", "default", "c", {"metadata": {"finalizers": None}})
    with pytest.raises(ApiError, match="not found"):
        cluster.get("configmaps", "default", "c")
    assert [kind for kind, _ in cluster.history("configmaps")] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_bound_pod_terminates_first_where_somebody_plays_the_kubelet(cluster):
    cluster.graceful = True
    cluster.create("pods", pod("waiting"))
    cluster.create("pods", {**pod("bound"), "spec": {"nodeName": "n", "containers": []}})
    for name in ("waiting", "bound"):
        cluster.delete("pods", "default", name)
    (bound,) = cluster.list("pods")
    assert (bound["metadata"]["deletionGracePeriodSeconds"], bound["metadata"]["generation"]) == (30, 2)
    cluster.delete("pods", "default", "bound", grace=0)
    graces = [item["metadata"].get("deletionGracePeriodSeconds") for _, item in cluster.history("pods")[-3:]]
    assert graces == [30, 0, 0]
    assert cluster.list("pods") == []


def owned(name, owner, kind):
    reference = {"apiVersion": "v1", "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {"metadata": {"name": name, "ownerReferences": [reference]}}


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_what_an_object_owns_goes_with_it_unless_orphaned(cluster, client, policy):
    deployment = cluster.create("deployments", {"metadata": {"name": "d"}})
    replica_set = cluster.create("replicasets", owned("r", deployment, "Deployment"))
    cluster.create("pods", owned("p", replica_set, "ReplicaSet"))
    cluster.create("pods", pod("stranger"))
    client.request("/apis/apps/v1/namespaces/default/deployments/d", "DELETE", body={"propagationPolicy": policy})
    left = [item["metadata"]["name"] for item in cluster.list("replicasets") + cluster.list("pods")]
    assert left == (["r", "p", "stranger"] if policy == "Orphan" else ["stranger"])


def test_a_namespace_takes_its_contents_with_it(cluster, client):
    cluster.create("namespaces", {"metadata": {"name": "shop"}})
    for resource in ("pods", "services", "deployments"):
        cluster.create(resource, {"metadata": {"name": "x", "namespace": "shop"}})
    cluster.create("pods", pod("x"))
    client.request("/api/v1/namespaces/shop", "DELETE")
    assert [item["metadata"]["namespace"] for item in cluster.list("pods")] == ["default"]
    assert cluster.list("services") == cluster.list("deployments") == []
    phases = [(kind, item["status"]["phase"]) for kind, item in cluster.history("namespaces")[-2:]]
    assert phases == [("MODIFIED", "Terminating"), ("DELETED", "Terminating")]


def test_a_recreated_object_has_another_uid(cluster):
    uids = set()
    for _ in range(3):
        uids.add(cluster.create("pods", pod("a"))["metadata"]["uid"])
        cluster.delete("pods", "default", "a")
    assert len(uids) == 3


def test_a_namespace_and_a_name_whose_join_collides_are_two_objects(cluster):
    cluster.create("pods", pod("b/c", "a"))
    cluster.create("pods", pod("c", "a/b"))
    assert cluster.delete("pods", "a", "b/c")["metadata"]["name"] == "b/c"
    assert [item["metadata"]["namespace"] for item in cluster.list("pods")] == ["a/b"]


@pytest.mark.parametrize("name", ["a%2Fb", "a%25b", "h%C3%A9"])
def test_names_are_decoded_segment_by_segment(cluster, client, name):
    from urllib.parse import unquote

    cluster.create("pods", pod(unquote(name)))
    assert client.get(f"{PODS}/{name}").json["metadata"]["name"] == unquote(name)


# ------------------------------------------------------------------ custom resources


def test_a_definition_created_through_the_api_is_served_at_once(cluster, client):
    definition = crd("widgets", "Widget", scope="Cluster", names={"shortNames": ["wd"]}, subresources={"status": {}})
    assert client.get("/apis/example.com/v1/widgets").body == b"404 page not found\n"
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    created = client.request(path, "POST", body=definition).json
    assert {c["type"]: c["status"] for c in created["status"]["conditions"]}["Established"] == "True"
    assert client.request("/apis/example.com/v1/widgets", "POST", body={"metadata": {"name": "w"}}).status == 201
    assert patch(client, "/apis/example.com/v1/widgets/w", {"spec": {"a": 1}}).json["spec"] == {"a": 1}
    assert patch(client, "/apis/example.com/v1/widgets/w", {}, STRATEGIC).status == 415
    assert "example.com" in [group["name"] for group in client.get("/apis").json["groups"]]
    (resource, status) = client.get("/apis/example.com/v1").json["resources"]
    assert (resource["shortNames"], resource["namespaced"], status["name"]) == (["wd"], False, "widgets/status")
    assert client.request(path, "POST", body={**definition, "spec": {}}).status in (400, 409)


def test_a_definition_that_cant_be_read_is_refused(cluster):
    with pytest.raises(ApiError, match="not understood"):
        cluster.create("customresourcedefinitions", {"metadata": {"name": "x.y"}, "spec": {"group": "y"}})


def test_a_resource_that_isnt_served_is_an_error(cluster):
    with pytest.raises(ApiError) as caught:
        cluster.list("widgets")
    assert caught.value.code == 404


def test_a_body_may_come_in_chunks(cluster, client):
    data = json.dumps(pod("chunky")).encode()
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    import socket

    with socket.create_connection(client.address) as sock:
        head = f"POST {PODS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head.encode() + body)
        assert sock.recv(4096).startswith(b"HTTP/1.1 201")
