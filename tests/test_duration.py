"""What an end by `--duration` guarantees: all was listed, or it is said what never was."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from command import kwatch
from scripted import Script, ScriptedServer, answer

from kwatch.sandbox import Cluster, Fault, Server

SILENT: Script = lambda peer: peer.hold()  # noqa: E731
BUSY: Script = lambda peer: peer.send(answer(b"busy", "503 Service Unavailable"))  # noqa: E731


@pytest.mark.parametrize(("script", "why"), [(SILENT, "no answer"), (BUSY, "the server is overloaded.*503.*")])
@pytest.mark.parametrize("output", ["csv", "table", "name"])
def test_a_duration_that_passes_before_the_first_list_is_no_success(
    script: Script, why: str, output: str, tmp_path: Path
) -> None:
    with ScriptedServer(script) as server:
        run = kwatch(["pods", "-s", server.url, "--duration", "1s", "-o", output, "-q"], tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(rf"kwatch: error: pods in default: never listed within 1s: {why}\n", run.stderr)


def test_each_source_that_was_never_listed_is_named(tmp_path: Path) -> None:
    with ScriptedServer(SILENT) as server:
        run = kwatch(["pods", "-n", "a,b", "-s", server.url, "--duration", "500ms", "-q"], tmp_path)
    assert run.returncode == 1
    assert [line.split(":")[2] for line in run.stderr.splitlines()] == [" pods in a", " pods in b"]


def test_one_source_that_may_not_be_watched_makes_a_duration_no_success(tmp_path: Path) -> None:
    with Server(Cluster()) as server:
        server.forbid("list", "secrets")
        run = kwatch(["cm,secrets", "-s", server.url, "--duration", "500ms", "-q"], tmp_path)
    assert run.returncode == 1
    assert "secrets" in run.stderr


def test_a_cluster_that_was_left_out_makes_a_duration_no_success(tmp_path: Path) -> None:
    with Server(Cluster()) as server:
        config = tmp_path / "config"
        entries = {"clusters": [{"name": "near", "cluster": {"server": server.url}}],
                   "contexts": [{"name": "near", "context": {"cluster": "near"}}]}  # fmt: skip
        config.write_text(json.dumps(entries))
        asked = ["cm", "--kubeconfig", str(config), "--duration", "500ms", "-q", "--context"]
        assert kwatch([*asked, "near"], tmp_path).returncode == 0
        run = kwatch([*asked, "near,nosuch"], tmp_path)
    assert run.returncode == 1
    assert "nosuch" in run.stderr


def test_an_export_whose_cluster_says_nothing_keeps_to_its_duration(tmp_path: Path) -> None:
    asked = ["pods", "-o", "ndjson", "--state", str(tmp_path / "state"), "--duration", "1s"]
    started = time.monotonic()
    with ScriptedServer(SILENT) as server:
        run = kwatch([*asked, "-s", server.url], tmp_path)
    assert (run.returncode, run.stderr) == (1, "kwatch: error: pods: never listed within 1s: no answer\n")
    assert time.monotonic() - started < 6


def test_an_export_that_could_not_go_on_from_its_state_is_no_success(tmp_path: Path) -> None:
    cluster = Cluster()
    with Server(cluster) as server:
        asked = ["cm", "-o", "ndjson", "--state", str(tmp_path / "state"), "--duration", "1s", "-s", server.url]
        assert kwatch(asked, tmp_path).returncode == 0
        assert kwatch(asked, tmp_path).returncode == 0
        server.script(Fault(resource="configmaps", status=503, times=None))
        run = kwatch([*asked, "-q"], tmp_path)
    assert run.returncode == 1
    assert "configmaps in default: never listed within 1s: the server is overloaded" in run.stderr
