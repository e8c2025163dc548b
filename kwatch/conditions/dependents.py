"""What stands behind workloads, as last seen: their ReplicaSets, ControllerRevisions and pods, and what was refused.

A store without opinions: it finds the pods of the new revision by what the controllers themselves compare, and
remembers since when a container waits for what it waits for. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from kwatch.conditions.verdict import Object, count, part, parts
from kwatch.model import Query, Resource

PODS = Resource("", "v1", "pods", "Pod")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
EVENTS = Resource("", "v1", "events", "Event")

REFUSED = "FailedCreate"
"""The reason that controllers give, in Events and conditions, where a pod could not be created: quota, admission."""
HASH = "controller-revision-hash"

BEHIND: dict[str, tuple[Resource, ...]] = {
    "Deployment": (REPLICA_SETS, PODS, EVENTS),
    "StatefulSet": (PODS, EVENTS),
    "DaemonSet": (REVISIONS, PODS, EVENTS),
    "Job": (PODS, EVENTS),
}
"""What is watched besides a workload, by its kind."""


class Refusal(NamedTuple):
    """The latest pod that could not be created: when, by the server's clock in seconds, and with what words."""

    time: float
    message: str


class Calm(NamedTuple):
    """What all that stands behind a workload looked like when it was read anew, and when the latest refusal was."""

    shape: frozenset[tuple[Any, ...]]
    time: float


