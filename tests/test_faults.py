"""Each fault of CONTRIBUTING's list, over real sockets, plain and TLS: one test a number.

The unit tests of the session and the model test go further into each; here is the whole way from bytes to events.
"""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from recordings import body
from scripted import Peer, Script, ScriptedServer, answer, chunk, head
from watching import Impatient, changes, notices, watched

from kwatch.cluster.credentials import bearer
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import Forbidden, NotFound, Unauthorized, Unreachable, Untrusted
from kwatch.model import Query, Resource, Signal
from kwatch.protocol import session as session_module
from kwatch.sandbox import Cluster, Fault, Server

THINGS = Query(Resource("", "v1", "configmaps", "ConfigMap"), "default")


@dataclass
class Site:
    """Servers of one kind, plain or TLS, and watches of them."""

    stack: ExitStack
    tls: ssl.SSLContext | None
    ca: bytes
    clock: Impatient = field(default_factory=Impatient)

    def sandbox(self, *names: str, **options: Any) -> tuple[Cluster, Server]:
        """A cluster with configmaps of these names, and its server."""
        cluster = Cluster()
        for name in names:
            cluster.create("configmaps", {"metadata": {"name": name}})
        return cluster, self.stack.enter_context(Server(cluster, ssl_context=self.tls, **options))

    def scripted(self, *scripts: Script) -> ScriptedServer:
        """A server that plays bytes."""
        return self.stack.enter_context(ScriptedServer(*scripts, tls=self.tls))

    def watch(
        self, server: Server | ScriptedServer, until: Callable[[list[Signal]], bool], **options: Any
    ) -> list[Signal]:
        """What a watch of the server hands on until then."""
        connection = Connection(server.url, ca=self.ca, credentials=bearer("token", "the test"))
        return watched(connection, until, query=options.pop("query", THINGS), clock=self.clock, **options)


@pytest.fixture(params=["plain", "TLS"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    authority = trustme.CA()
    context = None
    if request.param == "TLS":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with ExitStack() as stack:
        yield Site(stack, context, authority.cert_pem.bytes() if context else b"")


def thing(name: str, version: int, uid: str = "") -> dict:
    metadata = {"name": name, "namespace": "default", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}


def listing(version: int, *things: dict, **metadata: str) -> bytes:
    value = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)} | metadata}
    return json.dumps(value | {"items": things}).encode()


def event(kind: str, value: dict) -> bytes:
    return json.dumps({"type": kind, "object": value}, ensure_ascii=False).encode() + b"\n"


def lists(*things: dict, version: int = 10) -> Script:
    return lambda peer: peer.send(answer(listing(version, *things), Connection="close"))


