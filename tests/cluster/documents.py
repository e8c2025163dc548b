"""Discovery documents as a test writes them, and a server that answers with them."""

from __future__ import annotations

import json
from typing import Any

from kwatch.errors import NotFound

LEGACY_API = {"kind": "APIVersions", "versions": ["v1"]}


class Server:
    """Answers by path, and remembers what it was asked. An exception among the answers is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"/" + path.replace("__", "/"): answer for path, answer in answers.items()}
        self.asked: list[tuple[str, str]] = []

    def __call__(self, path: str, accept: str) -> bytes:
        self.asked.append((path, accept))
        answer = self.answers.get(path, NotFound(f"{path} isn't there", code=404))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def resource(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["list", "watch"], **more}


def aggregated(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": list(groups)}


def group(name: str, **versions: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "versions": [{"version": version, **content} for version, content in versions.items()],
    }


def entry(plural: str, kind: str, **more: Any) -> dict[str, Any]:
    responds = {"responseKind": {"group": "", "version": "", "kind": kind}} if kind else {}
    return {"resource": plural, **responds, "scope": "Namespaced", "verbs": ["watch"], **more}
