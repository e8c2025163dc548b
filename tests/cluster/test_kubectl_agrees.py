"""The same kubeconfigs through kubectl: `config view --minify --flatten --raw` is what it would use."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from cluster.kubeconfigs import Place, b64, kubeconfig, pem

from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ConfigError

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl isn't installed")

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
}


def kubectl(place: Place, listed: str, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.home), "KUBECONFIG": listed}
    command = ["kubectl", "config", "view", "--minify", "--flatten", "--raw", "-o", "json", *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)


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
    }
    return {key: value for key, value in shown.items() if value}


def from_kubectl(output: str) -> dict[str, Any]:
    document = json.loads(output)
    cluster = (document["clusters"] or [{}])[0].get("cluster", {})
    user = (document["users"] or [{}])[0].get("user", {})
    context = document["contexts"][0]["context"]
    basic = base64.b64encode(f"{user.get('username', '')}:{user.get('password', '')}".encode()).decode()
    shown = {
        "server": cluster.get("server"),
        "namespace": context.get("namespace"),
        "context": document["current-context"],
        "ca": base64.b64decode(cluster.get("certificate-authority-data", "")).decode(),
        "certificate": base64.b64decode(user.get("client-certificate-data", "")).decode(),
        "key": base64.b64decode(user.get("client-key-data", "")).decode(),
        "authorization": f"Bearer {user['token']}"
        if "token" in user
        else f"Basic {basic}"
        if "username" in user
        else "",
        "insecure": cluster.get("insecure-skip-tls-verify"),
        "tls-server-name": cluster.get("tls-server-name"),
    }
    return {key: value for key, value in shown.items() if value}


@pytest.mark.parametrize("case", AGREED)
def test_kwatch_connects_as_kubectl_would(place: Place, case: str) -> None:
    place.write("certs/ca.crt", CERTIFICATE)
    place.write("certs/u.key", KEY)
    files = [str(place.write(f"{number}.yaml", content)) for number, content in enumerate(AGREED[case])]
    listed = os.pathsep.join([*files, str(place.home / "missing")])
    answer = kubectl(place, listed)
    assert answer.returncode == 0, answer.stderr
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed})) == from_kubectl(answer.stdout)


@pytest.mark.parametrize("case", REFUSED)
def test_kwatch_refuses_what_kubectl_refuses(place: Place, case: str) -> None:
    listed = str(place.write("config", REFUSED[case]))
    assert kubectl(place, listed).returncode != 0
    with pytest.raises(ConfigError):
        place.resolve({"KUBECONFIG": listed})


def test_the_context_flag_means_the_same(place: Place) -> None:
    contexts = [{"name": "dev"}, {"name": "web", "context": {"cluster": "c", "user": "u", "namespace": "web"}}]
    listed = str(place.write("config", kubeconfig(user={"token": "t"}, contexts=contexts)))
    answer = kubectl(place, listed, "--context", "web")
    assert as_kubectl_shows(place.resolve({"KUBECONFIG": listed}, context="web")) == from_kubectl(answer.stdout)
