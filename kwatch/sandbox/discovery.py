"""Discovery documents of a registry of kinds: legacy, aggregated, and the little OpenAPI that kubectl asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .encoding import Object
from .kinds import Kind, Registry

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_SUBRESOURCE_VERBS = ["get", "patch", "update"]
_SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "8e16b12fda5b1dccc41a6de48b3e356cc7d5048b",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def _subresource_verbs(name: str) -> list[str]:
    return ["update"] if name == "finalize" else _SUBRESOURCE_VERBS


def _legacy_resources(kind: Kind) -> Iterator[Object]:
    entry: Object = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced}
    entry.update(kind=kind.kind, verbs=list(kind.verbs))
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    yield {**entry, "storageVersionHash": kind.storage_hash}
    for name in kind.subresources:
        subresource: Object = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        subresource.update(_SCALE if name == "scale" else {"kind": kind.kind})
        yield {**subresource, "verbs": _subresource_verbs(name)}


def api_versions(address: str) -> Object:
    """GET /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _group(name: str, versions: list[str]) -> Object:
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def api_groups(kinds: Registry) -> Object:
    """GET /apis."""
    groups = [_group(name, list(versions)) for name, versions in kinds.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(kinds: Registry, name: str) -> Object | None:
    """GET /apis/GROUP; None where there is no such group."""
    versions = kinds.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, list(versions))} if versions and name else None


def api_resources(kinds: Registry, group: str, version: str) -> Object | None:
    """GET /api/v1 and /apis/GROUP/VERSION; None where there is no such version."""
    found = kinds.groups().get(group, {}).get(version)
    if not found:
        return None
    resources = [resource for kind in found for resource in _legacy_resources(kind)]
    head: Object = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _response_kind(kind: Kind) -> Object:
    own = kind.custom
    return {"group": kind.group if own else "", "version": kind.version if own else "", "kind": kind.kind}


def _aggregated_subresource(kind: Kind, name: str) -> Object:
    shown = dict(_SCALE) if name == "scale" else _response_kind(kind)
    return {"subresource": name, "responseKind": shown, "verbs": _subresource_verbs(name)}


def _aggregated_resource(kind: Kind) -> Object:
    entry: Object = {"resource": kind.plural, "responseKind": _response_kind(kind)}
    entry["scope"] = "Namespaced" if kind.namespaced else "Cluster"
    entry.update(singularResource=kind.singular, verbs=list(kind.verbs))
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [_aggregated_subresource(kind, name) for name in kind.subresources]
    return entry


def _aggregated_version(version: str, kinds: list[Kind], freshness: str) -> Object:
    return {"version": version, "resources": [_aggregated_resource(kind) for kind in kinds], "freshness": freshness}


def aggregated(kinds: Registry, core: bool, down: Collection[str] = ()) -> Object:
    """GET /api (core) and /apis in the aggregated form; what is known of the groups that are `down` is stale."""
    items = [
        {
            "metadata": {"name": name} if name else {},
            "versions": [
                _aggregated_version(version, found, "Stale" if name in down else "Current")
                for version, found in versions.items()
            ],
        }
        for name, versions in kinds.groups().items()
        if (not name) is core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


# ------------------------------------------------------------------ OpenAPI


def _group_path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def openapi_index(kinds: Registry) -> Object:
    """GET /openapi/v3."""
    paths = [_group_path(group, version) for group, versions in kinds.groups().items() for version in versions]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=0"} for path in paths}}


def openapi(kinds: Registry, path: str) -> Object | None:
    """GET /openapi/v3/PATH: no schemas, but the write operations with `fieldValidation`, by which kubectl knows
    that the server validates; None where there is no such version."""
    group, _, version = path.removeprefix("apis/").removeprefix("api/").rpartition("/")
    found = kinds.groups().get(group, {}).get(version)
    if not found:
        return None
    paths: Object = {}
    for kind in found:
        scope = "namespaces/{namespace}/" if kind.namespaced else ""
        paths[f"/{path}/{scope}{kind.plural}/{{name}}"] = {"patch": _operation(kind)}
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}


def _operation(kind: Kind) -> Object:
    names = ("dryRun", "fieldManager", "fieldValidation")
    return {
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
