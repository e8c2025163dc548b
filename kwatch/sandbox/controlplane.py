"""The controllers and the kubelet in one loop: they wake on any change to what they look after, and on their timers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from .cluster import Cluster
from .kubelet import Kubelet
from .recorder import Recorder
from .workloads import Workloads

WATCHED = ("pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "nodes")
PACE = (0.3, 0.8)  # seconds between two stages of a pod: a person sees it move
_MAX_ROUNDS = 500
_DEADLINE_CHECK = 5.0  # seconds: a progress deadline passes without any change
_STOP_CHECK = 0.2  # seconds within which `stop` is seen


class ControlPlane:
    """Plays the control plane of a cluster: objects created by anybody come alive.

    While it exists, pods that are deleted are Terminating first, as it finishes them.
    """

    def __init__(
        self,
        cluster: Cluster,
        seed: int = 0,
        pace: tuple[float, float] = PACE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._wake = threading.Event()
        recorder = Recorder(cluster)
        self._kubelet = Kubelet(cluster, recorder, random.Random(seed), pace, monotonic)
        self._workloads = Workloads(cluster, recorder)
        cluster.graceful = True

    def settle(self) -> None:
        """Play on without waiting until nothing changes any more."""
        pace, self._kubelet.pace = self._kubelet.pace, (0.0, 0.0)
        for _ in range(_MAX_ROUNDS):
            before = self._cluster.resource_version
            self.step()
            if self._cluster.resource_version == before:
                break
        self._kubelet.pace = pace

    def step(self) -> float | None:
        """One round; the seconds until the next timer."""
        wait = self._kubelet.step()
        self._workloads.step()
        return wait

    def run(self, stop: threading.Event) -> None:
        """Play until `stop` is set."""
        kinds = [self._cluster.kind(name) for name in WATCHED]
        watchers = [(kind, self._cluster.watch(kind, notify=self._wake.set)) for kind in kinds]
        try:
            while not stop.is_set():
                self._wake.clear()
                for _, watcher in watchers:
                    watcher.discard()
                before = self._cluster.resource_version
                wait = self.step()
                if self._cluster.resource_version == before:
                    self._rest(_DEADLINE_CHECK if wait is None else min(wait, _DEADLINE_CHECK), stop)
        finally:
            self._cluster.graceful = False
            for kind, watcher in watchers:
                self._cluster.unwatch(kind, watcher)

    def _rest(self, seconds: float, stop: threading.Event) -> None:
        """Wait for a change, a timer, or the stop."""
        until = time.monotonic() + seconds
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, _STOP_CHECK)):
                return
