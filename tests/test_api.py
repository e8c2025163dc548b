"""`kwatch.watch` as a program uses it, against the sandbox over real sockets."""

from __future__ import annotations

import contextlib
import gc
import inspect
import itertools
import logging
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from customs import crd, install
from polling import eventually
from scripted import Peer, ScriptedServer, answer

import kwatch
from kwatch.sandbox import Cluster, Fault, Server

pytestmark = pytest.mark.usefixtures("at_home")

SECONDS = 20.0
"""A watch that takes longer than that fails its test."""


def thing(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def label(cluster: Cluster, name: str, value: str) -> None:
    cluster.patch("configmaps", "default", name, {"metadata": {"labels": {"turn": value}}})


def told(event: kwatch.Event) -> tuple[str, str]:
    return event.type, event.name


def test_an_event_says_what_happened_to_which_object_and_what_it_was_before(cluster: Cluster, server: Server) -> None:
    created = cluster.create("configmaps", thing("a"))
    with kwatch.watch("cm", server=server.url, timeout=SECONDS) as watch:
        first = next(watch)
        label(cluster, "a", "1")
        changed = next(watch)
        cluster.delete("configmaps", "default", "a")
        deleted = next(watch)
    assert (first.type, first.key, first.uid) == ("ADDED", ("default", "a"), created["metadata"]["uid"])
    assert (first.initial, first.synthetic, first.old) == (True, False, None)
    assert (first.resource.plural, first.object["kind"], first.namespace) == ("configmaps", "ConfigMap", "default")
    assert (changed.type, changed.initial, changed.old) == ("MODIFIED", False, first.object)
    assert changed.object["metadata"]["labels"] == {"turn": "1"}
    assert changed.resource_version == changed.object["metadata"]["resourceVersion"] != first.resource_version
    assert (deleted.type, deleted.uid, deleted.old) == ("DELETED", first.uid, changed.object)
    assert repr(changed) == f"<Event MODIFIED configmaps default/a at {changed.resource_version}>"


def test_what_a_program_does_to_an_object_changes_no_later_event(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    with kwatch.watch("cm", server=server.url, timeout=SECONDS) as watch:
        next(watch).object["metadata"].clear()
        label(cluster, "a", "1")
        assert next(watch).old["metadata"]["name"] == "a"


def stop_once_connected(watch: kwatch.Watch, steps: list[kwatch.Lifecycle], watches: int) -> None:
    eventually(lambda: sum(step.kind == "connect" for step in steps) >= watches)
    watch.stop()


def test_names_namespaces_selectors_and_types_mean_what_they_mean_for_the_command(
    cluster: Cluster, server: Server
) -> None:
    cluster.create("namespaces", {"metadata": {"name": "other"}})
    cluster.create("configmaps", thing("a", app="web"))
    cluster.create("configmaps", thing("b", app="db"))
    cluster.create("configmaps", {"metadata": {"name": "c", "namespace": "other", "labels": {"app": "web"}}})
    cluster.create("secrets", thing("s", app="web"))

    def found(watches: int, *words: str, **options: Any) -> set[tuple[str, str]]:
        """What so many watches had listed by the time that they all went on to watch."""
        steps: list[kwatch.Lifecycle] = []
        events: list[kwatch.Event] = []
        options["on_lifecycle"] = steps.append
        watch = kwatch.watch(*words, server=server.url, timeout=SECONDS, **options)
        threading.Thread(target=stop_once_connected, args=(watch, steps, watches)).start()
        events.extend(watch)
        return {(event.resource.plural, event.name) for event in events}

    assert found(1, "ConfigMap", "b") == {("configmaps", "b")}
    assert found(2, "cm/a", "secret/s") == {("configmaps", "a"), ("secrets", "s")}
    assert found(2, "cm,secrets", label_selector="app=web") == {("configmaps", "a"), ("secrets", "s")}
    assert found(1, "cm", namespace="other") == {("configmaps", "c")}
    assert found(2, "cm", namespace=["default", "other"], label_selector="app=web") == {
        ("configmaps", "a"),
        ("configmaps", "c"),
    }
    assert found(1, "cm", all_namespaces=True, field_selector="metadata.name=c") == {("configmaps", "c")}
    assert found(1, "cm", watch_only=True) == set()


def test_secrets_are_redacted_and_managed_fields_left_out_unless_asked_for(cluster: Cluster, server: Server) -> None:
    cluster.create("secrets", {"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}})
    with kwatch.watch("secrets", server=server.url, timeout=SECONDS) as watch:
        plain = next(watch).object
    whole = {"show_secrets": True, "show_managed_fields": True}
    with kwatch.watch("secrets", server=server.url, timeout=SECONDS, **whole) as watch:
        shown = next(watch).object
    assert re.fullmatch(r"<redacted, 7 bytes #[0-9a-f]{16}>", plain["data"]["password"])
    assert "managedFields" not in plain["metadata"]
    assert shown["data"] == {"password": "aHVudGVyMg=="}
    assert "managedFields" in shown["metadata"]


def test_a_redacted_secret_that_changes_is_not_equal_to_what_it_was(cluster: Cluster, server: Server) -> None:
    def write(value: str, turn: str) -> None:
        cluster.patch("secrets", "default", "s", {"metadata": {"labels": {"turn": turn}}, "data": {"password": value}})

    cluster.create("secrets", {"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}})
    with (
        kwatch.watch("secrets", server=server.url, timeout=SECONDS) as watch,
        kwatch.Informer("secrets", server=server.url) as informer,
    ):
        first = next(watch)
        write("aHVudGVyMw==", "1")
        changed = next(watch)
        write("aHVudGVyMw==", "2")
        same = next(watch)
        eventually(lambda: informer.store.get("default", "s") == same.object)
    assert changed.old["data"] == first.object["data"] != changed.object["data"]
    assert same.old["data"] == same.object["data"]
    assert "aHVudGVy" not in f"{first.object}{changed.object}{same.object}"


def test_replaying_the_events_gives_the_servers_state_whatever_breaks(cluster: Cluster, server: Server) -> None:
    server.script(
        Fault("watch", cut=300),
        Fault("watch", status=500),
        Fault("watch", replay=3, cut=3000),
        Fault("watch", expire=True),
        Fault("list", status=503, body="busy"),
        Fault("watch", garbage=b"{no json"),
        Fault("watch", reset=True, cut=900),
    )
    state: dict[str, str] = {}
    seen: list[tuple[str, str, str]] = []
    cluster.create("configmaps", thing("zero"))
    deadline = time.monotonic() + SECONDS
    writer = threading.Thread(target=_write, args=(cluster, server, deadline))
    writer.start()
    with kwatch.watch("cm", server=server.url, timeout=SECONDS, chunk_size=3) as watch:
        for event in watch:
            seen.append((event.uid, event.resource_version, event.type))
            if event.type == "DELETED":
                assert state.pop(event.name) == event.uid
            else:
                assert (event.type == "MODIFIED") == (state.get(event.name) == event.uid)
                state[event.name] = event.uid
            if event.name == "last":
                break
    writer.join()
    items = cluster.list("configmaps", "default")
    assert state == {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}
    assert len(seen) == len(set(seen))
    assert server.pending_faults() == 0


def _write(cluster: Cluster, server: Server, deadline: float) -> None:
    """Changes for as long as there are faults to come, and one more for the end."""
    for turn in itertools.count():
        if not server.pending_faults() or time.monotonic() > deadline:
            break
        name = f"n{turn % 5}"
        if turn % 3 == 2:
            cluster.patch("configmaps", "default", "zero", {"metadata": {"labels": {"turn": str(turn)}}})
        elif any(item["metadata"]["name"] == name for item in cluster.list("configmaps", "default")):
            cluster.delete("configmaps", "default", name)
        else:
            cluster.create("configmaps", thing(name))
        time.sleep(0.02)
    cluster.create("configmaps", thing("last"))


def test_another_thread_ends_the_iteration_within_a_second(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    watch = kwatch.watch("cm", server=server.url)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(event.name for event in watch))
    reader.start()
    eventually(lambda: found)
    started = time.monotonic()
    watch.stop()
    reader.join(5)
    assert not reader.is_alive()
    assert time.monotonic() - started < 1
    assert list(watch) == []
    watch.stop()


def test_a_loop_that_is_left_leaves_nothing_running(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    for event in kwatch.watch("cm", server=server.url, timeout=SECONDS):
        assert event.name == "a"
        break
    gc.collect()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("watch")] == []


def test_a_duration_ends_it_and_a_timeout_raises(server: Server) -> None:
    started = time.monotonic()
    assert list(kwatch.watch("cm", server=server.url, duration=0.3)) == []
    with pytest.raises(kwatch.TimedOut, match=r"timed out after 0\.3s") as caught:
        next(kwatch.watch("cm", server=server.url, timeout=0.3))
    assert isinstance(caught.value, TimeoutError)
    assert 0.6 <= time.monotonic() - started < 5


def test_what_cannot_be_is_an_error_at_once(server: Server) -> None:
    with pytest.raises(kwatch.NotFound, match='the server doesn\'t have a resource type "nosuch"'):
        kwatch.watch("nosuch", server=server.url)
    with pytest.raises(kwatch.UsageError, match="max_failures is a whole number, more than 0"):
        kwatch.watch("pods", server=server.url, max_failures=0)
    with pytest.raises(kwatch.UsageError, match="leave out kubeconfig, context and server"):
        kwatch.watch("pods", server=server.url, connection=kwatch.connect(server=server.url))
    with pytest.raises(kwatch.ConfigError, match="nowhere"):
        kwatch.watch("pods", kubeconfig="/nowhere")


def test_what_ends_a_watch_is_raised_once(server: Server) -> None:
    server.forbid("watch", "configmaps")
    server.forbid("list", "configmaps")
    watch = kwatch.watch("cm", server=server.url, timeout=SECONDS)
    with pytest.raises(kwatch.Forbidden) as caught:
        next(watch)
    assert caught.value.code == 403
    assert list(watch) == []


def test_one_connection_serves_several_watches(cluster: Cluster) -> None:
    cluster.create("configmaps", thing("a"))
    with Server(cluster, token="t0ken") as server:
        connection = kwatch.connect(server=server.url, headers=[("Authorization", "Bearer t0ken")])
        for _ in range(2):
            with kwatch.watch("cm", connection=connection, timeout=SECONDS) as watch:
                assert next(watch).name == "a"


def test_a_gap_is_logged_and_no_credential_with_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kwatch")

    def repeats(peer: Peer) -> None:
        peer.send(answer(b"you said s3cr3t-canary", "500 Internal Server Error", Connection="close"))

    def denies(peer: Peer) -> None:
        peer.send(answer(b"s3cr3t-canary may not", "403 Forbidden", Connection="close"))

    with ScriptedServer(repeats, denies) as server:
        connection = kwatch.connect(server=server.url, headers=[("X-Token", "s3cr3t-canary")])
        steps: list[kwatch.Lifecycle] = []
        with pytest.raises(kwatch.Forbidden) as caught:
            next(kwatch.watch("cm", connection=connection, timeout=SECONDS, on_lifecycle=steps.append))
    assert "the server failed (500 you said <redacted>); listing again" in caplog.text
    assert "s3cr3t-canary" not in caplog.text + str(caught.value) + repr(steps)
    assert [record.levelname for record in caplog.records if "the server failed" in record.message] == ["WARNING"]


def test_as_many_failures_in_a_row_as_allowed_raise(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    server.script(Fault("watch", status=500, times=None))
    watch = kwatch.watch("cm", server=server.url, timeout=SECONDS, max_failures=3)
    assert next(watch).name == "a"
    with pytest.raises(kwatch.GaveUp, match="default: given up after 3 failures in a row; the last: the server failed"):
        next(watch)
    assert 3 <= sum(request.verb == "watch" for request in server.requests) <= 4


def test_a_type_that_an_earlier_run_knew_and_that_is_gone_is_asked_for_anew(tmp_path: Path) -> None:
    before, after = Cluster(), Cluster()
    install(before, crd("widgets", "Widget"))
    with Server(before) as server:
        port = int(server.url.rpartition(":")[2])
        with kwatch.watch("widgets", server=server.url, timeout=SECONDS) as watch:
            assert next(watch).name == "widgets-1"
    with Server(after, port=port) as server, pytest.raises(kwatch.NotFound, match="doesn't have a resource type"):
        next(kwatch.watch("widgets", server=server.url, timeout=SECONDS))


def test_import_kwatch_alone_imports_none_of_its_libraries() -> None:
    code = (
        "import kwatch, sys; kwatch.__version__; "
        "print(sorted({'requests', 'urllib3', 'orjson', 'yaml', 'threading', 'logging'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_all_that_is_public_is_there_and_nothing_else_is() -> None:
    assert all(getattr(kwatch, name).__name__ == name for name in kwatch.__all__)
    assert set(kwatch.__all__) <= set(dir(kwatch))
    with pytest.raises(AttributeError, match="nosuch"):
        kwatch.nosuch  # noqa: B018


@pytest.mark.parametrize("kind", ["Result", "Lifecycle", "Culprit"])
def test_the_help_of_what_has_fields_tells_each(kind: str) -> None:
    value = getattr(kwatch, kind)
    told = re.findall(r"^(\w+)  +\S", inspect.getdoc(value), re.MULTILINE)
    assert set(value._fields) <= set(told)


def test_the_help_of_classes_tells_each_attribute() -> None:
    for owner, name in ((kwatch.Informer, "store"), (kwatch.Event, "resource"), (kwatch.Registration, "has_synced")):
        assert len(inspect.getdoc(getattr(owner, name))) > 30


def test_what_is_printed_says_what_it_is_and_how_it_is(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    watch = kwatch.watch("cm", namespace=["default", "shop"], server=server.url, timeout=SECONDS)
    assert repr(watch) == "<Watch configmaps in default, configmaps in shop: not begun>"
    next(watch)
    assert repr(watch) == "<Watch configmaps in default, configmaps in shop: running>"
    watch.stop()
    assert repr(watch) == "<Watch configmaps in default, configmaps in shop: ended>"
    informer = kwatch.Informer("cm", "a", server=server.url)
    registration = informer.add_handler(add=print, error=print)
    assert repr(informer) == "<Informer cm a: not started>"
    assert repr(registration) == "<Registration add, error: waiting>"
    registration.remove()
    with informer:
        assert informer.wait_for_sync(SECONDS)
        assert repr(informer) == "<Informer configmaps a in default: synced>"
        assert repr(informer.store) == "<ObjectStore: 1 object>"
        told = informer.add_handler(event=print)
        assert told.wait_for_sync(SECONDS)
        assert repr(told) == "<Registration event: synced>"
    assert repr(informer) == "<Informer configmaps a in default: stopped>"
    assert repr(registration) == "<Registration add, error: removed>"
    server.forbid("list", "configmaps")
    with kwatch.Informer("cm", server=server.url) as refused, pytest.raises(kwatch.Forbidden):
        refused.join(SECONDS)
    assert repr(refused).startswith("<Informer configmaps in default: gave up, Forbidden: ")


def test_a_watch_can_be_closed_as_files_are(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    with contextlib.closing(kwatch.watch("cm", server=server.url, timeout=SECONDS)) as watch:
        assert next(watch).name == "a"
    assert list(watch) == []


def test_two_threads_cannot_share_a_watch(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", thing("a"))
    steps: list[kwatch.Lifecycle] = []
    watch = kwatch.watch("cm", server=server.url, timeout=SECONDS, on_lifecycle=steps.append)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(event.name for event in watch))
    reader.start()
    eventually(lambda: "connect" in {step.kind for step in steps})
    with pytest.raises(RuntimeError, match="another thread iterates this watch already"):
        next(watch)
    cluster.create("configmaps", thing("b"))
    eventually(lambda: found == ["a", "b"])
    watch.stop()
    reader.join(5)
