"""The scenarios, and the control plane that they play."""

from __future__ import annotations

import json
import threading
import urllib.request

import pytest
from polling import eventually
from sandbox.wire import pod

from kwatch.sandbox import SCENARIOS, ApiError, Cluster, run_scenario, start_scenario
from kwatch.sandbox.controlplane import ControlPlane
from kwatch.sandbox.kubelet import can_be_pulled, container_state
from kwatch.sandbox.play import playing
from kwatch.sandbox.population import add_nodes, workload
from kwatch.sandbox.tables import parse_time
from kwatch.sandbox.workloads import amount, template_hash

FAST = (0.001, 0.005)


@pytest.fixture
def play(cluster):
    """Start scenarios on the cluster; they are stopped after the test."""
    stop, threads = threading.Event(), []

    def start(name, **options):
        threads.append(start_scenario(name, cluster, stop, **options))

    yield start
    stop.set()
    for thread in threads:
        thread.join(2)
        assert not thread.is_alive()


@pytest.fixture
def plane(cluster):
    """A settled control plane on three nodes, without a thread of its own."""
    add_nodes(cluster)
    return ControlPlane(cluster, pace=FAST)


def reasons(cluster):
    return {event["reason"] for event in cluster.list("events")}


def test_the_scenarios_have_names():
    assert list(SCENARIOS) == ["quiet", "rollout", "crashloop", "churn"]


def test_quiet_is_populated_and_nothing_moves(cluster, play):
    play("quiet", pace=FAST)
    for resource in ("nodes", "pods", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "services"):
        assert cluster.list(resource), resource
    for resource in ("configmaps", "secrets", "events", "namespaces"):
        assert cluster.list(resource), resource
    version = cluster.resource_version
    assert not threading.Event().wait(0.3)
    assert cluster.resource_version == version
    assert {pod["status"]["phase"] for pod in cluster.list("pods")} == {"Running", "Succeeded"}


def test_what_is_created_in_quiet_comes_alive_and_goes(cluster, play):
    play("quiet", pace=FAST)
    cluster.create("deployments", workload("mine", "nginx:1", replicas=3))
    mine = {"label_selector": "app=mine"}
    eventually(lambda: cluster.get("deployments", "default", "mine")["status"].get("availableReplicas") == 3)
    cluster.patch("deployments", "default", "mine", {"spec": {"replicas": 1}})
    eventually(lambda: len(cluster.list("pods", **mine)) == 1)
    cluster.delete("deployments", "default", "mine")
    eventually(lambda: not cluster.list("pods", **mine) and not cluster.list("replicasets", **mine))


def test_the_same_seed_plays_the_same_population():
    names = []
    for _ in range(2):
        cluster, stop = Cluster(seed=3), threading.Event()
        stop.set()
        run_scenario("quiet", cluster, stop, seed=3)
        names.append([pod["metadata"]["name"] for pod in cluster.list("pods")])
    assert names[0] == names[1]


def test_rollout_goes_through_the_stages_of_a_real_one(cluster, play):
    play("rollout", pace=FAST)
    web = {"label_selector": "app=web"}
    first = {item["metadata"]["name"] for item in cluster.list("replicasets", **web)}
    eventually(lambda: len({item["metadata"]["name"] for item in cluster.list("replicasets", **web)} - first) >= 2)
    deployment = cluster.get("deployments", "default", "web")
    assert int(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) >= 3
    stages = {}
    for kind, item in cluster.history("pods"):
        if item["metadata"]["labels"]["app"] == "web":
            row = cluster.kind("pods").row(item, cluster.now())
            stages.setdefault(item["metadata"]["name"], []).append(f"{kind} {row[1]} {row[2]}")
    whole = [list(dict.fromkeys(stage)) for stage in stages.values() if stage[-1].startswith("DELETED")]
    assert [
        "ADDED 0/1 Pending",
        "MODIFIED 0/1 Pending",
        "MODIFIED 0/1 ContainerCreating",
        "MODIFIED 0/1 Running",
        "MODIFIED 1/1 Running",
        "MODIFIED 1/1 Terminating",
        "DELETED 1/1 Terminating",
    ] in whole
    assert reasons(cluster) >= {"Scheduled", "Pulled", "Created", "Started", "Killing", "ScalingReplicaSet"}


