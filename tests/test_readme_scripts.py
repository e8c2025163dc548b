"""The scripts of the README, taken from it as they stand, run under `sh -e` against the sandbox."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import SECONDS, variables
from customs import crd
from kubectl import needs_kubectl
from polling import eventually

from kwatch.sandbox import ApiError, Cluster, Server
from kwatch.sandbox.controlplane import ControlPlane
from kwatch.sandbox.population import add_nodes, container, workload

README = (Path(__file__).parent.parent / "README.rst").read_text()
BLOCK = r":\n\n\.\. code-block:: %s\n\n((?:    [^\n]*\n|\n)+)"
RECIPES = re.findall(r"(?m)^\*\*(\d+)\.\*\* ([^\n]+)" + BLOCK % "(?:sh|python)", README)
SCRIPTS = {
    title: textwrap.dedent(text)
    for title, text in [*re.findall(r"(?m)^([^*\n]+)" + BLOCK % "sh", README), *(recipe[1:] for recipe in RECIPES)]
}
"""By title: the numbered recipes, and the other scripts."""

DEPLOY = "Deploy from CI, and fail as soon as it can't work"

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


def prepare(home: Path, **clusters: Server) -> dict[str, str]:
    """`kwatch`, `./alert` and `./run-tests`, a kubeconfig with a context for each cluster; a shell's variables."""
    programs = {
        "kwatch": f'exec "{sys.executable}" -m kwatch "$@"',
        "run-tests": "echo tests ran",
        "alert": 'echo "alert: $*"',
    }
    for name, text in programs.items():
        (home / name).write_text(f"#!/bin/sh\n{text}\n")
        (home / name).chmod(0o755)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(clusters)),
        "contexts": [{"name": name, "context": {"cluster": name, "user": ""}} for name in clusters],
        "clusters": [{"name": name, "cluster": {"server": each.url}} for name, each in clusters.items()],
    }
    (home / "config").write_text(json.dumps(config))
    (home / "widgets.yaml").write_text(json.dumps(crd("widgets", "Widget")))
    path = {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}", "KUBECONFIG": str(home / "config")}
    return variables(home) | path


def script(title: str) -> str:
    assert title in SCRIPTS, f"README has {sorted(SCRIPTS)}"
    return SCRIPTS[title]


def run(title: str, server: Server, home: Path) -> subprocess.CompletedProcess[str]:
    """The script of that title, to its end."""
    return subprocess.run(
        ["sh", "-e", "-c", script(title)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=prepare(home, sandbox=server),
        cwd=home,
        check=False,
    )


class Endless:
    """A script that runs until its group is signalled, as by Ctrl-C; what it prints is read meanwhile."""

    def __init__(self, command: list[str], home: Path, **clusters: Server) -> None:
        self._home, self._servers = home, list(clusters.values())
        env = prepare(home, **clusters)
        with (home / "stdout").open("w") as out, (home / "stderr").open("w") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=env, cwd=home, start_new_session=True)

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"never true; printed {self.lines()}, said {self.stderr}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.stderr}"
            time.sleep(0.02)

    def until_it_watches(self, watches: int = 1) -> None:
        self.until(lambda: all(server.watches >= watches for server in self._servers))

    def lines(self, name: str = "stdout") -> list[str]:
        """What it wrote to a file, in lines."""
        path = self._home / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def stderr(self) -> str:
        return (self._home / "stderr").read_text()

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(SECONDS)


def endless(text: str, home: Path, **clusters: Server) -> Endless:
    return Endless(["sh", "-e", "-c", text], home, **clusters)


def test_the_readme_has_ten_recipes_and_four_scripts_that_wait() -> None:
    assert [number for number, _, _ in RECIPES] == [str(number) for number in range(1, 11)]
    assert len(SCRIPTS) == 15


def test_each_pod_that_keeps_crashing_is_told_of_once(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("deployments", workload("fine", "fine:1", replicas=1))
    with endless(script("Be told of each pod that keeps crashing, once"), tmp_path, sandbox=server) as running:
        running.until_it_watches()
        for name in ("one", "two"):
            cluster.create("deployments", workload(name, f"crash-{name}:1", replicas=1))
        running.until(lambda: len(running.lines()) >= 2)
        running.until(lambda: all(_restarts(each) > 5 for each in cluster.list("pods") if "fine" not in _name(each)))
    alerts = running.lines()
    assert sorted(re.sub(r"-\w+-\w+ ", " ", line) for line in alerts) == [
        f"alert: {name} in default keeps crashing" for name in ("one", "two")
    ]


def pod(name: str, namespace: str = "default") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"containers": [container("a", "a:1")]}}


def _name(item: dict[str, Any]) -> str:
    return str(item["metadata"]["name"])


def _restarts(item: dict[str, Any]) -> int:
    statuses = item["status"].get("containerStatuses", [])
    return int(statuses[0]["restartCount"]) if statuses else 0


SHOWN = """\
MODIFIED deployment.apps/api in shop
    spec.template.spec.containers[api].image: ghcr.io/acme/api:2.7.1 → ghcr.io/acme/api:2.8.0
"""


