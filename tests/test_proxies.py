"""Through a proxy over real sockets: the whole command, what each end sees, and what is said when the proxy refuses."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from command import kwatch
from polling import eventually
from proxying import Proxy, SocksProxy
from scripted import Peer, ScriptedServer, chunk, head

from kwatch.cluster.credentials import bearer
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import Overdue, Unreachable, Untrusted
from kwatch.protocol.session import Request
from kwatch.sandbox import Cluster, Server
from kwatch.transport import Transport

TOKEN = "CANARY-TOKEN"
LOGIN = "me:CANARY%2Fpass"
BASIC = base64.b64encode(b"me:CANARY/pass")
WATCH = Request("watch", "/api/v1/pods", "application/json", {"watch": "1"}, silence=20, deadline=60)
NO_VARIABLES = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"), "")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def cluster() -> Cluster:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "here", "namespace": "default"}})
    return cluster


@pytest.fixture
def server(context: ssl.SSLContext) -> Iterator[Server]:
    with Server(cluster(), ssl_context=context, token=TOKEN) as server:
        yield server


def kubeconfig(folder: Path, server: str, authority: trustme.CA, **more: str) -> str:
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": ca} | more}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
    }
    path = folder / "config"
    path.write_text(json.dumps(config))
    return str(path)


ONE = ["cm", "-o", "ndjson", "--count", "1"]


def test_https_goes_through_a_tunnel_and_each_credential_to_its_own_end(
    server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    with Proxy() as proxy:
        config = kubeconfig(tmp_path, server.url, authority, **{"proxy-url": proxy.with_login(LOGIN)})
        variables = NO_VARIABLES | {"REQUESTS_CA_BUNDLE": str(other), "CURL_CA_BUNDLE": str(other), "NO_PROXY": "*"}
        run = kwatch([*ONE, "--kubeconfig", config], tmp_path, **variables)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["object"]["metadata"]["name"] == "here"
    assert proxy.requests
    for request in proxy.requests:
        assert request.startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
        assert b"Proxy-Authorization: Basic " + BASIC in request
        assert b"CANARY" not in request
    assert b"CANARY" not in proxy.carried  # it is all TLS
    assert not [request for request in server.requests if "proxy-authorization" in str(request).lower()]


def test_the_flag_wins_over_the_kubeconfig(server: Server, authority: trustme.CA, tmp_path: Path) -> None:
    with Proxy() as proxy:
        config = kubeconfig(tmp_path, server.url, authority, **{"proxy-url": "http://127.0.0.1:1"})
        run = kwatch([*ONE, "--kubeconfig", config, "--proxy-url", proxy.url], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert b"Proxy-Authorization" not in proxy.requests[0]


def test_http_is_forwarded(tmp_path: Path) -> None:
    with Server(cluster()) as server, Proxy() as proxy:
        run = kwatch([*ONE, "-s", server.url, "--proxy-url", proxy.with_login(LOGIN)], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert proxy.requests[0].startswith(f"GET {server.url}/api".encode())
    assert all(b"Proxy-Authorization: Basic " + BASIC in request for request in proxy.requests)


def test_the_environments_proxy_is_for_neither_this_machine_nor_no_proxy(
    server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    config = kubeconfig(tmp_path, server.url, authority)
    run = kwatch([*ONE, "--kubeconfig", config], tmp_path, **NO_VARIABLES | {"HTTPS_PROXY": "http://127.0.0.1:1"})
    assert (run.returncode, run.stderr) == (0, "")


def test_the_environments_proxy_is_asked_for_other_machines(tmp_path: Path) -> None:
    with Proxy(refusal=b"HTTP/1.1 403 no\r\n\r\n") as proxy:
        run = kwatch(["cm", "-s", "https://c.invalid"], tmp_path, **NO_VARIABLES | {"HTTPS_PROXY": proxy.address})
    assert proxy.requests[0].startswith(b"CONNECT c.invalid:443 ")
    assert run.stderr == (
        f"kwatch: error: can't connect to https://c.invalid through the proxy {proxy.url}: 403 Forbidden; it doesn't "
        "let connections to this server pass: ask those who run it, or use another than that of HTTPS_PROXY\n"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (b"HTTP/1.1 407 CANARY/pass CANARY%2Fpass " + BASIC + b"\r\n\r\n", "407 Proxy Authentication Required; give"),
        (b"nonsense CANARY/pass " + BASIC + b"\r\n\r\n", ""),
        (None, "Connection refused; check its address (--proxy-url) and that it runs"),
    ],
    ids=["407", "nonsense", "refused"],
)
def test_a_failing_proxy_is_one_line_without_the_password(
    scheme: str, refusal: bytes | None, text: str, tmp_path: Path
) -> None:
    with Proxy(refusal=refusal) as proxy:
        url = proxy.with_login(LOGIN)
        if refusal is None:
            url = f"http://{LOGIN}@127.0.0.1:1"
        run = kwatch(["cm", "-v", "-s", f"{scheme}://c.invalid", "--proxy-url", url], tmp_path)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (1, "", 1)
    assert text in run.stderr
    assert "c.invalid" in run.stderr
    if text:
        assert f"through the proxy http://{url.rpartition('@')[2]}: " in run.stderr
    assert "CANARY" not in run.stderr
    assert BASIC.decode() not in run.stderr


def hold_body(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked") + chunk(b'{"a":1}\n'))
    peer.hold()


@pytest.mark.parametrize("tunnel", ["plain", "TLS", "TLS in TLS"])
def test_abort_wakes_a_blocked_read_at_once(tunnel: str, context: ssl.SSLContext, authority: trustme.CA) -> None:
    with (
        ScriptedServer(hold_body, tls=None if tunnel == "plain" else context) as server,
        Proxy(tls=context if tunnel == "TLS in TLS" else None) as proxy,
    ):
        transport = Transport(Connection(server.url, ca=authority.cert_pem.bytes(), proxy=proxy.url))
        with transport.send(WATCH) as response:
            chunks = response.chunks()
            assert next(chunks) == b'{"a":1}\n'
            threading.Timer(0.1, transport.abort).start()
            started = time.monotonic()
            with pytest.raises(Overdue):
                next(chunks)
            assert time.monotonic() - started < 3
        transport.close()


def test_abort_wakes_a_connect_that_the_proxy_does_not_answer() -> None:
    with Proxy(refusal=b"") as proxy:
        transport = Transport(Connection("https://c.invalid", proxy=proxy.url))

        def abort_once_asked() -> None:
            eventually(lambda: proxy.requests)
            transport.abort()

        threading.Thread(target=abort_once_asked).start()
        started = time.monotonic()
        with pytest.raises(Overdue):
            transport.send(WATCH)
        assert time.monotonic() - started < 8  # CONNECT_SECONDS is 10
        transport.close()


def test_authorization_is_never_in_clear_to_a_tunnelling_proxy(context: ssl.SSLContext, authority: trustme.CA) -> None:
    with ScriptedServer(hold_body, tls=context) as server, Proxy() as proxy:
        connection = Connection(
            server.url,
            ca=authority.cert_pem.bytes(),
            credentials=bearer(TOKEN, "the test"),
            proxy=proxy.with_login(LOGIN),
        )
        transport = Transport(connection)
        with transport.send(WATCH) as response:
            next(response.chunks())
            assert transport._socket is not None
            assert transport._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            transport.abort()
        transport.close()
    assert f"Authorization: Bearer {TOKEN}".encode() in server.requests[0]
    assert b"Proxy-Authorization" not in server.requests[0]
    assert b"Bearer" not in proxy.requests[0] + proxy.carried


def test_the_servers_certificate_is_checked_behind_the_proxy(context: ssl.SSLContext) -> None:
    with ScriptedServer(hold_body, tls=context) as server, Proxy() as proxy:
        transport = Transport(Connection(server.url, ca=trustme.CA().cert_pem.bytes(), proxy=proxy.url))
        with pytest.raises(Untrusted, match="has a certificate that the cluster's CA does not confirm"):
            transport.send(WATCH)
        transport.close()


def test_the_certificate_of_an_https_proxy_is_checked(context: ssl.SSLContext) -> None:
    with Proxy(tls=context) as proxy:
        transport = Transport(
            Connection("https://c.invalid", ca=trustme.CA().cert_pem.bytes(), proxy=proxy.with_login(LOGIN))
        )
        with pytest.raises(Untrusted, match="through the proxy https://127") as caught:
            transport.send(WATCH)
        transport.close()
    assert "CANARY" not in str(caught.value)
    assert proxy.requests == []


def test_a_cut_behind_the_proxy_is_not_the_proxys_fault() -> None:
    with ScriptedServer(lambda peer: None) as server, Proxy() as proxy:
        transport = Transport(Connection(server.url, proxy=proxy.url))
        with pytest.raises(Unreachable, match=r"can't connect to http://127\.0\.0\.1:[0-9]+: "):
            transport.send(WATCH)
        transport.close()


def test_socks_carries_the_servers_tls_and_tells_its_failures(context: ssl.SSLContext, authority: trustme.CA) -> None:
    pytest.importorskip("socks")
    ca = authority.cert_pem.bytes()
    with ScriptedServer(hold_body, tls=context) as server, SocksProxy() as proxy:
        transport = Transport(Connection(server.url, ca=ca, proxy=proxy.with_login(LOGIN)))
        with transport.send(WATCH) as response:
            chunks = response.chunks()
            assert next(chunks) == b'{"a":1}\n'
            threading.Timer(0.1, transport.abort).start()
            with pytest.raises(Overdue):
                next(chunks)
        transport.close()
        assert proxy.logins == [b"me:CANARY/pass"]
        transport = Transport(Connection(server.url, ca=trustme.CA().cert_pem.bytes(), proxy=proxy.url))
        with pytest.raises(Untrusted, match="has a certificate that the cluster's CA does not confirm"):
            transport.send(WATCH)
        transport.close()
    transport = Transport(Connection("https://127.0.0.1:6443", proxy=f"socks5://{LOGIN}@127.0.0.1:1"))
    with pytest.raises(Unreachable, match=r"through the proxy socks5://127\.0\.0\.1:1: .*refused"):
        transport.send(WATCH)
    transport.close()
