"""How far a rollout is, in kubectl's verdicts and words (k8s.io/kubectl, polymorphichelpers/rollout_status.go).

Each kind is a table of steps: the first whose test holds is what the rollout waits for. From the object alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kwatch.conditions.verdict import Object, Outcome, Verdict, condition_of, count, part

TIMED_OUT = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class _Figures:
    """The numbers that the texts name, by kubectl's meaning of them."""

    name: str
    want: int
    total: int
    updated: int
    available: int
    old: int = 0
    missing: int = 0
    due: int = 0
    partitioned: bool = False
    current: int = 0
    update_revision: str = ""
    current_revision: str = ""

    def say(self, words: str) -> str:
        """`words` with the numbers in place."""
        return words.format(f=self)

    @property
    def brief(self) -> str:
        """`2/4 updated, 1 available`."""
        return f"{self.updated}/{self.want} updated, {self.available} available"


class _Step(NamedTuple):
    holds: Callable[[_Figures], bool]
    words: str
    brief: str


class _Kind(NamedTuple):
    figures: Callable[[Object], _Figures]
    steps: tuple[_Step, ...]
    unseen: str
    done: Callable[[_Figures], str]


def verdict(value: Object, *, deadline: bool = True) -> Verdict:
    """How far the rollout of a Deployment, StatefulSet or DaemonSet is. Raises KeyError for another kind.

    Without `deadline`, a passed progress deadline is not looked at.
    """
    kind = KINDS[str(value.get("kind"))]
    strategy = part(value, "spec", "updateStrategy", "type")
    if "updateStrategy" in part(value, "spec") and strategy != "RollingUpdate":
        return Verdict(Outcome.UNANSWERABLE, "rollout status is only available for RollingUpdate strategy type")
    if _unseen(value):
        return Verdict(Outcome.WAITING, kind.unseen, "spec update not observed yet")
    figures = kind.figures(value)
    if deadline and _timed_out(value):
        text = figures.say('deployment "{f.name}" exceeded its progress deadline')
        return Verdict(Outcome.FAILED, text, figures.brief)
    for step in kind.steps:
        if step.holds(figures):
            return Verdict(Outcome.WAITING, figures.say(step.words), figures.say(step.brief))
    return Verdict(Outcome.MET, figures.say(kind.done(figures)), figures.brief)


def _unseen(value: Object) -> bool:
    observed = count(value, "status", "observedGeneration")
    if value.get("kind") == "StatefulSet" and not observed:
        return True
    return count(value, "metadata", "generation") > observed


def _timed_out(value: Object) -> bool:
    progressing = condition_of(value, "Progressing") if value.get("kind") == "Deployment" else None
    return progressing is not None and progressing.get("reason") == TIMED_OUT


def _of_deployment(value: Object) -> _Figures:
    total, updated = count(value, "status", "replicas"), count(value, "status", "updatedReplicas")
    return _Figures(
        name=str(part(value, "metadata", "name")),
        want=count(value, "spec", "replicas"),
        total=total,
        updated=updated,
        available=count(value, "status", "availableReplicas"),
        old=total - updated,
    )


def _of_daemon_set(value: Object) -> _Figures:
    return _Figures(
        name=str(part(value, "metadata", "name")),
        want=count(value, "status", "desiredNumberScheduled"),
        total=count(value, "status", "currentNumberScheduled"),
        updated=count(value, "status", "updatedNumberScheduled"),
        available=count(value, "status", "numberAvailable"),
    )


def _of_stateful_set(value: Object) -> _Figures:
    want, ready = count(value, "spec", "replicas"), count(value, "status", "readyReplicas")
    rolling = part(value, "spec", "updateStrategy").get("rollingUpdate")
    partition = part(rolling).get("partition") if rolling is not None else None
    return _Figures(
        name=str(part(value, "metadata", "name")),
        want=want,
        total=count(value, "status", "replicas"),
        updated=count(value, "status", "updatedReplicas"),
        available=count(value, "status", "availableReplicas"),
        missing=want - ready,
        due=want - partition if isinstance(partition, int) else 0,
        partitioned=rolling is not None,
        current=count(value, "status", "currentReplicas"),
        update_revision=str(part(value, "status", "updateRevision") or ""),
        current_revision=str(part(value, "status", "currentRevision") or ""),
    )


_DEPLOYMENT = 'Waiting for deployment "{f.name}" rollout to finish: '
_DAEMON_SET = 'Waiting for daemon set "{f.name}" rollout to finish: '

KINDS = {
    "Deployment": _Kind(
        _of_deployment,
        (
            _Step(
                lambda f: f.updated < f.want,
                f"{_DEPLOYMENT}{{f.updated}} out of {{f.want}} new replicas have been updated...",
                "{f.updated} of {f.want} updated",
            ),
            _Step(
                lambda f: f.old > 0,
                f"{_DEPLOYMENT}{{f.old}} old replicas are pending termination...",
                "{f.old} old still to end",
            ),
            _Step(
                lambda f: f.available < f.updated,
                f"{_DEPLOYMENT}{{f.available}} of {{f.updated}} updated replicas are available...",
                "{f.available} of {f.updated} available",
            ),
        ),
        "Waiting for deployment spec update to be observed...",
        lambda f: 'deployment "{f.name}" successfully rolled out',
    ),
    "DaemonSet": _Kind(
        _of_daemon_set,
        (
            _Step(
                lambda f: f.updated < f.want,
                f"{_DAEMON_SET}{{f.updated}} out of {{f.want}} new pods have been updated...",
                "{f.updated} of {f.want} updated",
            ),
            _Step(
                lambda f: f.available < f.want,
                f"{_DAEMON_SET}{{f.available}} of {{f.want}} updated pods are available...",
                "{f.available} of {f.want} available",
            ),
        ),
        "Waiting for daemon set spec update to be observed...",
        lambda f: 'daemon set "{f.name}" successfully rolled out',
    ),
    "StatefulSet": _Kind(
        _of_stateful_set,
        (
            _Step(
                lambda f: f.missing > 0,
                "Waiting for {f.missing} pods to be ready...",
                "{f.missing} of {f.want} not ready",
            ),
            _Step(
                lambda f: f.updated < f.due,
                "Waiting for partitioned roll out to finish: {f.updated} out of {f.due} new pods have been updated...",
                "{f.updated} of {f.due} updated",
            ),
            _Step(
                lambda f: not f.partitioned and f.update_revision != f.current_revision,
                "waiting for statefulset rolling update to complete "
                "{f.updated} pods at revision {f.update_revision}...",
                "{f.updated} of {f.want} updated",
            ),
        ),
        "Waiting for statefulset spec update to be observed...",
        lambda f: (
            "partitioned roll out complete: {f.updated} new pods have been updated..."
            if f.partitioned
            else "statefulset rolling update complete {f.current} pods at revision {f.current_revision}..."
        ),
    ),
}
