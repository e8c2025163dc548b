"""The workload controllers, played: Deployment, ReplicaSet, StatefulSet, DaemonSet and Job, in the steps and with the
statuses of the real ones. Each `reconcile_*` looks at one object and makes at most its next move.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

from .cluster import Cluster, Record, Records
from .encoding import Object, copied, encode, lookup
from .errors import ApiError, not_found
from .kubelet import FINAL, is_ready
from .recorder import Recorder
from .tables import parse_time

MANAGER = "kube-controller-manager"
HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED, MAXIMUM = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
_FIRST_RETRY, _LONGEST_RETRY = 0.1, 30.0  # seconds until a pod that was refused is tried again, doubled each time
_HASH_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Object) -> str:
    """A suffix like `7d96578774`: FNV-1a of the template in the alphabet of generated names."""
    digest = 0x811C9DC5
    for byte in encode(template):
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_HASH_ALPHABET[ord(digit) % len(_HASH_ALPHABET)] for digit in str(digest))


def amount(value: int | str | None, total: int, round_up: bool) -> int:
    """maxSurge and maxUnavailable: a number, or a percentage of the replicas."""
    if isinstance(value, str) and value.endswith("%"):
        exact = int(value[:-1]) * total / 100
        return math.ceil(exact) if round_up else math.floor(exact)
    return int(value or 0)


def _nonzero(**counts: int) -> Object:
    return {name: count for name, count in counts.items() if count}


def _replicas(item: Object) -> int:
    return int(lookup(item, ("spec", "replicas"), 0))


def _status(item: Object, name: str) -> int:
    return int(lookup(item, ("status", name), 0))


@dataclass(frozen=True)
class _Pods:
    """A controller's pods, sorted out."""

    active: Records
    terminating: Records
    finished: Records

    @property
    def ready(self) -> Records:
        return [record for record in self.active if is_ready(record.item)]


