"""Through an API proxy: a prefix before every path, and headers without which it lets nobody in."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command import kwatch

from kwatch.sandbox import Cluster, Server

PREFIX = "/-/kubernetes-agent/k8s-proxy"
NEEDED = {"X-Csrf-Token": "csrf-canary", "GitLab-Agent-Id": "7", "Cookie": "_gitlab_kas=cookie-canary; theme=dark"}
ASKED = ["--header", "X-Csrf-Token: csrf-canary", "--header", "GitLab-Agent-Id:7"]
COOKIES = ["--cookie", "_gitlab_kas=cookie-canary", "--cookie", "theme=dark"]


@contextmanager
def api_proxy(upstream: str, prefix: str, needed: dict[str, str]) -> Iterator[str]:
    """A server that strips `prefix`, checks the headers and passes bytes on as they come; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(prefix) or any(self.headers.get(name) != needed[name] for name in needed):
                self.send_error(401, f"no entry for {self.headers.get('Cookie')} {self.headers.get('X-Csrf-Token')}")
                return
            with closing(http.client.HTTPConnection(upstream.partition("//")[2])) as connection:
                connection.request("GET", self.path.removeprefix(prefix), headers={"Accept": self.headers["Accept"]})
                with closing(connection.getresponse()) as answer, suppress(OSError, ValueError):  # either side is gone
                    self.pass_on(answer)

        def pass_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            while data := answer.read1(65536):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{prefix}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def proxied() -> Iterator[str]:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "settings", "namespace": "default"}, "data": {}})
    with Server(cluster) as server, api_proxy(server.url, PREFIX, NEEDED) as url:
        yield url


@pytest.mark.parametrize("kind", ["configmaps", "configmaps.v1."])
def test_a_prefix_headers_and_cookies_reach_the_proxy(proxied: str, tmp_path: Path, kind: str) -> None:
    run = kwatch([kind, "-s", proxied, *ASKED, *COOKIES, "-o", "ndjson", "--count", "1"], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["object"]["metadata"]["name"] == "settings"


def test_variables_hold_a_header_a_line(proxied: str, tmp_path: Path) -> None:
    variables = {"KWATCH_HEADERS": "X-Csrf-Token: csrf-canary\nGitLab-Agent-Id: 7"}
    run = kwatch(["cm", "-s", proxied, *COOKIES, "-o", "ndjson", "--count", "1"], tmp_path, **variables)
    assert (run.returncode, run.stderr) == (0, "")


def test_without_them_nobody_gets_in_and_no_value_is_repeated(proxied: str, tmp_path: Path) -> None:
    given = ["--header", "X-Csrf-Token: csrf-canary", *COOKIES]
    run = kwatch(["cm", "-s", proxied, *given, "-v", "--count", "1"], tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert "401" in run.stderr
    assert "canary" not in run.stderr


def test_like_kubectl_proxy(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "settings", "namespace": "default"}, "data": {}})
    with Server(cluster) as server, api_proxy(server.url, "", {}) as url:
        run = kwatch(["cm", "-s", url, "--count", "1"], tmp_path)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--header", "X-Token secret-canary", "Name: value"),
        ("--header", "X Token: secret-canary", "Name: value"),
        ("--header", "X-Token: ", "X-Token has no value"),
        ("--header", "X-Token: secret-canary\r\nHost: other", "can carry"),
        ("--header", "Host: secret-canary", "leave it out"),
        ("--header", "authorization: Bearer secret-canary", "--token"),
        ("--header", "Cookie: a=secret-canary", "--cookie"),
        ("--cookie", "secret-canary", "name=value"),
        ("--cookie", "a=secret-canary; b=c", "name=value"),
    ],
)
def test_what_cannot_be_a_header_is_a_usage_error(tmp_path: Path, option: str, value: str, said: str) -> None:
    run = kwatch(["pods", "-s", "http://127.0.0.1:1", option, value], tmp_path)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert said in run.stderr
    assert "canary" not in run.stderr
