"""Credentials are never repeated, whoever repeats one: a server in a Status, a proxy, an error."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from kwatch.cluster import proxies
from kwatch.cluster.kubeconfig import Connection


def masked(text: str, connections: Iterable[Connection]) -> str:
    """`text` without the credentials of `connections`."""
    for secret in (secret for connection in connections for secret in secrets(connection)):
        text = text.replace(secret, "<redacted>")
    return text


def secrets(connection: Connection) -> list[str]:
    """The credentials as they may be repeated by a server or a proxy, longest first; what is too short is left out."""
    found = proxies.secrets(connection.proxy) + [value for _, value in connection.headers]
    found += [
        pair.partition("=")[2] for name, value in connection.headers if name == "Cookie" for pair in value.split("; ")
    ]
    for header in connection.credentials.given():
        scheme, _, value = header.partition(" ")
        found.append(value)
        if scheme == "Basic":
            found.append(base64.b64decode(value).decode(errors="replace").partition(":")[2])
    return sorted({secret for secret in found if len(secret) > 3}, key=len, reverse=True)
