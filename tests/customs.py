"""Custom types for a sandbox, and how often it was asked what it serves."""

from __future__ import annotations

from typing import Any

from kwatch.sandbox import Cluster, Server


def crd(plural: str, kind: str, group: str = "example.com", **more: Any) -> dict[str, Any]:
    """A CustomResourceDefinition; `versions` are served, the first is stored and preferred."""
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, **more.get("names", {})}
    versions = [
        {"name": name, "served": True, "storage": not index, "schema": {"openAPIV3Schema": {"type": "object"}}}
        for index, name in enumerate(more.get("versions", ["v1"]))
    ]
    spec = {"group": group, "scope": more.get("scope", "Namespaced"), "names": names, "versions": versions}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}


def install(cluster: Cluster, *definitions: dict[str, Any]) -> None:
    """Define, and make one object of each: `PLURAL-1`."""
    for definition in definitions:
        cluster.create("customresourcedefinitions", definition)
        plural = definition["spec"]["names"]["plural"]
        cluster.create(definition["metadata"]["name"], {"metadata": {"name": f"{plural}-1"}})


def asked(server: Server) -> int:
    """How many discovery requests came so far."""
    return sum(request.verb == "discovery" for request in server.requests)
