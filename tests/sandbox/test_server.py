"""The server itself: connections, threads, tokens, prefixes, TLS, the log of requests."""

from __future__ import annotations

import contextlib
import gc
import http.client
import os
import socket
import threading
import time

import pytest
from polling import eventually
from sandbox.wire import Client, pod

from kwatch.sandbox import Cluster, Fault, Server

PODS = "/api/v1/pods"


def sandbox_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("sandbox-")]


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_it_listens_on_the_loopback_only_and_knows_its_address(server):
    host, port = server.url.removeprefix("http://").split(":")
    assert (host, int(port)) == ("127.0.0.1", server.port)


def test_requests_are_logged_with_what_they_are_about(cluster, server, client):
    client.get(f"{PODS}?labelSelector=a%3Db&limit=5", X_Test="yes")
    client.stream(f"{PODS}?watch=true")
    client.request("/api/v1/namespaces/default/pods", "POST", body=pod("a"))
    client.get("/api/v1/namespaces/default/pods/a")
    client.request("/api/v1/namespaces/default/pods/a", "DELETE")
    client.get("/apis/nosuch.example.com/v1/widgets")
    client.get("/version")
    log = server.requests
    assert [request.verb for request in log] == ["list", "watch", "create", "get", "delete", "list", "discovery"]
    assert [request.resource for request in log] == ["pods"] * 5 + ["widgets", ""]
    first = log[0]
    assert (first.method, first.path, first.query) == ("GET", PODS, {"labelSelector": "a=b", "limit": "5"})
    assert first.headers["x-test"] == "yes"
    assert log == sorted(log, key=lambda request: request.time)
    assert abs(time.monotonic() - first.time) < 5


def test_a_connection_serves_many_requests(cluster, server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for path in (PODS, "/version", "/api/v1/pods?watch=1&timeoutSeconds=1", PODS, "/nosuch"):
        connection.request("GET", path)
        connection.getresponse().read()
    assert server.connections == 1
    connection.close()
    eventually(lambda: server.connections == 0)


def test_disconnect_ends_all_connections(server, client):
    streams = [client.stream(f"{PODS}?watch=1") for _ in range(3)]
    server.disconnect()
    assert [stream.read().end for stream in streams] == ["eof"] * 3
    assert server.connections == 0
    assert client.get(PODS).status == 200


def test_disconnect_can_reset(server, client):
    stream = client.stream(f"{PODS}?watch=1")
    server.disconnect(reset=True)
    assert stream.read().end == "reset"


def test_paused_it_takes_connections_and_says_nothing(server, client):
    server.pause_accept()
    answer = client.open(PODS)
    assert not answer.read_head(patience=0.3)
    server.resume_accept()
    assert answer.read_head()


def test_close_is_quick_and_leaks_nothing_even_with_slow_and_stalled_clients():
    cluster = Cluster()
    before = descriptors()
    with Server(cluster) as server:
        client = Client(server)
        server.script(Fault(stall=True), Fault(hold_headers=True, stall=True))
        client.stream(f"{PODS}?watch=1")
        client.open(f"{PODS}?watch=1")
        eventually(lambda: server.watches == 2)
        half = socket.create_connection(client.address)
        half.sendall(b"GET /api/v1/po")
        slow = client.stream(f"{PODS}?watch=1")
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(3000):
            cluster.create("pods", pod(f"p{number}"))
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 1
        assert sandbox_threads() == []
    client.close()
    half.close()
    assert descriptors() <= before


def test_a_closed_port_refuses():
    with Server(Cluster()) as server:
        port = server.port
    with contextlib.closing(socket.socket()) as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_a_prefix_is_part_of_every_path(cluster):
    with Server(cluster, prefix="/k8s/clusters/c-1/") as server:
        client = Client(server)
        assert server.url.endswith("/k8s/clusters/c-1")
        assert client.get(PODS).status == 200
        client.prefix = ""
        assert client.get(PODS).body == b"404 page not found\n"


def test_a_token_can_be_changed_and_refusals_take_no_fault(cluster):
    with Server(cluster, token="one") as server:
        client = Client(server)
        server.script(Fault("list", status=503))
        assert client.get(PODS).status == 401
        assert client.get(PODS, Authorization="Bearer one").status == 503
        server.set_token("two")
        assert client.get(PODS, Authorization="Bearer one").status == 401
        assert client.get(PODS, Authorization="Bearer two").status == 200


def test_tls(cluster):
    trustme = pytest.importorskip("trustme")
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Server(cluster, ssl_context=context) as server:
        assert server.url.startswith("https://")
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting)
        connection.request("GET", f"{PODS}?watch=1&timeoutSeconds=1")
        cluster.create("pods", pod("a"))
        assert b'"ADDED"' in connection.getresponse().read()
        server.script(Fault("list", framing="close"), Fault("list", cut=5))
        connection.request("GET", PODS)
        assert connection.getresponse().read().endswith(b"\n")
        connection.request("GET", PODS)
        with pytest.raises((http.client.IncompleteRead, OSError)):
            connection.getresponse().read()
        connection.close()
        eventually(lambda: server.connections == 0)
        plain = socket.create_connection(("127.0.0.1", server.port))
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        eventually(lambda: server.connections == 0)
        plain.close()


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\r\n" * 40000])
def test_what_isnt_http_ends_the_connection(server, client, data):
    with socket.create_connection(client.address) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(data)
        while sock.recv(4096):
            pass
    eventually(lambda: server.connections == 0)


def test_an_old_client_gets_a_body_until_the_end(cluster, client):
    with socket.create_connection(client.address) as sock:
        sock.sendall(b"GET /api/v1/pods?watch=1&timeoutSeconds=1 HTTP/1.0\r\n\r\n")
        cluster.create("pods", pod("a"))
        data = b""
        while part := sock.recv(65536):
            data += part
    assert b"Transfer-Encoding" not in data
    assert data.endswith(b"}\n")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_it_is_healthy(client, path):
    assert client.get(path).body == b"ok"


def test_writers_readers_and_watchers_at_once(cluster, server, client):
    """Eight threads write while four read; every watcher ends up with the state of the cluster."""
    streams = [client.stream(f"{PODS}?watch=1&resourceVersion={cluster.resource_version}") for _ in range(4)]

    def write(worker):
        for number in range(50):
            cluster.create("pods", pod(f"w{worker}-{number}"))
            if number % 3:
                cluster.delete("pods", "default", f"w{worker}-{number}")

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {item["metadata"]["name"] for item in cluster.list("pods")}
    total = len(cluster.history("pods"))
    for stream in streams:
        names = set()
        for event in stream.read_events(total):
            name = event["object"]["metadata"]["name"]
            (names.discard if event["type"] == "DELETED" else names.add)(name)
        assert names == expected
