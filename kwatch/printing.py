"""Table rows made of whole objects, for recordings, which have no server to ask for its table. Pure.

A row a kind for those that people look at most, with the server's own columns and cells (kubernetes
pkg/printers/internalversion); every other kind, a custom resource's too, is NAME and AGE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from kwatch.columns import NONE, age
from kwatch.model import Column, Row

Object = Mapping[str, Any]
Cells = list[Any]


class Printer(NamedTuple):
    """The columns of a kind, and the cells of an object in them as they were at a moment."""

    columns: tuple[Column, ...]
    cells: Callable[[Object, datetime], Cells]


def row(value: Object, now: datetime, document: Any = None) -> Row:
    """The row of an object as it would be printed `now`. Parts that aren't as the API has them are taken as absent."""
    metadata = _part(value, "metadata")
    created = str(metadata.get("creationTimestamp") or "")
    name = str(metadata.get("name") or "")
    printer = PRINTERS.get((_group(value), str(value.get("kind") or "")), _PLAIN)
    try:
        cells = printer.cells(value, now)
    except (AttributeError, KeyError, TypeError, ValueError):  # no object of the API's, whatever it calls itself
        printer, cells = _PLAIN, []
    cells = [name if column.format == "name" else cell for column, cell in _beside(printer, cells)]
    return Row(printer.columns, tuple(cells), created, _part(metadata, "labels"), document)


def _beside(printer: Printer, cells: Cells) -> list[tuple[Column, Any]]:
    """The cells beside their columns; NAME and AGE are filled in by others."""
    given = iter(cells)
    return [(one, "" if one.format == "name" or one.name == "Age" else next(given, "")) for one in printer.columns]


def _group(value: Object) -> str:
    group, slash, _ = str(value.get("apiVersion") or "").partition("/")
    return group if slash else ""


def _part(value: Object, *path: str) -> dict[str, Any]:
    found: Any = value
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}


def _list(value: Object, *path: str) -> list[Any]:
    found = _part(value, *path[:-1]).get(path[-1])
    return found if isinstance(found, list) else []


def _count(value: Object, *path: str) -> int:
    return int(_part(value, *path[:-1]).get(path[-1]) or 0)


def _joined(parts: list[str]) -> str:
    return ",".join(parts) or NONE


def _pairs(labels: Mapping[str, Any]) -> list[str]:
    return [f"{key}={labels[key]}" for key in sorted(labels)]


def _holds(value: Object, condition: str) -> bool:
    return any(one.get("type") == condition and one.get("status") == "True" for one in _conditions(value))


def _conditions(value: Object) -> list[Any]:
    return _list(value, "status", "conditions")


# Pods


class _Containers(NamedTuple):
    """What the statuses of some containers say: why they wait or ended, how many are ready, their restarts."""

    reason: str = ""
    ready: int = 0
    restarts: int = 0
    last: str = ""
    running: bool = False


def _pod(pod: Object, now: datetime) -> Cells:
    status, spec = _part(pod, "status"), _part(pod, "spec")
    sidecars = [one["name"] for one in _list(spec, "initContainers") if one.get("restartPolicy") == "Always"]
    starting = _starting(pod, sidecars)
    phase = str(status.get("phase") or "")
    reason = starting.reason or str(status.get("reason") or phase)
    ready, restarts, last = starting.ready, starting.restarts, starting.last
    if any(one.get("reason") == "SchedulingGated" for one in _conditions(pod)):
        reason = starting.reason or "SchedulingGated"
    if not starting.reason or _holds(pod, "Initialized"):
        main = _running(pod)
        beside = [one for one in _list(status, "initContainerStatuses") if one.get("name") in sidecars]
        restarts, last = main.restarts + sum(map(_restarts, beside)), max([main.last, *map(_last, beside)])
        ready += main.ready
        reason = main.reason or reason
        if reason == "Completed" and main.running:
            reason = "Running" if _holds(pod, "Ready") else "NotReady"
    if _part(pod, "metadata").get("deletionTimestamp"):
        reason = _leaving(reason, status, phase)
    ips, gates = _list(status, "podIPs"), _list(spec, "readinessGates")
    return [
        f"{ready}/{len(_list(spec, 'containers')) + len(sidecars)}",
        reason,
        f"{restarts} ({age(last, now)} ago)" if restarts and last else str(restarts),
        ips[0]["ip"] if ips else status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{sum(_holds(pod, gate['conditionType']) for gate in gates)}/{len(gates)}" if gates else NONE,
    ]


def _leaving(reason: str, status: Object, phase: str) -> str:
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if phase in ("Succeeded", "Failed") else "Terminating"


