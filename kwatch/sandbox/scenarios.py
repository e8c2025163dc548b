"""Scenarios: what happens in a cluster. Each is a function that fills it and returns what drives it.

quiet      populated; nothing moves unless somebody changes something (the control plane is played)
rollout    a Deployment rolling over, for ever, beside one at rest and one that crashes
crashloop  pods that crash and restart, and an image that can't be pulled
churn      `objects` pods, `rate` changes a second
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from .cluster import Cluster
from .controlplane import PACE, ControlPlane
from .encoding import Object, copied
from .errors import ApiError
from .population import DAY, add_nodes, container, populate, service, workload

Drive = Callable[[], None]
Scenario = Callable[..., Drive]
_BETWEEN_ROLLOUTS = 2.0  # seconds between the end of one and the next


def _populated(cluster: Cluster, seed: int, pace: tuple[float, float]) -> ControlPlane:
    plane = ControlPlane(cluster, seed, pace)
    populate(cluster, plane)
    return plane


def quiet(cluster: Cluster, stop: threading.Event, *, seed: int = 0, pace: tuple[float, float] = PACE) -> Drive:
    """Nothing moves; what a client creates comes alive."""
    plane = _populated(cluster, seed, pace)
    return lambda: plane.run(stop)


def rollout(cluster: Cluster, stop: threading.Event, *, seed: int = 0, pace: tuple[float, float] = PACE) -> Drive:
    """Deployment `web` in `default`, 4 replicas, a new image whenever the last one is out.

    Beside it, `checkout` runs quietly and `worker` crashes, so that there is something to look at.
    """
    plane = _populated(cluster, seed, pace)
    with cluster.at(cluster.now() - 2 * DAY):
        cluster.create("deployments", workload("checkout", "ghcr.io/acme/checkout:3.4.0", replicas=3))
        plane.settle()
    with cluster.at(cluster.now() - 3600):
        web = workload("web", "ghcr.io/acme/web:1.0.0", replicas=4, revisionHistoryLimit=3)
        cluster.create("deployments", web, manager="kubectl-create")
        cluster.create("services", service("web", 80))
        plane.settle()
    cluster.create("deployments", workload("worker", "ghcr.io/acme/crash-worker:0.3.0", replicas=1))

    def run() -> None:
        driver = threading.Thread(target=_roll, args=(cluster, stop, pace), name="sandbox-rollout", daemon=True)
        driver.start()
        plane.run(stop)
        driver.join()

    return run


def _rolled_out(cluster: Cluster) -> bool:
    try:
        item = cluster.get("deployments", "default", "web")
    except ApiError:
        return False
    conditions = item["status"].get("conditions", [])
    observed = item["status"].get("observedGeneration") == item["metadata"]["generation"]
    done = any(c["reason"] == "NewReplicaSetAvailable" for c in conditions)
    return observed and done and not item["status"].get("terminatingReplicas")


def _roll(cluster: Cluster, stop: threading.Event, pace: tuple[float, float]) -> None:
    release = 1
    while not stop.wait(min(_BETWEEN_ROLLOUTS, 4 * pace[1])):
        if not _rolled_out(cluster):
            continue
        image = f"ghcr.io/acme/web:1.{release}.0"
        patch = {"spec": {"template": {"spec": {"containers": [container("web", image)]}}}}
        try:
            cluster.patch("deployments", "default", "web", patch)
        except ApiError:  # somebody deleted it
            continue
        release += 1


def crashloop(cluster: Cluster, stop: threading.Event, *, seed: int = 0, pace: tuple[float, float] = PACE) -> Drive:
    """Deployments `worker` (its image crashes) and `report` (its image can't be pulled) in `default`."""
    plane = _populated(cluster, seed, pace)
    cluster.create("deployments", workload("worker", "ghcr.io/acme/crash-worker:0.3.0", replicas=2))
    cluster.create("deployments", workload("report", "ghcr.io/acme/bad-report:9.9.9", replicas=1))
    return lambda: plane.run(stop)


# ------------------------------------------------------------------ churn


class _Churn:
    """Pods that come, change and go at a rate; no control plane."""

    def __init__(self, cluster: Cluster, objects: int, rng: random.Random) -> None:
        self._cluster = cluster
        self._kind = cluster.kind("pods")
        self._random = rng
        self._objects = objects
        self._next = 0
        self.names: list[str] = []

    def create(self) -> None:
        name = f"churn-{self._next:06d}"
        self._next += 1
        self._cluster.create_record(
            self._kind, _running_pod(name, self._random, self._cluster.stamp()), manager="churn"
        )
        self.names.append(name)

    def change(self) -> None:
        """One change: mostly a status, sometimes a pod goes and, later, another comes."""
        chance = self._random.random()
        if len(self.names) < self._objects:
            self.create()
        elif chance < 0.1:
            self._delete(self._random.randrange(len(self.names)))
        else:
            self._touch(self._random.choice(self.names))

    def _delete(self, index: int) -> None:
        name, self.names[index] = self.names[index], self.names[-1]
        self.names.pop()
        try:
            self._cluster.delete_record(self._kind, "default", name)
        except ApiError:  # deleted by a client
            return

    def _touch(self, name: str) -> None:
        try:
            pod = copied(self._cluster.record_of(self._kind, "default", name).item)
        except ApiError:
            return
        status = pod["status"]["containerStatuses"][0]
        ready = not status["ready"]
        status.update(ready=ready, restartCount=status["restartCount"] + (not ready))
        self._cluster.update_record(self._kind, pod, subresource="status", manager="churn")


def _running_pod(name: str, rng: random.Random, stamp: str) -> Object:
    address = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    status = {
        "name": "app",
        "state": {"running": {"startedAt": stamp}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": "app:1",
        "imageID": "",
        "started": True,
    }
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "churn"}},
        "spec": {"containers": [container("app", "app:1")], "nodeName": f"node-{rng.randrange(3)}"},
        "status": {
            "phase": "Running",
            "hostIP": "10.0.0.9",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": stamp,
            "containerStatuses": [status],
        },
    }


def churn(cluster: Cluster, stop: threading.Event, *, seed: int = 0, objects: int = 100, rate: float = 10.0) -> Drive:
    """`objects` pods in `default`, `rate` changes a second."""
    add_nodes(cluster)
    work = _Churn(cluster, objects, random.Random(seed))
    for _ in range(objects):
        work.create()
    return lambda: _at_rate(work.change, rate, stop)


def _at_rate(change: Callable[[], None], rate: float, stop: threading.Event) -> None:
    """Call it `rate` times a second, in bursts where a pause would be too short to keep."""
    start, done = time.monotonic(), 0
    while not stop.wait(max(1 / rate, 0.005) if rate > 0 else None):
        due = int((time.monotonic() - start) * rate)
        for _ in range(done, due):
            change()
        done = due


SCENARIOS: dict[str, Scenario] = {"quiet": quiet, "rollout": rollout, "crashloop": crashloop, "churn": churn}


def start_scenario(name: str, cluster: Cluster, stop: threading.Event, **options: Any) -> threading.Thread:
    """Fill the cluster, and drive it in a thread of its own (a daemon) until `stop` is set."""
    drive = SCENARIOS[name](cluster, stop, **options)
    thread = threading.Thread(target=drive, name=f"sandbox-{name}", daemon=True)
    thread.start()
    return thread


def run_scenario(name: str, cluster: Cluster, stop: threading.Event, **options: Any) -> None:
    """Fill the cluster and drive it in this thread until `stop` is set. Options: seed; pace; objects, rate (churn)."""
    SCENARIOS[name](cluster, stop, **options)()