def streams(*events: bytes, ends: bool = True) -> Script:
    """A watch that sends these, each its own chunk, and then ends in good order, or stays."""

    def play(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked", Connection="close") + b"".join(map(chunk, events)))
        if ends:
            peer.send(b"0\r\n\r\n")
        else:
            peer.hold()

    return play


def brief(signals: list[Signal]) -> list[tuple[str, str, str]]:
    return [change[:3] for change in changes(signals)]


def seen(count: int) -> Callable[[list[Signal]], bool]:
    return lambda signals: len(changes(signals)) >= count


def told(text: str, times: int = 1) -> Callable[[list[Signal]], bool]:
    return lambda signals: sum(text in notice for notice in notices(signals)) >= times


LAST = event("ADDED", thing("last", 90))


def asked(server: ScriptedServer) -> list[str]:
    """What was asked for, by connection: `list`, or the version that a watch starts after."""
    found = []
    for request in server.requests:
        target = request.split(b" ")[1].decode()
        version = target.partition("resourceVersion=")[2].partition("&")[0]
        found.append(version if "watch=1" in target else "list")
    return found


def test_fault_01_split_at_any_byte(site: Site) -> None:
    text = event("ADDED", thing("é漢🚀", 11)) + LAST
    server = site.scripted(lists(), streams(*(text[index : index + 1] for index in range(len(text))), ends=False))
    signals = site.watch(server, seen(2))
    assert brief(signals) == [("ADDED", "é漢🚀", "11"), ("ADDED", "last", "90")]
    assert notices(signals) == []


def test_fault_02_blank_lines_and_crlf(site: Site) -> None:
    server = site.scripted(lists(), streams(b"\n\r\n", LAST[:-1] + b"\r\n", ends=False))
    assert brief(site.watch(server, seen(1))) == [("ADDED", "last", "90")]


def test_fault_03_next_line_and_line_separator_in_a_string(site: Site) -> None:
    odd = thing("a", 11) | {"data": {"k": "x\x85y\u2028z"}}
    server = site.scripted(lists(), streams(event("ADDED", odd), ends=False))
    [change] = changes(site.watch(server, seen(1)))
    assert json.loads(change[3]) == odd


def test_fault_04_a_line_that_is_no_json(site: Site) -> None:
    bad = streams(event("ADDED", thing("a", 11)), b"{oops\n")
    server = site.scripted(lists(), bad, streams(b"{oops\n"), lists(thing("a", 11), thing("b", 12), version=12))
    signals = site.watch(server, seen(2))
    assert asked(server) == ["list", "10", "11", "list"]
    assert brief(signals) == [("ADDED", "a", "11"), ("ADDED", "b", "12")]
    assert len(notices(signals)) == 2


def test_fault_05_the_end_amid_a_line(site: Site) -> None:
    server = site.scripted(lists(), streams(event("ADDED", thing("a", 11)), LAST[:20]), streams(LAST, ends=False))
    signals = site.watch(server, seen(2))
    assert (asked(server), len(notices(signals))) == (["list", "10", "11"], 1)
    assert brief(signals) == [("ADDED", "a", "11"), ("ADDED", "last", "90")]


def test_fault_06_an_error_body_of_many_lines_or_of_plain_text(site: Site) -> None:
    pretty = answer(json.dumps({"kind": "Status", "code": 500, "message": "no\nway"}, indent=2).encode(), "500 X")
    plain = answer(b"<html>\nbad gateway", "502 Bad Gateway")
    fails = [lambda peer, error=error: peer.send(error) for error in (pretty, plain)]
    server = site.scripted(lists(), *fails, streams(LAST, ends=False))
    signals = site.watch(server, seen(1))
    assert brief(signals) == [("ADDED", "last", "90")]
    assert ["500 no way" in notices(signals)[0], "502 an HTML page" in notices(signals)[1]] == [True, True]


def test_fault_07_a_bare_status_in_the_stream(site: Site) -> None:
    server = site.scripted(lists(), streams(body("bad-rv-500")), streams(LAST, ends=False))
    signals = site.watch(server, seen(1))
    assert "broke off the watch (500 resourceVersion: Invalid value" in notices(signals)[0]
    assert asked(server) == ["list", "10", "10"]


@pytest.mark.parametrize(
    "start",
    [head(Connection="close"), head(Content_Length="99999"), head(Transfer_Encoding="chunked") + b"ffff\r\n"],
    ids=["until the end", "with a length", "amid a chunk"],
)
def test_fault_08_events_are_there_at_once_in_any_framing(start: bytes, site: Site) -> None:
    def play(peer: Peer) -> None:
        peer.send(start + LAST)
        peer.hold()

    assert brief(site.watch(site.scripted(lists(), play), seen(1))) == [("ADDED", "last", "90")]


@pytest.mark.parametrize("ending", ["chunking", "length", "reset"])
def test_fault_09_broken_framing_and_resets(ending: str, site: Site) -> None:
    first = event("ADDED", thing("a", 11))
    bytes_sent = {
        "chunking": head(Transfer_Encoding="chunked") + chunk(first) + b"xyz\r\n",
        "length": head(Content_Length="9999") + first,
        "reset": head(Transfer_Encoding="chunked") + chunk(first),
    }

    def play(peer: Peer) -> None:
        peer.send(bytes_sent[ending])
        if ending == "reset":
            peer.reset()

    server = site.scripted(lists(), play, streams(first, LAST, ends=False))
    signals = site.watch(server, seen(2))
    assert brief(signals) == [("ADDED", "a", "11"), ("ADDED", "last", "90")]
    assert len(notices(signals)) == 1


def test_fault_10_headers_held_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "WATCH_SECONDS", (0, 0))
    monkeypatch.setattr(session_module, "GRACE", 0.3)
    server = site.scripted(lists(), Peer.hold, streams(LAST, ends=False))
    signals = site.watch(server, seen(1))
    assert "the server fell silent" in notices(signals)[0]
    assert asked(server) == ["list", "10", "10"]


def test_fault_11_a_line_without_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module.LineDecoder.__init__, "__defaults__", (100_000,))
    server = site.scripted(lists(), streams(*[b"x" * 50_000] * 5), streams(LAST, ends=False))
    signals = site.watch(server, seen(1))
    assert "sent too much (a line of more than" in notices(signals)[0]


