"""What proves that a rollout fails, and what doesn't: objects in view, no clock, no server."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from kwatch.conditions.dependents import Dependents, queries_behind, selector_text
from kwatch.conditions.predicates import parse_condition
from kwatch.conditions.verdict import Moment, Outcome, Subject, Verdict
from kwatch.model import Query, Resource

DEPLOYMENTS = Query(Resource("apps", "v1", "deployments", "Deployment"), "default", "web")
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def template(image: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def owned_by(uid: str) -> list[dict[str, Any]]:
    return [{"uid": "somebody"}, {"uid": uid, "controller": True}]


def deployment(image: str = "web:2", replicas: int = 3, **status: Any) -> dict[str, Any]:
    seen = {"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "web", "generation": 2},
        "spec": {"replicas": replicas, "template": template(image), "selector": {"matchLabels": {"app": "web"}}},
        "status": {**seen, **status},
    }


def replica_set(name: str, image: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": name, "ownerReferences": owned_by("web")}
    return {
        "kind": "ReplicaSet",
        "metadata": metadata,
        "spec": {"template": template(image, **{"pod-template-hash": name})},
        "status": status,
    }


def pod(owner: str, waiting: str = "", ready: bool = False, name: str = "", **more: Any) -> dict[str, Any]:
    """A pod whose container waits for `waiting`, or runs."""
    state = {"waiting": {"reason": waiting, "message": f"about {waiting}"}} if waiting else {"running": {}}
    status = {"name": "c", "state": more.pop("state", state), "lastState": more.pop("last", {})}
    statuses = {"containerStatuses": [status]}
    if init := more.pop("init", None):
        statuses["initContainerStatuses"] = [{"name": "i", "state": init, "lastState": {}}]
    name = name or f"{owner}-1"
    labels = more.pop("labels", {})
    metadata = {"name": name, "namespace": "default", "uid": name, "ownerReferences": owned_by(owner), "labels": labels}
    return {
        "kind": "Pod",
        "metadata": {**metadata, **more.pop("metadata", {})},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], **statuses, **more},
    }


def refused(uid: str, second: int, count: int = 1) -> dict[str, Any]:
    when = f"2026-01-01T12:00:{second:02}Z"
    return {
        "kind": "Event",
        "metadata": {"name": f"e{second}", "uid": f"e{second}"},
        "involvedObject": {"uid": uid},
        "reason": "FailedCreate",
        "message": f"exceeded quota, try {second}",
        "firstTimestamp": "2026-01-01T12:00:00Z",
        "lastTimestamp": when,
        "count": count,
    }


def judged(workload: dict[str, Any], *seen: dict[str, Any], after: float = 0.0, condition: str = "rollout") -> Verdict:
    """The verdict `after` so many seconds since the dependents were `seen`."""
    dependents = Dependents()
    for value in seen:
        dependents.observe(value, 100.0)
    subject = Subject(DEPLOYMENTS, ("default", "web"), workload, dependents=dependents)
    return parse_condition(condition).judge(subject, Moment(100.0 + after, NOON))


OLD, NEW = replica_set("old", "web:1"), replica_set("new", "web:2")


@pytest.mark.parametrize(
    "reason",
    [
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CrashLoopBackOff",
    ],
)
def test_a_pod_of_the_new_revision_that_waits_for_that_proves_failure(reason: str) -> None:
    verdict = judged(deployment(), OLD, NEW, pod("new", reason))
    assert verdict.outcome is Outcome.FAILED
    assert verdict.culprit is not None
    assert (verdict.culprit.pod, verdict.culprit.container) == ("new-1", "c")
    assert (verdict.culprit.reason, verdict.culprit.message) == (reason, f"about {reason}")


ENDED = {"exitCode": 1, "reason": "Error", "message": "no database\n"}


@pytest.mark.parametrize(
    ("case", "seen"),
    [
        ("of the old revision", pod("old", "CrashLoopBackOff")),
        ("on its way out", pod("new", "ImagePullBackOff", metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"})),
        ("evicted", pod("new", "CrashLoopBackOff", phase="Failed")),
        ("crashed once and recovered", pod("new", ready=True, last={"terminated": ENDED})),
        ("crashed, not yet started again", pod("new", state={"terminated": ENDED})),
        ("just being created", pod("new", "ContainerCreating")),
        ("an image that wasn't pulled at the first try", pod("new", "ErrImagePull")),
        ("an init container that failed once", pod("new", "PodInitializing", init={"terminated": ENDED})),
        ("somebody else's", pod("another", "CrashLoopBackOff")),
    ],
)
def test_a_pod_is_no_proof_when_it_is(case: str, seen: dict[str, Any]) -> None:
    assert judged(deployment(), OLD, NEW, seen).outcome is Outcome.WAITING


@pytest.mark.parametrize(
    ("seen", "reason", "role"),
    [
        (pod("new", "ErrImagePull"), "ErrImagePull", "container"),
        (pod("new", "CreateContainerError"), "CreateContainerError", "container"),
        (pod("new", "PodInitializing", init={"terminated": ENDED}), "Error", "init container"),
    ],
)
def test_what_may_come_right_proves_failure_once_it_lasts(seen: dict[str, Any], reason: str, role: str) -> None:
    assert judged(deployment(), OLD, NEW, seen, after=14).outcome is Outcome.WAITING
    verdict = judged(deployment(), OLD, NEW, seen, after=15)
    assert verdict.culprit is not None
    assert (verdict.culprit.reason, verdict.culprit.role) == (reason, role)


def test_a_reason_that_came_and_went_is_counted_from_its_last_coming() -> None:
    dependents = Dependents()
    for now, waiting in ((100.0, "ErrImagePull"), (110.0, ""), (114.0, "ErrImagePull")):
        dependents.observe(NEW, now)
        dependents.observe(pod("new", waiting), now)
    subject = Subject(DEPLOYMENTS, ("default", "web"), deployment(), dependents=dependents)
    assert parse_condition("rollout").judge(subject, Moment(120.0, NOON)).outcome is Outcome.WAITING


def test_a_crash_names_how_it_ended_and_where_its_last_log_is() -> None:
    verdict = judged(deployment(), OLD, NEW, pod("new", "CrashLoopBackOff", last={"terminated": ENDED}))
    assert str(verdict.culprit) == (
        "pod new-1, container c: CrashLoopBackOff: about CrashLoopBackOff; it exited with code 1 (Error): no database; "
        "see kubectl logs new-1 -n default -c c --previous"
    )


def test_an_undo_makes_the_old_replica_set_the_new_one_whatever_its_age() -> None:
    undone = deployment("web:1")
    assert judged(undone, OLD, NEW, pod("new", "ImagePullBackOff")).outcome is Outcome.WAITING
    assert judged(undone, OLD, NEW, pod("old", "ImagePullBackOff")).outcome is Outcome.FAILED


def test_a_finished_rollout_is_met_whatever_its_pods_say() -> None:
    out = deployment(replicas=3, updatedReplicas=3, availableReplicas=3) | {}
    out["status"] |= {"replicas": 3}
    assert judged(out, OLD, NEW, pod("new", "CrashLoopBackOff")).outcome is Outcome.MET


def test_a_deadline_that_passed_for_another_revision_is_none_of_the_undone_ones() -> None:
    late = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "new" has timed out progressing.',
    }
    assert judged(deployment("web:2", conditions=[late]), OLD, NEW).outcome is Outcome.FAILED
    assert judged(deployment("web:1", conditions=[late]), OLD, NEW).outcome is Outcome.WAITING


def test_templates_are_compared_without_what_is_empty() -> None:
    own = replica_set("new", "web:2")
    own["spec"]["template"]["metadata"]["creationTimestamp"] = None
    own["spec"]["template"]["spec"]["securityContext"] = {}
    assert judged(deployment(), OLD, own, pod("new", "ImagePullBackOff")).outcome is Outcome.FAILED


# Refused pods


def lacking(uid: str = "new") -> dict[str, Any]:
    """The new ReplicaSet, which wants a pod that it doesn't get."""
    wanting = replica_set(uid, "web:2", replicas=0)
    wanting["spec"]["replicas"] = 1
    return wanting