class Workloads:
    """The controllers over one cluster."""

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._refusals: dict[str, tuple[int, float, str]] = {}  # uid: (how many, when to try again, why)
        kinds = ("pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "nodes")
        self._kinds = {name: cluster.kind(name) for name in (*kinds, "controllerrevisions")}
        self._reconcilers = {
            "deployments": self.reconcile_deployment,
            "replicasets": self.reconcile_replica_set,
            "statefulsets": self.reconcile_stateful_set,
            "daemonsets": self.reconcile_daemon_set,
            "jobs": self.reconcile_job,
        }

    def step(self) -> None:
        """Reconcile everything once. An object that goes away meanwhile is the next step's business."""
        for name, reconcile in self._reconcilers.items():
            for record in self._cluster.records(self._kinds[name]):
                with self._cluster.lock, contextlib.suppress(ApiError):
                    reconcile(self._alive(name, record))

    def _alive(self, kind: str, record: Record) -> Record:
        """The object as it is now; ApiError where it is gone or going: nothing is to be created for it."""
        current = self._cluster.record_of(self._kinds[kind], record.item["metadata"]["namespace"], record.key[1])
        if current.uid != record.uid or current.item["metadata"].get("deletionTimestamp"):
            raise not_found(self._kinds[kind], record.key[1])
        return current

    # -------------------------------------------------------------- shared

    def _pods(self, owner: Record) -> _Pods:
        records = self._cluster.dependents(self._kinds["pods"], owner.uid)
        terminating = [r for r in records if r.item["metadata"].get("deletionTimestamp")]
        rest = [r for r in records if not r.item["metadata"].get("deletionTimestamp")]
        finished = [r for r in rest if lookup(r.item, ("status", "phase")) in FINAL]
        active = [r for r in rest if lookup(r.item, ("status", "phase")) not in FINAL]
        return _Pods(active, terminating, finished)

    def _set_status(self, kind: str, record: Record, status: Object) -> None:
        item = {**record.item, "status": status}
        self._cluster.update_record(self._kinds[kind], item, subresource="status", manager=MANAGER)

    def _owned(self, owner: Record, name: str, labels: Object, generate_name: str = "") -> Object:
        """The metadata of an object that a controller creates."""
        reference = {
            "apiVersion": owner.item["apiVersion"],
            "kind": owner.item["kind"],
            "name": owner.item["metadata"]["name"],
            "uid": owner.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        namespace = owner.item["metadata"]["namespace"]
        metadata = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [reference]}
        return {**metadata, "generateName": generate_name} if generate_name else metadata

    def _create_pod(
        self, owner: Record, component: str, labels: Object, name: str = "", template: Object | None = None, **spec: Any
    ) -> bool:
        """Create it; False where it is refused, which is told as its controller tells it, and tried again later."""
        if owner.uid in self._refusals and self._cluster.now() < self._refusals[owner.uid][1]:
            return False
        template = copied(template or owner.item["spec"]["template"])
        prefix = f"{owner.item['metadata']['name']}-"
        metadata = self._owned(
            owner,
            name or prefix + self._cluster.suffix(),
            {**(template["metadata"].get("labels") or {}), **labels},
            prefix,
        )
        pod = {"metadata": metadata, "spec": {**template["spec"], **spec}}
        try:
            self._check_quota(metadata)
            created = self._cluster.create_record(self._kinds["pods"], pod, manager=MANAGER)
        except ApiError as error:
            self._refuse(owner, component, metadata["name"], str(error))
            return False
        self._refusals.pop(owner.uid, None)
        self._recorder.record(owner.item, "SuccessfulCreate", f"Created pod: {created.key[1]}", component)
        return True

    def _check_quota(self, metadata: Object) -> None:
        """Raises 403 where the namespace has as many pods as it may have."""
        limit = self._cluster.pod_limits.get(metadata["namespace"])
        if limit is None:
            return
        pods = self._cluster.list("pods", metadata["namespace"])
        used = sum(lookup(pod, ("status", "phase")) not in FINAL for pod in pods)
        if used >= limit:
            text = f"exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={limit}"
            raise ApiError(403, "Forbidden", f'pods "{metadata["name"]}" is forbidden: {text}')

    def _refuse(self, owner: Record, component: str, name: str, why: str) -> None:
        count = self._refusals.get(owner.uid, (0, 0.0, ""))[0]
        due = self._cluster.now() + min(_FIRST_RETRY * 2**count, _LONGEST_RETRY)
        self._refusals[owner.uid] = count + 1, due, why
        stateful = f"create Pod {name} in StatefulSet {owner.key[1]} failed error: {why}"
        message = stateful if owner.item["kind"] == "StatefulSet" else f"Error creating: {why}"
        self._recorder.record(owner.item, "FailedCreate", message, component, "Warning")

    def _replica_failure(self, item: Object, uid: str) -> list[Object]:
        """The condition of a ReplicaSet whose pods are refused."""
        if uid not in self._refusals:
            return []
        before = next(iter(lookup(item, ("status", "conditions"), [])), None)
        condition = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": self._cluster.stamp()}
        return [before or {**condition, "reason": "FailedCreate", "message": self._refusals[uid][2]}]

    def _delete_pod(self, owner: Record, pod: Record, component: str) -> None:
        self._cluster.delete_record(self._kinds["pods"], pod.item["metadata"]["namespace"], pod.key[1])
        self._recorder.record(owner.item, "SuccessfulDelete", f"Deleted pod: {pod.key[1]}", component)

    # -------------------------------------------------------------- ReplicaSet

    def reconcile_replica_set(self, record: Record) -> None:
        """Create what is missing, delete what is too much (the unready first), write the status."""
        pods = self._pods(record)
        missing = _replicas(record.item) - len(pods.active)
        for _ in range(missing):
            if not self._create_pod(record, "replicaset-controller", {}):
                break
        if missing <= 0:
            self._refusals.pop(record.uid, None)
        surplus = sorted(pods.active, key=lambda pod: is_ready(pod.item))
        for pod in surplus[: max(-missing, 0)]:
            self._delete_pod(record, pod, "replicaset-controller")
        pods = self._pods(record)
        total, ready = len(pods.active), len(pods.ready)
        failure = self._replica_failure(record.item, record.uid)
        status = {
            **({"conditions": failure} if failure else {}),
            "replicas": total,
            **_nonzero(fullyLabeledReplicas=total, readyReplicas=ready, availableReplicas=ready),
            "terminatingReplicas": len(pods.terminating),
            "observedGeneration": record.item["metadata"]["generation"],
        }
        self._set_status("replicasets", record, status)

    # -------------------------------------------------------------- Deployment

    def reconcile_deployment(self, record: Record) -> None:
        """One move of a rollout: the new ReplicaSet, a scale up, or a scale down; then the status."""
        sets = self._cluster.dependents(self._kinds["replicasets"], record.uid)
        suffix = template_hash(record.item["spec"]["template"])
        new = next((rs for rs in sets if rs.item["metadata"]["labels"].get(HASH_LABEL) == suffix), None)
        old = [rs for rs in sets if rs is not new]
        if lookup(record.item, ("spec", "paused")):
            pass
        elif new is None:
            new = self._create_replica_set(record, suffix, old)
        elif not self._scale_up(record, new, old):
            self._scale_down(record, new, old)
            self._forget_old(record, old)
        self._write_deployment_status(record, suffix)

    def _limits(self, item: Object) -> tuple[int, int]:
        """(the most replicas, the fewest available ones) of a rollout."""
        replicas, strategy = _replicas(item), item["spec"]["strategy"]
        rolling = strategy.get("rollingUpdate") or {}
        if strategy["type"] == "Recreate":
            return replicas, 0
        surge = amount(rolling.get("maxSurge"), replicas, round_up=True)
        unavailable = amount(rolling.get("maxUnavailable"), replicas, round_up=False)
        return replicas + surge, replicas - (unavailable or (not surge))

    def _create_replica_set(self, owner: Record, suffix: str, old: Records) -> Record:
        item = owner.item
        revision = 1 + max((int(rs.item["metadata"].get("annotations", {}).get(REVISION, 0)) for rs in old), default=0)
        labels = {**(item["spec"]["template"]["metadata"].get("labels") or {}), HASH_LABEL: suffix}
        name = f"{item['metadata']['name']}-{suffix}"
        template = copied(item["spec"]["template"])
        template["metadata"]["labels"] = labels
        metadata = self._owned(owner, name, labels)
        most, _ = self._limits(item)
        replicas = self._room(item, 0, old)
        metadata["annotations"] = {DESIRED: str(_replicas(item)), MAXIMUM: str(most), REVISION: str(revision)}
        selector = {"matchLabels": {**item["spec"]["selector"].get("matchLabels", {}), HASH_LABEL: suffix}}
        spec = {"replicas": replicas, "selector": selector, "template": template}
        created = self._cluster.create_record(
            self._kinds["replicasets"], {"metadata": metadata, "spec": spec}, manager=MANAGER
        )
        self._announce_scale(owner, name, 0, replicas)
        annotations = {"annotations": {REVISION: str(revision)}}
        namespace, own_name = item["metadata"]["namespace"], item["metadata"]["name"]
        patch = {"metadata": annotations}
        self._cluster.patch_record(self._kinds["deployments"], namespace, own_name, patch, manager=MANAGER)
        return created

    def _room(self, item: Object, have: int, old: Records) -> int:
        """How many replicas the new ReplicaSet may have now."""
        most, _ = self._limits(item)
        others = sum(_replicas(rs.item) for rs in old)
        if item["spec"]["strategy"]["type"] == "Recreate":
            others = sum(_status(rs.item, "replicas") + _status(rs.item, "terminatingReplicas") for rs in old)
            return have if others else _replicas(item)
        return max(min(most - others, _replicas(item)), min(have, _replicas(item)))

    def _scale(self, owner: Record, target: Record, replicas: int) -> None:
        before, namespace, name = _replicas(target.item), target.item["metadata"]["namespace"], target.key[1]
        patch = {"spec": {"replicas": replicas}}
        self._cluster.patch_record(self._kinds["replicasets"], namespace, name, patch, manager=MANAGER)
        self._announce_scale(owner, name, before, replicas)

    def _announce_scale(self, owner: Record, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        self._recorder.record(owner.item, "ScalingReplicaSet", message, "deployment-controller")

    def _scale_up(self, owner: Record, new: Record, old: Records) -> bool:
        room = self._room(owner.item, _replicas(new.item), old)
        if room == _replicas(new.item):
            return False
        self._scale(owner, new, room)
        return True

    def _scale_down(self, owner: Record, new: Record, old: Records) -> None:
        """Old replicas go as far as enough stay available; those that aren't available go first."""
        _, fewest = self._limits(owner.item)
        missing = _replicas(new.item) - _status(new.item, "availableReplicas")
        spare = sum(_replicas(rs.item) for rs in [new, *old]) - fewest - missing
        for candidate in sorted(old, key=lambda rs: _status(rs.item, "availableReplicas")):
            replicas = _replicas(candidate.item)
            if not replicas or spare <= 0:
                continue
            self._scale(owner, candidate, replicas - min(replicas, spare))
            return

    def _forget_old(self, owner: Record, old: Records) -> None:
        empty = [rs for rs in old if not _replicas(rs.item) and not _status(rs.item, "replicas")]
        empty.sort(key=lambda rs: int(rs.item["metadata"].get("annotations", {}).get(REVISION, 0)))
        kept = int(lookup(owner.item, ("spec", "revisionHistoryLimit"), 10))
        for replica_set in empty[: max(len(empty) - kept, 0)]:
            namespace = replica_set.item["metadata"]["namespace"]
            self._cluster.delete_record(self._kinds["replicasets"], namespace, replica_set.key[1])

    def _write_deployment_status(self, record: Record, suffix: str) -> None:
        namespace, name = record.item["metadata"]["namespace"], record.key[1]
        record = self._cluster.record_of(self._kinds["deployments"], namespace, name)
        sets = self._cluster.dependents(self._kinds["replicasets"], record.uid)
        new = [rs for rs in sets if rs.item["metadata"]["labels"].get(HASH_LABEL) == suffix]

        def total(field: str, of: Records = sets) -> int:
            return sum(_status(rs.item, field) for rs in of)

        wanted = sum(_replicas(rs.item) for rs in sets)
        available = total("availableReplicas")
        status: Object = {
            "observedGeneration": record.item["metadata"]["generation"],
            **_nonzero(
                replicas=total("replicas"),
                updatedReplicas=total("replicas", new),
                readyReplicas=total("readyReplicas"),
                availableReplicas=available,
                unavailableReplicas=max(wanted - available, 0),
            ),
            "terminatingReplicas": total("terminatingReplicas"),
        }
        before = {c["type"]: c for c in lookup(record.item, ("status", "conditions"), [])}
        status["conditions"] = [
            self._available_condition(record.item, available, before.get("Available")),
            self._progressing_condition(record.item, status, new, before.get("Progressing")),
            *(condition for rs in new for condition in lookup(rs.item, ("status", "conditions"), [])),
        ]
        self._set_status("deployments", record, status)

    def _condition(self, old: Object | None, kind: str, status: str, reason: str, message: str) -> Object:
        """A Deployment's condition; unchanged ones keep their times."""
        if old and (old["status"], old["reason"], old["message"]) == (status, reason, message):
            return old
        stamp = self._cluster.stamp()
        turned = old["lastTransitionTime"] if old and old["status"] == status else stamp
        condition = {"type": kind, "status": status, "lastUpdateTime": stamp, "lastTransitionTime": turned}
        return {**condition, "reason": reason, "message": message}

    def _available_condition(self, item: Object, available: int, old: Object | None) -> Object:
        _, fewest = self._limits(item)
        if available >= fewest:
            text = "Deployment has minimum availability."
            return self._condition(old, "Available", "True", "MinimumReplicasAvailable", text)
        text = "Deployment does not have minimum availability."
        return self._condition(old, "Available", "False", "MinimumReplicasUnavailable", text)

    def _progressing_condition(self, item: Object, status: Object, new: Records, old: Object | None) -> Object:
        replicas, name = _replicas(item), new[0].key[1] if new else ""
        counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
        if counts == [replicas] * 3:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            return self._condition(old, "Progressing", "True", "NewReplicaSetAvailable", text)
        if not status.get("updatedReplicas"):
            text = f'Created new replica set "{name}"'
            return self._condition(old, "Progressing", "True", "NewReplicaSetCreated", text)
        if old and old["reason"] in ("ReplicaSetUpdated", "ProgressDeadlineExceeded"):
            waited = self._cluster.now() - parse_time(old["lastUpdateTime"])
            if old["status"] == "False" or waited > item["spec"]["progressDeadlineSeconds"]:
                text = f'ReplicaSet "{name}" has timed out progressing.'
                return self._condition(old, "Progressing", "False", "ProgressDeadlineExceeded", text)
            if _progress(status) == _progress(item.get("status") or {}):
                return old
        text = f'ReplicaSet "{name}" is progressing.'
        condition = self._condition(None, "Progressing", "True", "ReplicaSetUpdated", text)
        turned = old["lastTransitionTime"] if old and old["status"] == "True" else condition["lastTransitionTime"]
        return {**condition, "lastTransitionTime": turned}

    # -------------------------------------------------------------- StatefulSet

    def _revision(self, owner: Record) -> str:
        """The name of the ControllerRevision of the template as it is, created if need be."""
        name = f"{owner.item['metadata']['name']}-{template_hash(owner.item['spec']['template'])}"
        revisions = self._cluster.dependents(self._kinds["controllerrevisions"], owner.uid)
        if not any(revision.key[1] == name for revision in revisions):
            labels = {**(owner.item["spec"]["template"]["metadata"].get("labels") or {})}
            metadata = self._owned(owner, name, {**labels, REVISION_LABEL: name.rpartition("-")[2]})
            data = {"spec": {"template": {"$patch": "replace", **copied(owner.item["spec"]["template"])}}}
            item = {"metadata": metadata, "data": data, "revision": len(revisions) + 1}
            self._cluster.create_record(self._kinds["controllerrevisions"], item, manager=MANAGER)
        return name

    def reconcile_stateful_set(self, record: Record) -> None:
        """One move: the next ordinal when all before it are ready, one pod less, or the last outdated one replaced."""
        update, pods = self._revision(record), self._pods(record)
        self._move_stateful_set(record, pods, update, lookup(record.item, ("status", "currentRevision"), update))
        pods = self._pods(record)
        updated = [p for p in pods.active if p.item["metadata"]["labels"].get(REVISION_LABEL) == update]
        before = lookup(record.item, ("status", "currentRevision"), update)
        settled = len(updated) == len(pods.active) == _replicas(record.item) and len(pods.ready) == len(updated)
        current = update if settled else before
        on_current = [p for p in pods.active if p.item["metadata"]["labels"].get(REVISION_LABEL) == current]
        status = {
            "observedGeneration": record.item["metadata"]["generation"],
            "replicas": len(pods.active),
            **_nonzero(readyReplicas=len(pods.ready), currentReplicas=len(on_current), updatedReplicas=len(updated)),
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": 0,
            "availableReplicas": len(pods.ready),
        }
        self._set_status("statefulsets", record, status)

    def _template_of(self, record: Record, revision: str) -> Object:
        """The pod template of a revision; the StatefulSet's own where that is gone."""
        for found in self._cluster.dependents(self._kinds["controllerrevisions"], record.uid):
            if found.key[1] == revision:
                template: Object = copied(found.item["data"]["spec"]["template"])
                template.pop("$patch", None)
                return template
        own: Object = record.item["spec"]["template"]
        return own

    def _move_stateful_set(self, record: Record, pods: _Pods, update: str, current: str) -> None:
        partition = lookup(record.item, ("spec", "updateStrategy", "rollingUpdate", "partition"), 0)
        name, replicas, component = record.key[1], _replicas(record.item), "statefulset-controller"
        if pods.terminating:
            return
        by_ordinal = {int(pod.key[1].rpartition("-")[2]): pod for pod in pods.active}
        for ordinal in range(replicas):
            pod = by_ordinal.get(ordinal)
            if pod is None:
                revision = update if ordinal >= partition else current
                labels = {
                    "apps.kubernetes.io/pod-index": str(ordinal),
                    REVISION_LABEL: revision,
                    "statefulset.kubernetes.io/pod-name": f"{name}-{ordinal}",
                }
                self._create_pod(record, component, labels, f"{name}-{ordinal}", self._template_of(record, revision))
            if pod is None or not is_ready(pod.item):
                return
        for ordinal in sorted(by_ordinal, reverse=True):
            pod = by_ordinal[ordinal]
            outdated = pod.item["metadata"]["labels"].get(REVISION_LABEL) != update
            rolling = record.item["spec"]["updateStrategy"].get("type") == "RollingUpdate"
            if ordinal >= replicas or (outdated and rolling and ordinal >= partition):
                self._delete_pod(record, pod, component)
                return

    # -------------------------------------------------------------- DaemonSet

    def reconcile_daemon_set(self, record: Record) -> None:
        """A pod on every node; outdated ones are replaced one at a time."""
        suffix = self._revision(record).rpartition("-")[2]
        nodes = [node.key[1] for node in self._cluster.records(self._kinds["nodes"])]
        pods = self._pods(record)
        by_node = {lookup(pod.item, ("spec", "nodeName")): pod for pod in pods.active}
        generation = str(record.item["metadata"]["generation"])
        for node in nodes:
            if node not in by_node and not any(p.item["spec"].get("nodeName") == node for p in pods.terminating):
                labels = {REVISION_LABEL: suffix, "pod-template-generation": generation}
                if not self._create_pod(record, "daemonset-controller", labels, nodeName=node):
                    break
        outdated = [p for p in pods.active if p.item["metadata"]["labels"].get(REVISION_LABEL) != suffix]
        if outdated and len(pods.ready) >= len(nodes):
            self._delete_pod(record, outdated[0], "daemonset-controller")
        pods = self._pods(record)
        updated = [p for p in pods.active if p.item["metadata"]["labels"].get(REVISION_LABEL) == suffix]
        ready = len(pods.ready)
        status = {
            "currentNumberScheduled": len(pods.active),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": len(nodes),
            "numberReady": ready,
            "observedGeneration": record.item["metadata"]["generation"],
            **_nonzero(
                updatedNumberScheduled=len(updated),
                numberAvailable=ready,
                numberUnavailable=max(len(nodes) - ready, 0),
            ),
        }
        self._set_status("daemonsets", record, status)

    # -------------------------------------------------------------- Job

    def reconcile_job(self, record: Record) -> None:
        """Pods until enough have succeeded, or too many failed."""
        status = record.item.get("status") or {}
        if any(c["type"] in ("Complete", "Failed") for c in status.get("conditions", [])):
            return
        spec, pods = record.item["spec"], self._pods(record)
        succeeded = sum(p.item["status"]["phase"] == "Succeeded" for p in pods.finished)
        failed = len(pods.finished) - succeeded
        over = succeeded >= spec["completions"] or failed > spec["backoffLimit"]
        wanted = 0 if over or spec.get("suspend") else min(spec["parallelism"], spec["completions"] - succeeded)
        for _ in range(wanted - len(pods.active)):
            if not self._create_pod(record, "job-controller", {}):
                break
        pods = self._pods(record)
        shown: Object = {"startTime": status.get("startTime") or self._cluster.stamp()}
        shown.update(_nonzero(active=len(pods.active), succeeded=succeeded, failed=failed))
        shown.update(terminating=len(pods.terminating), uncountedTerminatedPods={}, ready=len(pods.ready))
        if over:
            shown = self._finished(record, shown, failed > spec["backoffLimit"])
        self._set_status("jobs", record, shown)

    def _finished(self, record: Record, status: Object, failed: bool) -> Object:
        stamp = self._cluster.stamp()
        if failed:
            kinds, reason = ("FailureTarget", "Failed"), "BackoffLimitExceeded"
            message = "Job has reached the specified backoff limit"
            self._recorder.record(record.item, reason, message, "job-controller", "Warning")
        else:
            kinds, reason = ("SuccessCriteriaMet", "Complete"), "CompletionsReached"
            message = "Reached expected number of succeeded pods"
            self._recorder.record(record.item, "Completed", "Job completed", "job-controller")
        common = {"status": "True", "lastProbeTime": stamp, "lastTransitionTime": stamp}
        conditions = [{"type": kind, **common, "reason": reason, "message": message} for kind in kinds]
        ended = {} if failed else {"completionTime": stamp}
        return {"conditions": conditions, "startTime": status["startTime"], **ended, **status}


def _progress(status: Object) -> list[int]:
    return [status.get(field, 0) for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
