"""Recorded rollouts under real controllers, judged over real HTTP: kubectl's verdicts where it succeeded, at the same
event; where it failed or sat out its timeout, a verdict at the first event that proves it."""

from __future__ import annotations

import io
import json
import re
import time
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from waiting.replaying import Recorded, Replay, recorded, verdicts

from kwatch.app import Options, WaitOptions, run_wait
from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.model import Environment

SPEED = 4.0
LATE = 0.1
"""Seconds, real ones, from an event to the verdict that it brings."""
EARLY = 0.1
"""Seconds, real ones, that a wait may take until it begins to count."""


class Case(NamedTuple):
    """A recording, what is waited for, and the event (kind, name's end, what it holds) that decides it."""

    recording: str
    what: str
    condition: str
    kubectl: int
    exit: int
    decided_by: tuple[str, str]
    says: tuple[str, ...]


CASES = [
    Case("deployment-ok", "deployment/x", "condition=Available", 0, 0, ("Deployment", ""), ("Available is True",)),
    Case(
        "deployment-ok",
        "deployment/x",
        "rollout",
        1,
        0,
        ("Deployment", "NewReplicaSetAvailable"),
        ('deployment "x" successfully rolled out',),
    ),
    Case(
        "deployment-scale",
        "deployment/x",
        "rollout",
        0,
        0,
        ("Deployment", '"availableReplicas": 5'),
        ('deployment "x" successfully rolled out',),
    ),
    Case(
        "daemonset-ok",
        "daemonset/x",
        "rollout",
        0,
        0,
        ("DaemonSet", '"numberAvailable": 3'),
        ('daemon set "x" successfully rolled out',),
    ),
    Case(
        "statefulset-ok",
        "statefulset/x",
        "rollout",
        0,
        0,
        ("StatefulSet", '"currentReplicas": 3'),
        ("partitioned roll out complete: 3 new pods have been updated...",),
    ),
    Case(
        "deployment-bad-image",
        "deployment/x",
        "rollout",
        0,
        3,
        ("Pod", "ImagePullBackOff"),
        ("x-7d54bb89f9-gv45c", "container c", "ImagePullBackOff", 'Back-off pulling image "bad:1"'),
    ),
    Case(
        "deployment-timeout",
        "deployment/x",
        "rollout",
        1,
        3,
        ("Pod", "ImagePullBackOff"),
        ("x-7d54bb89f9-kn7tn", "container c", "ImagePullBackOff", 'Back-off pulling image "bad:1"'),
    ),
    Case(
        "deployment-crash",
        "deployment/x",
        "rollout",
        0,
        3,
        ("Pod", "CrashLoopBackOff"),
        (
            "x-75f8c8d9b7-2c6rs",
            "container c",
            "CrashLoopBackOff",
            "back-off 10s restarting failed container",
            "exited with code 1 (Error)",
            "kubectl logs x-75f8c8d9b7-2c6rs -n ro-deployment-crash -c c --previous",
        ),
    ),
    Case(
        "deployment-deleted",
        "deployment/x",
        "condition=Available=False",
        0,
        3,
        ("Deployment", "DELETED"),
        ("it was deleted",),
    ),
    Case(
        "statefulset-bad-image",
        "statefulset/x",
        "rollout",
        0,
        3,
        ("Pod", "ImagePullBackOff"),
        ("pod x-2", "container c", "ImagePullBackOff", 'Back-off pulling image "bad:1"'),
    ),
    Case(
        "statefulset-ondelete",
        "statefulset/x",
        "rollout",
        0,
        1,
        ("StatefulSet", ""),
        ("rollout status is only available for RollingUpdate strategy type",),
    ),
    Case("job-complete", "job/x", "condition=Complete", 0, 0, ("Job", '"Complete"'), ("Complete is True",)),
    Case("job-complete", "job/x", "complete", 0, 0, ("Job", '"Complete"'), ("Complete is True",)),
    Case("job-failed", "job/x", "condition=Failed", 0, 0, ("Job", '"type": "Failed"'), ("Failed is True",)),
    Case(
        "job-failed",
        "job/x",
        "complete",
        1,
        3,
        ("Job", '"FailureTarget"'),
        ("BackoffLimitExceeded", "pod x-vl9x4, container c", "exited with code 1"),
    ),
]
"""`kubectl` is the place of kubectl's own run in the recording's verdicts."""