def read_anew(workload: dict[str, Any], *seen: dict[str, Any]) -> Dependents:
    dependents = Dependents()
    for value in seen:
        dependents.observe(value, 100.0)
    dependents.note_calm(workload)
    return dependents


def verdict_with(dependents: Dependents, workload: dict[str, Any]) -> Verdict:
    subject = Subject(DEPLOYMENTS, ("default", "web"), workload, dependents=dependents)
    return parse_condition("rollout").judge(subject, Moment(100.0, NOON))


def test_a_refused_pod_is_to_be_read_anew_and_refused_again_later_it_is_proof() -> None:
    first = judged(deployment(), OLD, lacking(), refused("new", 0))
    assert (first.outcome, first.doubtful) == (Outcome.WAITING, True)
    dependents = read_anew(deployment(), OLD, lacking(), refused("new", 0))
    assert not verdict_with(dependents, deployment()).doubtful
    dependents.observe(refused("new", 1), 100.0)
    assert verdict_with(dependents, deployment()).outcome is Outcome.WAITING
    dependents.observe(refused("new", 3), 100.0)
    verdict = verdict_with(dependents, deployment())
    assert (verdict.outcome, verdict.doubtful) == (Outcome.FAILED, True)
    assert str(verdict.culprit) == (
        "FailedCreate: exceeded quota, try 3; see kubectl describe deployment web -n default"
    )