class Dependents:
    """Objects by uid and by who owns them."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._owned: dict[str, dict[str, None]] = {}
        self._waiting: dict[tuple[str, str], tuple[str, float]] = {}
        self._refusals: dict[str, Refusal] = {}
        self._calm: dict[str, Calm] = {}

    def observe(self, value: Object, now: float, *, deleted: bool = False) -> None:
        """Take in an object that came, changed or (`deleted`) went, at `now` (monotonic seconds)."""
        if value.get("kind") == "Event":
            self._observe_event(value, deleted=deleted)
            return
        uid, owner = str(part(value, "metadata", "uid")), _owner(value)
        if deleted:
            self._objects.pop(uid, None)
            self._owned.get(owner, {}).pop(uid, None)
        else:
            self._objects[uid] = value
            self._owned.setdefault(owner, {})[uid] = None
        if value.get("kind") == "Pod":
            self._observe_waiting(uid, value, now, deleted=deleted)

    def workload_of(self, value: Object) -> str:
        """The uid of the workload that an object belongs to, or an Event is about, as far as its owners are known."""
        uid = str(part(value, "involvedObject", "uid")) if value.get("kind") == "Event" else _owner(value)
        while uid in self._objects:
            uid = _owner(self._objects[uid])
        return uid

    def owned(self, owner: str, kind: str) -> list[Object]:
        """What the object with uid `owner` controls, oldest first."""
        found = (self._objects[uid] for uid in self._owned.get(owner, ()))
        return sorted((value for value in found if value.get("kind") == kind), key=_age)

    def new_pods(self, workload: Object) -> list[Object]:
        """The pods of the workload's newest revision that aren't on their way out; those that ended, of a Job alone."""
        pods = (pod for pod in self._revision_pods(workload) if not part(pod, "metadata").get("deletionTimestamp"))
        return [pod for pod in pods if workload.get("kind") == "Job" or not is_finished(pod)]

    def old_pods(self, workload: Object) -> list[Object]:
        """A StatefulSet's pods of other revisions than the newest that aren't on their way out; [] of other kinds."""
        if workload.get("kind") != "StatefulSet" or not self._revision(workload):
            return []
        new = {_uid(pod) for pod in self._revision_pods(workload)}
        pods = (pod for pod in self.owned(_uid(workload), "Pod") if _uid(pod) not in new)
        return [pod for pod in pods if not part(pod, "metadata").get("deletionTimestamp") and not is_finished(pod)]

    def is_moving(self, workload: Object) -> bool:
        """Whether there may soon be room for more pods: one of any revision leaves, or one of the newest isn't ready or
        available yet, after which its controller takes an old one away."""
        leaving = any(part(pod, "metadata").get("deletionTimestamp") for pod in self._all(workload))
        starting = any(not is_ready(pod) for pod in self.new_pods(workload))
        ready, available = (count(workload, "status", name) for name in ("readyReplicas", "availableReplicas"))
        return leaving or starting or ready > available > 0

    def refusal(self, workload: Object) -> Refusal | None:
        """The latest pod of the newest revision that could not be created, while its controller still lacks pods."""
        kind = str(workload.get("kind"))
        creator = self.new_replica_set(workload) if kind == "Deployment" else workload
        if creator is None:
            return None
        want, have = _WANTS[str(creator.get("kind"))]
        return self._refusals.get(_uid(creator)) if count(creator, *want) > count(creator, *have) else None

    def is_calm(self, workload: Object) -> bool:
        """Whether all that stands behind it is as it was when it was last read anew."""
        calm = self._calm.get(_uid(workload))
        return calm is not None and calm.shape == self._shape(workload)

    def refused_for(self, workload: Object) -> float:
        """Seconds, by the server's clock, that pods have been refused while nothing moved; 0 where it isn't calm."""
        refusal = self.refusal(workload)
        return refusal.time - self._calm[_uid(workload)].time if refusal and self.is_calm(workload) else 0.0

    def note_calm(self, workload: Object) -> None:
        """All that stands behind it was just read anew. Where it looks as it did, the time of the last one counts."""
        refusal = self.refusal(workload)
        if refusal and not self.is_calm(workload):
            self._calm[_uid(workload)] = Calm(self._shape(workload), refusal.time)

    def _all(self, workload: Object) -> list[Object]:
        """All pods of a workload, and its ReplicaSets."""
        sets = self.owned(_uid(workload), "ReplicaSet")
        owners = [_uid(workload), *map(_uid, sets)]
        return [*sets, *(pod for owner in owners for pod in self.owned(owner, "Pod"))]

    def _shape(self, workload: Object) -> frozenset[tuple[Any, ...]]:
        return frozenset(_moves(value) for value in (workload, *self._all(workload)))

    def new_replica_set(self, deployment: Object) -> Object | None:
        """The ReplicaSet of the Deployment's template as it is: by comparison, as its controller finds it.

        (k8s.io/kubectl, util/deployment.FindNewReplicaSet.) The revision annotation would follow late.
        """
        template = _template(part(deployment, "spec", "template"))
        sets = self.owned(_uid(deployment), "ReplicaSet")
        return next((each for each in sets if _template(part(each, "spec", "template")) == template), None)

    def waiting_since(self, pod: Object, container: str) -> float | None:
        """Since when (monotonic seconds) the container waits for the same reason; None where it doesn't wait."""
        found = self._waiting.get((_uid(pod), container))
        return found[1] if found else None

    def _revision_pods(self, workload: Object) -> list[Object]:
        uid, kind = _uid(workload), workload.get("kind")
        if kind == "Deployment":
            replica_set = self.new_replica_set(workload)
            return self.owned(_uid(replica_set), "Pod") if replica_set else []
        pods = self.owned(uid, "Pod")
        if kind == "Job":
            return pods
        revision = self._revision(workload)
        return [pod for pod in pods if revision and part(pod, "metadata", "labels").get(HASH) == revision]

    def _revision(self, workload: Object) -> str:
        """The newest revision as pods are labelled with it; "" while it isn't known."""
        if workload.get("kind") == "StatefulSet":
            seen = count(workload, "metadata", "generation") <= count(workload, "status", "observedGeneration")
            return str(part(workload, "status", "updateRevision") or "") if seen else ""
        template = _template(part(workload, "spec", "template"))
        for revision in self.owned(_uid(workload), "ControllerRevision"):
            if _template(part(revision, "data", "spec", "template")) == template:
                return str(part(revision, "metadata", "labels", HASH) or "")
        return ""

    def _observe_event(self, event: Object, *, deleted: bool) -> None:
        moment = _moment(event)
        if deleted or event.get("reason") != REFUSED or moment is None:
            return
        uid = str(part(event, "involvedObject", "uid"))
        known = self._refusals.get(uid)
        if known is None or moment >= known.time:
            self._refusals[uid] = Refusal(moment, str(event.get("message") or ""))

    def _observe_waiting(self, uid: str, pod: Object, now: float, *, deleted: bool) -> None:
        names = set()
        for status in () if deleted else container_statuses(pod):
            name, reason = str(status.get("name")), waiting_reason(status)
            if reason:
                names.add(name)
                if self._waiting.get((uid, name), ("",))[0] != reason:
                    self._waiting[uid, name] = reason, now
        for key in [key for key in self._waiting if key[0] == uid and key[1] not in names]:
            del self._waiting[key]


