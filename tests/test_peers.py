"""README's comparison is true: what the programs beside kwatch do when a watch breaks, and with what they are asked."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kwatch.sandbox import Cluster, Server
from kwatch.sandbox.controlplane import ControlPlane
from kwatch.sandbox.population import add_nodes, workload

PEERS = Path(__file__).parent / "bench" / "peers.py"
CLOSED, RESET, BUSY, GONE = (
    "the server ends the watch",
    "the connection is reset",
    "the server is overloaded (503)",
    "the events since are gone (410)",
)
EXPECTED = {
    ("kwatch", CLOSED): "goes on, knows what is there;",
    ("kwatch", RESET): "goes on, knows what is there; kwatch: pods in default: connection lost",
    ("kwatch", BUSY): "goes on, knows what is there; kwatch: pods in default: the server is overloaded",
    ("kwatch", GONE): "goes on, knows what is there; kwatch: pods in default: the server no longer has the events",
    **{
        ("kubectl get -w", fault): "ends with 0, doesn't know what is there; says nothing"
        for fault in (CLOSED, RESET, BUSY, GONE)
    },
    ("kubernetes (Python)", CLOSED): "goes on, knows what is there, 2 events again; says nothing",
    ("kubernetes (Python)", RESET): "ends with 1, doesn't know what is there; urllib3.exceptions.ProtocolError",
    ("kubernetes (Python)", BUSY): "ends with 1, doesn't know what is there; urllib3.exceptions.ProtocolError",
    ("kubernetes (Python)", GONE): "ends with 1, doesn't know what is there; Reason: Expired",
}
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")


def is_here(program: str) -> bool:
    if program.startswith("kubectl"):
        return shutil.which("kubectl") is not None
    return program == "kwatch" or importlib.util.find_spec("kubernetes") is not None


def test_a_broken_watch_is_what_readme_says_for_each_program() -> None:
    done = subprocess.run([sys.executable, PEERS], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found, fault = {}, ""
    for line in done.stdout.splitlines():
        if line.startswith("  "):
            program, words = re.split(r" {2,}", line.strip(), maxsplit=1)
            found[program, fault] = words
        elif line:
            fault = line
    wanted = {key: words for key, words in EXPECTED.items() if is_here(key[0])}
    assert {key: words[: len(wanted[key])] for key, words in found.items()} == wanted


def kubectl(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "-s", server.url, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@needs_kubectl
def test_kubectl_watches_one_type_and_waits_for_one_condition() -> None:
    cluster = Cluster()
    add_nodes(cluster)
    cluster.create("deployments", workload("web", "web:1", replicas=1))
    ControlPlane(cluster).settle()
    with Server(cluster) as server:
        several = kubectl(server, "get", "pods,deployments", "-w")
        assert (several.returncode, several.stderr) == (1, "error: you may only specify a single resource type\n")
        wait = ("wait", "deployment/web", "--timeout=1s")
        assert kubectl(server, *wait, "--for=condition=No", "--for=condition=Available").returncode == 0
        late = kubectl(server, *wait, "--for=condition=Available", "--for=condition=No")
        assert (late.returncode, late.stderr) == (1, "error: timed out waiting for the condition on deployments/web\n")
        missing = kubectl(server, "wait", "deployment/none", "--for=condition=Available", "--timeout=5s")
        assert (missing.returncode, missing.stderr) == (
            1,
            'Error from server (NotFound): deployments.apps "none" not found\n',
        )