def test_reading_it_anew_once_more_changes_nothing_where_nothing_moved() -> None:
    dependents = read_anew(deployment(), OLD, lacking(), refused("new", 0))
    dependents.observe(refused("new", 3), 100.0)
    dependents.note_calm(deployment())
    assert verdict_with(dependents, deployment()).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("case", "moved"),
    [
        ("an old pod leaves", pod("old", metadata={"deletionTimestamp": "2026-01-01T12:00:00Z"})),
        ("an old pod became ready", pod("old", ready=True)),
        ("a new pod starts", pod("new")),
        ("the old revision is scaled down", {**OLD, "spec": {**OLD["spec"], "replicas": 2}}),
        ("the pod was created at last", replica_set("new", "web:2", replicas=1)),
    ],
)
def test_a_refused_pod_is_no_proof_when_meanwhile(case: str, moved: dict[str, Any]) -> None:
    dependents = read_anew(deployment(), OLD, lacking(), refused("new", 0))
    dependents.observe(moved, 100.0)
    dependents.observe(refused("new", 30), 100.0)
    assert verdict_with(dependents, deployment()).outcome is Outcome.WAITING


def test_a_refused_pod_is_no_proof_while_ready_ones_have_to_become_available() -> None:
    waiting = deployment(readyReplicas=4, availableReplicas=3)
    dependents = read_anew(waiting, OLD, lacking(), refused("new", 0))
    dependents.observe(refused("new", 30), 100.0)
    assert verdict_with(dependents, waiting).outcome is Outcome.WAITING


def test_pods_refused_to_the_old_revision_are_no_failure_of_the_new() -> None:
    dependents = read_anew(deployment(), OLD, lacking(), refused("old", 0))
    dependents.observe(refused("old", 30), 100.0)
    verdict = verdict_with(dependents, deployment())
    assert (verdict.outcome, verdict.doubtful) == (Outcome.WAITING, False)


# StatefulSets, DaemonSets, Jobs


def stateful(partition: int = 0) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "db", "uid": "db", "generation": 2},
        "spec": {
            "replicas": 3,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
        },
        "status": {"observedGeneration": 2, "updateRevision": "db-2", "currentRevision": "db-1", "readyReplicas": 2},
    }


def test_a_stateful_sets_pods_are_told_apart_by_their_revision() -> None:
    new = pod("db", "ImagePullBackOff", labels={"controller-revision-hash": "db-2"})
    old = pod("db", "ImagePullBackOff", labels={"controller-revision-hash": "db-1"})
    assert judged(stateful(), new).outcome is Outcome.FAILED
    assert judged(stateful(partition=2), new).outcome is Outcome.FAILED
    assert judged(stateful(), old).outcome is Outcome.WAITING
    unseen = stateful()
    unseen["metadata"]["generation"] = 3  # its updateRevision is that of the spec before
    assert judged(unseen, new).outcome is Outcome.WAITING


