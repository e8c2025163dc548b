"""How a long run tells how it is doing: heartbeats, metrics, a health check that turns red."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import requests
from command import Running, kwatch
from prometheus_client.parser import text_string_to_metric_families

from kwatch.errors import ConfigError
from kwatch.metrics import Metrics, Readings
from kwatch.model import Batch, Bookmark, Change, Connected, Notice, Query, Resource, Signal, Synced
from kwatch.sandbox import Fault, Server
from kwatch.vitals import Vitals

PODS = Query(Resource("", "v1", "pods", "Pod"), "default")
NOTHING = Readings(lambda: 0, lambda: 0, lambda: 0, lambda: 0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def fetched(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def after(*signals: Signal, failure: Exception | None = None) -> Vitals:
    vitals = Vitals([PODS], 0.0)
    vitals.take(Batch(PODS, signals, failure), 0.0)
    vitals.beat(1000.0)
    return vitals


def change(kind: str) -> Change:
    return Change(kind, ("default", "a"), "u", "1", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signals", "now", "problems"),
    [
        ((Bookmark("1"),), 659, []),
        ((Bookmark("1"),), 661, ["pods in default: no word for 661s"]),
        ((Notice("refused", 1.0),), 59, []),
        ((Notice("refused", 1.0),), 61, ["pods in default: in trouble for 61s"]),
        ((Notice("refused", 1.0), Notice("refused", 2.0), Connected("1")), 61, []),
        ((Notice("only a detail", detail=True),), 61, []),
    ],
)
def test_a_watch_is_stale_when_it_is_in_trouble_or_silent_for_too_long(
    signals: tuple[Signal, ...], now: float, problems: list[str]
) -> None:
    assert after(*signals).problems(now) == problems


def test_a_watch_that_ended_and_a_main_thread_that_is_held_up_are_problems() -> None:
    vitals = after(failure=RuntimeError())
    assert vitals.problems(0.0) == ["pods in default: the watch has ended"]
    held = Vitals([], 0.0)
    assert held.problems(61.0) == ["nothing could be written for 61s"]
    held.beat(61.0)
    assert held.problems(61.0) == []


def test_a_heartbeat_sums_up() -> None:
    vitals = after(Synced("1", 1, True), *[change("ADDED")] * 1234)
    assert vitals.summary(2.0) == "all is well: 1,234 events from 1 watch, last word 2s ago"


def test_a_heartbeat_tells_of_trouble_from_its_beginning() -> None:
    vitals = after(Notice("refused", 1.0))
    assert vitals.summary(31.0).startswith("pods in default: in trouble for 31s: 0 events")
    assert vitals.problems(31.0) == []


def test_metrics_count_events_reconnects_and_relists() -> None:
    signals = [
        Synced("1", 2, True),
        change("ADDED"),
        change("ADDED"),
        Connected("1"),
        change("DELETED"),
        Connected("2"),
    ]
    vitals = after(*signals, Synced("9", 1, False), Connected("9"))
    with Metrics("127.0.0.1", 0, vitals, Readings(lambda: 11, lambda: 12, lambda: 13, lambda: 14)) as metrics:
        status, text = fetched(metrics.port, "/metrics")
    assert status == 200
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    lag = found.pop(("kwatch_lag_seconds", "pods in default"))
    assert lag > 0
    assert found == {
        ("kwatch_events_total", "pods", "ADDED"): 2,
        ("kwatch_events_total", "pods", "DELETED"): 1,
        ("kwatch_reconnects_total", "pods in default"): 2,
        ("kwatch_relists_total", "pods in default"): 1,
        ("kwatch_received_bytes_total",): 11,
        ("kwatch_queue_depth",): 12,
        ("kwatch_file_bytes",): 13,
        ("kwatch_state_commits_total",): 14,
    }


def test_the_health_check_is_red_with_the_reasons_where_all_isnt_well() -> None:
    vitals = Vitals([PODS], float("-inf"))
    with Metrics("127.0.0.1", 0, vitals, NOTHING) as metrics:
        status, text = fetched(metrics.port, "/healthz")
        assert (status, len(text.splitlines())) == (503, 2)
        assert fetched(metrics.port, "/")[0] == 404
    with pytest.raises(ConfigError, match="can't be served at"):
        Metrics("203.0.113.1", 1, vitals, NOTHING)


def test_a_client_that_goes_away_or_talks_nonsense_disturbs_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with Metrics("", 0, Vitals([], time.monotonic()), NOTHING) as metrics:
        for sent in (b"", b"\x00\xff\r\n\r\n", b"GET /metrics HTTP/1.1\r\n"):
            with socket.create_connection(("127.0.0.1", metrics.port)) as client:
                client.sendall(sent)
        assert fetched(metrics.port, "/healthz") == (200, "ok\n")
    assert capfd.readouterr().err == ""


def test_the_command_serves_metrics_of_an_export_and_says_heartbeats(server: Server, tmp_path: Path) -> None:
    port = free_port()
    server.cluster.create("configmaps", {"metadata": {"name": "a"}})
    server.script(Fault(verb="watch", cut=0))
    arguments = ["configmaps", "-s", server.url, "-o", "ndjson", "--output-file", "e.ndjson", "--state", "state"]
    files = [str(tmp_path / one) if one in ("e.ndjson", "state") else one for one in arguments]
    with Running([*files, "--metrics", f"127.0.0.1:{port}", "--heartbeat", "0.2s"], tmp_path) as running:
        running.until(lambda: "heartbeat: all is well: 1 events from 1 watch" in running.stderr)
        assert fetched(port, "/healthz") == (200, "ok\n")
        text = fetched(port, "/metrics")[1]
        assert running.end()[0] == 130
    assert 'kwatch_events_total{resource="configmaps",type="ADDED"} 1.0' in text
    size = (tmp_path / "e.ndjson").stat().st_size
    assert f"kwatch_file_bytes {float(size)}" in text
    assert float(re.search(r"^kwatch_state_commits_total (\S+)", text, re.MULTILINE)[1]) >= 1  # type: ignore[index]
    assert json.loads((tmp_path / "e.ndjson").read_text())["object"]["metadata"]["name"] == "a"


def test_what_is_no_address_or_taken_is_refused(server: Server, tmp_path: Path) -> None:
    taken = server.url.rpartition(":")[2]
    for address, code in (("nonsense", 2), ("127.0.0.1:99999", 2), (f"127.0.0.1:{taken}", 1)):
        done = kwatch(["configmaps", "-s", server.url, "--metrics", address, "--duration", "1s"], tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)


def test_a_free_port_is_said_for_nobody_else_knows_it(server: Server, tmp_path: Path) -> None:
    arguments = ["configmaps", "-s", server.url, "--metrics", "127.0.0.1:0"]
    with Running(arguments, tmp_path) as running:
        running.until(lambda: "metrics are served on port " in running.stderr)
        found = re.search(r"on port (\d+) of 127\.0\.0\.1\n", running.stderr)
        assert found
        assert "kwatch_" in requests.get(f"http://127.0.0.1:{found[1]}/metrics", timeout=10).text


def test_metrics_without_what_they_need_are_an_error_before_anything_is_asked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not here')")
    asked = [
        "configmaps",
        "-s",
        server.url,
        "--metrics",
        "127.0.0.1:0",
        "--output-file",
        str(tmp_path / "e"),
        "-o",
        "csv",
    ]
    done = kwatch(asked, tmp_path, PYTHONPATH=str(tmp_path))
    said = "kwatch: error: --metrics needs prometheus-client: pip install 'kwatch-cli[metrics]'\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert not (tmp_path / "e").exists()
    assert not server.requests
