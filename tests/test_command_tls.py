"""The command over TLS with a kubeconfig: whom it trusts, who it is, and what it says when that fails."""

from __future__ import annotations

import base64
import json
import signal
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from command import Running, is_running, kwatch
from polling import eventually

from kwatch.sandbox import Cluster, Server

TOKEN = "CANARY-TOKEN"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Server]:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "here", "namespace": "team"}})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Server(cluster, ssl_context=context, token=TOKEN) as server:
        yield server


def kubeconfig(folder: Path, server: str, ca: bytes | None, token: str = TOKEN) -> Path:
    """A file with two contexts; `right` is current and names the namespace `team`."""
    trust = {"certificate-authority-data": base64.b64encode(ca).decode()} if ca else {}
    context = {"cluster": "sandbox", "user": "me", "namespace": "team"}
    path = folder / "config"
    config = {
        "current-context": "right",
        "contexts": [
            {"name": "right", "context": context},
            {"name": "elsewhere", "context": context | {"namespace": "empty"}},
        ],
        "clusters": [{"name": "sandbox", "cluster": {"server": server, **trust}}],
        "users": [{"name": "me", "user": {"token": token}}],
    }
    path.write_text(json.dumps(config))
    return path


def test_a_context_gives_server_ca_token_and_namespace(server: Server, authority: trustme.CA, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, server.url, authority.cert_pem.bytes())
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    arguments = ["cm", "-o", "ndjson", "--count", "1"]
    bundle = {"REQUESTS_CA_BUNDLE": str(other), "CURL_CA_BUNDLE": str(other)}
    run = kwatch(arguments, tmp_path, KUBECONFIG=str(config), **bundle)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["object"]["metadata"]["name"] == "here"
    assert kwatch([*arguments, "--kubeconfig", str(config)], tmp_path).returncode == 0
    home = tmp_path / ".kube"
    home.mkdir()
    config.rename(home / "config")
    assert kwatch(arguments, tmp_path).returncode == 0
    empty = kwatch(["cm", "--context", "elsewhere", "--duration", "500ms"], tmp_path)
    assert "No resources found: namespace empty doesn't exist (yet)" in empty.stderr


@pytest.mark.parametrize(
    ("ca", "token", "text"),
    [
        ("wrong", TOKEN, "has a certificate that the cluster's CA does not confirm"),
        ("none", TOKEN, "has a certificate that the cluster's CA does not confirm"),
        ("right", "WRONG-CANARY", "configmaps in team: 401 Unauthorized; the credentials are wrong or have expired"),
    ],
)
def test_a_wrong_ca_or_token_is_one_clear_line_without_the_token(
    ca: str, token: str, text: str, server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    authorities = {"right": authority.cert_pem.bytes(), "wrong": trustme.CA().cert_pem.bytes(), "none": None}
    config = kubeconfig(tmp_path, server.url, authorities[ca], token)
    run = kwatch(["cm", "-v"], tmp_path, KUBECONFIG=str(config))
    *_, last = run.stderr.splitlines()
    assert (run.returncode, run.stdout) == (1, "")
    assert text in last
    assert "CANARY" not in run.stderr


def test_skipping_verification_is_said_on_each_run(server: Server, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, server.url, None)
    arguments = ["cm", "--insecure-skip-tls-verify", "--count", "1", "-q", "--kubeconfig", str(config)]
    run = kwatch(arguments, tmp_path)
    assert run.returncode == 0
    assert (
        run.stderr == f"kwatch: warning: the certificate of {server.url} is not verified (insecure-skip-tls-verify)\n"
    )


def test_a_client_certificate_is_presented(authority: trustme.CA, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "here"}})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    me = authority.issue_cert("me@example.com")
    files = {"ca": authority.cert_pem, "cert": me.cert_chain_pems[0], "key": me.private_key_pem}
    for name, blob in files.items():
        blob.write_to_path(str(tmp_path / name))
    with Server(cluster, ssl_context=context) as server:
        arguments = ["cm", "-s", server.url, "--certificate-authority", str(tmp_path / "ca"), "--count", "1"]
        identity = ["--client-certificate", str(tmp_path / "cert"), "--client-key", str(tmp_path / "key")]
        assert kwatch([*arguments, *identity], tmp_path).returncode == 0
        refused = kwatch(arguments, tmp_path)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)


