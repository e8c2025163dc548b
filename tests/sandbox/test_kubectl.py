"""kubectl is content with it."""

from __future__ import annotations

import json
import subprocess
import threading
import time

import pytest
from customs import crd
from kubectl import environment, needs_kubectl
from kubectl import kubectl as run_kubectl
from polling import eventually

from kwatch.sandbox import start_scenario

pytestmark = needs_kubectl


@pytest.fixture
def kubectl(server, tmp_path):
    """Run kubectl against the server; what it prints."""

    def run(*arguments, manifest=None):
        stdin = None if manifest is None else json.dumps(manifest)
        done = run_kubectl(tmp_path, "-s", server.url, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def refused(server, tmp_path):
    """Run kubectl against the server, which refuses; what it says."""

    def run(*arguments):
        done = run_kubectl(tmp_path, "-s", server.url, *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    return run


@pytest.fixture
def quiet(cluster):
    stop = threading.Event()
    thread = start_scenario("quiet", cluster, stop, pace=(0.01, 0.02))
    yield cluster
    stop.set()
    thread.join(2)


def columns_of(text):
    return text.split("\n")[0].split()


def test_get(quiet, kubectl, refused):
    assert columns_of(kubectl("get", "pods", "-A")) == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert "kube-proxy" in kubectl(
        "get", "pods", "-A", "-l", "app=kube-proxy", "--field-selector", "status.phase=Running"
    )
    assert "node-0" in kubectl("get", "no", "-o", "wide")
    assert json.loads(kubectl("get", "po", "-A", "-o", "json"))["items"]
    everything = kubectl("get", "all", "-n", "shop")
    for kind in ("pod/", "service/", "deployment.apps/", "replicaset.apps/", "statefulset.apps/", "job.batch/"):
        assert kind in everything
    assert "SuccessfulCreate" in kubectl("get", "events", "-A")
    assert "SuccessfulCreate" in kubectl("events", "-A")
    assert "Running" in kubectl("describe", "pods", "-n", "shop")
    assert 'deployments.apps "nosuch" not found' in refused("get", "deploy", "nosuch")


def test_discovery(kubectl):
    text = kubectl("api-resources")
    for name in ("pods", "deployments", "customresourcedefinitions", "events"):
        assert name in text
    assert "apps/v1" in kubectl("api-versions")
    assert "v1.36.2" in kubectl("version")


def test_a_list_in_pages_is_whole(cluster, kubectl):
    for number in range(25):
        cluster.create("configmaps", {"metadata": {"name": f"c{number:02d}"}})
    assert len(kubectl("get", "cm", "--chunk-size", "10", "--no-headers").splitlines()) == 25


def test_create_change_and_delete(quiet, kubectl):
    kubectl("create", "configmap", "settings", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "hidden", "--from-literal=a=b")
    kubectl("create", "namespace", "mine")
    kubectl("create", "service", "clusterip", "svc", "--tcp=80:8080")
    kubectl("create", "job", "once", "--image=job:1")
    assert quiet.get("configmaps", "default", "settings")["data"] == {"a": "b"}
    assert quiet.get("secrets", "default", "hidden")["data"] == {"a": "Yg=="}
    assert quiet.get("services", "default", "svc")["spec"]["ports"][0]["targetPort"] == 8080
    kubectl("wait", "--for=condition=complete", "job/once", "--timeout=10s")
    kubectl("label", "configmap/settings", "x=y")
    kubectl("annotate", "configmap/settings", "note=naïve")
    kubectl("patch", "configmap", "settings", "-p", '{"data":{"c":"d"}}')
    settings = quiet.get("configmaps", "default", "settings")
    assert (settings["metadata"]["labels"], settings["data"]) == ({"x": "y"}, {"a": "b", "c": "d"})
    kubectl("delete", "configmap/settings", "secret/hidden", "svc/svc", "job/once", "ns/mine")
    assert quiet.list("configmaps", "default") == []


def test_apply(cluster, kubectl):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    assert "created" in kubectl("apply", "-f", "-", manifest=manifest)
    assert "unchanged" in kubectl("apply", "-f", "-", manifest=manifest)
    assert "configured" in kubectl("apply", "-f", "-", manifest={**manifest, "data": {"b": "2"}})
    assert cluster.get("configmaps", "default", "c")["data"] == {"b": "2"}
    assert "applied" in kubectl("apply", "--server-side", "-f", "-", manifest={**manifest, "metadata": {"name": "d"}})
    assert "replaced" in kubectl("replace", "-f", "-", manifest=manifest)


def test_a_deployment_from_creation_to_deletion(quiet, kubectl):
    kubectl("create", "deployment", "x", "--image=nginx:1", "--replicas=2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/x", "--timeout=20s")
    kubectl("set", "image", "deployment/x", "nginx=nginx:2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/x", "--timeout=20s")
    kubectl("rollout", "restart", "deployment/x")
    kubectl("rollout", "status", "deployment/x", "--timeout=20s")
    kubectl("scale", "deployment/x", "--replicas=3")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/x", "--timeout=20s")
    kubectl("wait", "--for=condition=Available", "deployment/x", "--timeout=20s")
    assert {item["spec"]["containers"][0]["image"] for item in quiet.list("pods", label_selector="app=x")} == {
        "nginx:2"
    }
    kubectl("delete", "deployment", "x")
    kubectl("wait", "--for=delete", "pods", "-l", "app=x", "--timeout=20s")


def test_pods_are_run_and_deleted(quiet, kubectl):
    kubectl("run", "p", "--image=nginx:1")
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    kubectl("delete", "pod", "p")
    kubectl("run", "q", "--image=nginx:1")
    kubectl("delete", "pod", "q", "--force", "--grace-period=0")
    assert quiet.list("pods", label_selector="run") == []


def test_a_custom_resource(cluster, kubectl):
    color = {"name": "Color", "type": "string", "jsonPath": ".spec.color"}
    definition = crd("widgets", "Widget", names={"shortNames": ["wd"]}, columns=[color])
    kubectl("apply", "-f", "-", manifest=definition)
    kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=5s")
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"color": "red"}}
    kubectl("create", "-f", "-", manifest=widget)
    assert kubectl("get", "wd").split() == ["NAME", "COLOR", "w", "red"]
    kubectl("delete", "crd", "widgets.example.com")
    assert "widgets" not in kubectl("api-resources", "--cached=false")


@pytest.mark.parametrize("output", [(), ("-o", "json"), ("--output-watch-events",)])
def test_watch(cluster, server, tmp_path, output):
    cluster.create("configmaps", {"metadata": {"name": "one"}})
    process = subprocess.Popen(
        ["kubectl", "-s", server.url, "get", "cm", "-w", *output],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, b"")))
    reader.start()
    try:
        eventually(lambda: server.watches == 1)
        cluster.create("configmaps", {"metadata": {"name": "two"}})
        eventually(lambda: any(b"two" in line for line in lines))
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stderr.close()
    assert any(b"one" in line for line in lines)
    eventually(lambda: server.watches == 0)


def test_errors_are_worded_as_a_clusters(server, refused):
    server.forbid("list", "secrets")
    started = time.monotonic()
    assert 'secrets is forbidden: User "reader" cannot list resource "secrets"' in refused("get", "secrets")
    assert time.monotonic() - started < 10