def started_at(events: list[Recorded], kind: str) -> float:
    """When the change was made, as the workload's watch saw it."""
    own = [event for event in events if event.object["kind"] == kind and event.t > 0.9]
    return own[0].t + 0.001


def deciding(events: list[Recorded], case: Case, after: float) -> Recorded:
    """The event that decides the case: from `after` on the first that holds it, or what was there."""
    kind, text = case.decided_by
    own = [event for event in events if event.object["kind"] == kind]
    found = [event for event in own if event.t >= after and text in event.type + json.dumps(event.object)]
    return found[-1] if text.startswith('"') and case.exit == 0 and kind != "Job" else found[0] if found else own[-1]


class Judged(NamedTuple):
    code: int
    at: float
    """Recorded seconds."""
    documents: list[dict[str, Any]]
    stderr: str


def judge(replay: Replay, what: str, condition: str, timeout: float = 30.0, **options: Any) -> Judged:
    """kwatch's verdict, and when it came."""
    out, err = io.BytesIO(), io.StringIO()
    connection = ConnectionOptions(server=replay.url)
    where = {"namespaces": (replay.namespace,), "connection": connection}
    watch = Options(what, until=(condition,), timeout=timeout, **where, **options)
    began = time.monotonic()
    code = run_wait(WaitOptions(watch, output="ndjson"), Environment(out, err))
    ended = time.monotonic()
    documents = [json.loads(line) for line in out.getvalue().splitlines()]
    at = began + max(document["seconds"] for document in documents) if documents else ended
    return Judged(code, replay.recorded_at(at), documents, err.getvalue())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.recording} {case.condition}")
def test_a_recorded_rollout_is_judged_at_the_event_that_decides_it(case: Case) -> None:
    events = recorded(case.recording)
    kind = case.decided_by[0] if case.decided_by[0] in ("Deployment", "Job", "DaemonSet", "StatefulSet") else ""
    kind = kind or ("StatefulSet" if case.recording.startswith("stateful") else "Deployment")
    start = started_at(events, kind)
    proof = deciding(events, case, start)
    for _ in range(3):  # the machine has other things to do
        with Replay(events, start, SPEED) as replay:
            judged = judge(replay, case.what, case.condition)
        if judged.at <= max(proof.t, start) + LATE * SPEED:
            break
    assert judged.code == case.exit, judged.stderr
    text = judged.stderr + json.dumps(judged.documents, ensure_ascii=False).replace('\\"', '"')
    assert all(words in text for words in case.says), text
    assert proof.t - EARLY * SPEED <= max(judged.at, start) <= max(proof.t, start) + LATE * SPEED
    print_row(case, proof, judged)


@pytest.mark.parametrize("recording", ["deployment-ok", "daemonset-ok", "statefulset-ok"])
def test_a_recorded_rollout_is_told_in_short_lines_one_a_number(recording: str) -> None:
    events = recorded(recording)
    kind = next(kind for kind in ("Deployment", "DaemonSet", "StatefulSet") if recording.startswith(kind.lower()))
    with Replay(events, started_at(events, kind), SPEED) as replay:
        told = judge(replay, f"{kind.lower()}/x", "rollout").stderr.splitlines()
    assert 2 <= len(told) <= 9, told
    assert max(map(len, told)) <= 100
    words = rf"kwatch: {kind.lower()}\.apps/x: (.*?)(; waiting for \S+ \([A-Za-z ]+\))?"
    numbers = [re.fullmatch(words, line)[1] for line in told]
    assert [one for one, following in pairwise(numbers) if one == following] == []


