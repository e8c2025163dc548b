"""The life of a pod, played: scheduled, pulled, started, ready, restarted, finished, terminated; a stage at a time.

What an image does is in its name (`image_name`, `can_be_pulled`): `crash…` exits with 1 soon after it starts. A pod
that restarts never (or on failure) runs to its end.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable

from .cluster import Cluster, Record
from .encoding import Object, copied, lookup
from .errors import ApiError
from .recorder import Recorder

SCHEDULER, KUBELET = "default-scheduler", "kubelet"
FINAL = ("Succeeded", "Failed")
_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
_BROKEN = re.compile(r"\bbad|broken|missing|no-?such|not-?exist", re.IGNORECASE)
_MAX_BACKOFF = 30.0  # seconds; the real one is 5 minutes, too long to watch


def image_name(image: str) -> str:
    """The last part of an image, without its tag."""
    return image.rpartition("/")[2].partition(":")[0]


def can_be_pulled(image: str) -> bool:
    """Whether there is such an image: no name that begins with `bad`, no tag with a word of `_BROKEN` in it."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return not image_name(image).startswith("bad") and not _BROKEN.search(tag)


def container_state(pod: Object) -> Object:
    """The state of the first container; {} where there is none yet."""
    statuses = lookup(pod, ("status", "containerStatuses"), [])
    state: Object = statuses[0]["state"] if statuses else {}
    return state