def test_fault_12_gzip_in_spite_of_identity(site: Site) -> None:
    packed = gzip.compress(LAST)

    def play(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked", Content_Encoding="gzip"))
        for index in range(len(packed)):
            peer.send(chunk(packed[index : index + 1]))
        peer.hold()

    server = site.scripted(lists(), play)
    assert brief(site.watch(server, seen(1))) == [("ADDED", "last", "90")]
    assert all(b"Accept-Encoding: identity" in request for request in server.requests)


GONE = [
    streams(body("watch-410-event")),
    streams(body("watch-410-event-uncached")),
    streams(body("watch-410-event-table")),
    streams(event("ERROR", {"kind": "Status", "code": 410, "reason": "Gone"})),
    lambda peer: peer.send(answer(body("list-410-exact"), "410 Gone")),
]


@pytest.mark.parametrize("form", GONE, ids=["cached", "uncached", "table", "reason Gone", "HTTP status"])
def test_fault_13_gone_in_every_form(form: Script, site: Site) -> None:
    again = lists(thing("kept", 5), thing("new", 19), version=20)
    server = site.scripted(lists(thing("kept", 5), thing("lost", 6)), form, again, streams(ends=False))
    signals = site.watch(server, seen(4))
    assert asked(server)[:3] == ["list", "10", "list"]
    assert brief(signals)[2:] == [("ADDED", "new", "19"), ("DELETED", "lost", "6")]
    assert len(notices(signals)) == 1


def test_fault_14_gone_again_and_again(site: Site) -> None:
    refusal = answer(body("list-410-exact"), "410 Gone")
    server = site.scripted(lists(), *GONE, *[lambda peer: peer.send(refusal)] * 3, lists(thing("a", 30), version=30))
    signals = site.watch(server, seen(1))
    assert brief(signals) == [("ADDED", "a", "30")]
    assert len(site.clock.pauses) == 7  # the first relist is at once
    assert min(site.clock.pauses) >= 1.6
    assert "DELETED" not in {change[0] for change in changes(signals)}


def test_fault_15_an_expired_continue_token(site: Site) -> None:
    cluster, server = site.sandbox("a", "b", "c")
    server.script(Fault(verb="list", split=50))
    signals = []

    def compacted_amid_the_list(found: list[Signal]) -> bool:
        if len(found) and not signals:
            signals.append(True)
            cluster.delete("configmaps", "default", "a")
            cluster.compact()
        return told("broke off between two pages")(found) and len(changes(found)) >= 4

    found = site.watch(server, compacted_amid_the_list, page_size=1)
    assert brief(found)[0][:2] == ("ADDED", "a")
    assert [change[:2] for change in brief(found)[1:]] == [("ADDED", "b"), ("ADDED", "c"), ("DELETED", "a")]
    tokens = [request.query.get("continue") for request in server.requests if request.verb == "list"]
    assert tokens[0] is None
    assert tokens[-1] is None


def test_fault_16_a_stale_version_answered_by_empty_watches(site: Site) -> None:
    server = site.scripted(lists(), *[streams()] * 3, lists(thing("a", 15), version=20))
    signals = site.watch(server, seen(1))
    assert asked(server) == ["list", "10", "10", "10", "list"]
    assert told("closed the watch at once", 3)(signals)


def test_fault_17_a_version_of_the_future(site: Site) -> None:
    refusal = answer(body("list-rv-too-large-504"), "504 Gateway Timeout", Retry_After="1")
    server = site.scripted(lists(), lambda peer: peer.send(refusal), lists(thing("a", 5), version=6))
    signals = site.watch(server, seen(1))
    assert asked(server) == ["list", "10", "list"]
    assert site.clock.pauses == [1.0]
    assert told("is behind resourceVersion 10")(signals)


def test_fault_17_a_silent_watch_to_its_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "WATCH_SECONDS", (1, 1))
    monkeypatch.setattr(session_module, "SHORT", 0.0)
    _, server = site.sandbox("a")
    server.script(Fault(bookmarks=False))
    site.watch(server, told("no word from the server"))
    assert [request.verb for request in server.requests][:2] == ["list", "watch"]


def test_fault_18_the_version_goes_back(site: Site) -> None:
    bookmark = event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "5"}})
    server = site.scripted(lists(thing("a", 9), thing("b", 9)), streams(bookmark), lists(thing("a", 4), version=5))
    signals = site.watch(server, seen(4))
    assert brief(signals)[2:] == [("MODIFIED", "a", "4"), ("DELETED", "b", "9")]
    assert told("history went back")(signals)


