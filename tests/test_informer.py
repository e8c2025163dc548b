"""`kwatch.Informer` as a program uses it, against the sandbox over real sockets."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command import variables
from polling import eventually
from scripted import ScriptedServer, answer, chunk, head

import kwatch
from kwatch.sandbox import Cluster, Fault, Server

pytestmark = pytest.mark.usefixtures("at_home")

SECONDS = 20.0
"""What takes longer than that fails its test."""


@dataclass
class Heard:
    """What handlers were told, in order."""

    calls: list[tuple[str, ...]] = field(default_factory=list)
    events: list[kwatch.Event] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    steps: list[kwatch.Lifecycle] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def handlers(self) -> dict[str, Callable[..., object]]:
        """What to give to `add_handler`."""
        return {
            "add": lambda new: self._note("add", new),
            "update": lambda old, new: self._note("update", old, new),
            "delete": lambda last: self._note("delete", last),
            "event": self.events.append,
            "error": self.errors.append,
            "on_lifecycle": self.steps.append,
        }

    @property
    def kinds(self) -> list[str]:
        """The kinds of steps in the life of the watch."""
        return [step.kind for step in self.steps]

    def _note(self, what: str, *objects: dict[str, Any]) -> None:
        self.calls.append(
            (what, objects[0]["metadata"]["name"], *(one["metadata"]["resourceVersion"] for one in objects))
        )
        self.threads.add(threading.current_thread().name)


def thing(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def label(cluster: Cluster, name: str, value: str) -> None:
    cluster.patch("configmaps", "default", name, {"metadata": {"labels": {"turn": value}}})


def versions(cluster: Cluster) -> dict[str, str]:
    """Name to resourceVersion of what the server has."""
    found = cluster.list("configmaps", "default")
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in found}


def test_handlers_are_told_of_adds_updates_and_deletes_in_order_and_in_one_thread(
    cluster: Cluster, server: Server
) -> None:
    one, heard = cluster.create("configmaps", thing("a"))["metadata"]["resourceVersion"], Heard()
    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(**heard.handlers())
    with informer:
        assert informer.wait_for_sync(SECONDS)
        assert heard.calls == [("add", "a", one)]
        label(cluster, "a", "1")
        two = versions(cluster)["a"]
        cluster.delete("configmaps", "default", "a")
        eventually(lambda: len(heard.calls) == 3)
    assert heard.calls[:2] == [("add", "a", one), ("update", "a", one, two)]
    assert heard.calls[2][:2] == ("delete", "a")
    assert [(event.type, event.initial) for event in heard.events] == [
        ("ADDED", True),
        ("MODIFIED", False),
        ("DELETED", False),
    ]
    assert heard.threads == {"informer configmaps in default"}


def test_the_store_follows_the_cluster_and_is_read_by_key_label_and_index(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", {"metadata": {"name": "a", "labels": {"app": "web"}}, "data": {"on": "n1"}})
    informer = kwatch.Informer("cm", server=server.url)
    informer.store.add_index("on", lambda one: [one["data"]["on"]])
    assert not informer.has_synced
    with informer:
        assert informer.wait_for_sync(SECONDS)
        assert informer.has_synced
        store = informer.store
        assert store.get("default", "a")["data"] == {"on": "n1"}
        cluster.create("configmaps", {"metadata": {"name": "b", "labels": {"app": "db"}}, "data": {"on": "n1"}})
        cluster.create("configmaps", thing("no-data"))
        eventually(lambda: ("default", "no-data") in store)
        assert [one["metadata"]["name"] for one in store.by_index("on", "n1")] == ["a", "b"]
        assert [one["metadata"]["name"] for one in store.list(labels={"app": "db"})] == ["b"]
        assert [one["metadata"]["name"] for one in store.list(labels="app in (db, x)")] == ["b"]
        with pytest.raises(kwatch.UsageError, match="is no label selector"):
            store.list(labels="app=web,")
        assert (store.list("elsewhere"), len(store.list("default")), len(store)) == ([], 3, 3)
        cluster.patch("configmaps", "default", "a", {"data": {"on": "n2"}})
        cluster.delete("configmaps", "default", "b")
        eventually(lambda: len(store) == 2 and store.by_index("on", "n2"))
        assert (store.by_index("on", "n1"), store.get("default", "b")) == ([], None)
        store.add_index("app", lambda one: one["metadata"].get("labels", {}).values())
        assert [one["metadata"]["name"] for one in store.by_index("app", "web")] == ["a"]
        assert store.keys() == (("default", "a"), ("default", "no-data"))
        with pytest.raises(kwatch.UsageError, match='no index "nosuch"'):
            store.by_index("nosuch", "n1")
    with pytest.raises(kwatch.UsageError, match="runs once"):
        informer.start()


def test_who_comes_late_is_told_of_what_is_there_and_then_of_what_happens(cluster: Cluster, server: Server) -> None:
    for name in ("a", "b"):
        cluster.create("configmaps", thing(name))
    first, late, gone = Heard(), Heard(), Heard()
    with kwatch.Informer("cm", server=server.url) as informer:
        informer.add_handler(**first.handlers())
        removed = informer.add_handler(**gone.handlers())
        eventually(lambda: len(first.calls) == len(gone.calls) == 2)
        label(cluster, "a", "1")
        eventually(lambda: len(gone.calls) == 3)
        removed.remove()
        informer.add_handler(**late.handlers())
        eventually(lambda: len(late.calls) == 2)
        assert sorted(late.calls) == [("add", name, version) for name, version in sorted(versions(cluster).items())]
        cluster.delete("configmaps", "default", "b")
        eventually(lambda: len(late.calls) == 3 and len(first.calls) == 4)
    assert first.calls[-1] == late.calls[-1]
    assert len(gone.calls) == 3


def test_a_handler_that_raises_ends_nothing_and_its_error_handler_is_told(
    cluster: Cluster, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create("configmaps", thing("a"))
    failing, silent, fine = Heard(), Heard(), Heard()

    def fail(*_: object) -> None:
        raise ValueError("a bug of the program")

    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(add=fail, update=fail, on_lifecycle=fail, error=failing.errors.append)
    informer.add_handler(add=fail, error=fail)
    informer.add_handler(add=fail)
    informer.add_handler(**fine.handlers())
    with informer:
        assert informer.wait_for_sync(SECONDS)
        label(cluster, "a", "1")
        eventually(lambda: len(fine.calls) == 2)
    assert {str(error) for error in failing.errors} == {"a bug of the program"}
    assert len(failing.errors) >= 3
    assert silent.calls == [] == fine.errors
    assert informer.error is None
    raised = f"{fail.__qualname__} raised on configmaps default/a: ValueError: a bug of the program"
    assert f"the handler add={raised}" in caplog.text
    assert f"the handler error={fail.__qualname__} raised: ValueError: a bug of the program" in caplog.text


def test_a_resync_repeats_what_is_in_the_store_and_asks_nobody(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    resynced, plain = Heard(), Heard()
    with kwatch.Informer("cm", server=server.url) as informer:
        informer.add_handler(**resynced.handlers(), resync=0.05)
        informer.add_handler(**plain.handlers())
        eventually(lambda: len(resynced.calls) >= 4)
    version = versions(cluster)["a"]
    assert set(resynced.calls[1:]) == {("update", "a", version, version)}
    assert len(plain.calls) == 1
    assert sum(request.verb == "list" for request in server.requests) == 1


def test_replaying_the_handlers_calls_gives_the_servers_state_whatever_breaks(cluster: Cluster, server: Server) -> None:
    server.script(
        Fault("list", status=500),
        Fault("watch", cut=700),
        Fault("watch", replay=4, cut=3000),
        Fault("watch", expire=True),
        Fault("watch", status=429, body="slow down", headers={"Retry-After": "1"}),
        Fault("watch", gone=True),
        Fault("watch", garbage=b"{no json"),
    )
    heard = Heard()
    state: dict[str, str] = {}
    heard_handlers = heard.handlers()

    def replay(event: kwatch.Event) -> None:
        heard.events.append(event)
        if event.type == "DELETED":
            assert state.pop(event.uid)
        else:
            assert (event.type == "MODIFIED") == (event.uid in state)
            state[event.uid] = event.resource_version

    informer = kwatch.Informer("cm", server=server.url, patient=True)
    informer.add_handler(**{**heard_handlers, "event": replay})
    with informer:
        deadline = time.monotonic() + SECONDS
        for turn in range(10_000):
            name = f"n{turn % 4}"
            cluster.create("configmaps", thing(name))
            label(cluster, name, str(turn))
            if turn >= 2:
                cluster.delete("configmaps", "default", f"n{(turn - 2) % 4}")
            time.sleep(0.02)
            if not server.pending_faults():
                break
            assert time.monotonic() < deadline, server.pending_faults()
        eventually(lambda: "data_error" in heard.kinds)
        wanted = versions(cluster)
        eventually(
            lambda: {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in informer.store} == wanted
        )
    assert heard.errors == []
    items = cluster.list("configmaps", "default")
    assert state == {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}
    seen = [(event.uid, event.resource_version, event.type) for event in heard.events]
    assert len(seen) == len(set(seen))
    assert {"old_resource_version", "relist", "reconnect", "data_error"} <= set(heard.kinds)


def test_each_step_in_the_life_of_a_watch_is_told_with_its_cause(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    heard = Heard()
    server.script(
        Fault("watch", cut=0),
        Fault("watch", expire=True),
        Fault("watch", garbage=b"{no json"),
        Fault("watch", status=403, times=None),
    )
    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(**heard.handlers())
    with informer, pytest.raises(kwatch.Forbidden):
        informer.join(SECONDS)
    steps = [(step.kind, step.cause) for step in heard.steps]
    assert steps == [
        ("list", ""),
        ("connect", ""),
        ("reconnect", "CUT"),
        ("connect", ""),
        ("old_resource_version", "GONE"),
        ("relist", "GONE"),
        ("list", ""),
        ("connect", ""),
        ("data_error", "MALFORMED"),
        ("reconnect", "MALFORMED"),
        ("give_up", ""),
    ]
    listed, gap = heard.steps[0], heard.steps[2]
    assert (listed.objects, listed.version, str(listed.query)) == (1, versions(cluster)["a"], "configmaps in default")
    assert gap.delay > 0
    assert gap.reason.startswith("connection lost (")
    assert heard.steps[-1].error is informer.error is heard.errors[0]
    with pytest.raises(kwatch.Forbidden):
        informer.wait_for_sync()


def test_a_bookmark_is_told(cluster: Cluster) -> None:
    heard = Heard()
    with Server(cluster, bookmark_interval=0.05) as server, kwatch.Informer("cm", server=server.url) as informer:
        informer.add_handler(**heard.handlers())
        cluster.create("secrets", thing("elsewhere"))
        eventually(lambda: "bookmark" in heard.kinds)
    step = next(step for step in heard.steps if step.kind == "bookmark")
    assert step.version.isdecimal()


def test_so_many_failures_in_a_row_make_it_give_up(cluster: Cluster, server: Server) -> None:
    heard = Heard()
    server.script(Fault("watch", status=500, times=2), Fault("watch", cut=600), Fault("watch", status=500, times=None))
    cluster.create("configmaps", thing("a"))
    informer = kwatch.Informer("cm", server=server.url, max_failures=3)
    informer.add_handler(**heard.handlers())
    with informer:
        eventually(lambda: heard.kinds.count("reconnect") >= 2)
        label(cluster, "a", "1")  # what comes begins the count anew
        label(cluster, "a", "2")
        with pytest.raises(kwatch.GaveUp, match="given up after 3 failures in a row; the last: the server failed"):
            informer.join(SECONDS)
    assert heard.kinds[-1] == "give_up"
    assert heard.kinds.count("reconnect") == 5


def test_a_relist_interval_lists_again_and_tells_nothing_twice(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    heard = Heard()
    with kwatch.Informer("cm", server=server.url, relist_interval=1) as informer:
        informer.add_handler(**heard.handlers())
        eventually(lambda: heard.kinds.count("list") >= 2)
        assert informer.wait_for_sync(SECONDS)
    assert [step.cause for step in heard.steps if step.kind == "relist"][:1] == ["DUE"]
    assert [event.type for event in heard.events] == ["ADDED"]


def test_an_idle_timeout_reconnects_and_loses_nothing(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    server.script(Fault("watch", stall=True, at=0))
    heard = Heard()
    with kwatch.Informer("cm", server=server.url, idle_timeout=0.3) as informer:
        informer.add_handler(**heard.handlers())
        assert informer.wait_for_sync(SECONDS)
        label(cluster, "a", "1")
        eventually(lambda: len(heard.calls) == 2)
    assert [step.cause for step in heard.steps if step.kind == "reconnect"][:1] == ["OVERDUE"]


def test_it_stops_within_a_second_whatever_it_waits_for(cluster: Cluster) -> None:
    lists = b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'
    scripts = {
        "a list": lambda peer: peer.hold(),
        "half a list": lambda peer: (peer.send(head(Content_Length="1000") + lists[:20]), peer.hold()),
        "a watch": lambda peer: (peer.send(head(Transfer_Encoding="chunked") + chunk(b" ")), peer.hold()),
        "a pause": lambda peer: peer.send(answer(b"", "429 Too Many Requests", Retry_After="50", Connection="close")),
    }
    for what, script in scripts.items():
        with ScriptedServer(script) as server:
            informer = kwatch.Informer("cm", server=server.url).start()
            eventually(lambda server=server: server.requests)
            started = time.monotonic()
            informer.stop()
            assert time.monotonic() - started < 1, what
            assert informer.wait_for_sync(1) is False


def test_a_handler_may_stop_it_and_no_handler_is_called_after_that(cluster: Cluster, server: Server) -> None:
    for name in ("a", "b", "c"):
        cluster.create("configmaps", thing(name))
    heard: list[str] = []

    def add(one: dict[str, Any]) -> None:
        heard.append(one["metadata"]["name"])
        assert informer.wait_for_sync() is False
        informer.stop()

    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(add=add)
    informer.start()
    assert informer.join(SECONDS)
    assert heard == ["a"]


def test_an_informer_follows_one_type_that_is_there(server: Server) -> None:
    with pytest.raises(kwatch.UsageError, match="several types; an informer follows one"):
        kwatch.Informer("cm,secrets", server=server.url).start()
    with pytest.raises(kwatch.NotFound, match="nosuch"):
        kwatch.Informer("nosuch", server=server.url).start()
    with pytest.raises(kwatch.UsageError, match="start the informer first"):
        kwatch.Informer("cm", server=server.url).wait_for_sync(1)
    with pytest.raises(kwatch.UsageError, match="resync is a number of seconds, more than 0"):
        kwatch.Informer("cm", server=server.url).add_handler(resync=0)


def test_a_patient_one_waits_for_a_server_that_comes_later(cluster: Cluster) -> None:
    with Server(cluster) as server:
        port = int(server.url.rpartition(":")[2])
    with pytest.raises(kwatch.TransportError):
        kwatch.Informer("cm", server=server.url).start().join(SECONDS)
    with kwatch.Informer("cm", server=server.url, patient=True) as informer:
        assert informer.wait_for_sync(0.2) is False
        with Server(cluster, port=port):
            assert informer.wait_for_sync(SECONDS)
            informer.stop()


def test_without_a_handler_the_log_says_why_it_gave_up(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "kwatch")
    server.forbid("list", "configmaps")
    with pytest.raises(kwatch.Forbidden) as caught:
        kwatch.Informer("cm", server=server.url).start().join(SECONDS)
    (record,) = caplog.records
    assert record.message == f"the informer of configmaps in default gave up: {caught.value}"
    assert record.exc_info is None


def test_handlers_that_are_removed_are_told_of_nothing_more_not_even_of_the_same_list(
    cluster: Cluster, server: Server
) -> None:
    for name in ("a", "b", "c"):
        cluster.create("configmaps", thing(name))
    heard: list[str] = []

    def once(one: dict[str, Any]) -> None:
        heard.append(one["metadata"]["name"])
        registration.remove()

    informer = kwatch.Informer("cm", server=server.url)
    registration = informer.add_handler(add=once)
    with informer:
        assert informer.wait_for_sync(SECONDS)
    assert heard == ["a"]


def test_a_handler_that_exits_ends_the_informer_and_that_is_told(
    cluster: Cluster, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create("configmaps", thing("a"))
    heard, errors = Heard(), []
    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(on_lifecycle=heard.steps.append)
    informer.add_handler(add=lambda one: sys.exit(3), error=errors.append)
    late = informer.add_handler(on_lifecycle=lambda step: sys.exit(4))
    with informer:
        with pytest.raises(SystemExit, match="3"):
            informer.join(SECONDS)
        with pytest.raises(SystemExit):
            informer.wait_for_sync(SECONDS)
    assert isinstance(informer.error, SystemExit)
    assert (heard.kinds[-1], heard.steps[-1].error, heard.steps[-1].reason) == (
        "give_up",
        informer.error,
        "SystemExit: 3",
    )
    assert errors == []
    assert "the informer of configmaps in default gave up: SystemExit: 3" in caplog.text
    assert late.is_removed is False


INTERRUPTED = """
import kwatch, sys, time