def test_a_stateful_sets_refusals_are_its_own() -> None:
    dependents = read_anew(stateful(), refused("db", 0))
    dependents.observe(refused("db", 3), 100.0)
    assert verdict_with(dependents, stateful()).outcome is Outcome.FAILED


def test_a_daemon_sets_pods_are_told_apart_by_the_revision_of_its_template() -> None:
    daemon_set = {
        "kind": "DaemonSet",
        "metadata": {"name": "log", "uid": "log", "generation": 2},
        "spec": {"updateStrategy": {"type": "RollingUpdate"}, "template": template("web:2")},
        "status": {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1},
    }
    revisions = [
        {
            "kind": "ControllerRevision",
            "metadata": {
                "name": name,
                "uid": name,
                "labels": {"controller-revision-hash": name},
                "ownerReferences": owned_by("log"),
            },
            "data": {"spec": {"template": {"$patch": "replace", **template(image)}}},
        }
        for name, image in (("a", "web:1"), ("b", "web:2"))
    ]
    for label, outcome in (("a", Outcome.WAITING), ("b", Outcome.FAILED)):
        seen = pod("log", "CrashLoopBackOff", labels={"controller-revision-hash": label})
        assert judged(daemon_set, *revisions, seen).outcome is outcome


def job(*conditions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Job",
        "metadata": {"name": "j", "uid": "j"},
        "spec": {"completions": 2, **spec},
        "status": {"conditions": list(conditions), "active": 1, "succeeded": 1},
    }


def test_a_job_counts_its_crashes_itself_but_what_cant_start_is_a_failure() -> None:
    crashing = pod("j", "CrashLoopBackOff", last={"terminated": ENDED})
    assert judged(job(), crashing, condition="complete").outcome is Outcome.WAITING
    assert judged(job(), pod("j", "ImagePullBackOff"), condition="complete").outcome is Outcome.FAILED


@pytest.mark.parametrize("kind", ["Failed", "FailureTarget"])
def test_a_job_that_failed_names_the_pod_that_failed(kind: str) -> None:
    failed = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
    ended = pod("j", state={"terminated": ENDED}, phase="Failed")
    verdict = judged(job(failed), ended, condition="complete")
    assert (verdict.outcome, verdict.why) == (Outcome.FAILED, "the Job failed: BackoffLimitExceeded: too often")
    assert verdict.culprit is not None
    assert str(verdict.culprit).startswith("pod j-1, container c: Error: no database; it exited with code 1 (Error)")


def test_a_job_says_how_far_it_is() -> None:
    assert judged(job(), condition="complete").why == "1/2 succeeded, 1 active, 0 failed"
    assert judged(job(suspend=True), condition="complete").why == "it is suspended"
    done = {"type": "Complete", "status": "True"}
    assert judged(job(done), condition="complete").outcome is Outcome.MET


# What is watched behind


def test_dependents_are_watched_by_the_workloads_selector_and_refusals_by_their_reason() -> None:
    queries = queries_behind(deployment(), DEPLOYMENTS)
    assert [(query.resource.plural, query.namespace, query.label_selector) for query in queries] == [
        ("replicasets", "default", "app=web"),
        ("pods", "default", "app=web"),
        ("events", "default", ""),
    ]
    assert queries[2].field_selector == "reason=FailedCreate"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"a": "b", "c": "d"}}, "a=b,c=d"),
        ({"matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]}, "k in (x,y)"),
        ({"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["x"]}]}, "k notin (x)"),
        ({"matchExpressions": [{"key": "k", "operator": "Exists"}, {"key": "l", "operator": "DoesNotExist"}]}, "k,!l"),
        ({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "Later"}]}, ""),
        ({}, ""),
    ],
)
def test_a_selector_becomes_a_parameter(selector: dict[str, Any], text: str) -> None:
    assert selector_text(selector) == text


