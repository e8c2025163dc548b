"""What proves that a rollout can't succeed, long before its deadline says so: rows of tables, and what they name.

Only pods of the newest revision count, and none that is on its way out. What may still come right by itself has to
persist: an image that wasn't pulled at the first try, a pod refused while others are leaving.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kwatch.conditions.dependents import (
    REFUSED,
    Dependents,
    container_statuses,
    is_finished,
    is_ready,
    waiting_reason,
)
from kwatch.conditions.verdict import Culprit, Object, condition_of, count, part, parts
from kwatch.text import brief


class Rule(NamedTuple):
    """A reason for which a container waits proves failure once it lasts `after` seconds.

    `retried`: a Job counts these itself, and its backoffLimit decides. `role`: only for such a container; "" is any.
    """

    after: float = 0.0
    retried: bool = False
    role: str = ""


INIT = "init container"
NOT_READY = "not ready"
"""The state of a pod that runs, and of which no container says what it waits for."""
PATIENCE = 15.0
"""Seconds after which what the kubelet tries again at once has failed often enough."""

REASONS = {
    "ImagePullBackOff": Rule(),
    "ErrImagePull": Rule(PATIENCE),
    "ErrImageNeverPull": Rule(),
    "InvalidImageName": Rule(),
    "ImageInspectError": Rule(PATIENCE),
    "RegistryUnavailable": Rule(PATIENCE),
    "CreateContainerConfigError": Rule(),
    "CreateContainerError": Rule(PATIENCE),
    "RunContainerError": Rule(PATIENCE, retried=True),
    "CrashLoopBackOff": Rule(retried=True),
    "Terminated": Rule(PATIENCE, retried=True, role=INIT),
}
"""By the kubelet's reasons (k8s.io/kubernetes, pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go)."""

SETTLED = 2.0
"""Seconds, by the server's clock, for which pods have to be refused while nothing of their workload moves: what one try
meets may be overtaken by the controllers' next moves, and what is tried again then is refused for good."""


def failure(workload: Object, dependents: Dependents, now: float) -> Culprit | None:
    """What proves that the workload's rollout can't succeed; None while nothing does. `now`: monotonic seconds."""
    for pod in dependents.new_pods(workload):
        if found := _broken(pod, dependents, now, workload.get("kind") == "Job"):
            return found
    return _refused(workload, dependents)


def is_of_another_revision(deployment: Object, dependents: Dependents) -> bool:
    """Whether the deadline that passed was another revision's: after an undo the condition stays, with the name of the
    ReplicaSet it was about, until there is progress (k8s.io/kubernetes, pkg/controller/deployment/progress.go)."""
    current = dependents.new_replica_set(deployment)
    message = str((condition_of(deployment, "Progressing") or {}).get("message") or "")
    others = [
        each for each in dependents.owned(str(part(deployment, "metadata", "uid")), "ReplicaSet") if each != current
    ]
    return current is not None and any(f'"{part(each, "metadata", "name")}"' in message for each in others)


def last_failed(workload: Object, dependents: Dependents) -> Culprit | None:
    """The pod to name where the workload itself says that it failed: the newest that has a container that ended badly
    or that waits for something it won't get."""
    for pod in reversed(dependents.new_pods(workload)):
        for role, status in _statuses(pod):
            ended = _ended(status)
            reason = waiting_reason(status)
            if reason in REASONS or count(ended, "exitCode"):
                return _culprit(pod, role, status)
    return None


class Awaited(NamedTuple):
    """What a workload waits for in words, and in few: `web-85545d867f-2zj7l (Pending)`, `web-…-2zj7l (Pending)`."""

    whole: str = ""
    brief: str = ""


def waits_for(workload: Object, dependents: Dependents) -> Awaited:
    """The first pod of the newest revision that isn't ready, and what that waits for; or who stands in its way."""
    for pod in dependents.new_pods(workload):
        if not is_finished(pod) and not is_ready(pod):
            does = state(pod)
            if does == NOT_READY and workload.get("kind") == "Job":
                does = "running"  # nobody waits for it to be ready, but for its end
            return Awaited(f"{part(pod, 'metadata', 'name')} ({does})", f"{_short_name(pod)} ({does})")
    whole = _in_the_way(workload, dependents)
    return Awaited(whole, brief(whole))


def _short_name(pod: Object) -> str:
    """Its name without what all pods of its ReplicaSet have in common: `web-…-2zj7l`."""
    common = str(part(pod, "metadata", "labels").get("pod-template-hash") or "")
    name = str(part(pod, "metadata", "name"))
    return name.replace(f"-{common}-", "-…-", 1) if common else name