def _starting(pod: Object, sidecars: list[str]) -> _Containers:
    """The init containers up to the first that isn't done, whose reason it is."""
    ready, restarts, last = 0, 0, ""
    total = len(_list(pod, "spec", "initContainers"))
    for index, status in enumerate(_list(pod, "status", "initContainerStatuses")):
        restarts, last = restarts + _restarts(status), max(last, _last(status))
        state = _part(status, "state")
        if "terminated" in state and not _count(state, "terminated", "exitCode"):
            continue
        if status.get("name") in sidecars and status.get("started"):
            ready += bool(status.get("ready"))
            continue
        waiting = _part(state, "waiting").get("reason")
        if "terminated" in state:
            reason = _ended(state["terminated"])
        else:
            reason = str(waiting) if waiting and waiting != "PodInitializing" else f"{index}/{total}"
        return _Containers(f"Init:{reason}", ready, restarts, last)
    return _Containers("", ready, restarts, last)


def _running(pod: Object) -> _Containers:
    reason, ready, running = "", 0, False
    statuses = _list(pod, "status", "containerStatuses")
    for status in reversed(statuses):
        state = _part(status, "state")
        if waiting := _part(state, "waiting").get("reason"):
            reason = str(waiting)
        elif "terminated" in state:
            reason = _ended(state["terminated"])
        elif status.get("ready") and "running" in state:
            running, ready = True, ready + 1
    last = max(map(_last, statuses), default="")
    return _Containers(reason, ready, sum(map(_restarts, statuses)), last, running)


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return (
        f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{_count(terminated, 'exitCode')}"
    )


def _restarts(status: Object) -> int:
    return _count(status, "restartCount")


def _last(status: Object) -> str:
    return str(_part(status, "lastState", "terminated").get("finishedAt") or "")


# Workloads


def _template(value: Object) -> Cells:
    containers = _list(value, "spec", "template", "spec", "containers")
    names = ",".join(str(one.get("name", "")) for one in containers)
    return [names, ",".join(str(one.get("image", "")) for one in containers)]


_EXPRESSIONS = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}


def _selector(value: Object) -> str:
    terms = _pairs(_part(value, "spec", "selector", "matchLabels"))
    for one in _list(value, "spec", "selector", "matchExpressions"):
        values = ",".join(sorted(one.get("values") or ()))
        terms.append(_EXPRESSIONS[one["operator"]].format(one["key"], values))
    return _joined(terms)


def _of_replicas(value: Object) -> str:
    return f"{_count(value, 'status', 'readyReplicas')}/{_count(value, 'spec', 'replicas')}"


def _deployment(value: Object, now: datetime) -> Cells:
    counts = [_count(value, "status", name) for name in ("updatedReplicas", "availableReplicas")]
    return [_of_replicas(value), *counts, *_template(value), _selector(value)]


def _replica_set(value: Object, now: datetime) -> Cells:
    counts = [_count(value, "status", name) for name in ("replicas", "readyReplicas")]
    return [_count(value, "spec", "replicas"), *counts, *_template(value), _selector(value)]


def _stateful_set(value: Object, now: datetime) -> Cells:
    return [_of_replicas(value), *_template(value)]


_DAEMONS = (
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
)


def _daemon_set(value: Object, now: datetime) -> Cells:
    nodes = _part(value, "spec", "template", "spec", "nodeSelector")
    counts = [_count(value, "status", name) for name in _DAEMONS]
    return [*counts, _joined(_pairs(nodes)), *_template(value), _selector(value)]


_JOB_STATES = ("Complete", "Failed")
_JOB_TURNS = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _job(value: Object, now: datetime) -> Cells:
    ended = [name for name in _JOB_STATES if _holds(value, name)]
    leaving = ["Terminating"] if _part(value, "metadata").get("deletionTimestamp") else []
    state = next(iter([*ended, *leaving, *(name for name in _JOB_TURNS if _holds(value, name))]), "Running")
    spec, done = _part(value, "spec"), _count(value, "status", "succeeded")
    parallel = f" of {spec['parallelism']}" if _count(spec, "parallelism") > 1 else ""
    completions = f"{done}/{spec['completions']}" if spec.get("completions") is not None else f"{done}/1{parallel}"
    status = _part(value, "status")
    until = _moment(status["completionTime"]) if status.get("completionTime") else now
    lasted = age(str(status["startTime"]), until) if status.get("startTime") else ""
    return [state, completions, lasted, *_template(value), _selector(value)]


# The rest


def _service(value: Object, now: datetime) -> Cells:
    spec = _part(value, "spec")
    ports = [
        f"{one.get('port', 0)}{':' + str(one['nodePort']) if one.get('nodePort') else ''}/{one.get('protocol', 'TCP')}"
        for one in _list(spec, "ports")
    ]
    cluster_ip = spec.get("clusterIP") or NONE
    return [
        spec.get("type", ""),
        cluster_ip,
        _external(value),
        _joined(ports),
        _joined(_pairs(_part(spec, "selector"))),
    ]