def print_row(case: Case, proof: Recorded, judged: Judged) -> None:
    """One row of the comparison; seen with `pytest -rP`."""
    own = verdicts(case.recording)
    said = own[min(case.kubectl, len(own) - 1)]
    words = said["output"][-1]["line"]
    print(
        f"ROW {case.recording:22} {case.condition:26} kubectl {said['exit']} at {said['t']:6.2f}s  "
        f"kwatch {judged.code} at {judged.at:5.2f}s (proof at {proof.t:5.2f}s)  {words}"
    )


def changed(event: Recorded, t: float, version: int, **parts: Any) -> Recorded:
    """The event again, later, its object with other `parts`: metadata and status are merged, a spec replaces."""
    value = json.loads(json.dumps(event.object))
    for part in ("metadata", "status"):
        value[part] = {**value.get(part, {}), **parts.get(part, {})}
    value["metadata"]["resourceVersion"] = str(version)
    value["spec"] = parts.get("spec", value.get("spec"))
    return Recorded(t, "MODIFIED", value)


def undone(case: str, at: float) -> list[Recorded]:
    """The recording in which, `at` so many seconds, the old template comes back: the old ReplicaSet is the new one."""
    events = [event for event in recorded(case) if event.object["kind"] != "Deployment" or event.t < at]
    own = [event for event in events if event.object["kind"] == "Deployment"]
    undo = changed(own[-1], at, 900001, metadata={"generation": 3}, spec=own[0].object["spec"])
    status = {"observedGeneration": 3, "replicas": 4, "updatedReplicas": 3}
    seen = changed(undo, at + 0.01, 900002, status=status)
    whole = {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
    done = changed(undo, at + 2.0, 900003, status=whole)
    return sorted([*events, undo, seen, done], key=lambda event: event.t)


@pytest.mark.parametrize("lag", [0.0, 0.8])
def test_an_undo_amid_a_rollout_is_no_failure_even_when_its_own_watch_hears_of_it_late(lag: float) -> None:
    """The broken pod's state comes at 2.16 s, the undo at 1.9 s: the pods' watch may be ahead of the Deployment's."""
    events = undone("deployment-bad-image", 1.9)
    with Replay(events, started_at(events, "Deployment"), SPEED, delay={"deployments": lag}) as replay:
        judged = judge(replay, "deployment/x", "rollout")

    assert judged.code == 0, judged.stderr
    assert judged.documents[0]["reason"] == 'deployment "x" successfully rolled out'
    assert judged.at == pytest.approx(3.9 + lag, abs=LATE * SPEED)


def test_a_server_whose_lists_lag_behind_its_watches_is_judged_by_the_watches() -> None:
    events = recorded("deployment-bad-image")
    with Replay(events, started_at(events, "Deployment"), SPEED, frozen=True) as replay:
        judged = judge(replay, "deployment/x", "rollout")
    assert judged.code == 3
    assert "ImagePullBackOff" in judged.stderr


def test_without_fail_fast_a_rollout_fails_when_its_controller_says_so() -> None:
    events = [event for event in recorded("deployment-bad-image") if event.t < 3]
    last = recorded("deployment-bad-image")[-1]
    events.append(last._replace(t=3.0))
    with Replay(events, started_at(events, "Deployment"), SPEED) as replay:
        judged = judge(replay, "deployment/x", "rollout", fail_fast=False)

    assert judged.code == 3
    assert judged.at == pytest.approx(3.0, abs=LATE * SPEED)
    assert 'deployment "x" exceeded its progress deadline' in judged.stderr
    assert "pod x-7d54bb89f9-gv45c, container c: ImagePullBackOff" in judged.stderr


def test_a_timeout_says_what_is_missing_and_where_it_hangs() -> None:
    events = [event for event in recorded("deployment-bad-image") if event.t < 1.6]
    with Replay(events, started_at(events, "Deployment"), SPEED) as replay:
        judged = judge(replay, "deployment/x", "rollout", timeout=0.4)

    assert judged.code == 124
    assert (
        'timed out after 0.4s waiting for rollout on deployment.apps/x: Waiting for deployment "x" rollout to finish: '
        "1 out of 3 new replicas have been updated; waiting for x-7d54bb89f9-gv45c (ContainerCreating)" in judged.stderr
    )
