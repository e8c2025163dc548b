"""Cells as kubectl prints them."""

from __future__ import annotations

import pytest
from sandbox.wire import TABLE

from kwatch.sandbox import Cluster
from kwatch.sandbox.tables import human_duration, parse_time

NOW = parse_time("2026-01-01T00:00:00Z")
AGO_5M = "2025-12-31T23:55:00Z"

DURATIONS = [
    (-2, "<invalid>"),
    (-0.5, "0s"),
    (0, "0s"),
    (119, "119s"),
    (120, "2m"),
    (121, "2m1s"),
    (599, "9m59s"),
    (600, "10m"),
    (10799, "179m"),
    (10800, "3h"),
    (10860, "3h1m"),
    (28799, "7h59m"),
    (28800, "8h"),
    (172799, "47h"),
    (172800, "2d"),
    (176400, "2d1h"),
    (691199, "7d23h"),
    (691200, "8d"),
    (63071999, "729d"),
    (63072000, "2y"),
    (63158400, "2y1d"),
    (252288000, "8y"),
]


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_durations(seconds, text):
    assert human_duration(seconds) == text


def status_of(name="c", **parts):
    return {"name": name, "ready": False, "restartCount": 0, "state": {}, "lastState": {}, **parts}


def running(**parts):
    return status_of(state={"running": {"startedAt": AGO_5M}}, ready=True, **parts)


def waiting(reason, **parts):
    return status_of(state={"waiting": {"reason": reason}}, **parts)


def terminated(**parts):
    return status_of(state={"terminated": parts})


def a_pod(statuses=(), phase="Running", inits=(), spec=None, metadata=None, **status):
    return {
        "metadata": {"name": "p", "creationTimestamp": AGO_5M, **(metadata or {})},
        "spec": {"containers": [{"name": f"c{i}"} for i in range(max(len(statuses), 1))], **(spec or {})},
        "status": {
            "phase": phase,
            "containerStatuses": list(statuses),
            "initContainerStatuses": list(inits),
            **status,
        },
    }


INITS = {"initContainers": [{"name": "i0"}, {"name": "i1"}]}
SIDECAR = {"initContainers": [{"name": "i0", "restartPolicy": "Always"}]}
RESTARTED = {"terminated": {"exitCode": 1, "finishedAt": "2025-12-31T23:59:50Z"}}
DELETED = {"deletionTimestamp": AGO_5M}
READY = [{"type": "Ready", "status": "True"}]

PODS = [
    (a_pod(phase="Pending"), "0/1 Pending 0"),
    (a_pod([running()]), "1/1 Running 0"),
    (a_pod([running(), waiting("ContainerCreating")], "Pending"), "1/2 ContainerCreating 0"),
    (a_pod([waiting("CrashLoopBackOff", restartCount=3, lastState=RESTARTED)]), "0/1 CrashLoopBackOff 3 (10s ago)"),
    (a_pod([waiting("ImagePullBackOff")], "Pending"), "0/1 ImagePullBackOff 0"),
    (a_pod([running(restartCount=2)]), "1/1 Running 2"),
    (a_pod([terminated(exitCode=0, reason="Completed")], "Succeeded"), "0/1 Completed 0"),
    (a_pod([terminated(exitCode=1, reason="Error")], "Failed"), "0/1 Error 0"),
    (a_pod([terminated(exitCode=7)], "Failed"), "0/1 ExitCode:7 0"),
    (a_pod([terminated(exitCode=137, signal=9)], "Failed"), "0/1 Signal:9 0"),
    (a_pod([running(), terminated(exitCode=0, reason="Completed")], conditions=READY), "1/2 Running 0"),
    (a_pod([running(), terminated(exitCode=0, reason="Completed")]), "1/2 NotReady 0"),
    (a_pod(phase="Failed", reason="Evicted"), "0/1 Evicted 0"),
    (a_pod([running()], metadata=DELETED), "1/1 Terminating 0"),
    (a_pod([terminated(exitCode=0, reason="Completed")], "Succeeded", metadata=DELETED), "0/1 Completed 0"),
    (a_pod([running()], metadata=DELETED, reason="NodeLost"), "1/1 Unknown 0"),
    (
        a_pod(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
        "0/1 SchedulingGated 0",
    ),
    (a_pod(phase="Pending", inits=[running(name="i0"), waiting("PodInitializing")], spec=INITS), "0/1 Init:0/2 0"),
    (a_pod(phase="Pending", inits=[terminated(exitCode=0), running()], spec=INITS), "0/1 Init:1/2 0"),
    (
        a_pod(phase="Pending", inits=[waiting("CrashLoopBackOff", restartCount=4)], spec=INITS),
        "0/1 Init:CrashLoopBackOff 4",
    ),
    (a_pod(phase="Pending", inits=[terminated(exitCode=2)], spec=INITS), "0/1 Init:ExitCode:2 0"),
    (a_pod(phase="Pending", inits=[terminated(exitCode=2, signal=9)], spec=INITS), "0/1 Init:Signal:9 0"),
    (a_pod(phase="Pending", inits=[terminated(exitCode=2, reason="Error")], spec=INITS), "0/1 Init:Error 0"),
    (a_pod([running()], inits=[running(name="i0", started=True)], spec=SIDECAR), "2/2 Running 0"),
    (a_pod([running()], inits=[running(name="i0", started=True, restartCount=5)], spec=SIDECAR), "2/2 Running 5"),
]


@pytest.mark.parametrize(("pod", "expected"), PODS)
def test_pods(pod, expected):
    cells = Cluster().kind("pods").row(pod, NOW)
    assert " ".join(cells[1:4]) == expected
    assert cells[4] == "5m"


def test_the_wide_cells_of_a_pod():
    gates = {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}], "nodeName": "n"}
    pod = a_pod([running()], spec=gates, podIPs=[{"ip": "10.1.2.3"}], nominatedNodeName="m")
    pod["status"]["conditions"] = [{"type": "a", "status": "True"}]
    assert Cluster().kind("pods").row(pod, NOW)[5:] == ["10.1.2.3", "n", "m", "1/2"]