def slow(one):
    print("begun", flush=True)
    time.sleep(1)
    print("done", flush=True)

informer = kwatch.Informer("cm", server=sys.argv[1])
informer.add_handler(add=slow)
try:
    with informer:
        informer.join()
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def test_ctrl_c_in_join_awaits_the_handler_that_is_running(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("configmaps", thing("a"))
    command = [sys.executable, "-c", INTERRUPTED, server.url]
    with subprocess.Popen(command, env=variables(tmp_path), stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.send_signal(signal.SIGINT)
        assert program.stdout.read() == "done\nstopped\n"
    assert program.returncode == 0


TERMINATED = """
import kwatch, signal, sys

informer = kwatch.Informer("cm", server=sys.argv[1])
informer.add_handler(add=lambda one: print("begun", flush=True))
signal.signal(signal.SIGTERM, lambda *_: informer.stop())
informer.start()
print("joined:", informer.join(), flush=True)
"""


def test_a_signal_handler_may_stop_what_the_main_thread_joins(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("configmaps", thing("a"))
    command = [sys.executable, "-c", TERMINATED, server.url]
    with subprocess.Popen(command, env=variables(tmp_path), stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.terminate()
        assert program.communicate(timeout=SECONDS) == ("joined: True\n", None)
    assert program.returncode == 0


def test_a_handler_cannot_await_its_own_end_and_is_told_so(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    heard = Heard()
    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(add=lambda one: informer.join(), error=heard.errors.append)
    with informer:
        assert informer.wait_for_sync(SECONDS)
    assert [type(error) for error in heard.errors] == [kwatch.UsageError]
    assert "a handler can't await the end of its own informer" in str(heard.errors[0])


def test_an_informer_runs_once_and_may_be_started_before_its_with(cluster: Cluster, server: Server) -> None:
    informer = kwatch.Informer("cm", server=server.url)
    with informer.start() as same:
        assert same is informer
        assert informer.wait_for_sync(SECONDS)
    with pytest.raises(kwatch.UsageError, match="runs once"), informer:
        pass
    stopped = kwatch.Informer("cm", server=server.url)
    stopped.stop()
    with pytest.raises(kwatch.UsageError, match="was stopped"):
        stopped.start()


def test_handlers_that_were_added_together_can_be_awaited(cluster: Cluster, server: Server) -> None:
    for name in ("a", "b"):
        cluster.create("configmaps", thing(name))
    first, late, waits = Heard(), Heard(), []
    informer = kwatch.Informer("cm", server=server.url)
    early = informer.add_handler(**first.handlers())
    assert (early.has_synced, early.wait_for_sync(0.01)) == (False, False)
    with informer:
        assert early.wait_for_sync(SECONDS)
        assert len(first.calls) == 2
        told = informer.add_handler(**late.handlers())
        assert told.wait_for_sync(SECONDS)
        assert (told.has_synced, len(late.calls)) == (True, 2)
        own = informer.add_handler(add=lambda one: waits.append(own.wait_for_sync()))
        assert own.wait_for_sync(SECONDS)
        assert waits == [False, False]
        removed = informer.add_handler(add=lambda one: removed.remove())
        assert removed.wait_for_sync(SECONDS) is False
    assert informer.add_handler(**late.handlers()).wait_for_sync(SECONDS) is False


def test_who_awaits_handlers_of_an_informer_that_gives_up_is_told_why(server: Server) -> None:
    server.forbid("list", "configmaps")
    informer = kwatch.Informer("cm", server=server.url)
    registration = informer.add_handler(error=lambda error: None)
    with informer, pytest.raises(kwatch.Forbidden):
        registration.wait_for_sync(SECONDS)
    with pytest.raises(kwatch.Forbidden):
        informer.add_handler().wait_for_sync(SECONDS)


def test_an_error_handler_may_take_the_event_that_failed_too(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    failed: list[tuple[str, kwatch.Event | None]] = []
    plain: list[Exception] = []

    def fail(*_: object) -> None:
        raise ValueError("a bug of the program")

    def optional(error: Exception, event: kwatch.Event | None = None) -> None:
        failed.append((f"optional {error}", event))

    def unrelated(error: Exception, retries: int = 3) -> None:
        assert retries == 3
        plain.append(error)

    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(add=fail, error=lambda error, event: failed.append((str(error), event)))
    informer.add_handler(update=fail, error=optional, resync=0.05)
    informer.add_handler(on_lifecycle=fail, error=lambda error, event: failed.append(("lifecycle", event)))
    informer.add_handler(add=fail, error=unrelated)
    informer.add_handler(add=fail, error=plain.append)
    with informer:
        eventually(lambda: len(dict(failed)) == 3 and len(plain) == 2)
    events = dict(failed)
    added, resynced = events["a bug of the program"], events["optional a bug of the program"]
    assert (added.type, added.key, added.object["kind"]) == ("ADDED", ("default", "a"), "ConfigMap")
    assert (resynced.type, resynced.key, resynced.old) == ("MODIFIED", ("default", "a"), resynced.object)
    assert events["lifecycle"] is None


def test_an_error_handler_is_told_of_no_event_where_the_informer_gave_up(server: Server) -> None:
    server.forbid("list", "configmaps")
    failed: list[tuple[Exception, kwatch.Event | None]] = []
    informer = kwatch.Informer("cm", server=server.url)
    informer.add_handler(error=lambda error, event: failed.append((error, event)))
    with informer, pytest.raises(kwatch.Forbidden):
        informer.join(SECONDS)
    assert failed == [(informer.error, None)]


@pytest.mark.parametrize("name", ["add", "update", "delete", "event", "error", "on_lifecycle"])
def test_a_handler_that_cannot_be_called_is_an_error_where_it_is_added(name: str) -> None:
    async def told(*_: object) -> None:
        pass

    class Told:
        async def __call__(self, *_: object) -> None:
            pass

    informer = kwatch.Informer("cm")
    for handler in (told, Told(), partial(told, 1)):
        with pytest.raises(kwatch.UsageError, match=f"{name} is called in a thread and not awaited"):
            informer.add_handler(**{name: handler})
    with pytest.raises(kwatch.UsageError, match=f"{name} is a function to call, or None; not 'nosuch'"):
        informer.add_handler(**{name: "nosuch"})


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda one: one["metadata"]["name"], "it gives a text; give a list of texts"),
        (lambda one: one["data"]["nosuch"], "KeyError: 'data'"),
        (lambda one: [["a"]], "TypeError: unhashable type: 'list'"),
        (lambda one: None, "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_an_index_that_cannot_be_made_is_logged_once(
    function: Callable[..., Any], why: str, cluster: Cluster, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        cluster.create("configmaps", thing(name))
    informer = kwatch.Informer("cm", server=server.url)
    informer.store.add_index("wrong", function)
    informer.store.add_index("right", lambda one: [one["metadata"]["name"]])
    with informer:
        assert informer.wait_for_sync(SECONDS)
        label(cluster, "a", "1")
        cluster.delete("configmaps", "default", "b")
        eventually(lambda: len(informer.store) == 1)
    assert informer.store.by_index("wrong", "a") == []
    assert len(informer.store.by_index("right", "a")) == 1
    logged = [record.message for record in caplog.records if "index" in record.message]
    assert logged == [f"the index wrong can't be made of default/a, and perhaps of others: {why}"]


def test_an_index_is_a_function_that_is_not_async() -> None:
    async def values(one: object) -> list[str]:
        return []

    with pytest.raises(kwatch.UsageError, match="an index is called in a thread and not awaited"):
        kwatch.Informer("cm").store.add_index("wrong", values)