def roll_out(cluster, plane, kind, name, image):
    template = {"spec": {"containers": [{"name": name, "image": image}]}}
    cluster.patch(kind, "default", name, {"spec": {"template": template}})
    plane.settle()


def test_a_rollout_keeps_enough_pods_available_and_never_has_too_many(cluster, plane):
    cluster.create("deployments", workload("web", "nginx:1", replicas=4))
    plane.settle()
    roll_out(cluster, plane, "deployments", "web", "nginx:2")
    statuses = [item["status"] for _, item in cluster.history("deployments") if item["status"].get("availableReplicas")]
    after = statuses[next(i for i, status in enumerate(statuses) if status["availableReplicas"] == 4) :]
    assert min(status["availableReplicas"] for status in after) >= 3
    assert max(status["replicas"] for status in after) <= 5
    last = cluster.get("deployments", "default", "web")
    assert last["status"]["observedGeneration"] == last["metadata"]["generation"] == 2
    assert {c["type"]: c["reason"] for c in last["status"]["conditions"]} == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }
    assert list(last["status"]) == [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "conditions",
    ]


def test_recreate_has_no_two_generations_at_once(cluster, plane):
    cluster.create("deployments", workload("web", "nginx:1", replicas=2, strategy={"type": "Recreate"}))
    plane.settle()
    roll_out(cluster, plane, "deployments", "web", "nginx:2")
    alive = {}
    for kind, item in cluster.history("pods"):
        alive[item["metadata"]["name"]] = item["metadata"]["labels"]["pod-template-hash"]
        if kind == "DELETED":
            del alive[item["metadata"]["name"]]
        assert len(set(alive.values())) <= 1
    assert {item["spec"]["containers"][0]["image"] for item in cluster.list("pods")} == {"nginx:2"}


def test_old_replica_sets_are_kept_up_to_the_limit(cluster, plane):
    cluster.create("deployments", workload("web", "nginx:0", replicas=1, revisionHistoryLimit=2))
    for number in range(5):
        roll_out(cluster, plane, "deployments", "web", f"nginx:{number}")
    assert len(cluster.list("replicasets")) == 3


def test_a_stateful_set_starts_in_order_and_rolls_from_the_last(cluster, plane):
    cluster.create("statefulsets", workload("db", "pg:1", replicas=3, serviceName="db"))
    plane.settle()
    created = [item["metadata"]["name"] for kind, item in cluster.history("pods") if kind == "ADDED"]
    assert created == ["db-0", "db-1", "db-2"]
    roll_out(cluster, plane, "statefulsets", "db", "pg:2")
    deleted = [item["metadata"]["name"] for kind, item in cluster.history("pods") if kind == "DELETED"]
    assert deleted == ["db-2", "db-1", "db-0"]
    status = cluster.get("statefulsets", "default", "db")["status"]
    assert (status["updatedReplicas"], status["readyReplicas"]) == (3, 3)
    assert status["currentRevision"] == status["updateRevision"]
    cluster.patch("statefulsets", "default", "db", {"spec": {"replicas": 1}})
    plane.settle()
    assert [item["metadata"]["name"] for item in cluster.list("pods")] == ["db-0"]


def test_a_daemon_set_has_a_pod_on_every_node(cluster, plane):
    cluster.create("daemonsets", workload("agent", "agent:1"))
    plane.settle()
    assert sorted(item["spec"]["nodeName"] for item in cluster.list("pods")) == ["node-0", "node-1", "node-2"]
    roll_out(cluster, plane, "daemonsets", "agent", "agent:2")
    status = cluster.get("daemonsets", "default", "agent")["status"]
    assert (status["desiredNumberScheduled"], status["numberReady"], status["updatedNumberScheduled"]) == (3, 3, 3)


@pytest.mark.parametrize(("image", "condition"), [("job:1", "Complete"), ("crash:1", "Failed")])
def test_a_job_completes_or_fails(cluster, plane, image, condition):
    job = workload(
        "j", image, selector=None, completions=2, parallelism=2, backoffLimit=1, pod={"restartPolicy": "Never"}
    )
    cluster.create("jobs", job)
    plane.settle()
    status = cluster.get("jobs", "default", "j")["status"]
    assert [c["type"] for c in status["conditions"]][-1] == condition
    assert status.get("succeeded", 0) == (2 if condition == "Complete" else 0)