@pytest.mark.parametrize(
    "line",
    [
        event("ERROR", {"kind": "Status", "code": 500, "reason": "StorageReadError", "message": "corrupt"}),
        event("ERROR", {}),
        event("SYNC", thing("x", 11)),
    ],
    ids=["StorageReadError", "empty", "unknown type"],
)
def test_fault_19_errors_without_a_version_and_unknown_types(line: bytes, site: Site) -> None:
    server = site.scripted(lists(), streams(line), streams(line), lists(thing("a", 12), version=12))
    signals = site.watch(server, seen(1))
    assert asked(server) == ["list", "10", "10", "list"]
    assert len(notices(signals)) == 2


def test_fault_20_replayed_events(site: Site) -> None:
    cluster, server = site.sandbox("a")
    server.script(Fault(cut=0), Fault(replay=10))
    cluster.create("configmaps", {"metadata": {"name": "gone"}})
    cluster.delete("configmaps", "default", "gone")
    later = []

    def until(found: list[Signal]) -> bool:
        if server.watches and not later:
            later.append(cluster.create("configmaps", {"metadata": {"name": "b"}}))
        return seen(2)(found)

    signals = site.watch(server, until)
    assert [change[:2] for change in brief(signals)] == [("ADDED", "a"), ("ADDED", "b")]


def test_fault_21_a_new_life_under_the_same_name_after_a_gap(site: Site) -> None:
    first, second = thing("a", 5, "old"), thing("a", 19, "new")
    server = site.scripted(lists(first), GONE[0], lists(second, version=20))
    assert brief(site.watch(server, seen(3))) == [("ADDED", "a", "5"), ("DELETED", "a", "5"), ("ADDED", "a", "19")]


def test_fault_22_an_object_leaves_the_selector(site: Site) -> None:
    query = Query(Resource("", "v1", "pods", "Pod"), "rec", label_selector="app=a")
    [first, *_] = body("watch-leaves-selector").splitlines(keepends=True)
    left = json.loads(first)["object"]
    before = left | {"metadata": left["metadata"] | {"resourceVersion": "380"}}
    server = site.scripted(lists(before, version=385), streams(first, ends=False))
    signals = site.watch(server, seen(2), query=query)
    assert brief(signals) == [("ADDED", "p3", "380"), ("DELETED", "p3", "386")]


def test_fault_23_a_clean_close_at_once_with_nothing(site: Site) -> None:
    server = site.scripted(lists(), streams(), streams(LAST, ends=False))
    site.watch(server, seen(1))
    assert len(site.clock.pauses) == 1
    assert site.clock.pauses[0] >= 0.8


def test_fault_24_a_dribble_that_never_makes_a_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "WATCH_SECONDS", (0, 0))
    monkeypatch.setattr(session_module, "GRACE", 0.4)
    _, server = site.sandbox("a")
    server.script(Fault(dribble=0.05, bookmarks=False, stall=True, times=1))
    connection = Connection(server.url, ca=site.ca)
    signals = pumped(connection, told("the server fell silent"))
    assert brief(signals)[0][:2] == ("ADDED", "a")


def pumped(connection: Connection, until: Callable[[list[Signal]], bool]) -> list[Signal]:
    """As `watched`, with the main thread beside it that ends what is overdue."""
    from kwatch.protocol.forms import ObjectForm
    from kwatch.pump import Pump
    from kwatch.transport import Transport
    from kwatch.watcher import Watcher

    signals: list[Signal] = []
    with Pump(
        [THINGS],
        lambda query, clock: Watcher(session_module.WatchSession(query, ObjectForm()), Transport(connection), clock),
        Impatient,
    ) as pump:
        for _ in range(200):
            if batch := pump.take(0.1):
                signals += batch.signals
            if until(signals):
                return signals
    raise AssertionError(f"never; {signals}")


def test_fault_25_refused_later_is_resumed_and_at_the_start_an_error(site: Site) -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        watched(Connection("https://127.0.0.1:1" if site.tls else "http://127.0.0.1:1", ca=site.ca), seen(1))
    _, server = site.sandbox("a")
    closed: list[str] = []

    def until(found: list[Signal]) -> bool:
        if seen(1)(found) and not closed:
            closed.append("now")
            server.close()
        return told("can't connect (Connection refused); resuming")(found)

    assert brief(site.watch(server, until))[0][:2] == ("ADDED", "a")


def test_fault_25_a_certificate_that_does_not_verify_at_the_start_is_an_error(site: Site) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    site.tls, site.ca = context, trustme.CA().cert_pem.bytes()
    with pytest.raises(Untrusted):
        site.watch(site.scripted(lists()), seen(1))


