"""The scripts of the README, taken from it as they stand, run under `sh -e` against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import SECONDS, variables
from customs import crd
from kubectl import needs_kubectl

from kwatch.sandbox import ApiError, Cluster, Server
from kwatch.sandbox.controlplane import ControlPlane
from kwatch.sandbox.population import add_nodes, workload

README = Path(__file__).parents[2] / "README.rst"
SCRIPT = re.compile(r"(?m)^([^\n]+):\n\n\.\. code-block:: sh\n\n((?:    [^\n]*\n|\n)+)")
SCRIPTS = {title: re.sub(r"(?m)^    ", "", text) for title, text in SCRIPT.findall(README.read_text())}

pytestmark = needs_kubectl


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """One whose controllers play, quickly."""
    cluster, stop = Cluster(), threading.Event()
    plane = ControlPlane(cluster, pace=(0.05, 0.1))
    add_nodes(cluster)
    thread = threading.Thread(target=plane.run, args=(stop,), daemon=True)
    thread.start()
    yield cluster
    stop.set()
    thread.join(5)


def run(title: str, server: Server, home: Path) -> subprocess.CompletedProcess[str]:
    """The script of that title, with `kwatch` and `./run-tests` there, and a kubeconfig for the sandbox."""
    assert title in SCRIPTS, f"README has {sorted(SCRIPTS)}"
    for name, text in {"kwatch": f'exec "{sys.executable}" -m kwatch "$@"', "run-tests": "echo tests ran"}.items():
        (home / name).write_text(f"#!/bin/sh\n{text}\n")
        (home / name).chmod(0o755)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": ""}}],
        "clusters": [{"name": "sandbox", "cluster": {"server": server.url}}],
    }
    (home / "config").write_text(json.dumps(config))
    (home / "widgets.yaml").write_text(json.dumps(crd("widgets", "Widget")))
    path = {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}", "KUBECONFIG": str(home / "config")}
    return subprocess.run(
        ["sh", "-e", "-c", SCRIPTS[title]],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=variables(home) | path,
        cwd=home,
        check=False,
    )


def test_the_readme_has_the_five() -> None:
    assert len(SCRIPTS) == 5


def test_deploy_that_works(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("deployments", workload("web", "registry.example.com/web:1.0", replicas=2))
    ran = run("Deploy, and fail fast", server, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == 'deployment "web" successfully rolled out'


def test_deploy_that_fails_is_undone(
    cluster: Cluster, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create("deployments", workload("web", "registry.example.com/web:1.0", replicas=2))
    title = "Deploy, and fail fast"
    monkeypatch.setitem(SCRIPTS, title, SCRIPTS[title].replace("/web:1.1", "/bad-web:1.1"))
    ran = run(title, server, tmp_path)
    assert ran.returncode == 3, ran.stderr
    assert "container web: ImagePullBackOff" in ran.stderr
    image = cluster.get("deployments", "default", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example.com/web:1.0"


@pytest.mark.parametrize(("image", "code"), [("migrate", 0), ("crash-migrate", 3)])
def test_a_job_that_completes_or_fails(
    image: str, code: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = "Wait for a Job to complete or fail"
    monkeypatch.setitem(SCRIPTS, title, SCRIPTS[title].replace("/migrate:", f"/{image}:"))
    ran = run(title, server, tmp_path)
    assert ran.returncode == code, ran.stderr
    assert ("BackoffLimitExceeded" in ran.stderr) is (code == 3)


def test_a_crd_and_its_first_object(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    def create() -> None:
        while not done.wait(0.05):
            try:
                cluster.create("widgets.example.com", {"metadata": {"name": "first"}})
            except ApiError:
                continue
            return

    done = threading.Event()
    creator = threading.Thread(target=create)
    creator.start()
    ran = run("Wait for a CRD to be established, and then for its first object", server, tmp_path)
    done.set()
    creator.join()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-2:] == [
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.com condition met",
        "widget.example.com/first condition met",
    ]


def test_a_namespaces_deletion(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("namespaces", {"metadata": {"name": "staging"}})
    ran = run("Wait for a namespace's deletion", server, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert cluster.list("namespaces", field_selector="metadata.name=staging") == []


def test_tests_run_when_three_pods_are_ready(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("statefulsets", workload("db", "db:1", replicas=3, serviceName="db"))
    ran = run("Run tests when three pods of a StatefulSet are ready", server, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [*(f"pod/db-{index} condition met" for index in range(3)), "tests ran"]