def test_a_crashing_and_an_unknown_image_are_played(cluster, play):
    play("crashloop", pace=FAST)

    def waiting():
        return {container_state(item).get("waiting", {}).get("reason") for item in cluster.list("pods")}

    seen = set()
    eventually(lambda: seen.update(waiting()) or {"CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff"} <= seen)
    eventually(lambda: any(event["reason"] == "BackOff" and event["count"] > 1 for event in cluster.list("events")))


@pytest.mark.parametrize(
    ("image", "pulled"),
    [
        ("nginx:doesnotexist", False),
        ("nginx:does-not-exist", False),
        ("registry.example.com:5000/acme/nginx:1.1-bad", False),
        ("nginx:no-such-tag", False),
        ("nginx:Broken", False),
        ("nginx:missing@sha256:0f3c", False),
        ("bad-report:9.9.9", False),
        ("nginx:1.27", True),
        ("nginx", True),
        ("registry.bad.example:5000/nginx", True),
        ("nginx:c1bad0f", True),
        ("nginx@sha256:bad0", True),
    ],
)
def test_an_obviously_broken_image_or_tag_cannot_be_pulled(image, pulled):
    assert can_be_pulled(image) is pulled


def test_a_rollout_to_a_tag_that_does_not_exist_is_stuck_at_its_pull(cluster, plane):
    cluster.create("deployments", workload("web", "nginx:1", replicas=1))
    plane.settle()
    roll_out(cluster, plane, "deployments", "web", "nginx:doesnotexist")
    states = [container_state(item) for item in cluster.list("pods")]
    reasons = [state["waiting"]["reason"] for state in states if "waiting" in state]
    assert len(states) == 2
    assert reasons in (["ErrImagePull"], ["ImagePullBackOff"])


def test_restarts_are_counted_and_the_last_state_kept(cluster, play):
    play("crashloop", pace=FAST)

    def restarted():
        statuses = [s for item in cluster.list("pods") for s in item["status"].get("containerStatuses", [])]
        return [s for s in statuses if s["restartCount"] >= 2 and s["lastState"].get("terminated")]

    (status, *_) = eventually(restarted)
    assert status["lastState"]["terminated"]["reason"] == "Error"


def test_churn_changes_as_many_objects_at_the_rate(cluster, play):
    play("churn", objects=40, rate=400.0)
    assert len(cluster.list("pods")) == 40
    before = cluster.resource_version
    eventually(lambda: cluster.resource_version > before + 200, seconds=5)
    assert {kind for kind, _ in cluster.history("pods")} == {"ADDED", "MODIFIED", "DELETED"}
    assert 35 <= len(cluster.list("pods")) <= 40


def test_an_unknown_scenario_is_a_key_error(cluster):
    with pytest.raises(KeyError):
        run_scenario("nosuch", cluster, threading.Event())


def test_a_pod_of_nobody_is_run_too(cluster, plane):
    cluster.create("pods", pod("lonely"))
    plane.settle()
    assert cluster.get("pods", "default", "lonely")["status"]["phase"] == "Running"
    cluster.delete("pods", "default", "lonely")
    plane.settle()
    with pytest.raises(ApiError):
        cluster.get("pods", "default", "lonely")


def test_hashes_and_amounts():
    assert template_hash({"a": 1}) == template_hash({"a": 1}) != template_hash({"a": 2})
    assert set(template_hash({"a": 1})) <= set("456789bcdf")
    assert [amount("25%", 3, True), amount("25%", 3, False), amount(2, 9, True), amount(None, 9, True)] == [1, 0, 2, 0]


def test_the_first_namespaces_of_a_played_cluster_are_as_old_as_what_is_in_them():
    with playing("quiet") as server, urllib.request.urlopen(f"{server.url}/api/v1/namespaces") as answer:
        items = json.load(answer)["items"]
    created = {item["metadata"]["name"]: item["metadata"]["creationTimestamp"] for item in items}
    assert abs(parse_time(created["default"]) - parse_time(created["shop"])) <= 5
