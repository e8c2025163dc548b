"""`kwatch.wait` as a program uses it, against the sandbox over real sockets; the conditions have tests of their own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from command import variables
from polling import eventually
from scripted import ScriptedServer

import kwatch
from kwatch.sandbox import Cluster, Fault, Server
from kwatch.sandbox.play import playing

pytestmark = pytest.mark.usefixtures("at_home")

SECONDS = 20.0


def thing(name: str, data: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "data": {"phase": data}}


def test_what_holds_already_is_returned_at_once(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a", "done"))
    (result,) = kwatch.wait("cm/a", for_="jsonpath=.data.phase=done", server=server.url, timeout=SECONDS)
    assert (result.reference, result.namespace, result.outcome) == ("configmap/a", "default", kwatch.Outcome.MET)
    assert result.condition == "jsonpath=.data.phase=done"


def test_what_is_not_there_yet_is_waited_for_whatever_breaks(cluster: Cluster, server: Server) -> None:
    said: list[tuple[str, str]] = []
    server.script(Fault("watch", cut=0), Fault("watch", expire=True), Fault("watch", status=500))

    def later() -> None:
        eventually(lambda: said and not server.pending_faults())
        cluster.create("configmaps", thing("a", "begun", app="x"))
        cluster.create("configmaps", thing("b", "done", app="x"))
        cluster.patch("configmaps", "default", "a", {"data": {"phase": "done"}})

    cluster.create("configmaps", thing("other", "begun", app="x"))
    writer = threading.Thread(target=later)
    writer.start()
    results = kwatch.wait(
        "cm",
        label_selector="app=x",
        for_=["create", "jsonpath=.data.phase=done"],
        count=2,
        server=server.url,
        timeout=SECONDS,
        on_progress=lambda reference, why: said.append((reference, why)),
    )
    writer.join()
    met = {
        result.reference for result in results if result.outcome is kwatch.Outcome.MET and "done" in result.condition
    }
    assert met == {"configmap/a", "configmap/b"}
    assert said[0][0] == "configmap/other"


def test_a_timeout_says_how_far_each_object_had_come(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a", "begun"))
    started = time.monotonic()
    with pytest.raises(kwatch.WaitTimeout, match=r"timed out after 0\.3s: configmap/a: ") as caught:
        kwatch.wait("cm/a", for_="jsonpath=.data.phase=done", server=server.url, timeout=0.3)
    assert 0.3 <= time.monotonic() - started < 3
    assert [result.outcome for result in caught.value.results] == [kwatch.Outcome.WAITING]
    assert isinstance(caught.value, kwatch.TimedOut)
    assert caught.value.exit_code == 124


def test_a_timeout_of_nothing_checks_once_and_none_waits(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a", "begun"))
    with pytest.raises(kwatch.WaitTimeout, match="not met: configmap/a"):
        kwatch.wait("cm/a", for_="jsonpath=.data.phase=done", server=server.url, timeout=0)
    assert kwatch.wait("cm/a", for_="jsonpath=.data.phase=begun", server=server.url, timeout=0)
    assert kwatch.wait("cm", all_objects=True, for_any=["delete", "create"], server=server.url, timeout=None)


@pytest.mark.parametrize("kind", ["cm/a", "widgets.example.com/a"])
def test_a_server_that_says_nothing_does_not_hold_it_up(kind: str) -> None:
    with ScriptedServer(lambda peer: peer.hold()) as server:
        started = time.monotonic()
        with pytest.raises(kwatch.WaitTimeout, match=r"timed out after 0\.3s"):
            kwatch.wait(kind, for_="create", server=server.url, timeout=0.3)
        assert time.monotonic() - started < 2


def test_what_it_is_told_to_fail_on_and_what_is_deleted_fail_it(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a", "broken"))
    wanted = {"for_": "jsonpath=.data.phase=done", "server": server.url, "timeout": SECONDS}
    with pytest.raises(kwatch.WaitFailed, match=r"configmap/a: .*broken") as caught:
        kwatch.wait("cm/a", fail_on="jsonpath=.data.phase=broken", **wanted)
    assert (caught.value.result.outcome, caught.value.exit_code) == (kwatch.Outcome.FAILED, 3)
    killer = threading.Timer(0.1, lambda: cluster.delete("configmaps", "default", "a"))
    killer.start()
    with pytest.raises(kwatch.WaitFailed, match="deleted"):
        kwatch.wait("cm/a", **wanted)
    killer.join()


def test_a_rollout_that_cannot_come_fails_with_what_is_to_blame() -> None:
    with playing("crashloop") as server, pytest.raises(kwatch.WaitFailed) as caught:
        kwatch.wait("deploy/report", for_="rollout", server=server.url, timeout=SECONDS)
    culprit = caught.value.result.culprit
    assert culprit is not None
    assert (culprit.container, culprit.pod.startswith("report-")) == ("report", True)
    assert "Image" in culprit.reason


def test_a_printed_column_can_be_waited_for() -> None:
    with playing("rollout") as server:
        results = kwatch.wait(
            "pods", label_selector="app=web", for_="where=STATUS=Running", count=1, server=server.url, timeout=SECONDS
        )
    assert any(result.outcome is kwatch.Outcome.MET for result in results)


def test_what_cannot_be_waited_for_is_an_error_at_once(server: Server) -> None:
    with pytest.raises(kwatch.UsageError, match="say what to wait for"):
        kwatch.wait("cm/a", server=server.url)
    with pytest.raises(kwatch.UsageError, match="say which objects"):
        kwatch.wait("cm", for_="create", server=server.url)
    with pytest.raises(kwatch.UsageError, match="exclude each other"):
        kwatch.wait("cm/a", for_="create", all_objects=True, server=server.url)
    with pytest.raises(kwatch.UsageError):
        kwatch.wait("cm/a", for_="nonsense", server=server.url)
    with pytest.raises(kwatch.NotFound, match="nosuch"):
        kwatch.wait("nosuch/a", for_="create", server=server.url)
    server.forbid("list", "configmaps")
    with pytest.raises(kwatch.Forbidden):
        kwatch.wait("cm/a", for_="create", server=server.url)


def test_not_even_a_connect_that_hangs_holds_it_up(tmp_path: Path) -> None:
    code = (
        "import kwatch, sys, time; started = time.monotonic()\n"
        "try: kwatch.wait('widgets.example.com/a', for_='create', server=sys.argv[1], timeout=0.3)\n"
        "except kwatch.WaitTimeout: print(time.monotonic() - started)\n"
    )
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)  # nobody accepts, and the queue is full
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-c", code, url]
        run = subprocess.run(command, env=variables(tmp_path), capture_output=True, text=True, timeout=30, check=True)
    assert 0.3 <= float(run.stdout) < 3