@pytest.mark.parametrize(("code", "wait", "pause"), [(429, "2", 2.0), (503, "3600", 60.0), (503, "", None)])
def test_fault_26_too_many_requests(code: int, wait: str, pause: float | None, site: Site) -> None:
    busy = answer(b"slow down", f"{code} Busy", **({"Retry_After": wait} if wait else {}))
    server = site.scripted(lists(), lambda peer: peer.send(busy), streams(LAST, ends=False))
    signals = site.watch(server, seen(1))
    assert asked(server) == ["list", "10", "10"]
    assert site.clock.pauses == [pause] if pause else site.clock.pauses[0] >= 0.8
    assert told("slow down")(signals)


def test_fault_27_server_errors(site: Site) -> None:
    errors = [answer(b"", f"{code} Oh") for code in (500, 502, 504)]
    fails = [lambda peer, error=error: peer.send(error) for error in errors]
    server = site.scripted(lists(), *fails, streams(LAST, ends=False))
    site.watch(server, seen(1))
    assert asked(server) == ["list", *["10"] * 4]
    assert len(site.clock.pauses) == 3


def test_fault_28_unauthorized_renews_the_credentials_once(site: Site) -> None:
    refusal = answer(body("unauthorized-401"), "401 Unauthorized")
    server = site.scripted(
        lists(), lambda peer: peer.send(refusal), streams(LAST), *[lambda peer: peer.send(refusal)] * 2
    )
    renewed: list[str] = []

    class Credentials:
        def authorization(self) -> str:
            return f"Bearer token-{len(renewed)}"

        def renew(self) -> None:
            renewed.append("once")

    connection = Connection(server.url, ca=site.ca, credentials=Credentials())
    with pytest.raises(Unauthorized):
        watched(connection, lambda found: False, query=THINGS, clock=site.clock)
    assert len(renewed) == 2
    assert b"Bearer token-1" in server.requests[2]


def test_fault_29_forbidden_at_the_start_and_later(site: Site) -> None:
    _, server = site.sandbox("a")
    server.forbid("list", "configmaps")
    with pytest.raises(Forbidden, match='User "reader" cannot list resource "configmaps"'):
        site.watch(server, seen(1))
    server.allow("list", "configmaps")
    server.forbid("watch", "configmaps")
    with pytest.raises(Forbidden, match="cannot watch"):
        site.watch(server, lambda found: False)


def test_fault_30_not_found_at_the_start_and_later(site: Site) -> None:
    missing = answer(body("no-such-resource-404"), "404 Not Found")
    with pytest.raises(NotFound):
        site.watch(site.scripted(lambda peer: peer.send(missing)), seen(1))
    gone = [lambda peer: peer.send(missing)] * 3
    server = site.scripted(lists(thing("a", 5)), *gone, lists(thing("a", 5), thing("b", 12), version=20))
    signals = site.watch(server, seen(2))
    assert brief(signals) == [("ADDED", "a", "5"), ("ADDED", "b", "12")]
    assert len(site.clock.pauses) == 3


def test_fault_31_a_slow_reader_that_the_server_drops(site: Site) -> None:
    cluster, server = site.sandbox("a")
    dropped: list[str] = []

    def until(found: list[Signal]) -> bool:
        if server.watches and not dropped:
            dropped.append("once")
            server.disconnect()
            for index in range(50):
                cluster.create("configmaps", {"metadata": {"name": f"n{index:02}"}})
        return seen(51)(found)

    signals = site.watch(server, until)
    assert [change[1] for change in brief(signals)] == ["a", *(f"n{index:02}" for index in range(50))]


def test_fault_32_names_that_need_quoting_and_keys_that_would_collide(site: Site) -> None:
    first, second = thing("c", 5, "one"), thing("b/c", 6, "two")
    first["metadata"]["namespace"], second["metadata"]["namespace"] = "a/b", "a"
    gone = event("DELETED", first | {"metadata": first["metadata"] | {"resourceVersion": "11"}})
    server = site.scripted(lists(first, second), streams(gone, ends=False))
    query = Query(Resource("x/y", "v1", "things", "Thing"), "ä/%2F?", "n&=ü")
    signals = site.watch(server, seen(3), query=query)
    assert brief(signals) == [("ADDED", "c", "5"), ("ADDED", "b/c", "6"), ("DELETED", "c", "11")]
    assert b"GET /apis/x%2Fy/v1/namespaces/%C3%A4%2F%252F%3F/things?fieldSelector=" in server.requests[0]