def _in_the_way(workload: Object, dependents: Dependents) -> str:
    if blocker := _blocker(workload, dependents):
        return blocker
    refusal = dependents.refusal(workload)
    return f"a pod that can't be created ({refusal.message})" if refusal else ""


def _blocker(workload: Object, dependents: Dependents) -> str:
    """A pod of an older revision that isn't ready: a StatefulSet in order waits for it before it replaces any.

    (kubernetes.io, StatefulSets, "Forced rollback".) Below the partition its end would bring the old revision again.
    """
    for pod in dependents.old_pods(workload):
        if is_ready(pod):
            continue
        name, namespace = (part(pod, "metadata", each) for each in ("name", "namespace"))
        words = f"{name} of an older revision ({state(pod)})"
        stuck = any(waiting_reason(status) in REASONS for _, status in _statuses(pod))
        in_order = part(workload, "spec", "podManagementPolicy") != "Parallel"
        if stuck and in_order and not count(workload, "spec", "updateStrategy", "rollingUpdate", "partition"):
            words += f", which isn't replaced before it is ready: kubectl delete pod {name} -n {namespace}"
        return words
    return ""


def _broken(pod: Object, dependents: Dependents, now: float, is_job: bool) -> Culprit | None:
    for role, status in _statuses(pod):
        rule = REASONS.get(waiting_reason(status))
        if rule is None or (rule.retried and is_job) or rule.role not in ("", role):
            continue
        since = dependents.waiting_since(pod, str(status.get("name")))
        if since is not None and now - since >= rule.after:
            return _culprit(pod, role, status)
    return None


def is_suspicious(workload: Object, dependents: Dependents) -> bool:
    """Whether pods are refused while nothing seems to move: that is to be read anew, and what comes later compared."""
    refusal = dependents.refusal(workload)
    return refusal is not None and not dependents.is_moving(workload) and not dependents.is_calm(workload)


def _refused(workload: Object, dependents: Dependents) -> Culprit | None:
    """A pod that its controller can't create: refused again later, with nothing in motion all that time."""
    refusal = dependents.refusal(workload)
    if refusal is None or dependents.is_moving(workload) or dependents.refused_for(workload) < SETTLED:
        return None
    namespace = str(part(workload, "metadata", "namespace") or "")
    kind, name = str(workload.get("kind")).lower(), str(part(workload, "metadata", "name"))
    hint = f"kubectl describe {kind} {name} -n {namespace}"
    return Culprit(namespace, "", "", REFUSED, refusal.message, hint=hint)


def _statuses(pod: Object) -> Iterator[tuple[str, Object]]:
    inits = {str(status.get("name")) for status in parts(pod, "status", "initContainerStatuses")}
    for status in container_statuses(pod):
        yield INIT if str(status.get("name")) in inits else "container", status


def _culprit(pod: Object, role: str, status: Object) -> Culprit:
    namespace, name = str(part(pod, "metadata", "namespace") or ""), str(part(pod, "metadata", "name"))
    container = str(status.get("name"))
    ended, waiting = _ended(status), part(status, "state", "waiting")
    reason = str(waiting.get("reason") or ended.get("reason") or "Error")
    message = str(waiting.get("message") or ended.get("message") or "")
    previous = " --previous" if waiting and ended else ""
    hint = f"kubectl logs {name} -n {namespace} -c {container}{previous}" if ended else ""
    return Culprit(
        namespace,
        name,
        container,
        reason,
        message.strip(),
        _end_in_words(ended, with_message=bool(waiting)),
        hint or f"kubectl describe pod {name} -n {namespace}",
        role,
    )


def _ended(status: Object) -> Object:
    """How the container ended last: {} where it never did."""
    found: Object = part(status, "state", "terminated") or part(status, "lastState", "terminated")
    return found


def _end_in_words(ended: Object, *, with_message: bool) -> str:
    if not ended:
        return ""
    signal = f" by signal {ended['signal']}" if ended.get("signal") else ""
    reason = f" ({ended['reason']})" if ended.get("reason") else ""
    message = str(ended.get("message") or "").strip() if with_message else ""
    return f"exited with code {count(ended, 'exitCode')}{signal}{reason}" + (f": {message}" if message else "")


def state(pod: Object) -> str:
    """What a pod that isn't ready is at, in a word or two."""
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return ": ".join(str(scheduled[name]) for name in ("reason", "message") if scheduled.get(name))
    for _, status in _statuses(pod):
        reason = waiting_reason(status)
        if reason == "Terminated":
            return _end_in_words(_ended(status), with_message=True)
        if reason and reason != "PodInitializing":
            return reason
    running = str(part(pod, "status", "phase")) == "Running"
    return NOT_READY if running else str(part(pod, "status", "phase") or "Pending")
