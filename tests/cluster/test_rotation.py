"""Credentials that change while a watch runs: the next connection uses the new ones, and no event is lost over it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from polling import eventually
from securing import identity, kubeconfig, plugin, runs, secured, server_context
from watching import Impatient, changes, notices, watched

from kwatch.cluster.credentials import TokenFile
from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.errors import ConfigError
from kwatch.model import Connected, Signal
from kwatch.sandbox import Access, Cluster, Server
from kwatch.transport import Transport

ROUNDS = 3


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def followed(server: Server, connection: Connection, rotate: Callable[[int], None]) -> list[Signal]:
    """Watch over ROUNDS rotations, each amid changes and a cut of all connections; all that the watch handed on."""
    cluster, rounds = server.cluster, 0

    def until(signals: list[Signal]) -> bool:
        nonlocal rounds
        assert len(notices(signals)) < 20
        connections = sum(isinstance(signal, Connected) for signal in signals)
        if connections > rounds and rounds < ROUNDS:
            rounds += 1
            change(cluster, f"before-{rounds}")
            rotate(rounds)
            change(cluster, f"amid-{rounds}")
            server.disconnect()
            change(cluster, f"after-{rounds}")
        return bool(changes(signals)) and changes(signals)[-1][1] == f"after-{ROUNDS}"

    return watched(connection, until)


def change(cluster: Cluster, name: str) -> None:
    cluster.create("configmaps", {"metadata": {"name": name}})


def assert_nothing_lost(server: Server, signals: list[Signal]) -> None:
    history = [(kind, one["metadata"]["name"], one["metadata"]["resourceVersion"]) for kind, one in happened(server)]
    assert len(history) == 3 * ROUNDS
    assert [one[:3] for one in changes(signals)] == history


def happened(server: Server) -> list[tuple[str, dict[str, Any]]]:
    return server.cluster.history("configmaps")


def connected(server: Server, authority: trustme.CA, folder: Path, user: dict[str, Any]) -> Connection:
    (folder / "ca").write_bytes(authority.cert_pem.bytes())
    cluster = {"server": server.url, "certificate-authority": "ca"}
    return resolve(ConnectionOptions(), {"KUBECONFIG": str(kubeconfig(folder / "config", cluster, user))})


# Tokens


def renewed(access: Access, number: int) -> str:
    """The token that is taken from now on, in place of the one before."""
    access.revoke(f"token-{number - 1}")
    access.grant(f"token-{number}")
    return f"token-{number}"


def test_a_token_file_that_rotates(authority: trustme.CA, tmp_path: Path) -> None:
    access, token = Access(tokens=["token-0"]), tmp_path / "token"
    token.write_text("token-0")
    with secured(authority, access) as server:
        connection = connected(server, authority, tmp_path, {"tokenFile": str(token)})
        signals = followed(server, connection, lambda number: void(token.write_text(renewed(access, number))))
        assert_nothing_lost(server, signals)
        assert sent_tokens(server) == [f"token-{number}" for number in range(ROUNDS + 1)]


def test_a_service_accounts_token_and_ca_that_rotate(authority: trustme.CA, tmp_path: Path) -> None:
    access, token = Access(tokens=["token-0"]), tmp_path / "token"
    token.write_text("token-0")
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    with secured(authority, access) as server:
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        connection = resolve(ConnectionOptions(), env, tmp_path / "home", tmp_path)
        signals = followed(server, connection, lambda number: void(token.write_text(renewed(access, number))))
        assert_nothing_lost(server, signals)


def test_a_plugin_whose_tokens_live_shortly(authority: trustme.CA, tmp_path: Path) -> None:
    """As a cloud's: each token with the time at which it ends, each run another token."""
    access = Access(tokens=["token-1"])
    soon = "(datetime.now(timezone.utc) + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')"
    code = f"from datetime import *\ngive(token=f'token-{{n}}', expirationTimestamp={soon})"
    with secured(authority, access) as server:
        connection = connected(server, authority, tmp_path, plugin(tmp_path / "login", code))
        signals = followed(server, connection, lambda number: void(renewed(access, number + 1)))
        assert_nothing_lost(server, signals)
        assert sent_tokens(server) == [f"token-{number}" for number in range(1, ROUNDS + 2)]
        assert runs(tmp_path / "login") == ROUNDS + 1  # a 401 each, and a run each


