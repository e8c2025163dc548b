"""A rollout under the sandbox's controllers, and a wait for it over a network that lags and breaks; in virtual time.

No sockets: each watch is a session of its own whose requests go to the sandbox's API; what comes back is late, cut off
or expired as chance has it. The world notes what was true when, by rules of its own, so that the verdict can be judged.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from world import Frames

from kwatch.conditions.predicates import parse_condition
from kwatch.conditions.verdict import Moment, Outcome
from kwatch.conditions.wait import End, Plan, Wait
from kwatch.errors import Unreachable
from kwatch.model import Query, Resource, Signal
from kwatch.protocol.decisions import Cause
from kwatch.protocol.forms import ObjectForm
from kwatch.protocol.session import WatchSession
from kwatch.sandbox import ApiError, Cluster
from kwatch.sandbox import Request as ServerRequest
from kwatch.sandbox.api import Api, Reply, Watching, error_reply
from kwatch.sandbox.controlplane import ControlPlane
from kwatch.sandbox.population import add_nodes, container, workload
from kwatch.sandbox.representations import event
from kwatch.sandbox.workloads import template_hash

TICK = 0.2
"""Virtual seconds between two looks at everything."""
TIMEOUT = 90.0
PROVEN = ("ImagePullBackOff", "CrashLoopBackOff")
KINDS = {
    "deployments": Resource("apps", "v1", "deployments", "Deployment"),
    "statefulsets": Resource("apps", "v1", "statefulsets", "StatefulSet"),
    "daemonsets": Resource("apps", "v1", "daemonsets", "DaemonSet"),
}


@dataclass
class Truth:
    """What was so, and first when: the rollout done, a pod of the new revision broken, the workload gone."""

    done: list[float] = field(default_factory=list)
    broken: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    gone: list[float] = field(default_factory=list)

    def since(self, now: float, started: float) -> float:
        """Since when there is something to conclude that still is so; `now` where there is nothing."""
        runs = (_run(moments, now, started) for moments in (self.done, self.gone, *self.broken.values()))
        return min(runs, default=now)


def _run(moments: list[float], now: float, started: float) -> float:
    """The start of the unbroken run of moments that lasts until now."""
    since = now
    for moment in reversed(moments):
        if since - moment > 2 * TICK or moment < started:
            break
        since = moment
    return since


class World:
    """The cluster, its controllers, the clock, the watches, the wait, and the truth."""

    def __init__(self, seed: int, kind: str, **spec: Any) -> None:
        self.random = random.Random(seed)
        self.now = 1_800_000_000.0
        self.kind = kind
        self.cluster = Cluster(history=80, now=lambda: self.now, seed=seed)
        self.plane = ControlPlane(self.cluster, seed, (0.2, 1.0), lambda: self.now)
        add_nodes(self.cluster)
        self.cluster.create(kind, workload("web", "web:1", **spec))
        self.plane.settle()
        self.api = Api(self.cluster, address="", user="model", aggregated=True)
        self.truth = Truth()
        self.links: dict[Query, Link] = {}
        self.settled, self.wake = -1, 0.0
        self.noted: tuple[int, list[list[float]]] = (-1, [])
        self.down_until = 0.0
        self.trouble = 0.0

    def wait(self, script: list[tuple[float, Any]]) -> tuple[End | None, float]:
        """Wait for the rollout while `script`'s acts happen, each so many seconds from now; the end, and when."""
        query = Query(KINDS[self.kind], "default", "web")
        waiting = Wait(Plan((parse_condition("rollout"),)), [query], self.now)
        self.links[query] = Link(self, query)
        script, started = sorted(script, key=lambda pair: pair[0]), self.now
        while self.now - started < TIMEOUT:
            while script and script[0][0] <= self.now - started:
                script.pop(0)[1](self)
            self.play()
            for link in list(self.links.values()):
                waiting.take(link.query, link.step(), self.moment)
            end = waiting.decide(self.moment)
            self._follow(waiting)
            if end is not None:
                return end, self.now - started
            self.now += TICK
            if self.random.random() < self.trouble / 10:
                self.down_until = self.now + self.random.uniform(0.5, 4)
        return None, self.now - started

    def run_on(self, seconds: float) -> None:
        """Let the controllers go on, and note what is true."""
        until = self.now + seconds
        while self.now < until:
            self.play()
            self.now += TICK

    def play(self) -> None:
        """The controllers' next moves, where there is anything for them to do; and what is true then."""
        if self.cluster.resource_version != self.settled or self.now >= self.wake:
            before = self.cluster.resource_version
            pause = self.plane.step()
            self.wake = self.now + min(1.0 if pause is None else pause, 1.0)
            self.settled = before
        version, lists = self.noted
        if version != self.cluster.resource_version:
            lists = list(self.true())
            self.noted = self.cluster.resource_version, lists
        for moments in lists:
            moments.append(self.now)

    @property
    def moment(self) -> Moment:
        return Moment(self.now, datetime.fromtimestamp(self.now, timezone.utc))

    def _follow(self, waiting: Wait) -> None:
        wanted, unwanted = waiting.wanted()
        for query in unwanted:
            self.links.pop(query).close()
        for query in wanted:
            self.links[query] = Link(self, query)

    # What is true

    def true(self) -> Iterator[list[float]]:
        """Where to note this moment: what is so, from the cluster itself."""
        try:
            item = self.cluster.get(self.kind, "default", "web")
        except ApiError:
            yield self.truth.gone
            return
        if self._is_done(item):
            yield self.truth.done
        suffix = template_hash(item["spec"]["template"])
        for record in self.cluster.records(self.cluster.kind("pods")):
            metadata, labels = record.item["metadata"], record.item["metadata"]["labels"]
            revision = labels.get("pod-template-hash") or labels.get("controller-revision-hash", "").rpartition("-")[2]
            if revision != suffix or metadata.get("deletionTimestamp"):
                continue
            for status in record.item["status"].get("containerStatuses", []):
                reason = status["state"].get("waiting", {}).get("reason")
                if reason in PROVEN:
                    yield self.truth.broken.setdefault((metadata["name"], reason), [])

    def _is_done(self, item: dict[str, Any]) -> bool:
        status, spec = item["status"], item["spec"]
        if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
            return False
        have = {
            name: status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas", "readyReplicas")
        }
        if self.kind == "deployments":
            return [have["updatedReplicas"], have["replicas"], have["availableReplicas"]] == [spec["replicas"]] * 3
        if self.kind == "daemonsets":
            nodes = status["desiredNumberScheduled"]
            return [status.get("updatedNumberScheduled"), status.get("numberAvailable")] == [nodes] * 2
        due = spec["replicas"] - spec["updateStrategy"]["rollingUpdate"].get("partition", 0)
        return have["readyReplicas"] >= spec["replicas"] and have["updatedReplicas"] >= due


