"""Fetching what a server says it serves, over real sockets: refusals, overload, silence, and an end in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Peer, ScriptedServer, head
from watching import Impatient

from kwatch.cluster.credentials import TokenFile, bearer
from kwatch.cluster.discovery import discover
from kwatch.cluster.documents import MAX_PAUSE, MAX_SECONDS, TRIES, Documents
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ApiError, Cut, Forbidden, Overdue, ProtocolError, TimeIsUp, Unauthorized, Unreachable
from kwatch.model import Notice
from kwatch.pump import RealClock
from kwatch.sandbox import Cluster, Fault, Server

INFINITY = float("inf")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Cluster(), aggregated_discovery=False) as server:
        yield server


class Visit:
    """What one run asks, on a clock whose pauses take no time."""

    def __init__(self, connection: Connection | str, ends: float = INFINITY) -> None:
        self.clock = Impatient()
        self.told: list[Notice] = []
        connection = Connection(connection) if isinstance(connection, str) else connection
        self.documents = Documents(connection, self.clock, ends, self.told.append)

    def get(self, path: str = "/api") -> bytes:
        with self.documents:
            return self.documents.get(path, "application/json")

    @property
    def notices(self) -> list[str]:
        return [notice.text for notice in self.told if not notice.detail]


def paths(server: Server) -> list[str]:
    return [request.path for request in server.requests]


def test_all_documents_come_over_one_connection(server: Server) -> None:
    visit = Visit(server.url)
    with visit.documents:
        found = discover(visit.documents.get)
        assert server.connections == 1
    assert found.skipped == ()
    assert paths(server)[:3] == ["/api", "/api/v1", "/apis"]
    assert [notice.text.partition(" in ")[0] for notice in visit.told[:2]] == ["GET /api: 200", "GET /api/v1: 200"]
    assert visit.notices == []


def test_what_isnt_used_opens_nothing() -> None:
    with Visit("http://127.0.0.1:1").documents:
        pass


def test_fault_28_credentials_are_renewed_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    credentials = TokenFile(token)
    with Server(Cluster(), token="old") as server:
        with Visit(Connection(server.url, credentials=credentials)).documents as documents:
            documents.get("/api", "application/json")
            server.set_token("new")
            token.write_text("new")
            documents.get("/apis", "application/json")
            server.set_token("newer")
            with pytest.raises(Unauthorized, match="401 Unauthorized; the credentials are wrong or have expired"):
                documents.get("/apis", "application/json")
        assert paths(server) == ["/api", "/apis", "/apis", "/apis"]


def test_a_fixed_token_that_is_wrong_ends_it() -> None:
    with Server(Cluster(), token="right") as server:
        with pytest.raises(Unauthorized):
            Visit(Connection(server.url, credentials=bearer("wrong", "the test"))).get()
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "retry_after", "pause"), [(429, "3", 3), (503, "1", 1), (429, "3600", MAX_PAUSE), (503, "0", 1)]
)
def test_fault_26_an_overloaded_server_is_asked_again_when_it_says(
    status: int, retry_after: str, pause: float, server: Server
) -> None:
    server.script(Fault(verb="discovery", status=status, headers={"Retry-After": retry_after}, body="busy"))
    visit = Visit(server.url)
    assert b"APIVersions" in visit.get()
    assert visit.clock.pauses == [pause]
    assert visit.notices == [f"{server.url}/api: {status} busy; asking again in {pause:.1f}s"]


def test_without_a_word_of_when_the_pauses_grow_and_it_gives_up(server: Server) -> None:
    server.script(Fault(verb="discovery", status=429, body="busy", times=None))
    visit = Visit(server.url)
    with pytest.raises(ApiError, match="429 busy"):
        visit.get()
    assert len(server.requests) == TRIES
    low = [0.8, 1.6, 3.2]
    assert [base <= pause < 2 * base for base, pause in zip(low, visit.clock.pauses, strict=True)] == [True] * 3


def test_a_root_that_is_unavailable_is_waited_for_and_a_single_group_is_not(server: Server) -> None:
    server.script(Fault(verb="discovery", status=503, times=2))
    assert Visit(server.url).get("/apis")
    server.take_down("apps")
    visit = Visit(server.url)
    with pytest.raises(ApiError, match="503 service unavailable"):
        visit.get("/apis/apps/v1")
    assert visit.clock.pauses == []


@pytest.mark.parametrize("aggregated", [True, False])
def test_an_api_that_is_down_hides_no_other(aggregated: bool) -> None:
    with Server(Cluster(), aggregated_discovery=aggregated) as server:
        server.take_down("apps")
        visit = Visit(server.url)
        with visit.documents:
            found = discover(visit.documents.get)
        assert [line.partition(":")[0] for line in found.skipped] == ["apps/v1"]
        assert {resource.group for resource in found.resources} >= {"", "batch", "events.k8s.io"}
        assert "apps" not in {resource.group for resource in found.resources}


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_another_refusal_is_final(status: int, server: Server) -> None:
    server.script(Fault(verb="discovery", status=status))
    with pytest.raises(ApiError) as raised:
        Visit(server.url).get()
    assert raised.value.code == status
    assert len(server.requests) == 1


def test_forbidden_names_the_role_that_is_missing(server: Server) -> None:
    server.script(Fault(verb="discovery", status=403))
    with pytest.raises(Forbidden, match="ask for the ClusterRole system:discovery"):
        Visit(server.url).get()


def test_a_root_that_is_cut_is_asked_again_and_a_group_is_not(server: Server) -> None:
    server.script(Fault(verb="discovery", cut=10))
    visit = Visit(server.url)
    assert visit.get("/apis")
    assert "the connection broke amid what it serves" in visit.notices[0]
    server.script(Fault(verb="discovery", cut=10))
    with pytest.raises(Cut):
        Visit(server.url).get("/apis/apps/v1")


def test_a_server_that_isnt_there_is_an_error_at_once() -> None:
    visit = Visit("http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="Connection refused"):
        visit.get()
    assert visit.clock.pauses == []


def test_an_answer_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwatch.cluster.documents.MAX_BYTES", 1 << 20)

    def endless(peer: Peer) -> None:
        peer.send(head())
        while True:
            peer.send(b" " * 65536)

    with ScriptedServer(endless) as server, pytest.raises(ProtocolError, match="more than 1 MiB"):
        Visit(server.url).get()


# In time


def silent(peer: Peer) -> None:
    peer.hold()


def dribbling(peer: Peer) -> None:
    peer.send(head())
    for _ in range(500):
        peer.send(b" ")
        time.sleep(0.02)


def stalled(peer: Peer) -> None:
    peer.send(head(Content_Length="100") + b"{")
    peer.hold()


@pytest.mark.parametrize("hanging", [silent, dribbling, stalled])
def test_the_end_of_the_run_cuts_a_hanging_server_short(hanging: object) -> None:
    with ScriptedServer(hanging) as server:  # type: ignore[arg-type]
        started = time.monotonic()
        with Documents(Connection(server.url), RealClock(), started + 0.4) as documents:
            with pytest.raises(TimeIsUp):
                documents.get("/api", "application/json")
            assert 0.3 < time.monotonic() - started < 5
            with pytest.raises(TimeIsUp):
                documents.get("/apis", "application/json")


def test_the_end_of_the_run_cuts_a_pause_short(server: Server) -> None:
    server.script(Fault(verb="discovery", status=429, headers={"Retry-After": "9"}, times=None))
    started = time.monotonic()
    with Documents(Connection(server.url), RealClock(), started + 0.3) as documents, pytest.raises(TimeIsUp):
        documents.get("/api", "application/json")
    assert 0.3 <= time.monotonic() - started < 5


def test_a_server_that_takes_for_ever_is_given_up_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwatch.cluster.documents.MAX_SECONDS", 0.4)
    late = r"took longer than 0 s to say what it serves; check that it is"
    with ScriptedServer(dribbling) as server, pytest.raises(Overdue, match=late):
        Visit(server.url).get()
    assert MAX_SECONDS == 60


def test_a_pause_that_would_take_too_long_isnt_made(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwatch.cluster.documents.MAX_SECONDS", 2)
    server.script(Fault(verb="discovery", status=429, headers={"Retry-After": "9"}))
    visit = Visit(server.url)
    with pytest.raises(ApiError, match="429"):
        visit.get()
    assert visit.clock.pauses == []


def test_no_thread_outlives_it(server: Server) -> None:
    before = threading.active_count()
    with Documents(Connection(server.url), RealClock()) as documents:
        documents.get("/api", "application/json")
        assert any(thread.name == "discovery" for thread in threading.enumerate())
    assert not any(thread.name == "discovery" for thread in threading.enumerate())
    assert threading.active_count() <= before + 1