def test_what_changed_is_seen_field_by_field(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("deployments", workload("api", "ghcr.io/acme/api:2.7.1", "shop", replicas=1))
    cluster.create("configmaps", {"metadata": {"name": "api", "namespace": "shop"}, "data": {"level": "info"}})
    assert textwrap.indent(SHOWN, "    ") in README
    with endless(script("See what changed, field by field"), tmp_path, sandbox=server) as running:
        running.until_it_watches(2)
        containers = [{"name": "api", "image": "ghcr.io/acme/api:2.8.0"}]
        cluster.patch("deployments", "shop", "api", {"spec": {"template": {"spec": {"containers": containers}}}})
        cluster.patch("configmaps", "shop", "api", {"data": {"level": "debug"}})
        running.until(lambda: "    data.level: info → debug" in running.lines())
        running.until(lambda: SHOWN in "\n".join(running.lines()))


def test_deploy_that_works(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("deployments", workload("web", "registry.example.com/web:1.0", replicas=2))
    ran = run(DEPLOY, server, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == 'deployment "web" successfully rolled out'


def test_deploy_that_fails_is_undone(
    cluster: Cluster, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create("deployments", workload("web", "registry.example.com/web:1.0", replicas=2))
    monkeypatch.setitem(SCRIPTS, DEPLOY, script(DEPLOY).replace("/web:1.1", "/bad-web:1.1"))
    ran = run(DEPLOY, server, tmp_path)
    assert ran.returncode == 3, ran.stderr
    assert "container web: ImagePullBackOff" in ran.stderr
    image = cluster.get("deployments", "default", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example.com/web:1.0"


@pytest.mark.parametrize(("image", "printed"), [("db", "ready"), ("crash-db", "not ready: 3")])
def test_one_thing_or_the_other(image: str, printed: str, cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("statefulsets", workload("db", f"{image}:1", replicas=1, serviceName="db"))
    ran = run("Wait for one thing or the other", server, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == printed


def test_what_is_deleted_reaches_jq_at_once(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("deployments", workload("web", "web:1", replicas=1))
    with endless(script("Stream to ``jq``"), tmp_path, sandbox=server) as running:
        running.until_it_watches()
        cluster.create(
            "pods",
            {"metadata": {"name": "gone", "namespace": "default"}, "spec": {"containers": [container("a", "a")]}},
        )
        cluster.delete("pods", "default", "gone", grace=0)
        running.until(running.lines)
        assert running.lines() == ["default/gone"]


def test_a_record_goes_on_after_a_kill_and_is_looked_at(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    record, _, look = script("Keep a record for weeks, through restarts, and look back").partition("kwatch replay")
    record = record.replace("100MB", "4KB")
    cluster.create("statefulsets", workload("db", "db:1", replicas=3, serviceName="db"))
    for missed, last in (("db-0", "first"), ("db-1", "second")):
        with endless(record, tmp_path, sandbox=server) as running:
            running.until_it_watches()
            cluster.create(
                "pods",
                {"metadata": {"name": last, "namespace": "default"}, "spec": {"containers": [container("a", "a")]}},
            )
            running.until(lambda last=last: f'"name":"{last}"' in _recorded(tmp_path))
        eventually(lambda missed=missed: missed in _state(cluster), f"there is no {missed}")
        cluster.delete("pods", "default", missed, grace=0)
    with endless(record, tmp_path, sandbox=server) as running:
        running.until(lambda: _recorded_state(tmp_path) == _state(cluster))
    assert len(list(tmp_path.glob("pods-*.ndjson.gz"))) >= 1
    versions = [(e["type"], e["object"]["metadata"]["resourceVersion"]) for e in _events(tmp_path)]
    assert len(versions) == len(set(versions))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    with Endless(
        ["sh", "-c", "kwatch replay" + look.replace("2026-11-25T03:12", now)], tmp_path, sandbox=server
    ) as looking:
        assert looking.process.wait(SECONDS) == 0, looking.stderr
    assert [line.split()[1] for line in looking.lines()[1:]] == sorted(_recorded_state(tmp_path))


def _recorded(home: Path) -> str:
    """All files of the record, oldest first; "" amid a rotation. One that is being compressed counts as it is."""
    plain = {path.name: path for path in home.glob("pods*.ndjson")}
    files = {path.stem: path for path in home.glob("pods-*.ndjson.gz")}
    paths = [
        path for _, path in sorted({**plain, **files}.items(), key=lambda each: (each[0] == "pods.ndjson", each[0]))
    ]
    try:
        return b"".join(
            gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes() for path in paths
        ).decode()
    except OSError:
        return ""


def _events(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _recorded(home).splitlines() if line.endswith("}")]


def _recorded_state(home: Path) -> dict[str, str]:
    state: dict[str, str] = {}
    for event in _events(home):
        metadata = event["object"]["metadata"]
        state[metadata["name"]] = metadata["resourceVersion"]
        if event["type"] == "DELETED":
            del state[metadata["name"]]
    return state


def _state(cluster: Cluster) -> dict[str, str]:
    return {_name(each): each["metadata"]["resourceVersion"] for each in cluster.list("pods")}


def test_of_all_clusters_what_is_wrong_is_seen(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("deployments", workload("web", "web:1", replicas=1))
    with Server(Cluster()) as stage:
        pod = {
            "metadata": {"name": "stuck", "namespace": "shop"},
            "spec": {"containers": [{"name": "a", "image": "a"}]},
        }
        stage.cluster.create("pods", pod)
        text = script("All clusters at once, what is wrong in them alone")
        with endless(text, tmp_path, prod=server, stage=stage) as running:
            running.until_it_watches()
            cluster.create("deployments", workload("worker", "crash-worker:1", replicas=1))
            running.until(lambda: any("CrashLoopBackOff" in line for line in running.lines()))
    rows = [line.split() for line in running.lines()]
    assert rows[0][:4] == ["EVENT", "CLUSTER", "NAMESPACE", "NAME"]
    assert ["ADDED", "stage", "shop", "stuck"] in [row[:4] for row in rows]
    assert any(row[1] == "prod" and row[3].startswith("worker-") for row in rows)
    assert not any(" Running " in line for line in running.lines() if not line.startswith("DELETED"))


def test_what_is_said_about_a_deployment_and_what_it_owns(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    for name in ("web", "other"):
        cluster.create("deployments", workload(name, f"crash-{name}:1", replicas=1))
    text = script("What is said about a Deployment, its ReplicaSets and its pods")
    with endless(text, tmp_path, sandbox=server) as running:
        running.until(lambda: any("BackOff" in line for line in running.lines()))
    assert all("Pod/web-" in line and "Warning" in line for line in running.lines()[1:])
    with endless(text.replace(" --types Warning", ""), tmp_path, sandbox=server) as running:
        running.until(lambda: {kind for kind, _ in _objects(running)} == {"Deployment", "ReplicaSet", "Pod"})
        assert all(name.startswith("web") for _, name in _objects(running))


def _objects(events: Endless) -> list[tuple[str, str]]:
    return re.findall(r" (Deployment|ReplicaSet|Pod)/(\S+)", "\n".join(events.lines()[1:]))


def test_a_spreadsheet_has_a_row_an_event(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    with endless(script("An hour as a spreadsheet"), tmp_path, sandbox=server) as running:
        running.until_it_watches()
        cluster.create(
            "pods", {"metadata": {"name": "web", "namespace": "default"}, "spec": {"containers": [container("a", "a")]}}
        )
        cluster.delete("pods", "default", "web", grace=0)
        running.until(lambda: any("DELETED" in line for line in running.lines("pods.csv")))
    rows = list(csv.DictReader(running.lines("pods.csv")))
    assert [(row["event"], row["namespace"], row["NAME"]) for row in (rows[0], rows[-1])] == [
        ("ADDED", "default", "web"),
        ("DELETED", "default", "web"),
    ]
    assert all(row["time"].endswith("Z") for row in rows)


def test_the_controller_restarts_what_a_config_map_changed(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    for name in ("api", "web"):
        cluster.create("deployments", workload(name, f"{name}:1", "shop", replicas=1))
        cluster.create("configmaps", {"metadata": {"name": name, "namespace": "shop"}, "data": {"level": "info"}})

    def restarted() -> bool:
        template = cluster.get("deployments", "shop", "web")["spec"]["template"]
        return "kubectl.kubernetes.io/restartedAt" in template["metadata"].get("annotations", {})

    text = script("A controller in ten lines of Python: restart a Deployment when the ConfigMap of its name changes")
    assert sum(bool(line) for line in text.splitlines()) <= 10
    with Endless([sys.executable, "-W", "error", "-c", text], tmp_path, sandbox=server) as running:
        running.until_it_watches()
        cluster.patch("configmaps", "shop", "api", {"metadata": {"labels": {"seen": "yes"}}})
        cluster.patch("configmaps", "shop", "web", {"data": {"level": "debug"}})
        running.until(lambda: restarted() and running.lines())
    assert running.lines() == ["deployment.apps/web restarted"]


@pytest.mark.parametrize(("image", "code"), [("migrate", 0), ("crash-migrate", 3)])
def test_a_job_that_completes_or_fails(
    image: str, code: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = "Wait for a Job to complete or fail"
    monkeypatch.setitem(SCRIPTS, title, script(title).replace("/migrate:", f"/{image}:"))
    ran = run(title, server, tmp_path)
    assert ran.returncode == code, ran.stderr
    assert ("BackoffLimitExceeded" in ran.stderr) is (code == 3)


@pytest.mark.parametrize(("image", "code"), [("migrate", 0), ("crash-migrate", 1)])
def test_a_job_that_ends_says_how(image: str, code: int, server: Server, tmp_path: Path) -> None:
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [container("c", f"x/{image}:1")]}}}
    server.cluster.create("jobs.batch", {"metadata": {"name": "migrate"}, "spec": {**job, "backoffLimit": 0}})
    ran = run("Wait for a Job to end, and tell how by what is printed", server, tmp_path)
    assert ran.returncode == code, ran.stderr


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
