"""The same question to kubectl and to kwatch, about the same objects of the sandbox: the same answer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kubectl import kubectl as run_kubectl
from kubectl import needs_kubectl

from kwatch.app import run_wait
from kwatch.cli.commands.wait import wait
from kwatch.cli.options import to_wait_options
from kwatch.model import Environment
from kwatch.sandbox import Cluster, Server
from kwatch.sandbox.population import workload

pytestmark = needs_kubectl


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Workloads in every state that a rollout has, written as their controllers write them."""
    cluster = Cluster()
    for name, kind, spec, status, generation in STATES:
        manifest = workload(name, "web:1", **spec)
        cluster.create(kind, manifest)
        for turn in range(1, generation):
            cluster.patch(kind, "default", name, {"spec": {"minReadySeconds": turn}})
        cluster.patch(kind, "default", name, {"status": status}, subresource="status")
    with Server(cluster) as server:
        yield server


def kubectl(server: Server, home: Path, *arguments: str) -> Answer:
    run = run_kubectl(home, "-s", server.url, *arguments)
    return Answer(run.returncode, run.stdout, run.stderr)


def kwatch(server: Server, *arguments: str) -> Answer:
    out, err = io.BytesIO(), io.StringIO()
    given = to_wait_options(wait.make_context("wait", [*arguments, "-s", server.url]).params)
    code = run_wait(given, Environment(out, err))
    return Answer(code, out.getvalue().decode(), err.getvalue())


def deployment(generation: int = 1, replicas: int = 3, **status: Any) -> tuple[str, dict, dict, int]:
    return "deployments", {"replicas": replicas}, {"observedGeneration": 1, **status}, generation


def stateful(strategy: dict, generation: int = 1, **status: Any) -> tuple[str, dict, dict, int]:
    spec = {"replicas": 3, "serviceName": "x", "updateStrategy": strategy}
    return "statefulsets", spec, {"observedGeneration": 1, "replicas": 3, **status}, generation


def daemon(strategy: str, generation: int = 1, **status: Any) -> tuple[str, dict, dict, int]:
    counts = {"currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 0}
    return (
        "daemonsets",
        {"updateStrategy": {"type": strategy}},
        {"observedGeneration": 1, **counts, **status},
        generation,
    )


PASSED = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
PARTITIONED = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
STATES = [
    (name, *state)
    for name, state in {
        "unseen": deployment(generation=2, replicas=3, updatedReplicas=3, availableReplicas=3),
        "begun": deployment(replicas=3, updatedReplicas=1),
        "old-left": deployment(updatedReplicas=3, availableReplicas=3) ,
        "starting": deployment(updatedReplicas=3, availableReplicas=2),
        "out": deployment(updatedReplicas=3, availableReplicas=3),
        "late": deployment(updatedReplicas=1, conditions=PASSED),
        "none": deployment(replicas=0),
        "sts-unseen": stateful(ROLLING, generation=2, readyReplicas=3, updatedReplicas=3),
        "sts-starting": stateful(ROLLING, readyReplicas=2, updatedReplicas=3),
        "sts-begun": stateful(ROLLING, readyReplicas=3, updatedReplicas=1),
        "sts-part": stateful(PARTITIONED, readyReplicas=3, updatedReplicas=1),
        "sts-part-begun": stateful(PARTITIONED, readyReplicas=3),
        "sts-out": stateful(ROLLING, readyReplicas=3, updatedReplicas=3, currentRevision="a", updateRevision="b"),
        "sts-manual": stateful({"type": "OnDelete"}, readyReplicas=3, updatedReplicas=3),
        "ds-unseen": daemon("RollingUpdate", generation=2, updatedNumberScheduled=3, numberAvailable=3),
        "ds-begun": daemon("RollingUpdate", updatedNumberScheduled=1, numberAvailable=3),
        "ds-starting": daemon("RollingUpdate", updatedNumberScheduled=3, numberAvailable=2),
        "ds-out": daemon("RollingUpdate", updatedNumberScheduled=3, numberAvailable=3),
        "ds-manual": daemon("OnDelete", updatedNumberScheduled=3, numberAvailable=3),
    }.items()
]  # fmt: skip
"""Name, kind, spec, status, generation. `old-left` gets one more replica below."""
STATES = [
    (name, kind, spec, {**status, **({"replicas": 4} if name == "old-left" else {})}, generation)
    for name, kind, spec, status, generation in STATES
]


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kind, *_ in STATES])
def test_a_rollouts_status_is_kubectls_word_for_word(name: str, kind: str, server: Server, tmp_path: Path) -> None:
    theirs = kubectl(server, tmp_path, "rollout", "status", f"{kind}/{name}", "--watch=false")
    ours = kwatch(server, f"{kind}/{name}", "--for", "rollout", "--timeout", "0", "--no-fail-fast", "-o", "ndjson")
    if theirs.code:
        words = theirs.err.removeprefix("error: ").strip()
        assert ours.code in (1, 3)
        assert words in ours.err
    else:
        words = theirs.out.strip()
        done = words.endswith(("successfully rolled out", "have been updated...")) and not words.startswith("Waiting")
        assert ours.code == (0 if done else 124)
        assert words.replace('"', '\\"') in ours.out or words.rstrip(".") in ours.err