class Link:
    """One watch: its session, and what is on its way to it."""

    def __init__(self, world: World, query: Query) -> None:
        self.world, self.query = world, query
        self.session = WatchSession(query, ObjectForm(), patient=bool(world.links))
        self.due = world.now
        self.lag = world.random.uniform(0, 0.6) if world.trouble else 0.0
        self.frames: Frames | None = None
        self.coming: list[tuple[float, bytes]] = []

    def step(self) -> list[Signal]:
        """What it hears now."""
        if self.frames is None:
            return self._ask() if self.world.now >= self.due else []
        chance = self.world.random.random()
        if self.world.now < self.world.down_until or chance < self.world.trouble:
            return self._break()
        if sent := self.frames.next():
            self.coming.append((self.world.now + self.lag, sent))
        while self.coming and self.coming[0][0] <= self.world.now:
            if not self.session.receive_data(self.coming.pop(0)[1]):
                return self._break()
        return self.session.signals()

    def close(self) -> None:
        """Nobody listens any more."""
        if self.frames:
            self.frames.close()
        self.frames, self.coming = None, []

    def _break(self) -> list[Signal]:
        """The connection is lost, and what was on its way; sometimes the server forgets, too."""
        self.close()
        if self.world.random.random() < 0.3:
            self.world.cluster.compact()
        self.session.receive_end(Cause.CUT, "simulated", 5.0)
        return self._rest()

    def _rest(self) -> list[Signal]:
        self.request = self.session.next_request(self.world.now, self.world.random.random())
        self.due = self.world.now + self.request.delay
        return self.session.signals()

    def _ask(self) -> list[Signal]:
        request = getattr(self, "request", None) or self.session.next_request(self.world.now, 0.5)
        heard = self.session.signals()
        if self.world.now < self.world.down_until:
            self.session.receive_end(Cause.UNREACHABLE, "refused", 0.1, Unreachable("refused"))
            return [*heard, *self._rest()]
        answer = self._answer(request.path, dict(request.parameters), request.accept)
        if isinstance(answer, Watching):
            self.session.receive_accepted()
            try:
                self.frames = Frames(self.world.cluster, answer, 0)
            except ApiError as error:
                self.session.receive_data(event("ERROR", json.dumps(error.status()).encode()))
                return [*heard, *self._rest()]
            return [*heard, *self.session.signals()]
        if answer.status == 200:
            self.session.receive_page(answer.body)
        else:
            self.session.receive_status(answer.status, answer.body)
        return [*heard, *self._rest()]

    def _answer(self, path: str, parameters: dict[str, str], accept: str) -> Reply | Watching:
        sent = ServerRequest("GET", path, parameters, {"accept": accept})
        try:
            return self.world.api.handle(sent, self.world.api.route(sent))
        except ApiError as error:
            return error_reply(error)


# What may be done to a workload


def image(name: str) -> Any:
    """A new image."""

    def act(world: World) -> None:
        patch = {"spec": {"template": {"spec": {"containers": [container("web", name)]}}}}
        _if_there(world, lambda: world.cluster.patch(world.kind, "default", "web", patch))

    return act


def scale(replicas: int) -> Any:
    """Another number of replicas."""

    def act(world: World) -> None:
        if world.kind != "daemonsets":
            _if_there(
                world, lambda: world.cluster.patch(world.kind, "default", "web", {"spec": {"replicas": replicas}})
            )

    return act


def delete_pod(world: World) -> None:
    """Any pod goes."""
    pods = world.cluster.list("pods", "default")
    if pods:
        world.cluster.delete("pods", "default", world.random.choice(pods)["metadata"]["name"])


def delete_workload(world: World) -> None:
    """It goes, with all it owns."""
    _if_there(world, lambda: world.cluster.delete(world.kind, "default", "web"))


def limit(pods: int | None) -> Any:
    """A quota, or (None) no longer."""

    def act(world: World) -> None:
        if pods is None:
            world.cluster.pod_limits.pop("default", None)
        else:
            world.cluster.pod_limits["default"] = pods

    return act


def _if_there(world: World, act: Any) -> None:
    try:
        act()
    except ApiError:
        return


def outcome(end: End | None) -> str:
    """met, failed or timeout."""
    return "timeout" if end is None else "met" if end.outcome is Outcome.MET else "failed"
