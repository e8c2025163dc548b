"""The kinds that the sandbox serves: one table, and what a CustomResourceDefinition adds to it.

A Kind is data only: names, scope, subresources, selectable fields, the zero value (what a BOOKMARK carries) and the
printed columns with their row function. The `Registry` finds one by path or by the name that a person types.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import tables
from .encoding import Object
from .errors import generic
from .jsonpath import parse

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CRD = "customresourcedefinitions"
Fields = dict[str, tuple[str, ...]]

_METADATA_FIELDS: Fields = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
}


def _fields(*names: str) -> Fields:
    return {**_METADATA_FIELDS, **{name: tuple(name.split(".")) for name in names}}


@dataclass(frozen=True)
class Kind:
    """One resource of one group and version."""

    plural: str
    kind: str
    singular: str
    group: str = ""
    version: str = "v1"
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    fields: Fields = field(default_factory=_fields, compare=False)
    columns: tuple[tables.Column, ...] = ()
    row: tables.Row = field(default=tables.namespace_row, compare=False)
    zero: Object = field(default_factory=dict, compare=False)
    generation: bool = False
    custom: bool = False
    storage: str = ""
    renames: tuple[tuple[str, str], ...] = ()

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods`, `deployments.apps`: as messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """`Pod`, `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def store(self) -> str:
        """The name under which objects are kept; several versions and groups may share one."""
        return self.storage or self.qualified

    @property
    def list_kind(self) -> str:
        """`PodList`."""
        return f"{self.kind}List"

    @property
    def storage_hash(self) -> str:
        """`storageVersionHash` of discovery."""
        identity = f"{self.group}/{self.version}/{self.kind}"
        return base64.b64encode(hashlib.sha256(identity.encode()).digest()[:8]).decode()

    def unknown_field(self, label: str) -> str:
        """The message for a field selector that the kind doesn't support."""
        if self.custom or len(self.fields) > len(_METADATA_FIELDS):
            return f"field label not supported: {label}"
        return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'

    def present(self, item: Object) -> Object:
        """A stored object's fields under the names of this version (its kind and apiVersion aside)."""
        if not self.renames:
            return item
        names = dict(self.renames)
        return {names.get(key, key): value for key, value in item.items()}

    def absorb(self, item: Object) -> Object:
        """The opposite of `present`, for an object that a client sends."""
        names = {shown: stored for stored, shown in self.renames}
        return {names.get(key, key): value for key, value in item.items()}


_TEMPLATE: Object = {"metadata": {}, "spec": {"containers": None}}
_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)
_DAEMON_ZERO = dict.fromkeys(
    ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0
)
_EVENT_ZERO: Object = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT_FIELDS: Fields = {
    **_fields("reason", "reportingComponent", "type", *(f"involvedObject.{name}" for name in _INVOLVED)),
    "source": ("source", "component"),
}
_NEW_EVENT_FIELDS: Fields = {
    **_fields("reason", "type"),
    "reportingController": ("reportingComponent",),
    **{f"regarding.{name}": ("involvedObject", name) for name in _INVOLVED},
}
_NEW_EVENT_NAMES = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


def _workload(plural: str, kind: str, short: str, scale: bool = True, **more: Any) -> Kind:
    return Kind(
        plural,
        kind,
        kind.lower(),
        group="apps",
        short_names=(short,),
        categories=("all",),
        subresources=("scale", "status") if scale else ("status",),
        generation=True,
        **more,
    )


BUILT_IN = (
    Kind(
        "configmaps",
        "ConfigMap",
        "configmap",
        short_names=("cm",),
        columns=tables.CONFIG_MAP_COLUMNS,
        row=tables.config_map_row,
    ),
    Kind(
        "events",
        "Event",
        "event",
        short_names=("ev",),
        fields=_EVENT_FIELDS,
        columns=tables.EVENT_COLUMNS,
        row=tables.event_row,
        zero=_EVENT_ZERO,
    ),
    Kind(
        "namespaces",
        "Namespace",
        "namespace",
        short_names=("ns",),
        namespaced=False,
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
        subresources=("finalize", "status"),
        fields=_fields("status.phase"),
        columns=tables.NAMESPACE_COLUMNS,
        row=tables.namespace_row,
        zero={"spec": {}, "status": {}},
    ),
    Kind(
        "nodes",
        "Node",
        "node",
        short_names=("no",),
        namespaced=False,
        subresources=("status",),
        fields=_fields("spec.unschedulable"),
        columns=tables.NODE_COLUMNS,
        row=tables.node_row,
        zero={
            "spec": {},
            "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": dict.fromkeys(_NODE_INFO, "")},
        },
    ),
    Kind(
        "pods",
        "Pod",
        "pod",
        short_names=("po",),
        categories=("all",),
        subresources=("status",),
        generation=True,
        fields=_fields(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ),
        columns=tables.POD_COLUMNS,
        row=tables.pod_row,
        zero={"spec": {"containers": None}, "status": {}},
    ),
    Kind(
        "secrets",
        "Secret",
        "secret",
        fields=_fields("type"),
        columns=tables.SECRET_COLUMNS,
        row=tables.secret_row,
    ),
    Kind(
        "services",
        "Service",
        "service",
        short_names=("svc",),
        categories=("all",),
        subresources=("status",),
        fields=_fields("spec.clusterIP", "spec.type"),
        columns=tables.SERVICE_COLUMNS,
        row=tables.service_row,
        zero={"spec": {}, "status": {"loadBalancer": {}}},
    ),
    Kind(
        "controllerrevisions",
        "ControllerRevision",
        "controllerrevision",
        group="apps",
        columns=tables.CONTROLLER_REVISION_COLUMNS,
        row=tables.controller_revision_row,
        zero={"revision": 0},
    ),
    _workload(
        "daemonsets",
        "DaemonSet",
        "ds",
        scale=False,
        columns=tables.DAEMON_SET_COLUMNS,
        row=tables.daemon_set_row,
        zero={"spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}}, "status": _DAEMON_ZERO},
    ),
    _workload(
        "deployments",
        "Deployment",
        "deploy",
        columns=tables.DEPLOYMENT_COLUMNS,
        row=tables.deployment_row,
        zero={"spec": {"selector": None, "template": _TEMPLATE, "strategy": {}}, "status": {}},
    ),
    _workload(
        "replicasets",
        "ReplicaSet",
        "rs",
        fields=_fields("status.replicas"),
        columns=tables.REPLICA_SET_COLUMNS,
        row=tables.replica_set_row,
        zero={"spec": {"selector": None, "template": _TEMPLATE}, "status": {"replicas": 0}},
    ),
    _workload(
        "statefulsets",
        "StatefulSet",
        "sts",
        columns=tables.STATEFUL_SET_COLUMNS,
        row=tables.stateful_set_row,
        zero={
            "spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}},
            "status": {"replicas": 0, "availableReplicas": 0},
        },
    ),
    Kind(
        "events",
        "Event",
        "event",
        group="events.k8s.io",
        short_names=("ev",),
        fields=_NEW_EVENT_FIELDS,
        columns=tables.EVENT_COLUMNS,
        row=tables.event_row,
        zero=_EVENT_ZERO,
        storage="events",
        renames=_NEW_EVENT_NAMES,
    ),
    Kind(
        "jobs",
        "Job",
        "job",
        group="batch",
        categories=("all",),
        subresources=("status",),
        generation=True,
        fields=_fields("status.successful"),
        columns=tables.JOB_COLUMNS,
        row=tables.job_row,
        zero={"spec": {"template": _TEMPLATE}, "status": {}},
    ),
    Kind(
        CRD,
        "CustomResourceDefinition",
        "customresourcedefinition",
        group="apiextensions.k8s.io",
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        namespaced=False,
        subresources=("status",),
        generation=True,
        columns=tables.CRD_COLUMNS,
        row=tables.crd_row,
        zero={
            "spec": {"group": "", "names": {"plural": "", "kind": ""}, "scope": "", "versions": None},
            "status": {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None},
        },
    ),
)


def custom_kinds(definition: Object) -> list[Kind]:
    """The kinds of a CustomResourceDefinition, one a served version, the preferred one first."""
    spec = definition["spec"]
    served = [version for version in spec["versions"] if version.get("served", True)]
    served.sort(key=lambda version: not version.get("storage", False))
    return [_custom_kind(spec, version) for version in served]


def _custom_kind(spec: Object, version: Object) -> Kind:
    names = spec["names"]
    declared = version.get("additionalPrinterColumns") or list(tables.DEFAULT_CUSTOM_COLUMNS)
    selectable = [entry["jsonPath"].lstrip(".") for entry in version.get("selectableFields") or []]
    for entry in declared:
        parse(entry["jsonPath"])  # a column that can't be read is refused when it is declared
    return Kind(
        names["plural"],
        names["kind"],
        names.get("singular") or names["kind"].lower(),
        group=spec["group"],
        version=version["name"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec.get("scope", "Namespaced") == "Namespaced",
        subresources=tuple(sorted(name for name in version.get("subresources") or {} if name == "status")),
        fields=_fields(*selectable),
        columns=tables.custom_columns(declared),
        row=tables.custom_row(declared),
        generation=True,
        custom=True,
    )


class Registry:
    """Kinds by (group, version, plural), in order of registration."""

    def __init__(self, kinds: tuple[Kind, ...] = BUILT_IN) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        for kind in kinds:
            self.add(kind)

    def __iter__(self) -> Iterator[Kind]:
        return iter(tuple(self._kinds.values()))

    def add(self, kind: Kind) -> None:
        """Serve a kind, in place of one with the same path."""
        self._kinds[kind.group, kind.version, kind.plural] = kind

    def remove(self, store: str) -> None:
        """Serve a store's kinds no more."""
        self._kinds = {path: kind for path, kind in self._kinds.items() if kind.store != store}

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at a path."""
        return self._kinds.get((group, version, plural))

    def find(self, resource: str) -> Kind:
        """The kind of `pods`, `events`, `deployments.apps`; ApiError 404 where there is none."""
        for kind in self:
            if resource in (kind.plural, kind.qualified):
                return kind
        raise generic(404)

    def of(self, api_version: str, kind_name: str) -> Kind | None:
        """The kind of an object's apiVersion and kind."""
        return next((kind for kind in self if (kind.api_version, kind.kind) == (api_version, kind_name)), None)

    def groups(self) -> dict[str, dict[str, list[Kind]]]:
        """Kinds by group, then by version, the preferred version first."""
        found: dict[str, dict[str, list[Kind]]] = {}
        for kind in self:
            found.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)
        return found