def test_a_plugins_token_that_has_expired_is_not_even_tried(authority: trustme.CA, tmp_path: Path) -> None:
    code = "give(token=f'token-{n}', expirationTimestamp='2020-01-01T00:00:00Z')"
    with secured(authority, Access(tokens=[f"token-{number}" for number in range(20)])) as server:
        connection = connected(server, authority, tmp_path, plugin(tmp_path / "login", code))
        signals = followed(server, connection, lambda _: None)
        assert_nothing_lost(server, signals)
        assert runs(tmp_path / "login") == len(server.requests) + 1  # one at the start, one before each request
        assert len(sent_tokens(server)) == len(server.requests)


def sent_tokens(server: Server) -> list[str]:
    """Each token that was sent, once."""
    return list(dict.fromkeys(request.headers["authorization"].removeprefix("Bearer ") for request in server.requests))


def void(_: object) -> None:
    """For a lambda that is to give nothing."""


# Plugins that fail


@pytest.mark.parametrize(
    "trouble", ["sys.exit('the login service is down')", "print('{')", "give()", "give(clientKeyData='x')"]
)
def test_a_plugin_that_fails_amid_a_watch_is_announced_and_run_again(
    trouble: str, authority: trustme.CA, tmp_path: Path
) -> None:
    access, clock = Access(tokens=["token-1"]), Impatient()
    code = f"if n in (2, 3):\n    {trouble}\n    sys.exit(0)\ngive(token=f'token-{{n}}')"
    with secured(authority, access) as server:
        connection = connected(server, authority, tmp_path, plugin(tmp_path / "login", code))

        def until(signals: list[Signal]) -> bool:
            if "before" not in {name for _, name, *_ in changes(signals)}:
                if any(isinstance(signal, Connected) for signal in signals) and not happened(server):
                    change(server.cluster, "before")
                return False
            if len(happened(server)) == 1:
                access.revoke("token-1")
                access.grant("token-4")
                server.disconnect()
                change(server.cluster, "after")
            return changes(signals)[-1][1] == "after"

        signals = watched(connection, until, clock=clock)
    assert [name for _, name, *_ in changes(signals)] == ["before", "after"]
    told = [text for text in notices(signals) if "the credentials can't be had" in text]
    assert len(told) == 2
    assert all("the exec plugin" in text and "; resuming in " in text for text in told)
    assert clock.pauses[-2] >= 0.8
    assert clock.pauses[-1] >= 1.6
    assert runs(tmp_path / "login") == 4


def test_a_plugin_that_fails_at_the_start_is_an_error(authority: trustme.CA, tmp_path: Path) -> None:
    with secured(authority, Access(tokens=["t"])) as server, pytest.raises(ConfigError, match="is down"):
        connected(server, authority, tmp_path, plugin(tmp_path / "login", "sys.exit('the login service is down')"))


# Certificates


def test_client_certificate_and_key_files_that_rotate(authority: trustme.CA, tmp_path: Path) -> None:
    both = tmp_path / "cert", tmp_path / "key"

    def rotate(number: int) -> None:
        for path, content in zip(both, identity(authority, f"me-{number}"), strict=True):
            path.write_bytes(content)

    rotate(0)
    with secured(authority, Access(subjects=[f"me-{number}" for number in range(ROUNDS + 1)])) as server:
        user = {"client-certificate": str(both[0]), "client-key": str(both[1])}
        connection = connected(server, authority, tmp_path, user)
        signals = followed(server, connection, rotate)
        assert_nothing_lost(server, signals)
        assert subjects(server) == [f"me-{number}" for number in range(ROUNDS + 1)]