def _external(service: Object) -> str:
    spec = _part(service, "spec")
    addresses = [str(one) for one in _list(spec, "externalIPs")]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        ingress = _list(service, "status", "loadBalancer", "ingress")
        return ",".join([str(one.get("ip") or one.get("hostname", "")) for one in ingress] + addresses) or "<pending>"
    return _joined(addresses)


_ROLE = "node-role.kubernetes.io/"


def _node(value: Object, now: datetime) -> Cells:
    ready = ["Ready" if one.get("status") == "True" else "NotReady" for one in _conditions(value) if _is_ready(one)]
    cordoned = ["SchedulingDisabled"] if _part(value, "spec").get("unschedulable") else []
    labels, info = _part(value, "metadata", "labels"), _part(value, "status", "nodeInfo")
    roles = {key[len(_ROLE) :] for key in labels if key.startswith(_ROLE)} - {""}
    roles |= {labels["kubernetes.io/role"]} if labels.get("kubernetes.io/role") else set()
    addresses = {one["type"]: one["address"] for one in reversed(_list(value, "status", "addresses"))}
    kernel = str(info.get("kernelVersion") or "<unknown>")
    return [
        ",".join((ready or ["Unknown"]) + cordoned),
        _joined(sorted(roles)),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or "<unknown>",
        f"{kernel} ({info['architecture']})" if info.get("architecture") else kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _is_ready(condition: Object) -> bool:
    return condition.get("type") == "Ready"


def _config_map(value: Object, now: datetime) -> Cells:
    return [len(_part(value, "data")) + len(_part(value, "binaryData"))]


def _secret(value: Object, now: datetime) -> Cells:
    return [value.get("type", ""), len(_part(value, "data"))]


def _namespace(value: Object, now: datetime) -> Cells:
    return [_part(value, "status").get("phase", "")]


def _event(value: Object, now: datetime) -> Cells:
    about, series = _part(value, "involvedObject"), _part(value, "series")
    first = str(value.get("firstTimestamp") or value.get("eventTime") or "")
    last = str(series.get("lastObservedTime") or value.get("lastTimestamp") or first)
    kind, name = str(about.get("kind", "")).lower(), str(about.get("name", ""))
    subject = f"{kind}/{name}" if name else kind
    return [
        _age(last, now),
        value.get("type", ""),
        value.get("reason", ""),
        subject,
        str(value.get("message", "")).strip(),
    ]


def _age(stamp: str, now: datetime) -> str:
    return age(f"{stamp.partition('.')[0].rstrip('Z')}Z", now)


def _nothing(value: Object, now: datetime) -> Cells:
    return []


def _moment(stamp: Any) -> datetime:
    return datetime.strptime(str(stamp), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


_NAME, _AGE = Column("Name", format="name"), Column("Age")


def _columns(*names: str, wide: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """The name, then these; `#` before one says that it holds integers."""
    shown = [Column(name.lstrip("#"), "integer" if name.startswith("#") else "string") for name in names]
    return (_NAME, *(_AGE if one.name == "Age" else one for one in shown), *(Column(name, priority=1) for name in wide))


_WORKLOAD = ("Containers", "Images", "Selector")
_PLAIN = Printer(_columns("Age"), _nothing)
PRINTERS: dict[tuple[str, str], Printer] = {
    ("", "Pod"): Printer(
        _columns("Ready", "Status", "Restarts", "Age", wide=("IP", "Node", "Nominated Node", "Readiness Gates")), _pod
    ),
    ("apps", "Deployment"): Printer(_columns("Ready", "Up-to-date", "Available", "Age", wide=_WORKLOAD), _deployment),
    ("apps", "ReplicaSet"): Printer(_columns("#Desired", "#Current", "#Ready", "Age", wide=_WORKLOAD), _replica_set),
    ("apps", "StatefulSet"): Printer(_columns("Ready", "Age", wide=_WORKLOAD[:2]), _stateful_set),
    ("apps", "DaemonSet"): Printer(
        _columns("#Desired", "#Current", "#Ready", "#Up-to-date", "#Available", "Node Selector", "Age", wide=_WORKLOAD),
        _daemon_set,
    ),
    ("batch", "Job"): Printer(_columns("Status", "Completions", "Duration", "Age", wide=_WORKLOAD), _job),
    ("", "Service"): Printer(
        _columns("Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",)), _service
    ),
    ("", "Node"): Printer(
        _columns(
            "Status",
            "Roles",
            "Age",
            "Version",
            wide=("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
        ),
        _node,
    ),
    ("", "ConfigMap"): Printer(_columns("Data", "Age"), _config_map),
    ("", "Secret"): Printer(_columns("Type", "Data", "Age"), _secret),
    ("", "Namespace"): Printer(_columns("Status", "Age"), _namespace),
    ("", "Event"): Printer(
        tuple(Column(name) for name in ("Last Seen", "Type", "Reason", "Object", "Message")), _event
    ),
}
"""By group and kind."""