META = {"name": "x", "creationTimestamp": AGO_5M}
TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:2"}]}}
SELECTOR = {"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["b", "a"]}]}
ROWS = [
    (
        "deployments",
        {
            "spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
            "status": {"readyReplicas": 2, "updatedReplicas": 1},
        },
        ["x", "2/3", 1, 0, "5m", "a,b", "i:1,j:2", "app=x,k in (a,b)"],
    ),
    (
        "replicasets",
        {"spec": {"replicas": 3, "template": TEMPLATE}, "status": {"replicas": 2, "readyReplicas": 1}},
        ["x", 3, 2, 1, "5m", "a,b", "i:1,j:2", "<none>"],
    ),
    ("statefulsets", {"spec": {"replicas": 2, "template": TEMPLATE}}, ["x", "0/2", "5m", "a,b", "i:1,j:2"]),
    (
        "daemonsets",
        {
            "spec": {"template": {"spec": {**TEMPLATE["spec"], "nodeSelector": {"disk": "ssd"}}}},
            "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
        },
        ["x", 3, 2, 1, 0, 0, "disk=ssd", "5m", "a,b", "i:1,j:2", "<none>"],
    ),
    (
        "jobs",
        {"spec": {"completions": 3, "template": TEMPLATE}, "status": {"succeeded": 1, "startTime": AGO_5M}},
        ["x", "Running", "1/3", "5m", "5m", "a,b", "i:1,j:2", "<none>"],
    ),
    (
        "jobs",
        {
            "spec": {"parallelism": 2},
            "status": {
                "conditions": [{"type": "Complete", "status": "True"}],
                "startTime": AGO_5M,
                "completionTime": "2025-12-31T23:55:30Z",
            },
        },
        ["x", "Complete", "0/1 of 2", "30s", "5m", "", "", "<none>"],
    ),
    ("jobs", {"status": {"conditions": [{"type": "Suspended", "status": "True"}]}}, ["x", "Suspended", "0/1", ""]),
    (
        "services",
        {
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "10.0.0.1",
                "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}],
            }
        },
        ["x", "ClusterIP", "10.0.0.1", "<none>", "80/TCP,53/UDP", "5m", "<none>"],
    ),
    (
        "services",
        {
            "spec": {
                "type": "LoadBalancer",
                "clusterIP": "10.0.0.1",
                "ports": [{"port": 80, "nodePort": 30080}],
                "selector": {"a": "b"},
            }
        },
        ["x", "LoadBalancer", "10.0.0.1", "<pending>", "80:30080/TCP", "5m", "a=b"],
    ),
    (
        "services",
        {
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h"}]}},
        },
        ["x", "LoadBalancer", "<none>", "1.2.3.4,h", "<none>"],
    ),
    ("services", {"spec": {"type": "ExternalName", "externalName": "a.b"}}, ["x", "ExternalName", "<none>", "a.b"]),
    ("configmaps", {"data": {"a": ""}, "binaryData": {"b": ""}}, ["x", 2, "5m"]),
    ("secrets", {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "5m"]),
    ("namespaces", {"status": {"phase": "Active"}}, ["x", "Active", "5m"]),
    ("nodes", {"spec": {"unschedulable": True}}, ["x", "Unknown,SchedulingDisabled", "<none>", "5m", ""]),
    (
        "nodes",
        {
            "metadata": {**META, "labels": {"node-role.kubernetes.io/b": "", "node-role.kubernetes.io/a": ""}},
            "status": {
                "conditions": [{"type": "Ready", "status": "False"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            },
        },
        ["x", "NotReady", "a,b", "5m", "", "10.0.0.1", "<none>", "<unknown>", "<unknown>", "<unknown>"],
    ),
    (
        "events",
        {
            "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec"},
            "source": {"component": "kubelet", "host": "n"},
            "lastTimestamp": "2025-12-31T23:59:00Z",
            "firstTimestamp": AGO_5M,
            "count": 4,
            "type": "Warning",
            "reason": "BackOff",
            "message": " text\n",
        },
        ["60s", "Warning", "BackOff", "pod/p", "spec", "kubelet, n", "text", "5m", 4, "x"],
    ),
    (
        "events",
        {
            "eventTime": "2025-12-31T23:58:00.123456Z",
            "series": {"count": 9, "lastObservedTime": "2025-12-31T23:59:50.5Z"},
        },
        ["9s", "", "", "", "", "", "", "119s", 9, "x"],
    ),
    (
        "controllerrevisions",
        {
            "metadata": {
                **META,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}],
            },
            "revision": 2,
        },
        ["x", "daemonset.apps/d", 2, "5m"],
    ),
    ("customresourcedefinitions", {}, ["x", AGO_5M]),
]


