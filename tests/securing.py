"""The sandbox over TLS, with a throwaway CA and rules of who may ask, and kubeconfigs that lead to it."""

from __future__ import annotations

import base64
import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from kwatch.sandbox import Access, Cluster, Server


@contextmanager
def secured(
    authority: trustme.CA,
    access: Access,
    *,
    name: str = "127.0.0.1",
    prefix: str = "",
    clients: trustme.CA | None = None,
) -> Iterator[Server]:
    """A server with a pod `web-0`, its certificate for `name`; asks for certificates of `clients` (the same CA)."""
    cluster = Cluster(record=True)
    cluster.create("pods", {"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
    with Server(cluster, ssl_context=server_context(authority, name, clients), access=access, prefix=prefix) as server:
        yield server


def server_context(authority: trustme.CA, name: str = "127.0.0.1", clients: trustme.CA | None = None) -> ssl.SSLContext:
    """What a server needs to be trusted as `name`, and to ask clients who they are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    (clients or authority).configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def identity(authority: trustme.CA, name: str) -> tuple[bytes, bytes]:
    """(client certificate, its key) in PEM, with `name` as the common name."""
    issued = authority.issue_cert(common_name=name)
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def kubeconfig(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    """A file whose one context is current."""
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))
    return path


def plugin(path: Path, code: str) -> dict[str, Any]:
    """A user whose exec plugin is `code`, a Python program in which `give(token=…)` prints, and `n` counts the runs."""
    runs = path.with_suffix(".runs")
    runs.touch()
    path.write_text(
        f"#!{sys.executable} -SE\n{_GIVES}\nruns = pathlib.Path({str(runs)!r})\n"
        f"n = len(runs.read_text()) + 1\nruns.write_text('.' * n)\n{code}\n"
    )
    path.chmod(0o755)
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path), "interactiveMode": "Never"}
    return {"exec": command}


def runs(path: Path) -> int:
    """How often the plugin at `path` has been run."""
    return len(path.with_suffix(".runs").read_text())


_GIVES = """
import json, pathlib, sys
def give(**status):
    version = "client.authentication.k8s.io/v1"
    print(json.dumps({"kind": "ExecCredential", "apiVersion": version, "status": status}))
"""