CONDITIONS = [
    ("deployments/out", "create", 0),
    ("deployments/out", "delete", 1),
    ("deployments/nosuch", "delete", 0),
    ("deployments/late", "condition=progressing=false", 0),
    ("deployments/late", "condition=Progressing", 1),
    ("deployments/late", "condition=Progressing=FALSE", 0),
    ("deployments/out", "condition=Nosuch", 1),
    ("deployments/nosuch", "create", 1),
    ("deployments/out", "jsonpath={.status.availableReplicas}=3", 0),
    ("deployments/out", "jsonpath=.status.availableReplicas=3", 0),
    ("deployments/out", "jsonpath=status.availableReplicas=3", 0),
    ("deployments/out", "jsonpath={.status.availableReplicas}='3'", 0),
    ("deployments/out", "jsonpath={.status.availableReplicas}=4", 1),
    ("deployments/out", "jsonpath={.status.availableReplicas}", 0),
    ("deployments/out", "jsonpath={.status.nosuch}", 1),
    ("deployments/out", "jsonpath={.status.nosuch}=1", 1),
    ("deployments/out", "jsonpath={.metadata.labels.app}=out", 0),
    ("deployments/late", 'jsonpath={.status.conditions[?(@.type=="Progressing")].status}=False', 0),
    ("deployments/late", "jsonpath={.status.conditions[0].reason}=ProgressDeadlineExceeded", 0),
    ("deployments/out", "jsonpath={.spec.template.spec.containers[*].image}=web:1", 0),
]
REFUSED = [
    ("jsonpath={.status}=3", 1),
    ("jsonpath={.metadata['name','namespace']}=x", 1),
    ("jsonpath={.status.replicas", 2),
    ("jsonpath={.status.replicas}=", 2),
    ("jsonpath=", 2),
    ("nonsense", 2),
]


@pytest.mark.parametrize(("what", "condition", "code"), CONDITIONS)
def test_a_condition_gets_kubectls_answer(what: str, condition: str, code: int, server: Server, tmp_path: Path) -> None:
    theirs = kubectl(server, tmp_path, "wait", what, f"--for={condition}", "--timeout=0")
    ours = kwatch(server, what, "--for", condition, "--timeout", "0")
    assert theirs.code == code
    assert (ours.code, ours.out) == (124 if code else 0, theirs.out)


@pytest.mark.parametrize(("condition", "code"), REFUSED)
def test_what_kubectl_refuses_is_refused(condition: str, code: int, server: Server, tmp_path: Path) -> None:
    theirs = kubectl(server, tmp_path, "wait", "deployments/out", f"--for={condition}", "--timeout=0")
    ours = kwatch(server, "deployments/out", "--for", condition, "--timeout", "0")
    assert (theirs.code, ours.code, ours.out) == (1, code, theirs.out)
    assert len(ours.err.splitlines()) == 1
