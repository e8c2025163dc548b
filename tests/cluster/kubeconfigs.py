"""Kubeconfigs in a private folder, and how a failure must look: what the tests of this folder share."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.errors import ConfigError

CANARY = "c4n4ryS3cret"


def pem(kind: str, text: str = "x") -> str:
    body = base64.b64encode(text.encode()).decode()
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(cluster: Any = None, user: Any = None, context: Any = None, **rest: Any) -> str:
    """One context `dev` of cluster `c` and user `u`, as JSON, which is YAML."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "clusters": [{"name": "c", "cluster": {"server": "https://c.example:6443"} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"} | (context or {})}],
    }
    return json.dumps(document | rest)


class Place:
    """A home folder, and `resolve` with it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def default(self, content: str | bytes) -> Path:
        return self.write(".kube/config", content)

    def resolve(self, env: Mapping[str, str] | None = None, **options: Any) -> Connection:
        return resolve(ConnectionOptions(**options), env or {}, self.home)

    def failure(self, env: Mapping[str, str] | None = None, **options: Any) -> str:
        """The error's text, the folder written as ~: one line, no secret in it nor in what a traceback shows."""
        with pytest.raises(ConfigError) as caught:
            self.resolve(env, **options)
        return checked(caught.value).replace(str(self.home), "~")


def checked(error: ConfigError) -> str:
    text = str(error)
    assert error.exit_code == 1
    assert text
    assert "\n" not in text
    assert CANARY not in text
    assert CANARY not in "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text
