"""The transport over real sockets: bytes as they arrive, ends told apart, nothing taken from the environment."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from polling import eventually
from scripted import Peer, ScriptedServer, answer, chunk, head

from kwatch.cluster.credentials import bearer
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ApiError, Cut, FrameTooLong, Overdue, TransportError, Unreachable, Untrusted
from kwatch.protocol.session import Request
from kwatch.transport import Response, Transport

WATCH = Request("watch", "/api/v1/pods", "application/json", {"watch": "1"}, silence=5, deadline=60)


@pytest.fixture
def open_transport() -> Iterator[Callable[..., Transport]]:
    transports = []

    def build(url: str, **parts: object) -> Transport:
        transports.append(Transport(Connection(server=url, **parts)))  # type: ignore[arg-type]
        return transports[-1]

    yield build
    for transport in transports:
        transport.close()


def first_chunk_is_immediate(start: bytes, first: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(start + first)
        peer.hold()

    with ScriptedServer(script) as server:
        transport = Transport(Connection(server=server.url))
        with transport.send(WATCH) as response:
            assert next(response.chunks()) == b'{"a":1}\n'
            transport.abort()
        transport.close()


def test_an_event_is_there_at_once_on_a_chunked_body() -> None:
    first_chunk_is_immediate(head(Transfer_Encoding="chunked"), chunk(b'{"a":1}\n'))


def test_an_event_is_there_at_once_on_a_body_that_ends_with_the_connection() -> None:
    first_chunk_is_immediate(head(Connection="close"), b'{"a":1}\n')


def test_an_event_is_there_at_once_on_a_body_with_a_length() -> None:
    first_chunk_is_immediate(head(Content_Length="9999"), b'{"a":1}\n')


def test_an_event_is_there_before_its_chunk_is_whole() -> None:
    first_chunk_is_immediate(head(Transfer_Encoding="chunked"), b"ffff\r\n" + b'{"a":1}\n')


def collect(response: Response) -> bytes:
    return b"".join(response.chunks())


def test_gzip_in_spite_of_identity_is_decoded(open_transport: Callable[..., Transport]) -> None:
    packed = gzip.compress(b'{"a":1}\n' * 1000)
    with ScriptedServer(lambda peer: peer.send(answer(packed, Content_Encoding="gzip"))) as server:
        with open_transport(server.url).send(WATCH) as response:
            assert collect(response) == b'{"a":1}\n' * 1000
        assert b"Accept-Encoding: identity" in server.requests[0]


@pytest.mark.parametrize(
    "body",
    [
        head(Content_Length="100") + b"short",
        head(Transfer_Encoding="chunked") + chunk(b"whole") + b"ff\r\npart",
        head(Transfer_Encoding="chunked") + chunk(b"whole"),
        head(Transfer_Encoding="chunked") + b"zz\r\nnonsense\r\n",
    ],
)
def test_a_body_that_breaks_off_is_a_cut(body: bytes, open_transport: Callable[..., Transport]) -> None:
    with (
        ScriptedServer(lambda peer: peer.send(body)) as server,
        open_transport(server.url).send(WATCH) as response,
        pytest.raises(Cut),
    ):
        collect(response)


def test_a_reset_is_a_cut_and_what_came_before_it_counts(open_transport: Callable[..., Transport]) -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked") + chunk(b"one"))
        go.wait(5)
        peer.reset()

    with ScriptedServer(script) as server, open_transport(server.url).send(WATCH) as response:
        chunks = response.chunks()
        assert next(chunks) == b"one"
        go.set()
        with pytest.raises(Cut, match="reset"):
            next(chunks)


def in_a_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def hold_body(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked") + chunk(b"one"))
    peer.hold()


def tls_pair(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.bytes()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("script", [hold_body, Peer.hold])
def test_abort_wakes_a_blocked_read_at_once(script: Callable[[Peer], None], tls: bool, tmp_path: Path) -> None:
    context, ca = tls_pair(tmp_path) if tls else (None, b"")
    with ScriptedServer(script, tls=context) as server:
        transport = Transport(Connection(server=server.url, ca=ca))

        def read() -> bytes:
            with transport.send(WATCH) as response:
                return collect(response)

        thread, results = in_a_thread(read)
        eventually(lambda: server.requests)
        thread.join(0.1)
        started = time.monotonic()
        transport.abort()
        thread.join(5)
        assert time.monotonic() - started < 0.5
        assert isinstance(results[0], Overdue)
        transport.close()


def test_an_exchange_past_its_deadline_ends_though_bytes_dribble(
    open_transport: Callable[..., Transport],
) -> None:
    def dribble(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked"))
        for _ in range(1000):
            peer.send(chunk(b" "))
            time.sleep(0.01)

    with ScriptedServer(dribble) as server:
        transport = open_transport(server.url)
        with transport.send(WATCH) as response:
            chunks = response.chunks()
            next(chunks)
            transport.expire(time.monotonic() + 59)
            next(chunks)
            transport.expire(time.monotonic() + 61)
            with pytest.raises(Overdue):
                list(chunks)


def test_headers_are_waited_for_as_long_as_told_and_no_longer(
    open_transport: Callable[..., Transport],
) -> None:
    request = Request("watch", "/", "application/json", silence=0.2, deadline=60)
    with ScriptedServer(Peer.hold) as server, pytest.raises(Overdue):
        open_transport(server.url).send(request)


def test_a_refused_connection_says_where_and_why(open_transport: Callable[..., Transport]) -> None:
    with pytest.raises(Unreachable, match=r"can't connect to http://127\.0\.0\.1:1: Connection refused; check"):
        open_transport("http://127.0.0.1:1").send(WATCH)


def test_an_unknown_host_says_where_and_why(open_transport: Callable[..., Transport]) -> None:
    with pytest.raises(Unreachable, match=r"can't connect to http://no-such-host.invalid: "):
        open_transport("http://no-such-host.invalid").send(WATCH)


def test_a_certificate_of_another_authority_is_untrusted(
    open_transport: Callable[..., Transport], tmp_path: Path
) -> None:
    context, _ = tls_pair(tmp_path)
    _, other = tls_pair(tmp_path)
    with ScriptedServer(lambda peer: peer.send(answer(b"{}")), tls=context) as server:
        with pytest.raises(Untrusted, match="certificate that the cluster's CA does not confirm"):
            open_transport(server.url, ca=other).send(WATCH)
        assert server.requests == []


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (datetime(2020, 1, 1), datetime(2020, 2, 1), "certificate has expired; the server needs a certificate that is"),
        (datetime(2990, 1, 1), datetime(2990, 2, 1), "not yet valid; the server needs a certificate that is valid"),
    ],
)
def test_a_certificate_out_of_its_time_is_not_blamed_on_the_ca(
    first: datetime, last: datetime, text: str, open_transport: Callable[..., Transport]
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=first, not_after=last).configure_cert(context)
    ca = authority.cert_pem.bytes()
    with ScriptedServer(lambda peer: None, tls=context) as server, pytest.raises(Untrusted, match=f"{text}.*clock"):
        open_transport(server.url, ca=ca).send(WATCH)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_a_host_name_that_cannot_be_one_is_said_in_words(host: str, open_transport: Callable[..., Transport]) -> None:
    with pytest.raises(Unreachable, match="a part of the host name is empty or too long; check"):
        open_transport(f"https://{host}").send(WATCH)


def test_a_handshake_that_never_ends_is_told_without_a_place_in_pythons_source(
    open_transport: Callable[..., Transport],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transport = open_transport(f"https://127.0.0.1:{silent.getsockname()[1]}", request_timeout=0.2)
        with pytest.raises(TransportError, match=r"127.0.0.1:[0-9]+: The handshake operation timed out; check"):
            transport.send(WATCH)


def test_the_certificate_may_be_asked_for_under_another_name(open_transport: Callable[..., Transport]) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.com").configure_cert(context)
    ca = authority.cert_pem.bytes()
    with ScriptedServer(lambda peer: peer.send(answer(b"{}")), tls=context) as server:
        with open_transport(server.url, ca=ca, tls_server_name="api.example.com").send(WATCH) as response:
            assert response.read() == b"{}"
        with pytest.raises(Untrusted):
            open_transport(server.url, ca=ca).send(WATCH)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_clusters_own_ca_wins_over_the_environments(
    variable: str, open_transport: Callable[..., Transport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca = tls_pair(tmp_path)
    other_context, other_ca = tls_pair(tmp_path)
    bundle = tmp_path / "other.pem"
    bundle.write_bytes(other_ca)
    monkeypatch.setenv(variable, str(bundle))
    with (
        ScriptedServer(lambda peer: peer.send(answer(b"{}")), tls=context) as server,
        open_transport(server.url, ca=ca).send(WATCH) as response,
    ):
        assert response.read() == b"{}"
    with (
        ScriptedServer(lambda peer: peer.send(answer(b"{}")), tls=other_context) as server,
        pytest.raises(Untrusted),
    ):
        open_transport(server.url, ca=ca).send(WATCH)


def test_a_netrc_or_a_proxy_variable_changes_nothing(
    open_transport: Callable[..., Transport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login CANARY password CANARY\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with ScriptedServer(lambda peer: peer.send(answer(b"{}"))) as server:
        with open_transport(server.url, credentials=bearer("right", "the test")).send(WATCH) as response:
            response.read()
        assert b"Authorization: Bearer right\r\n" in server.requests[0]


def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_word(
    open_transport: Callable[..., Transport],
) -> None:
    with ScriptedServer(lambda peer: peer.send(answer(b"{}"))) as server:
        transport = open_transport(server.url)
        for _ in range(20):  # whether the close is seen before or after the next request is a race
            assert transport.get("/", "application/json") == b"{}"
        assert len(server.requests) == 20


def test_a_redirect_is_not_followed_and_said(open_transport: Callable[..., Transport]) -> None:
    with ScriptedServer(lambda peer: peer.send(answer(b"", "200 OK"))) as elsewhere:
        moved = answer(b"", "302 Found", Location=f"{elsewhere.url}/login")
        with ScriptedServer(lambda peer: peer.send(moved)) as server:
            transport = open_transport(server.url, credentials=bearer("CANARY", "the test"))
            with pytest.raises(ApiError, match=r"302 a redirect to http.*, which kwatch doesn't follow"):
                transport.get("/api", "application/json")
        assert elsewhere.requests == []


def test_a_page_over_its_cap_is_an_error_even_if_it_comes_compressed(open_transport: Callable[..., Transport]) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)
    with (
        ScriptedServer(lambda peer: peer.send(answer(bomb, Content_Encoding="gzip"))) as server,
        open_transport(server.url).send(WATCH) as response,
        pytest.raises(FrameTooLong),
    ):
        response.read(limit=1_000_000)


def test_sockets_are_kept_alive_and_the_user_agent_is_kwatchs(open_transport: Callable[..., Transport]) -> None:
    with ScriptedServer(hold_body) as server:
        transport = open_transport(server.url)
        with transport.send(WATCH) as response:
            connected = transport._socket
            assert connected is not None
            assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            transport.abort()
            del response
        assert b"User-Agent: kwatch/" in server.requests[0]


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), (" 30 ", 30.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_retry_after_is_read_in_seconds(
    value: str, seconds: float | None, open_transport: Callable[..., Transport]
) -> None:
    busy = answer(b"busy", "503 Service Unavailable", Retry_After=value)
    with ScriptedServer(lambda peer: peer.send(busy)) as server, open_transport(server.url).send(WATCH) as response:
        assert (response.status, response.retry_after, response.read_error()) == (503, seconds, b"busy")


def test_warning_headers_are_read_and_made_inert(open_transport: Callable[..., Transport]) -> None:
    warned = answer(b"{}", Warning='299 - "v1 Endpoints is \x1b[31mdeprecated"')
    with ScriptedServer(lambda peer: peer.send(warned)) as server, open_transport(server.url).send(WATCH) as response:
        assert response.warnings == ["v1 Endpoints is [31mdeprecated"]
