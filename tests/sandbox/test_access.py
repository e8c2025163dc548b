"""Who may ask: the server's rules, and what it notes of a client over TLS."""

from __future__ import annotations

import base64

import pytest
import trustme
from securing import identity, server_context

from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import Unauthorized
from kwatch.sandbox import Access, Cluster, Request, Server
from kwatch.transport import Transport


def asks(subject: str = "", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", "/api", {}, named, subject=subject)


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


EITHER = Access(tokens=["t"], logins=["me:pw"], subjects=["me"])
BESIDES = Access(tokens=["t"], headers={"X-A": "1"}, cookies={"c": "2"})


@pytest.mark.parametrize(
    ("access", "request_", "admitted"),
    [
        (Access(), asks(), True),
        (Access(), asks(authorization="Bearer whatever"), True),
        (EITHER, asks(), False),
        (EITHER, asks(authorization="Bearer t"), True),
        (EITHER, asks(authorization="Bearer u"), False),
        (EITHER, asks(authorization="t"), False),
        (EITHER, asks(authorization=basic("me:pw")), True),
        (EITHER, asks(authorization=basic("me:no")), False),
        (EITHER, asks("me"), True),
        (EITHER, asks("you"), False),
        (BESIDES, asks(authorization="Bearer t", x_a="1", cookie="d=3; c=2"), True),
        (BESIDES, asks(authorization="Bearer t", x_a="1", cookie="c=3"), False),
        (BESIDES, asks(authorization="Bearer t", x_a="2", cookie="c=2"), False),
        (BESIDES, asks(x_a="1", cookie="c=2"), False),
        (Access(headers={"X-A": "1"}), asks(x_a="1"), True),
    ],
)
def test_any_credential_is_enough_but_every_header_and_cookie_must_be_there(
    access: Access, request_: Request, admitted: bool
) -> None:
    assert access.admits(request_) is admitted


def test_tokens_come_expire_and_are_revoked() -> None:
    access = Access(tokens=["first"])
    access.grant("short", seconds=0)
    access.grant("second")
    access.revoke("first")
    admitted = {token: access.admits(asks(authorization=f"Bearer {token}")) for token in ("first", "short", "second")}
    assert admitted == {"first": False, "short": False, "second": True}


def test_the_servers_log_has_the_name_asked_for_and_the_clients_certificate() -> None:
    authority = trustme.CA()
    certificate, key = identity(authority, "me")
    ca = authority.cert_pem.bytes()
    with Server(
        Cluster(), ssl_context=server_context(authority, "a.example"), access=Access(subjects=["me"])
    ) as server:
        for given in ((certificate, key), (b"", b"")):
            connection = Connection(
                server.url, ca=ca, client_certificate=given[0], client_key=given[1], tls_server_name="a.example"
            )
            transport = Transport(connection)
            if given[0]:
                transport.get("/version", "application/json")
            else:
                with pytest.raises(Unauthorized):
                    transport.get("/version", "application/json")
            transport.close()
        assert [(request.server_name, request.subject) for request in server.requests] == [
            ("a.example", "me"),
            ("a.example", ""),
        ]