@pytest.mark.parametrize("status", [None, [], "text", {"conditions": "none"}, {"conditions": [None, "x"]}])
@pytest.mark.parametrize("condition", ["rollout", "condition=Ready", "delete", "create"])
def test_an_object_of_another_shape_is_judged_without_harm(status: Any, condition: str) -> None:
    value = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": None, "status": status}
    assert judged(value, condition=condition).outcome in (Outcome.MET, Outcome.WAITING)


def stateful_set(**spec: Any) -> dict[str, Any]:
    status = {"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "updateRevision": "web-2"}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "web", "generation": 2},
        "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate"}, **spec},
        "status": status,
    }


ORDERED: dict[str, Any] = {}
PARALLEL = {"podManagementPolicy": "Parallel"}
PARTITIONED = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
BY_HAND = ", which isn't replaced before it is ready: kubectl delete pod web-1 -n default"


@pytest.mark.parametrize(
    ("spec", "waiting", "says"),
    [
        (ORDERED, "ImagePullBackOff", f"web-1 of an older revision (ImagePullBackOff){BY_HAND}"),
        (ORDERED, "ContainerCreating", "web-1 of an older revision (ContainerCreating)"),
        (PARALLEL, "ImagePullBackOff", "web-1 of an older revision (ImagePullBackOff)"),
        (PARTITIONED, "ImagePullBackOff", "web-1 of an older revision (ImagePullBackOff)"),
    ],
)
def test_a_stateful_set_stuck_on_a_pod_of_an_older_revision_names_it(
    spec: dict[str, Any], waiting: str, says: str
) -> None:
    old = pod("web", waiting, labels={"controller-revision-hash": "web-1"})
    verdict = judged(stateful_set(**spec), old)
    assert (verdict.outcome, verdict.why) == (Outcome.WAITING, f"Waiting for 1 pods to be ready; waiting for {says}")


def test_how_far_a_rollout_is_is_told_in_few_words_without_the_hash_that_its_pods_share() -> None:
    hashed = {"labels": {"pod-template-hash": "85545d867f"}, "name": "web-85545d867f-2zj7l", "phase": "Pending"}
    waiting = judged(deployment(replicas=5), OLD, NEW, pod("new", **hashed))
    assert waiting.brief == "1 of 5 updated; waiting for web-…-2zj7l (Pending)"
    assert waiting.why.endswith("new replicas have been updated; waiting for web-85545d867f-2zj7l (Pending)")
    updated = deployment(updatedReplicas=4, availableReplicas=2)
    assert judged(updated, NEW).brief == "2 of 4 available"
    assert judged(deployment(updatedReplicas=3), NEW).brief == "1 old still to end"


def test_a_jobs_pod_that_runs_is_running_not_unready() -> None:
    job = {"kind": "Job", "metadata": {"name": "web", "uid": "web"}, "status": {"active": 1}}
    waiting = judged(job, pod("web", name="migrate-z8dt5"), condition="complete")
    assert waiting.brief == "0/1 succeeded, 1 active, 0 failed; waiting for migrate-z8dt5 (running)"
    assert "(not ready)" not in waiting.why


def test_a_pod_that_is_not_ready_says_what_it_waits_for() -> None:
    stuck = judged(pod("web", "ImagePullBackOff"), condition="condition=ready")
    assert stuck.why == "Ready is False (ImagePullBackOff)"
    assert judged(pod("web"), condition="condition=Ready").why == "Ready is False"
    assert judged(pod("web", phase="Pending"), condition="condition=Ready").why == "Ready is False"
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    unplaced = judged(pod("web", phase="Pending", conditions=[full]), condition="condition=Ready")
    assert unplaced.why == "it has no condition Ready yet (Unschedulable: 0/3 nodes are available)"
    assert judged(pod("web", ready=True), condition="condition=Ready=False").why == "Ready is True"


def test_a_condition_that_is_missing_names_those_there_are() -> None:
    failed = {"kind": "Job", "status": {"conditions": [{"type": "FailureTarget"}, {"type": "Failed"}]}}
    why = judged(failed, condition="condition=Complete").why
    assert why == "it has no condition Complete yet; it has FailureTarget, Failed"
    assert judged({"kind": "Job"}, condition="condition=Complete").why == "it has no condition Complete yet"