def test_a_plugin_that_gives_another_certificate_each_time(authority: trustme.CA, tmp_path: Path) -> None:
    given = [[part.decode() for part in identity(authority, f"me-{number}")] for number in range(ROUNDS + 2)]
    code = (
        f"certificate, key = {json.dumps(given)}[n - 1]\n"
        "give(clientCertificateData=certificate, clientKeyData=key, token=f'token-{n}')"
    )
    access = Access(tokens=["token-1"])
    with secured(authority, access) as server:
        connection = connected(server, authority, tmp_path, plugin(tmp_path / "login", code))
        signals = followed(server, connection, lambda number: void(renewed(access, number + 1)))
        assert_nothing_lost(server, signals)
        assert subjects(server) == [f"me-{number}" for number in range(ROUNDS + 1)]


def subjects(server: Server) -> list[str]:
    """Each client certificate that was presented, once, by its name."""
    return list(dict.fromkeys(request.subject for request in server.requests))


def test_a_kept_connection_is_not_used_with_an_old_certificate(authority: trustme.CA, tmp_path: Path) -> None:
    both = tmp_path / "cert", tmp_path / "key"
    with secured(authority, Access(subjects=["me-0", "me-1"])) as server:
        for number in range(2):
            for path, content in zip(both, identity(authority, f"me-{number}"), strict=True):
                path.write_bytes(content)
            if not number:
                user = {"client-certificate": str(both[0]), "client-key": str(both[1])}
                transport = Transport(connected(server, authority, tmp_path, user))
            transport.get("/version", "application/json")
            transport.get("/version", "application/json")
        assert [request.subject for request in server.requests] == ["me-0", "me-0", "me-1", "me-1"]
        eventually(lambda: server.connections == 1)  # the old one is closed
        transport.close()


@pytest.mark.parametrize(("name", "content"), [("key", None), ("key", b"half"), ("cert", b"half"), ("ca", b"half")])
def test_what_is_half_written_leaves_the_last_good_one_in_use_and_says_so_once(
    name: str, content: bytes | None, authority: trustme.CA, tmp_path: Path
) -> None:
    for path, part in zip(("cert", "key"), identity(authority, "me"), strict=True):
        (tmp_path / path).write_bytes(part)
    with secured(authority, Access(subjects=["me"])) as server:
        user = {"client-certificate": "cert", "client-key": "key"}
        connection = connected(server, authority, tmp_path, user)

        def rotate(_: int) -> None:
            if content is None:
                (tmp_path / name).unlink(missing_ok=True)
            else:
                (tmp_path / name).write_bytes(content)

        signals = followed(server, connection, rotate)
        assert_nothing_lost(server, signals)
        assert subjects(server) == ["me"]
    told = [text for text in notices(signals) if "what was there before stays in use" in text]
    assert len(told) == 1
    assert str(tmp_path / name) in told[0]


def test_a_ca_that_is_replaced_is_trusted_at_the_next_connection(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    access = Access(tokens=["t"])
    cluster = Cluster(record=True)
    with Server(cluster, ssl_context=server_context(first), access=access) as server:
        connection = connected(server, first, tmp_path, {"token": "t"})
        port = server.port
        transport = Transport(connection)
        transport.get("/version", "application/json")
    with Server(cluster, port, server_context(second), access=access):
        (tmp_path / "ca").write_bytes(second.cert_pem.bytes())
        transport.get("/version", "application/json")
        transport.close()


def test_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    now = [0.0]
    credentials = TokenFile(tmp_path / "token", "fallback", lambda: now[0])
    (tmp_path / "token").unlink()
    (tmp_path / "token").write_text("once")
    assert credentials.authorization() == "Bearer once"
    (tmp_path / "token").unlink()
    os.mkfifo(tmp_path / "token")
    now[0] = 1000.0
    assert credentials.authorization() == "Bearer once"