@pytest.mark.parametrize(("resource", "item", "expected"), ROWS)
def test_rows(resource, item, expected):
    kind = Cluster().kind(resource)
    cells = kind.row({"metadata": META, **item}, NOW)
    assert cells[: len(expected)] == expected
    assert len(cells) == len(kind.columns)


def test_every_kind_has_a_row_for_the_empty_object_of_a_bookmark():
    for kind in Cluster().kinds:
        assert len(kind.row({"metadata": {}, **kind.zero}, NOW)) == len(kind.columns)


CRD = {
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "additionalPrinterColumns": [
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                    {"name": "Size", "type": "integer", "jsonPath": ".spec['size']", "priority": 1},
                    {"name": "Ok", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
                    {"name": "First", "type": "string", "jsonPath": ".spec.tags[0]"},
                    {"name": "Tags", "type": "string", "jsonPath": ".spec.tags[*]"},
                    {"name": "On", "type": "boolean", "jsonPath": ".spec.on", "description": "whether it is on"},
                    {"name": "Made", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            },
            {"name": "v1beta1", "served": True, "storage": False},
        ],
    }
}


def test_the_columns_of_a_custom_resource_are_its_definitions(cluster, client):
    cluster.declare(CRD)
    spec = {"color": "red", "size": 3, "tags": ["a", "b"], "on": True}
    status = {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}
    cluster.create("widgets", {"metadata": {"name": "full"}, "spec": spec, "status": status})
    cluster.create("widgets", {"metadata": {"name": "void"}})
    table = client.get("/apis/example.com/v1/widgets", TABLE).json
    columns = [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]]
    assert columns[:3] == [("Name", "string", 0), ("Color", "string", 0), ("Size", "integer", 1)]
    assert table["columnDefinitions"][6]["description"] == "whether it is on"
    assert table["rows"][0]["cells"][:7] == ["full", "red", 3, "True", "a", "a b", True]
    assert table["rows"][1]["cells"][:7] == ["void", None, None, None, None, None, None]
    old = client.get("/apis/example.com/v1beta1/widgets", TABLE).json
    assert [c["name"] for c in old["columnDefinitions"]] == ["Name", "Age"]


def test_custom_resources_are_maps_with_sorted_keys_and_carry_their_kind_in_lists(cluster, client):
    cluster.declare(CRD)
    cluster.create("widgets", {"metadata": {"name": "w"}, "spec": {"color": "red"}})
    body = client.get("/apis/example.com/v1/widgets")
    assert list(body.json) == ["apiVersion", "items", "kind", "metadata"]
    assert body.json["metadata"] == {"continue": "", "resourceVersion": str(cluster.resource_version)}
    (item,) = body.json["items"]
    assert (item["apiVersion"], item["kind"]) == ("example.com/v1", "Widget")
    assert list(item["metadata"]) == sorted(item["metadata"])
    other = client.get("/apis/example.com/v1beta1/namespaces/default/widgets/w").json
    assert other["apiVersion"] == "example.com/v1beta1"
    assert client.get("/apis/example.com/v1/widgets?fieldSelector=spec.color%3Dblue").json["items"] == []