def is_ready(pod: Object) -> bool:
    """Whether its Ready condition is True."""
    conditions = lookup(pod, ("status", "conditions"), [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


class Kubelet:
    """Moves pods on. Each pod waits a random time of `pace` seconds between two stages (0: none)."""

    def __init__(
        self,
        cluster: Cluster,
        recorder: Recorder,
        rng: random.Random,
        pace: tuple[float, float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._cluster = cluster
        self._recorder = recorder
        self._random = rng
        self.pace = pace
        self._kind = cluster.kind("pods")
        self._due: dict[str, tuple[int, float]] = {}  # uid: (version it was set for, monotonic time)

    def step(self) -> float | None:
        """Do what is due; the seconds until the next thing is, None where nothing is."""
        now, waits = self._monotonic(), []
        records = self._cluster.records(self._kind)
        for record in records:
            stage = self._stage(record.item)
            if stage is None:
                continue
            version, due = self._due.get(record.uid, (0, 0.0))
            if version != record.version:
                due = now + self._delay(record.item)
                self._due[record.uid] = record.version, due
            if due <= now:
                self._do(stage, record)
            else:
                waits.append(due - now)
        if len(self._due) > 2 * len(records) + 100:
            alive = {record.uid for record in records}
            self._due = {uid: due for uid, due in self._due.items() if uid in alive}
        return min(waits, default=None)

    def _do(self, stage: Callable[[Record], None], record: Record) -> None:
        """A stage of a pod, unless somebody changed or deleted it meanwhile."""
        with self._cluster.lock, contextlib.suppress(ApiError):
            if self._cluster.record_of(self._kind, record.item["metadata"]["namespace"], record.key[1]) is record:
                stage(record)

    def _delay(self, pod: Object) -> float:
        state, factor = container_state(pod), 1.0
        reason = lookup(state, ("waiting", "reason"))
        if reason == "CrashLoopBackOff":
            factor = min(2.0 ** pod["status"]["containerStatuses"][0]["restartCount"], _MAX_BACKOFF)
        elif reason == "ImagePullBackOff" or (state.get("running") and not pod["metadata"].get("deletionTimestamp")):
            factor = 4.0 if reason or is_ready(pod) else 1.0  # what runs to its end runs a while
        elif not lookup(pod, ("spec", "nodeName")):
            factor = 0.3
        return self._random.uniform(*self.pace) * factor

    def _stage(self, pod: Object) -> Callable[[Record], None] | None:
        """What happens to a pod next."""
        state, image = container_state(pod), lookup(pod, ("spec", "containers"), [{}])[0].get("image", "")
        if pod["metadata"].get("deletionTimestamp"):
            return None if pod["metadata"].get("finalizers") else self._remove
        if lookup(pod, ("status", "phase")) in FINAL:
            return None
        if not lookup(pod, ("spec", "nodeName")):
            return self._schedule if self._nodes() else None
        if not state:
            return self._prepare
        if "running" in state:
            return self._running_stage(pod, image)
        return self._waiting_stage(state, image)

    def _running_stage(self, pod: Object, image: str) -> Callable[[Record], None] | None:
        if image_name(image).startswith("crash"):
            return self._fail
        if not is_ready(pod):
            return self._become_ready
        return self._complete if lookup(pod, ("spec", "restartPolicy")) != "Always" else None

    def _waiting_stage(self, state: Object, image: str) -> Callable[[Record], None] | None:
        if "terminated" in state:
            return self._back_off
        if not can_be_pulled(image):
            pulled = lookup(state, ("waiting", "reason")) == "ErrImagePull"
            return self._back_off_pull if pulled else self._fail_pull
        return self._start

    # -------------------------------------------------------------- stages

    def _nodes(self) -> list[str]:
        records = self._cluster.records(self._cluster.kind("nodes"))
        return [r.key[1] for r in records if not lookup(r.item, ("spec", "unschedulable"))]

    def _write(self, pod: Object, manager: str = KUBELET) -> None:
        self._cluster.update_record(self._kind, pod, subresource="status", manager=manager)

    def _set_conditions(self, pod: Object, ready: bool) -> None:
        before = {c["type"]: c for c in pod["status"].get("conditions", [])}
        conditions = []
        for name in _CONDITIONS:
            status = "True" if ready or name in ("PodScheduled", "Initialized") else "False"
            condition = before.get(name)
            if condition is None or condition["status"] != status:
                stamp = self._cluster.stamp()
                condition = {"type": name, "status": status, "lastProbeTime": None, "lastTransitionTime": stamp}
            conditions.append(condition)
        pod["status"]["conditions"] = conditions

    def _set_state(self, pod: Object, phase: str, state: Object, ready: bool = False, restarted: bool = False) -> None:
        """Give every container a state; a terminated one becomes the last state."""
        status = pod["status"]
        before = status.get("containerStatuses") or [None] * len(pod["spec"]["containers"])
        statuses = []
        for spec, old in zip(pod["spec"]["containers"], before, strict=False):
            old = old or {"state": {}, "lastState": {}, "restartCount": 0}
            last = old["state"] if "terminated" in old["state"] else old["lastState"]
            statuses.append(
                {
                    "name": spec["name"],
                    "state": copied(state),
                    "lastState": copied(last),
                    "ready": ready,
                    "restartCount": old["restartCount"] + restarted,
                    "image": spec.get("image", ""),
                    "imageID": "",
                    "started": "running" in state,
                }
            )
        self._set_conditions(pod, ready)
        quality = status.pop("qosClass", "BestEffort")
        status.update(phase=phase, containerStatuses=statuses, qosClass=quality)

    def _image(self, pod: Object) -> str:
        return str(pod["spec"]["containers"][0].get("image", ""))

    def _schedule(self, record: Record) -> None:
        pod = copied(record.item)
        node = pod["spec"]["nodeName"] = self._random.choice(self._nodes())
        stamp = self._cluster.stamp()
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": stamp}
        pod["status"] = {"phase": "Pending", "conditions": [scheduled], "qosClass": "BestEffort"}
        self._cluster.update_record(self._kind, pod, manager="kube-scheduler")
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self._recorder.record(record.item, "Scheduled", f"Successfully assigned {name} to {node}", SCHEDULER)

    def _prepare(self, record: Record) -> None:
        pod = copied(record.item)
        address = f"10.9.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"
        self._set_state(pod, "Pending", {"waiting": {"reason": "ContainerCreating"}})
        statuses = pod["status"].pop("containerStatuses")
        quality = pod["status"].pop("qosClass")
        pod["status"].update(hostIP="10.0.0.9", podIP=address, podIPs=[{"ip": address}])
        pod["status"].update(startTime=self._cluster.stamp(), containerStatuses=statuses, qosClass=quality)
        self._write(pod)
        self._recorder.record(record.item, "Pulling", f'Pulling image "{self._image(pod)}"', KUBELET)

    def _start(self, record: Record) -> None:
        pod = copied(record.item)
        again = lookup(container_state(pod), ("waiting", "reason")) == "CrashLoopBackOff"
        running = {"running": {"startedAt": self._cluster.stamp()}}
        self._set_state(pod, "Running", running, restarted=again)
        self._write(pod)
        name, image = pod["spec"]["containers"][0]["name"], self._image(pod)
        self._recorder.record(record.item, "Pulled", f'Successfully pulled image "{image}"', KUBELET)
        self._recorder.record(record.item, "Created", f"Created container: {name}", KUBELET)
        self._recorder.record(record.item, "Started", f"Started container {name}", KUBELET)

    def _become_ready(self, record: Record) -> None:
        pod = copied(record.item)
        self._set_state(pod, "Running", container_state(pod), ready=True)
        self._write(pod)

    def _end_state(self, pod: Object, code: int, reason: str) -> Object:
        started = container_state(pod)["running"]["startedAt"]
        ended = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": self._cluster.stamp()}
        return {"terminated": ended}

    def _complete(self, record: Record) -> None:
        pod = copied(record.item)
        self._set_state(pod, "Succeeded", self._end_state(pod, 0, "Completed"))
        self._write(pod)

    def _fail(self, record: Record) -> None:
        pod = copied(record.item)
        phase = "Failed" if lookup(pod, ("spec", "restartPolicy")) == "Never" else "Running"
        self._set_state(pod, phase, self._end_state(pod, 1, "Error"))
        self._write(pod)

    def _back_off(self, record: Record) -> None:
        pod = copied(record.item)
        message = "back-off 10s restarting failed container"
        self._set_state(pod, "Running", {"waiting": {"reason": "CrashLoopBackOff", "message": message}})
        self._write(pod)
        name = pod["spec"]["containers"][0]["name"]
        text = f"Back-off restarting failed container {name} in pod {pod['metadata']['name']}"
        self._recorder.record(record.item, "BackOff", text, KUBELET, "Warning")

    def _fail_pull(self, record: Record) -> None:
        pod = copied(record.item)
        text = f'failed to pull image "{self._image(pod)}": not found'
        self._set_state(pod, "Pending", {"waiting": {"reason": "ErrImagePull", "message": text}})
        self._write(pod)
        self._recorder.record(record.item, "Failed", f"Failed to pull image: {text}", KUBELET, "Warning")

    def _back_off_pull(self, record: Record) -> None:
        pod = copied(record.item)
        text = f'Back-off pulling image "{self._image(pod)}"'
        self._set_state(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": text}})
        self._write(pod)
        self._recorder.record(record.item, "BackOff", text, KUBELET)

    def _remove(self, record: Record) -> None:
        containers = record.item["spec"].get("containers") or [{"name": ""}]
        self._recorder.record(record.item, "Killing", f"Stopping container {containers[0]['name']}", KUBELET)
        namespace, name = record.item["metadata"]["namespace"], record.key[1]
        self._cluster.delete_record(self._kind, namespace, name, grace=0)
