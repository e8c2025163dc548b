"""Each way to reach and to convince an API server, end to end over TLS: `kwatch pods --count 1`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from command import kwatch
from proxying import Proxy, SocksProxy
from securing import b64, identity, kubeconfig, plugin, secured
from watching import changes, watched

from kwatch.cluster.kubeconfig import ConnectionOptions, resolve
from kwatch.model import Query, Resource
from kwatch.sandbox import Access, Request

TOKEN = "canary-token"
PODS = Query(Resource("", "v1", "pods", "Pod"), "default")
Configured = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What the server demands, what is configured (of a folder, the CA, a client certificate), what it saw."""

    access: Access
    user: Callable[[Path, bytes, bytes], Configured]
    cluster: Callable[[Path, bytes], Configured] = lambda _, ca: {"certificate-authority-data": b64(ca)}
    seen: Callable[[Request], bool] = lambda _: True
    flags: Callable[[Path], list[str]] = lambda _: []
    name: str = "127.0.0.1"
    variables: dict[str, str] = field(default_factory=dict)


def stored(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return name  # relative to the kubeconfig beside it


def with_token(*_: object) -> Configured:
    return {"token": TOKEN}


def nobody(*_: object) -> Configured:
    return {}


def certificate_data(_: Path, certificate: bytes, key: bytes) -> Configured:
    return {"client-certificate-data": b64(certificate), "client-key-data": b64(key)}


def certificate_files(folder: Path, certificate: bytes, key: bytes) -> Configured:
    return {"client-certificate": stored(folder, "c.pem", certificate), "client-key": stored(folder, "k.pem", key)}


def certificate_flags(folder: Path) -> list[str]:
    return ["--client-certificate", str(folder / "c.pem"), "--client-key", str(folder / "k.pem")]


def token_of_plugin(folder: Path, *_: object) -> Configured:
    return plugin(folder / "login", f"give(token={TOKEN!r})")


def certificate_of_plugin(folder: Path, certificate: bytes, key: bytes) -> Configured:
    given = f"give(clientCertificateData={certificate.decode()!r}, clientKeyData={key.decode()!r})"
    return plugin(folder / "login", given)


ME = Access(subjects=["me"])
BEARER = Access(tokens=[TOKEN])
CASES = {
    "client certificate inline": Case(ME, certificate_data, seen=lambda request: request.subject == "me"),
    "client certificate in files": Case(ME, certificate_files),
    "client certificate by flags": Case(
        ME,
        lambda folder, *both: nobody(certificate_files(folder, *both)),
        flags=certificate_flags,
    ),
    "CA in a file": Case(BEARER, with_token, lambda folder, ca: {"certificate-authority": stored(folder, "ca", ca)}),
    "CA by a flag": Case(
        BEARER,
        with_token,
        lambda folder, ca: {"certificate-authority-data": b64(b"x" + ca[:-40]), "x": stored(folder, "ca", ca)},
        flags=lambda folder: ["--certificate-authority", str(folder / "ca")],
    ),
    "no verification": Case(BEARER, with_token, lambda *_: {"insecure-skip-tls-verify": True}, name="elsewhere"),
    "another server name": Case(
        BEARER,
        with_token,
        lambda _, ca: {"certificate-authority-data": b64(ca), "tls-server-name": "kubernetes.example"},
        name="kubernetes.example",
        seen=lambda request: request.server_name == "kubernetes.example",
    ),
    "another server name by a flag": Case(
        BEARER,
        with_token,
        flags=lambda _: ["--tls-server-name", "kubernetes.example"],
        name="kubernetes.example",
        seen=lambda request: request.server_name == "kubernetes.example",
    ),
    "token": Case(BEARER, with_token, seen=lambda request: not request.server_name),  # an address is no name to ask for
    "token by a flag": Case(BEARER, nobody, flags=lambda _: ["--token", TOKEN]),
    "token by a variable": Case(BEARER, nobody, variables={"KWATCH_TOKEN": TOKEN}),
    "token file": Case(BEARER, lambda folder, *_: {"tokenFile": stored(folder, "token", TOKEN.encode() + b"\n")}),
    "password": Case(Access(logins=["me:canary"]), lambda *_: {"username": "me", "password": "canary"}),
    "exec plugin's token": Case(BEARER, token_of_plugin),
    "exec plugin's certificate": Case(ME, certificate_of_plugin),
    "impersonation": Case(
        BEARER,
        lambda *_: {"token": TOKEN, "as": "joe", "as-groups": ["a"]},
        flags=lambda _: ["--as-group", "b", "--as-group", "c d", "--as-uid", "7"],
        seen=lambda request: (
            [request.headers.get(f"impersonate-{name}") for name in ("user", "group", "uid")] == ["joe", "b, c d", "7"]
        ),
    ),
    "impersonation by variables": Case(
        BEARER,
        with_token,
        variables={"KWATCH_AS": "joe", "KWATCH_AS_GROUP": "b\nc d", "KWATCH_AS_UID": "7"},
        seen=lambda request: (
            [request.headers.get(f"impersonate-{name}") for name in ("user", "group", "uid")] == ["joe", "b, c d", "7"]
        ),
    ),
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("case", CASES)
def test_pods_are_listed_and_watched(case: str, authority: trustme.CA, tmp_path: Path) -> None:
    one = CASES[case]
    certificate, key = identity(authority, "me")
    with secured(authority, one.access, name=one.name) as server:
        cluster = {"server": server.url} | one.cluster(tmp_path, authority.cert_pem.bytes())
        config = kubeconfig(tmp_path / "config", cluster, one.user(tmp_path, certificate, key))
        arguments = ["pods", "--count", "1", "-o", "ndjson", *one.flags(tmp_path)]
        run = kwatch(arguments, tmp_path, KUBECONFIG=str(config), **one.variables)
        assert (run.returncode, run.stdout.count("\n")) == (0, 1), run.stderr
        assert '"name":"web-0"' in run.stdout
        assert "canary" not in run.stderr
        assert server.requests
        assert all(one.seen(request) for request in server.requests)


@pytest.mark.parametrize(
    ("access", "user", "name", "text"),
    [
        (BEARER, {"token": TOKEN}, "elsewhere.example", "the cluster's CA does not confirm: IP address mismatch"),
        (BEARER, {"token": TOKEN}, "elsewhere.example", "say with --tls-server-name which name"),
        (BEARER, {"token": "wrong-canary"}, "127.0.0.1", "the credentials are wrong or have expired: check --token"),
        (BEARER, {"username": "me", "password": "canary"}, "127.0.0.1", "401 Unauthorized"),
        (ME, {}, "127.0.0.1", "401 Unauthorized"),
    ],
)
def test_whom_the_server_or_kwatch_does_not_trust_gets_one_line(
    access: Access, user: Configured, name: str, text: str, authority: trustme.CA, tmp_path: Path
) -> None:
    with secured(authority, access, name=name) as server:
        trusted = {"server": server.url, "certificate-authority-data": b64(authority.cert_pem.bytes())}
        config = kubeconfig(tmp_path / "config", trusted, user)
        run = kwatch(["pods", "--count", "1"], tmp_path, KUBECONFIG=str(config))
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert text in run.stderr
    assert "canary" not in run.stderr


@pytest.mark.parametrize("kind", [Proxy, SocksProxy])
@pytest.mark.parametrize("by_variable", [False, True])
def test_a_proxy_carries_tls_that_it_cannot_read(
    kind: type[Proxy], by_variable: bool, authority: trustme.CA, tmp_path: Path
) -> None:
    certificate, key = identity(authority, "me")
    with secured(authority, ME) as server, kind() as proxy:
        trusted = {"server": server.url, "certificate-authority-data": b64(authority.cert_pem.bytes())}
        asked = {} if by_variable else {"proxy-url": proxy.url}
        config = kubeconfig(tmp_path / "config", trusted | asked, certificate_data(tmp_path, certificate, key))
        variables = {"KWATCH_PROXY_URL": proxy.url} if by_variable else {}
        run = kwatch(["pods", "--count", "1"], tmp_path, KUBECONFIG=str(config), **variables)
        assert (run.returncode, run.stderr) == (0, "")
        assert {request.subject for request in server.requests} == {"me"}
        assert proxy.carried
        assert b"web-0" not in proxy.carried


@pytest.mark.parametrize(
    "flags",
    [
        ["--header", "X-Csrf-Token: canary-csrf", "--header", "GitLab-Agent-Id: 7", "--cookie", "_gitlab_kas=canary"],
        ["--token", "pat:7:canary-pat"],
    ],
)
def test_an_api_proxy_over_tls_with_a_prefix(flags: list[str], authority: trustme.CA, tmp_path: Path) -> None:
    by_session = Access(
        headers={"X-Csrf-Token": "canary-csrf", "GitLab-Agent-Id": "7"}, cookies={"_gitlab_kas": "canary"}
    )
    access = Access(tokens=["pat:7:canary-pat"]) if "--token" in flags else by_session
    (tmp_path / "ca").write_bytes(authority.cert_pem.bytes())
    with secured(authority, access, prefix="/-/kubernetes-agent/k8s-proxy") as server:
        reached = ["pods", "-s", server.url, "--certificate-authority", str(tmp_path / "ca"), "--count", "1"]
        run = kwatch([*reached, *flags], tmp_path)
        assert (run.returncode, run.stderr) == (0, "")
        assert all(request.path.startswith("/-/kubernetes-agent/k8s-proxy/api/v1/") for request in server.requests)
        refused = kwatch([*reached, *flags[:-2]], tmp_path)
        assert (refused.returncode, "401" in refused.stderr, "canary" in refused.stderr) == (1, True, False)


def test_a_pod_reaches_its_cluster_as_its_service_account(authority: trustme.CA, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text("default")
    with secured(authority, BEARER) as server:
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        connection = resolve(ConnectionOptions(), env, tmp_path, tmp_path)
        found = changes(watched(connection, lambda signals: bool(changes(signals)), query=PODS))
    assert [(kind, name) for kind, name, *_ in found] == [("ADDED", "web-0")]
