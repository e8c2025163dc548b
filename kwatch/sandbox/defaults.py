"""What the API server fills in when an object is stored: defaults by kind, field order, managedFields.

Default values are shared between objects: stored objects are never changed in place.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .encoding import Object, copied
from .kinds import Kind

_TOP_ORDER = ("kind", "apiVersion", "metadata", "spec", "data", "status")
_METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
_CONTAINER_ORDER = (
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "ports",
    "envFrom",
    "env",
    "resources",
    "volumeMounts",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "securityContext",
)
_POD_SPEC_ORDER = (
    "volumes",
    "initContainers",
    "containers",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "activeDeadlineSeconds",
    "dnsPolicy",
    "nodeSelector",
    "serviceAccountName",
    "serviceAccount",
    "nodeName",
    "hostNetwork",
    "securityContext",
    "imagePullSecrets",
    "affinity",
    "schedulerName",
    "tolerations",
    "priority",
    "readinessGates",
    "enableServiceLinks",
    "preemptionPolicy",
)
_POD_STATUS_ORDER = (
    "phase",
    "conditions",
    "message",
    "reason",
    "nominatedNodeName",
    "hostIP",
    "podIP",
    "podIPs",
    "startTime",
    "initContainerStatuses",
    "containerStatuses",
    "qosClass",
)
_WORKLOAD_ORDER = (
    "replicas",
    "parallelism",
    "completions",
    "backoffLimit",
    "selector",
    "manualSelector",
    "template",
    "strategy",
    "serviceName",
    "podManagementPolicy",
    "updateStrategy",
    "revisionHistoryLimit",
    "progressDeadlineSeconds",
)
_TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{condition}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for condition in ("not-ready", "unreachable")
]
_POD_SPEC: tuple[tuple[str, Any], ...] = (
    ("restartPolicy", "Always"),
    ("terminationGracePeriodSeconds", 30),
    ("dnsPolicy", "ClusterFirst"),
    ("securityContext", {}),
    ("schedulerName", "default-scheduler"),
)
_POD_ADMISSION: tuple[tuple[str, Any], ...] = (
    ("tolerations", _TOLERATIONS),
    ("priority", 0),
    ("enableServiceLinks", True),
    ("preemptionPolicy", "PreemptLowerPriority"),
)


def _fill(target: Object, values: tuple[tuple[str, Any], ...] | Object) -> Object:
    for key, value in values.items() if isinstance(values, dict) else values:
        if target.get(key) is None:
            target[key] = value
    return target


def _pull_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _pod_spec(spec: Object) -> Object:
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        _fill(
            container,
            (
                ("resources", {}),
                ("terminationMessagePath", "/dev/termination-log"),
                ("terminationMessagePolicy", "File"),
                ("imagePullPolicy", _pull_policy(container.get("image", ""))),
            ),
        )
    return _fill(spec, _POD_SPEC)


def _spec(item: Object) -> Object:
    spec: Object = item.get("spec") or {}
    item["spec"] = spec
    return spec


def _pod(item: Object) -> None:
    spec = _spec(item)
    _fill(spec, {"containers": []})
    _fill(_pod_spec(spec), _POD_ADMISSION)
    item["status"] = _fill(item.get("status") or {}, {"phase": "Pending", "qosClass": "BestEffort"})


def _template(item: Object) -> Object:
    spec = _spec(item)
    template = spec.get("template")
    if template is None:
        template = spec["template"] = {}
    _fill(template, {"metadata": {}})
    _fill(template, {"spec": {"containers": []}})
    _pod_spec(template["spec"])
    if not spec.get("selector") and (template["metadata"].get("labels")):
        spec["selector"] = {"matchLabels": dict(template["metadata"]["labels"])}
    return spec


def _deployment(item: Object) -> None:
    spec = _fill(_template(item), (("replicas", 1), ("strategy", {})))
    _fill(spec["strategy"], {"type": "RollingUpdate"})
    if spec["strategy"]["type"] == "RollingUpdate":
        _fill(spec["strategy"], {"rollingUpdate": {}})
        _fill(spec["strategy"]["rollingUpdate"], {"maxUnavailable": "25%", "maxSurge": "25%"})
    _fill(spec, (("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)))
    _fill(item, {"status": {}})


def _replica_set(item: Object) -> None:
    _fill(_template(item), {"replicas": 1})
    _fill(item, {"status": {"replicas": 0}})


def _stateful_set(item: Object) -> None:
    spec = _fill(_template(item), (("replicas", 1), ("serviceName", ""), ("podManagementPolicy", "OrderedReady")))
    _fill(spec, {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}})
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    _fill(spec, (("revisionHistoryLimit", 10), ("persistentVolumeClaimRetentionPolicy", retention)))
    _fill(item, {"status": {"replicas": 0, "availableReplicas": 0}})


def _daemon_set(item: Object) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    _fill(_template(item), (("updateStrategy", strategy), ("revisionHistoryLimit", 10)))
    counts = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    _fill(item, {"status": dict.fromkeys(counts, 0)})


def _job(item: Object) -> None:
    spec = _spec(item)
    uid, name = item["metadata"]["uid"], item["metadata"]["name"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = _fill(spec, {"template": {}})["template"]
    metadata = _fill(template, {"metadata": {}})["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    _fill(spec, {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}})
    _fill(_template(item), (("parallelism", 1), ("completions", 1), ("backoffLimit", 6)))
    _fill(spec, (("manualSelector", False), ("completionMode", "NonIndexed"), ("suspend", False)))
    _fill(spec, {"podReplacementPolicy": "TerminatingOrFailed"})
    _fill(item, {"status": {}})


def _service(item: Object) -> None:
    spec = _spec(item)
    _fill(spec, (("type", "ClusterIP"), ("sessionAffinity", "None")))
    for port in spec.get("ports") or []:
        _fill(port, (("protocol", "TCP"), ("targetPort", port.get("port"))))
    if spec["type"] != "ExternalName":
        address = _cluster_ip(item["metadata"]["uid"])
        _fill(spec, {"clusterIP": address})
        _fill(spec, {"clusterIPs": [spec["clusterIP"]], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
        _fill(spec, {"internalTrafficPolicy": "Cluster"})
    _fill(item, {"status": {"loadBalancer": {}}})


def _cluster_ip(uid: str) -> str:
    number = int(uid.replace("-", "")[:4], 16)
    return f"10.96.{number >> 8}.{number & 255}"


def _namespace(item: Object) -> None:
    metadata = item["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    _fill(item, {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})


def _node(item: Object) -> None:
    _fill(item, {"spec": {}, "status": {}})


def _secret(item: Object) -> None:
    """`stringData` is for writing alone: the server keeps it in `data`, encoded, over what is there of that name."""
    given = item.pop("stringData", None)
    if isinstance(given, dict):
        encoded = {name: base64.b64encode(str(value).encode()).decode() for name, value in given.items()}
        item["data"] = {**(item.get("data") or {}), **encoded}
    _fill(item, {"type": "Opaque"})


def _event(item: Object) -> None:
    _fill(item, {"involvedObject": {}, "source": {}, "type": "Normal"})
    for key in ("firstTimestamp", "lastTimestamp", "eventTime"):
        item.setdefault(key, None)
    _fill(item, {"reportingComponent": item["source"].get("component", ""), "reportingInstance": ""})


def _definition(item: Object) -> None:
    spec = item["spec"]
    names = _fill(
        spec["names"], {"singular": spec["names"]["kind"].lower(), "listKind": spec["names"]["kind"] + "List"}
    )
    now = item["metadata"]["creationTimestamp"]
    conditions = [
        {"type": "NamesAccepted", "status": "True", "lastTransitionTime": now, "reason": "NoConflicts"},
        {"type": "Established", "status": "True", "lastTransitionTime": now, "reason": "InitialNamesAccepted"},
    ]
    conditions[0]["message"] = "no conflicts found"
    conditions[1]["message"] = "the initial names have been accepted"
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    _fill(spec, {"conversion": {"strategy": "None"}})
    _fill(item, {"status": {"conditions": conditions, "acceptedNames": copied(names), "storedVersions": stored}})


_DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "services": _service,
    "namespaces": _namespace,
    "nodes": _node,
    "secrets": _secret,
    "events": _event,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}


def apply_defaults(kind: Kind, item: Object) -> None:
    """Fill in what the API server fills in for this kind; metadata is complete but for the resourceVersion."""
    fill = _DEFAULTS.get(kind.store)
    if fill:
        fill(item)


def _sorted_map(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _sorted_deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted_deep(value[key]) for key in sorted(value)}
    return [_sorted_deep(item) for item in value] if isinstance(value, list) else value


def _in_order(item: Object, order: tuple[str, ...]) -> Object:
    """The keys of `order` first, in it; the others after them, as they came."""
    return {**{key: item[key] for key in order if key in item}, **item}


def _ordered_pod_spec(spec: Object) -> Object:
    spec = _in_order(spec, _POD_SPEC_ORDER)
    for key in ("initContainers", "containers"):
        if spec.get(key):
            spec[key] = [_in_order(container, _CONTAINER_ORDER) for container in spec[key]]
    return spec


def _ordered_pod(item: Object) -> Object:
    return {
        **item,
        "spec": _ordered_pod_spec(item["spec"]),
        "status": _in_order(item["status"], _POD_STATUS_ORDER),
    }


def _ordered_workload(item: Object) -> Object:
    spec = _in_order(item["spec"], _WORKLOAD_ORDER)
    template = _in_order(spec["template"], ("metadata", "spec"))
    spec["template"] = {**template, "spec": _ordered_pod_spec(template["spec"])}
    return {**item, "spec": spec}


_ORDERED: dict[str, Callable[[Object], Object]] = {
    "pods": _ordered_pod,
    **dict.fromkeys(
        ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch"),
        _ordered_workload,
    ),
}


def ordered(kind: Kind, item: Object) -> Object:
    """The object with its fields in the order in which the server writes them.

    Typed objects have the order of their Go structs, maps sorted; custom resources are maps all the way down.
    """
    metadata = item["metadata"]
    if kind.custom:
        result: Object = _sorted_deep(item)
        return result
    shown = {key: metadata[key] for key in _METADATA_ORDER if metadata.get(key) not in (None, {}, [])}
    for key in ("labels", "annotations"):
        if key in shown:
            shown[key] = _sorted_map(shown[key])
    result = {key: item[key] for key in _TOP_ORDER if key in item}
    result["metadata"] = shown
    for key in ("data", "binaryData"):
        if key in result:
            result[key] = _sorted_map(result[key])
    result.update((key, value) for key, value in item.items() if key not in result)
    arrange = _ORDERED.get(kind.store)
    return arrange(result) if arrange else result


@lru_cache(maxsize=1024)
def _fields_of(
    metadata: tuple[tuple[str, tuple[str, ...]], ...], rest: tuple[tuple[str, tuple[str, ...]], ...]
) -> Object:
    fields: Object = {}
    if metadata:
        fields["f:metadata"] = {
            f"f:{key}": {".": {}, **{f"f:{name}": {} for name in names}} if names else {} for key, names in metadata
        }
    for key, names in rest:
        fields[f"f:{key}"] = {f"f:{name}": {} for name in names}
    return fields


def _names(value: Any) -> tuple[str, ...]:
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _owned_fields(item: Object, subresource: str) -> Object:
    if subresource:
        return _fields_of((), ((subresource, _names(item.get(subresource))),))
    metadata = item["metadata"]
    shown = [(key, _names(metadata[key])) for key in ("annotations", "generateName", "labels") if metadata.get(key)]
    skipped = ("kind", "apiVersion", "metadata", "status")
    return _fields_of(tuple(shown), tuple((key, _names(value)) for key, value in item.items() if key not in skipped))


def managed_fields(kind: Kind, item: Object, manager: str, stamp: str, subresource: str = "") -> list[Object]:
    """The object's managedFields after a write: one entry a manager and subresource, the latest last."""
    kept = [
        entry
        for entry in item["metadata"].get("managedFields") or []
        if (entry.get("manager"), entry.get("subresource", "")) != (manager, subresource)
    ]
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": kind.api_version,
        "time": stamp,
        "fieldsType": "FieldsV1",
        "fieldsV1": _owned_fields(item, subresource),
    }
    return [*kept, {**entry, "subresource": subresource} if subresource else entry]
