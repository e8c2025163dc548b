"""In a pod: the service account, where nothing else names a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.kubeconfigs import pem

from kwatch.cluster.kubeconfig import DEFAULT_SERVER, Connection, ConnectionOptions, resolve

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("first-token")
    (folder / "namespace").write_text("monitoring\n")
    (folder / "ca.crt").write_text(pem("CERTIFICATE"))
    return folder


def resolved(account: Path, env: dict[str, str] | None = None, **options: str) -> Connection:
    home = account.parent / "home"
    return resolve(ConnectionOptions(**options), POD if env is None else env, home, account)  # type: ignore[arg-type]


def test_a_pod_is_its_service_account(account: Path) -> None:
    found = resolved(account)
    assert (found.server, found.namespace) == ("https://10.96.0.1:443", "monitoring")
    assert found.ca == pem("CERTIFICATE").encode()
    assert found.credentials.authorization() == "Bearer first-token"


def test_its_token_is_read_again_as_it_rotates(account: Path) -> None:
    found = resolved(account)
    found.credentials.authorization()
    (account / "token").write_text("second-token")
    found.credentials.renew()
    assert found.credentials.authorization() == "Bearer second-token"


def test_an_ipv6_address_gets_brackets(account: Path) -> None:
    assert resolved(account, POD | {"KUBERNETES_SERVICE_HOST": "fd00::1"}).server == "https://[fd00::1]:443"


def test_flags_win(account: Path) -> None:
    assert resolved(account, token="mine").credentials.authorization() == "Bearer mine"
    assert resolved(account, server="http://localhost:8001").server == "http://localhost:8001"


def test_a_kubeconfig_wins(account: Path) -> None:
    config = account.parent / "home" / ".kube" / "config"
    config.parent.mkdir(parents=True)
    config.write_text(
        "{current-context: a, contexts: [{name: a, context: {cluster: b}}], "
        "clusters: [{name: b, cluster: {server: 'http://elsewhere'}}]}"
    )
    assert resolved(account).server == "http://elsewhere"


@pytest.mark.parametrize("missing", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_without_its_variables_it_is_no_pod(account: Path, missing: str) -> None:
    env = {name: value for name, value in POD.items() if name != missing}
    assert resolved(account, env).server == DEFAULT_SERVER


def test_without_a_token_it_is_no_pod(account: Path) -> None:
    (account / "token").unlink()
    assert resolved(account).server == DEFAULT_SERVER