def with_plugin(folder: Path, server: Server, authority: trustme.CA, code: str) -> Path:
    """A kubeconfig whose user has the plugin `code`; `n` is how often it has been run."""
    runs = folder / "runs"
    counted = f"runs = pathlib.Path({str(runs)!r})\nn = len(runs.read_text()) + 1\nruns.write_text('.' * n)\n"
    runs.touch()
    program = folder / "login"
    program.write_text(f"#!{sys.executable}\nimport json, os, pathlib, sys, time\n{PRINTS}\n{counted}{code}\n")
    program.chmod(0o755)
    path = kubeconfig(folder, server.url, authority.cert_pem.bytes())
    config = json.loads(path.read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "interactiveMode": "IfAvailable"}
    config["users"][0]["user"] = {"exec": plugin}
    path.write_text(json.dumps(config))
    return path


PRINTS = """
def give(token, **status):
    version = "client.authentication.k8s.io/v1"
    print(json.dumps({"kind": "ExecCredential", "apiVersion": version, "status": {"token": token} | status}))
"""


@pytest.mark.parametrize(
    ("code", "runs"),
    [
        (f"give({TOKEN!r}, expirationTimestamp='2099-01-01T00:00:00Z')", 1),
        (f"give('WRONG-CANARY' if n == 1 else {TOKEN!r})", 2),
    ],
)
def test_an_exec_plugins_token_is_sent_and_a_401_has_it_run_again(
    code: str, runs: int, server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    config = with_plugin(tmp_path, server, authority, f"print('CANARY', file=sys.stderr)\n{code}")
    run = kwatch(["cm", "-o", "ndjson", "--count", "1", "-v"], tmp_path, KUBECONFIG=str(config))
    assert run.returncode == 0
    assert json.loads(run.stdout)["object"]["metadata"]["name"] == "here"
    assert "CANARY" not in run.stdout + run.stderr
    assert len((tmp_path / "runs").read_text()) == runs


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("give('WRONG-CANARY')", "configmaps in team: 401 Unauthorized; the credentials are wrong or have expired"),
        ("give('WRONG-CANARY'); sys.exit('log in first')", "login failed with exit code 1: log in first"),
        ("give('WRONG-CANARY') if n == 1 else sys.exit('log in again')", "login failed with exit code 1: log in again"),
        ("print('CANARY')", "login printed something else than an ExecCredential in JSON"),
    ],
)
def test_an_exec_plugin_that_fails_is_one_clear_line_without_its_output(
    code: str, text: str, server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    config = with_plugin(tmp_path, server, authority, code)
    run = kwatch(["cm", "-v"], tmp_path, KUBECONFIG=str(config))
    *_, last = run.stderr.splitlines()
    assert (run.returncode, run.stdout) == (1, "")
    assert text in last
    assert "CANARY" not in run.stderr
    quiet = kwatch(["cm", "-q"], tmp_path, KUBECONFIG=str(config))
    assert len(quiet.stderr.splitlines()) == 1


@pytest.mark.parametrize("run", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_end_amid_an_exec_plugin_takes_it_along(
    run: int, number: int, code: int, server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    waits = (
        f"pathlib.Path({str(pid)!r} + '~').write_text(str(os.getpid())), os.rename({str(pid)!r} + '~', {str(pid)!r})"
    )
    plugin = f"if n == {run}: {waits}, time.sleep(1000)\ngive('WRONG-CANARY')"
    config = with_plugin(tmp_path, server, authority, plugin)
    with Running(["cm"], tmp_path, KUBECONFIG=str(config)) as running:
        running.until(pid.exists)
        assert running.end(number)[0] == code
    eventually(lambda: not is_running(int(pid.read_text())))


def test_an_exec_plugins_client_certificate_is_presented(authority: trustme.CA, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.create("configmaps", {"metadata": {"name": "here", "namespace": "team"}})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    me = authority.issue_cert("me@example.com")
    status = {
        "clientCertificateData": me.cert_chain_pems[0].bytes().decode(),
        "clientKeyData": me.private_key_pem.bytes().decode(),
    }
    with Server(cluster, ssl_context=context) as server:
        config = with_plugin(tmp_path, server, authority, f"give('', **{status!r})")
        run = kwatch(["cm", "--count", "1", "-o", "ndjson"], tmp_path, KUBECONFIG=str(config))
        assert (run.returncode, run.stderr) == (0, "")
