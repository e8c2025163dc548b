"""The same kubeconfigs through kubectl: `config view --minify --flatten --raw` is what it would use."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cluster.kubeconfigs import Place, b64, kubeconfig, pem
from kubectl import kubectl, needs_kubectl
from scripted import Peer, ScriptedServer
from scripted import answer as scripted_answer

from kwatch.cluster.kubeconfig import DEFAULT_SERVER, Connection
from kwatch.errors import ConfigError
from kwatch.transport import Transport

pytestmark = needs_kubectl

CERTIFICATE, KEY = pem("CERTIFICATE"), pem("EC PRIVATE KEY")
AGREED: dict[str, list[str]] = {
    "plain": [kubeconfig()],
    "namespace": [kubeconfig(context={"namespace": "web"})],
    "prefix": [kubeconfig({"server": "https://rancher.example/k8s/clusters/c-1"})],
    "insecure": [kubeconfig({"insecure-skip-tls-verify": True})],
    "token": [kubeconfig(user={"token": "abc"})],
    "basic": [kubeconfig(user={"username": "me", "password": "pw"})],
    "certificates inline": [
        kubeconfig(
            {"certificate-authority-data": b64(CERTIFICATE), "tls-server-name": "kubernetes"},
            {"client-certificate-data": b64(CERTIFICATE), "client-key-data": b64(KEY)},
        )
    ],
    "certificates in files": [
        kubeconfig(
            {"certificate-authority": "certs/ca.crt"},
            {"client-certificate": "certs/ca.crt", "client-key": "certs/u.key"},
        )
    ],
    "YAML": [
        "apiVersion: v1\nkind: Config\ncurrent-context: &name dev\n"
        "clusters:\n- cluster: {server: https://c.example}\n  name: *name\n"
        "contexts:\n- context:\n    cluster: dev\n    user: u\n  name: dev\n"
        "users:\n- name: u\n  user:\n    token: >-\n      x\n"
    ],
    "merge keys": [
        "base: &b {server: https://b}\nclusters: [{name: c, cluster: {<<: *b, tls-server-name: name}}]\n"
        "contexts: [{name: dev, context: {cluster: c}}]\ncurrent-context: dev"
    ],
    "unknown fields": [kubeconfig({"disable-compression": True, "later": [1]}, preferences={}, extensions=[])],
    "first file wins": [
        kubeconfig({"server": "https://one"}, users=[], **{"current-context": ""}),
        kubeconfig({"server": "https://two", "insecure-skip-tls-verify": True}, {"token": "two"}),
        kubeconfig(user={"token": "three"}, **{"current-context": "elsewhere"}),
    ],
    "no user": [kubeconfig(context={"user": ""})],
    "a certificate in a file, its key inline": [
        kubeconfig(user={"client-certificate": "certs/ca.crt", "client-key-data": b64(KEY)})
    ],
    "password alone": [kubeconfig(user={"username": "me", "password": ""})],
    "proxy": [kubeconfig({"proxy-url": "http://me:pw@proxy.example:3128"})],
    "socks proxy": [kubeconfig({"proxy-url": "socks5://proxy.example:1080"})],
    "insecure with a name": [kubeconfig({"insecure-skip-tls-verify": True, "tls-server-name": "kubernetes.default"})],
    "impersonation": [
        kubeconfig(
            user={
                "token": "t",
                "as": "joe",
                "as-uid": "7",
                "as-groups": ["g", "h"],
                "as-user-extra": {"reason": ["a", "b"]},
            }
        )
    ],
    "cluster, user and context of three files": [
        kubeconfig(clusters=[], users=[]),
        kubeconfig({"server": "https://second"}, users=[], contexts=[], **{"current-context": "other"}),
        kubeconfig({"server": "https://third"}, {"token": "third"}, contexts=[]),
    ],
    "an entry is won whole": [
        kubeconfig({"server": "https://first"}, {"token": "first"}, {"namespace": ""}),
        kubeconfig({"tls-server-name": "second"}, {"as": "second"}, {"namespace": "second"}),
    ],
    "an empty file first": ["", kubeconfig({"server": "https://second"})],
    "a current-context of a later file": [kubeconfig(**{"current-context": ""}), kubeconfig(contexts=[])],
    "the same file again": [kubeconfig(user={"token": "t"})] * 2,
}
REFUSED = {
    "not YAML": "a: [",
    "a list": "[]",
    "another kind": kubeconfig(kind="Pod"),
    "a number for a token": kubeconfig(user={"token": 1}),
    "text for a boolean": kubeconfig({"insecure-skip-tls-verify": "true"}),
    "a mapping of clusters": kubeconfig(clusters={"c": {}}),
    "a context twice": kubeconfig(contexts=[{"name": "dev"}, {"name": "dev"}]),
    "an unknown context": kubeconfig(**{"current-context": "nope"}),
    "bad base64": kubeconfig({"certificate-authority-data": "?"}),
    "groups that are text": kubeconfig(user={"as": "joe", "as-groups": "g"}),
    "a CA file that isn't there": kubeconfig({"certificate-authority": "nowhere"}),
    "a client certificate that isn't there": kubeconfig(user={"client-certificate": "nowhere", "client-key": "x"}),
}


def viewed(place: Place, listed: str, *flags: str) -> subprocess.CompletedProcess[str]:
    arguments = ("config", "view", "--minify", "--flatten", "--raw", "-o", "json", *flags)
    return kubectl(place.home, *arguments, kubeconfig=listed)


def as_kubectl_shows(connection: Connection) -> dict[str, Any]:
    shown = {
        "server": connection.server,
        "namespace": connection.namespace,
        "context": connection.context,
        "ca": connection.ca.decode(),
        "certificate": connection.client_certificate.decode(),
        "key": connection.client_key.decode(),
        "authorization": connection.credentials.authorization(),
        "insecure": connection.insecure,
        "tls-server-name": connection.tls_server_name,
        "proxy": connection.proxy,
        "impersonation": sorted(connection.impersonation),
    }
    return {key: value for key, value in shown.items() if value}


def from_kubectl(output: str) -> dict[str, Any]:
    document = json.loads(output)
    cluster = (document["clusters"] or [{}])[0].get("cluster", {})
    user = (document["users"] or [{}])[0].get("user", {})
    context = document["contexts"][0]["context"]
    token = Path(user["tokenFile"]).read_text() if "tokenFile" in user else user.get("token")
    basic = base64.b64encode(f"{user.get('username', '')}:{user.get('password', '')}".encode()).decode()
    shown = {
        "server": cluster.get("server"),
        "namespace": context.get("namespace"),
        "context": document["current-context"],
        "ca": base64.b64decode(cluster.get("certificate-authority-data", "")).decode(),
        "certificate": base64.b64decode(user.get("client-certificate-data", "")).decode(),
        "key": base64.b64decode(user.get("client-key-data", "")).decode(),
        "authorization": f"Bearer {token}" if token else f"Basic {basic}" if "username" in user else "",
        "insecure": cluster.get("insecure-skip-tls-verify"),
        "tls-server-name": cluster.get("tls-server-name"),
        "proxy": cluster.get("proxy-url"),
        "impersonation": impersonated(user),
    }
    return {key: value for key, value in shown.items() if value}


def impersonated(user: dict[str, Any]) -> list[tuple[str, str]]:
    named = [("User", user.get("as")), ("Uid", user.get("as-uid"))]
    named += [("Group", group) for group in user.get("as-groups", [])]
    named += [(f"Extra-{key}", value) for key, values in user.get("as-user-extra", {}).items() for value in values]
    return sorted((f"Impersonate-{name}", value) for name, value in named if value)


@pytest.mark.parametrize("case", AGREED)
def test_kwatch_connects_as_kubectl_would(place: Place, case: str) -> None:
    place.write("certs/ca.crt", CERTIFICATE)
    place.write("certs/u.key", KEY)
    place.write("certs/token", "from-a-file")
    files = [str(place.write(f"{number}.yaml", content)) for number, content in enumerate(AGREED[case])]
    listed = os.pathsep.join([*files, str(place.home / "missing")])
    answer = viewed(place, listed)
    assert answer.returncode == 0, answer.stderr
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed})) == from_kubectl(answer.stdout)


@pytest.mark.parametrize("case", REFUSED)
def test_kwatch_refuses_what_kubectl_refuses(place: Place, case: str) -> None:
    listed = str(place.write("config", REFUSED[case]))
    assert viewed(place, listed).returncode != 0
    with pytest.raises(ConfigError):
        place.resolve({"KUBECONFIG": listed})


def test_the_context_flag_means_the_same(place: Place) -> None:
    contexts = [{"name": "dev"}, {"name": "web", "context": {"cluster": "c", "user": "u", "namespace": "web"}}]
    listed = str(place.write("config", kubeconfig(user={"token": "t"}, contexts=contexts)))
    answer = viewed(place, listed, "--context", "web")
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed}, context="web")) == from_kubectl(answer.stdout)


def test_paths_are_relative_to_their_own_file(place: Place) -> None:
    place.write("one/pki/ca.crt", CERTIFICATE)
    place.write("two/pki/me.crt", pem("CERTIFICATE", "me"))
    place.write("two/pki/me.key", KEY)
    place.write("two/pki/token", "from-two")
    one = place.write("one/config", kubeconfig({"certificate-authority": "pki/ca.crt"}, users=[]))
    token = str(place.home / "two" / "pki" / "token")  # kubectl takes a relative one against the current folder
    user = {"client-certificate": "pki/me.crt", "client-key": "../two/pki/me.key", "tokenFile": token}
    two = place.write("two/config", kubeconfig(user=user, clusters=[], contexts=[]))
    listed = os.pathsep.join([str(one), str(place.home / "missing"), "", str(two)])
    answer = viewed(place, listed)
    assert answer.returncode == 0, answer.stderr
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed})) == from_kubectl(answer.stdout)


@pytest.mark.parametrize("inline", [{}, {"token": "inline"}])
def test_a_token_file_wins_over_an_inline_token(place: Place, inline: dict[str, str]) -> None:
    token = place.write("certs/token", "from-a-file")
    listed = str(place.write("config", kubeconfig(user={"tokenFile": str(token)} | inline)))
    answer = viewed(place, listed)
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed})) == from_kubectl(answer.stdout)


def test_the_kubeconfig_flag_stands_alone_and_its_file_is_required(place: Place) -> None:
    place.default(kubeconfig({"server": "https://home"}))
    listed = str(place.write("listed", kubeconfig({"server": "https://listed"})))
    asked = str(place.write("asked", kubeconfig({"server": "https://asked"}, {"token": "asked"})))
    answer = viewed(place, listed, "--kubeconfig", asked)
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed}, kubeconfig=asked)) == from_kubectl(answer.stdout)
    missing = str(place.home / "missing")
    assert viewed(place, listed, "--kubeconfig", missing).returncode != 0
    assert "can't be read: no such file" in place.failure({"KUBECONFIG": listed}, kubeconfig=missing)


def test_a_list_of_missing_files_is_an_empty_configuration(place: Place) -> None:
    place.default(kubeconfig({"server": "https://home"}))
    missing = str(place.home / "missing")
    assert place.resolve({"KUBECONFIG": missing}).server == DEFAULT_SERVER
    answer = kubectl(place.home, "get", "--raw", "/version", "--request-timeout", "1", kubeconfig=missing)
    assert DEFAULT_SERVER.partition("//")[2] in answer.stderr


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--context", "two"],
        ["--cluster", "two"],
        ["--user", "two"],
        ["--context", "two", "--cluster", "one"],
        ["--context", "two", "--user", "one", "--as-uid", "7"],
        ["--server", "SCHEMELESS"],
        ["--server", "SCHEMELESS", "--user", "two"],
    ],
)
def test_flags_lead_to_the_same_server_as_the_same_user(flags: list[str], place: Place) -> None:
    """Over plain http the user shows by whom it impersonates."""
    names = ("one", "two")
    with ScriptedServer(plain) as one, ScriptedServer(plain) as two:
        servers = dict(zip(names, (one, two), strict=True))
        document = {
            "current-context": "one",
            "clusters": [{"name": name, "cluster": {"server": servers[name].url}} for name in names],
            "users": [{"name": name, "user": {"as": name, "as-groups": [f"{name}s"]}} for name in names],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        }
        listed = str(place.write("config", json.dumps(document)))
        flags = [two.url.partition("//")[2] if flag == "SCHEMELESS" else flag for flag in flags]
        kubectl(place.home, "get", "--raw", "/version", *flags, kubeconfig=listed).check_returncode()
        by_kubectl = seen(servers)
        options = {
            flag.lstrip("-").replace("-", "_"): value for flag, value in zip(flags[::2], flags[1::2], strict=True)
        }
        transport = Transport(place.resolve({"KUBECONFIG": listed}, **options))
        transport.get("/version", "application/json")
        transport.close()
        assert any(by_kubectl.values())
        assert seen(servers) == by_kubectl


def plain(peer: Peer) -> None:
    peer.send(scripted_answer(b"{}", Content_Type="application/json"))


def seen(servers: dict[str, ScriptedServer]) -> dict[str, list[str]]:
    """By server: the impersonation of its last request, which is then forgotten."""
    found = {}
    for name, server in servers.items():
        lines = server.requests[-1].decode().split("\r\n") if server.requests else []
        found[name] = sorted(line.lower() for line in lines if line.startswith("Impersonate-"))
        server.requests.clear()
    return found
