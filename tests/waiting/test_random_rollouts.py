"""Rollouts of chance with faults of chance: the verdict is always right, soon after there is one, and never late.

A seed a case; `KWATCH_TEST_ROLLOUTS` sets how many.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from waiting.rollouts import (
    TICK,
    TIMEOUT,
    World,
    delete_pod,
    delete_workload,
    image,
    limit,
    outcome,
    scale,
)

CASES = int(os.environ.get("KWATCH_TEST_ROLLOUTS", "200"))
SOON = 65.0
"""Virtual seconds within which what is true is concluded: the longest pause of a watch, and a little."""


def spec_of(chance: random.Random, kind: str) -> dict[str, Any]:
    replicas = chance.randint(1, 4)
    if kind == "daemonsets":
        return {}
    if kind == "statefulsets":
        rolling = {"partition": chance.choice([0, 0, 1, replicas])}
        return {
            "replicas": replicas,
            "serviceName": "web",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        }
    if chance.random() < 0.3:
        return {"replicas": replicas, "strategy": {"type": "Recreate"}, "progressDeadlineSeconds": 600}
    rolling = {"maxSurge": chance.choice([0, 1, "50%"]), "maxUnavailable": chance.choice([1, "25%", 2])}
    return {
        "replicas": replicas,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "progressDeadlineSeconds": 600,
    }


def script_of(chance: random.Random, replicas: int) -> list[tuple[float, Any]]:
    """An update, and what people do meanwhile."""
    script = [(0.0, image(chance.choice(["web:2", "web:2", "bad-web:2", "crash-web:2"])))]
    meanwhile = [
        image("web:1"),
        image("web:3"),
        image("bad-web:4"),
        scale(chance.randint(1, 5)),
        delete_pod,
        delete_pod,
        delete_workload,
    ]
    for _ in range(chance.choice([0, 0, 1, 2])):
        script.append((chance.uniform(0.2, 8), chance.choice(meanwhile)))
    if chance.random() < 0.2:
        script.append((0.0, limit(replicas)))
    return sorted(script, key=lambda pair: pair[0])


@pytest.mark.parametrize("group", range(10))
def test_the_verdict_on_a_random_rollout_is_right(group: int) -> None:
    for seed in range(group, CASES, 10):
        judge(seed)


def judge(seed: int) -> tuple[str, str]:
    """One case; what kind of end it had, and whose word it was."""
    chance = random.Random(seed)
    kind = chance.choice(["deployments", "deployments", "deployments", "statefulsets", "daemonsets"])
    spec = spec_of(chance, kind)
    world = World(seed, kind, **spec)
    world.trouble = chance.choice([0.0, 0.01, 0.05])
    acts = script_of(chance, spec.get("replicas", 3))
    for _, act in (pair for pair in acts if not pair[0]):
        act(world)
    started = world.now
    end, seconds = world.wait([pair for pair in acts if pair[0]])
    found, truth = outcome(end), world.truth
    where = f"seed {seed}: {kind} {spec}: {found} after {seconds:.1f}s: {end}"
    assert seconds <= TIMEOUT + TICK, where
    assert world.now - truth.since(world.now, started) <= SOON, where
    if end is None:
        return found, ""
    reason = end.result.culprit.reason if end.result and end.result.culprit else ""
    if found == "met":
        assert truth.done, where
    elif reason == "FailedCreate":
        limited = world.cluster.pod_limits.get("default")
        world.run_on(60)
        assert limited is not None, where
        assert not [when for when in truth.done if when >= started + seconds], where
    elif reason:
        assert end.result is not None
        assert end.result.culprit is not None
        pod = end.result.culprit.pod
        assert any(name == pod and reason in (seen, "ErrImagePull") for name, seen in truth.broken), where
    else:
        assert truth.gone, where
    return found, reason


def test_a_quota_as_tight_as_the_rollout_needs_it_is_never_taken_for_a_failure() -> None:
    """There is room for a new pod whenever an old one has left, and until then it is refused again and again: whoever
    hears of the refusals before they hear of that is wrong."""
    ends = []
    for seed in range(24):
        rolling = {"maxSurge": 1, "maxUnavailable": 1}
        world = World(seed, "deployments", replicas=4, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
        world.trouble = 0.05
        limit(4)(world)
        image("web:2")(world)
        end, seconds = world.wait([])
        ends.append(outcome(end))
        assert ends[-1] != "failed", f"seed {seed}, after {seconds}: {end}"
    assert ends.count("met") > 18  # the rest had pauses too long for the timeout


def test_a_quota_without_room_is_a_failure_that_says_so() -> None:
    world = World(
        1,
        "deployments",
        replicas=4,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    )
    limit(4)(world)
    image("web:2")(world)
    end, seconds = world.wait([])
    assert end is not None
    assert outcome(end) == "failed"
    assert end.result is not None
    assert end.result.reason.startswith('rollout failed: FailedCreate: Error creating: pods "web-')
    assert "exceeded quota: pods, requested: pods=1, used: pods=4, limited: pods=4" in end.result.reason
    assert seconds < 10


def test_the_cases_are_of_every_kind() -> None:
    """Else the test above would prove little."""
    ends = [judge(seed) for seed in range(0, min(CASES, 200), 10)]
    assert {found for found, _ in ends} >= {"met", "failed"}
    assert {reason for _, reason in ends} >= {"ImagePullBackOff", "CrashLoopBackOff", ""}