def queries_behind(workload: Object, query: Query) -> list[Query]:
    """What to watch besides a workload that came of `query`: by its selector, and the refusals by their reason."""
    namespace = str(part(workload, "metadata", "namespace") or "")
    selector = selector_text(part(workload, "spec", "selector"))
    return [
        Query(resource, namespace, field_selector=f"reason={REFUSED}", cluster=query.cluster)
        if resource is EVENTS
        else Query(resource, namespace, label_selector=selector, cluster=query.cluster)
        for resource in BEHIND.get(str(workload.get("kind")), ())
    ]


_OPERATORS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def selector_text(selector: Object) -> str:
    """A LabelSelector as the query parameter; "" (everything) for what can't be written as one."""
    found = [f"{key}={value}" for key, value in part(selector, "matchLabels").items()]
    for requirement in parts(selector, "matchExpressions"):
        words = _OPERATORS.get(str(requirement.get("operator")))
        if words is None:
            return ""
        found.append(words.format(key=requirement.get("key"), values=",".join(requirement.get("values") or ())))
    return ",".join(found)


def container_statuses(pod: Object) -> Iterator[Object]:
    """The statuses of a pod's init containers, then of its containers."""
    yield from parts(pod, "status", "initContainerStatuses")
    yield from parts(pod, "status", "containerStatuses")


def is_finished(pod: Object) -> bool:
    """Whether it ran to its end, or was evicted: its controller replaces it, or counts it."""
    return part(pod, "status").get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether its Ready condition is True."""
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in parts(pod, "status", "conditions")
    )


def waiting_reason(status: Object) -> str:
    """What a container waits for: `ImagePullBackOff`; `Terminated` where it ended badly and isn't started again yet."""
    if "terminated" in part(status, "state") and count(status, "state", "terminated", "exitCode"):
        return "Terminated"
    return str(part(status, "state", "waiting").get("reason") or "")


def _uid(value: Object | None) -> str:
    return str(part(value, "metadata", "uid")) if value else ""


def _owner(value: Object) -> str:
    """The uid of the controller; ownerReferences name others too."""
    owners = parts(value, "metadata", "ownerReferences")
    return next((str(owner.get("uid")) for owner in owners if owner.get("controller")), "")


def _age(value: Object) -> tuple[str, str]:
    return str(part(value, "metadata", "creationTimestamp")), str(part(value, "metadata", "name"))


def _moves(value: Object) -> tuple[Any, ...]:
    """What of an object means that its workload is in motion: replicas wanted and had, a pod that is ready or goes."""
    return (
        _uid(value),
        part(value, "spec").get("replicas"),
        part(value, "status").get("replicas"),
        is_ready(value),
        bool(part(value, "metadata").get("deletionTimestamp")),
    )


_WANTS = {
    "ReplicaSet": (("spec", "replicas"), ("status", "replicas")),
    "StatefulSet": (("spec", "replicas"), ("status", "replicas")),
    "DaemonSet": (("status", "desiredNumberScheduled"), ("status", "currentNumberScheduled")),
    "Job": (("spec", "parallelism"), ("status", "active")),
}
"""Where a creator of pods says how many it wants, and how many there are."""


def _template(value: Any) -> Any:
    """A pod template without what its controller adds, and without what is empty: so they are compared."""
    plain = _without_empty(value)
    if isinstance(plain, dict):
        plain.pop("$patch", None)
        labels = part(plain, "metadata", "labels")
        if isinstance(labels, dict):
            labels.pop("pod-template-hash", None)
    return plain


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        plain = {name: _without_empty(each) for name, each in value.items()}
        return {name: each for name, each in plain.items() if each is not None and each != {} and each != []}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value


def _moment(event: Object) -> float | None:
    """When an Event happened last, by the server's clock."""
    last = event.get("lastTimestamp") or part(event, "series").get("lastObservedTime") or event.get("eventTime")
    return _seconds(last or part(event, "metadata").get("creationTimestamp"))


def _seconds(text: Any) -> float | None:
    """An API server's time as seconds since 1970; None for what isn't one."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    return None
