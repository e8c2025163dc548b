"""Custom types for a sandbox, and how often it was asked what it serves."""

from __future__ import annotations

from typing import Any

from kwatch.sandbox import Cluster, Server


def crd(plural: str, kind: str, group: str = "example.com", **more: Any) -> dict[str, Any]:
    """A CustomResourceDefinition, as it is applied; `versions` are served, the first is stored and preferred.

    `names` are added to its names, `columns` are what it prints, `scope` is Namespaced unless given.
    """
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, **more.get("names", {})}
    each = {
        "served": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "subresources": more.get("subresources", {}),
        "additionalPrinterColumns": more.get("columns", []),
    }
    versions = [{"name": name, "storage": not index, **each} for index, name in enumerate(more.get("versions", ["v1"]))]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": more.get("scope", "Namespaced"), "names": names, "versions": versions},
    }


def install(cluster: Cluster, *definitions: dict[str, Any]) -> None:
    """Define, and make one object of each: `PLURAL-1`."""
    for definition in definitions:
        cluster.create("customresourcedefinitions", definition)
        plural = definition["spec"]["names"]["plural"]
        cluster.create(definition["metadata"]["name"], {"metadata": {"name": f"{plural}-1"}})


def asked(server: Server) -> int:
    """How many discovery requests came so far."""
    return sum(request.verb == "discovery" for request in server.requests)
