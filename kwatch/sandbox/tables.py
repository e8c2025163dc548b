"""Columns and cells as the API server prints them, a pair a kind; ages in kubectl's HumanDuration form.

A row function takes (object, now) and copes with an empty object: that is the row of a Table BOOKMARK.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .encoding import Object, lookup
from .jsonpath import find

NONE = "<none>"
UNKNOWN = "<unknown>"
Cells = list[Any]
Row = Callable[[Object, float], Cells]


@dataclass(frozen=True)
class Column:
    """A column definition; priority 1 is for `-o wide`."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""

    def definition(self) -> Object:
        """The object of `columnDefinitions`."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


NAME = Column("Name", format="name")
AGE = Column("Age")


def columns(*names: str | Column, wide: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Columns of strings, after the name; those in `wide` have priority 1."""
    shown = tuple(name if isinstance(name, Column) else Column(name) for name in names)
    return (NAME, *shown, *(Column(name, priority=1) for name in wide))


def integer(name: str) -> Column:
    """A column of type integer."""
    return Column(name, type="integer")


# ------------------------------------------------------------------ time


@lru_cache(maxsize=4096)
def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC, fractions kept."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def human_duration(seconds: float) -> str:
    """A duration as kubectl prints it (apimachinery's duration.HumanDuration)."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 120:
        return f"{max(total, 0)}s"
    minutes, hours = total // 60, total // 3600
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    return f"{hours}h" if hours < 48 else _human_days(hours)


def _human_days(hours: int) -> str:
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 2920 else f"{days // 365}y"


def _two(high: int, high_unit: str, low: int, low_unit: str) -> str:
    return f"{high}{high_unit}{low}{low_unit}" if low else f"{high}{high_unit}"


def since(stamp: str | None, now: float) -> str:
    """The age of a timestamp; `<unknown>` where there is none."""
    return human_duration(now - parse_time(stamp)) if stamp else UNKNOWN


def age(item: Object, now: float) -> str:
    """The AGE cell."""
    return since(item["metadata"].get("creationTimestamp"), now)


def name_of(item: Object) -> str:
    """The NAME cell."""
    return str(item["metadata"].get("name", ""))


# ------------------------------------------------------------------ parts


def _count(item: Object, *path: str) -> int:
    return int(lookup(item, path, 0))


def _joined(values: list[str]) -> str:
    return ",".join(values) or NONE


def _containers(item: Object) -> list[Object]:
    return lookup(item, ("spec", "template", "spec", "containers"), []) or []


def _names_and_images(item: Object) -> Cells:
    containers = _containers(item)
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]


_EXPRESSIONS = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}


def selector_text(selector: Object | None) -> str:
    """A LabelSelector in its string form."""
    selector = selector or {}
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or []:
        values = ",".join(sorted(term.get("values") or []))
        terms.append(_EXPRESSIONS[term["operator"]].format(term["key"], values))
    return ",".join(terms) or NONE


def _selector(item: Object) -> str:
    return selector_text(lookup(item, ("spec", "selector")))


def _is_true(item: Object, kind: str) -> bool:
    conditions = lookup(item, ("status", "conditions"), [])
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


# ------------------------------------------------------------------ pods

POD_COLUMNS = columns("Ready", "Status", "Restarts", "Age", wide=("IP", "Node", "Nominated Node", "Readiness Gates"))


@dataclass
class _PodSummary:
    reason: str
    restarts: int = 0
    ready: int = 0
    total: int = 0
    last_restart: str = ""

    def add_restarts(self, status: Object) -> None:
        self.restarts += int(status.get("restartCount", 0))
        self.last_restart = max(self.last_restart, lookup(status, ("lastState", "terminated", "finishedAt"), ""))


def _restartable(spec: Object | None) -> bool:
    return bool(spec) and (spec or {}).get("restartPolicy") == "Always"


def _terminated_reason(state: Object) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def _init_reason(status: Object, index: int, total: int) -> str:
    state = status.get("state") or {}
    if state.get("terminated"):
        return "Init:" + _terminated_reason(state["terminated"])
    waiting = lookup(state, ("waiting", "reason"), "")
    return f"Init:{waiting}" if waiting not in ("", "PodInitializing") else f"Init:{index}/{total}"


def _read_init_containers(pod: Object, summary: _PodSummary, sidecars: _PodSummary) -> bool:
    """Adds up the init containers; True while one of them isn't done."""
    specs = lookup(pod, ("spec", "initContainers"), [])
    by_name = {spec.get("name"): spec for spec in specs}
    for index, status in enumerate(lookup(pod, ("status", "initContainerStatuses"), [])):
        summary.add_restarts(status)
        restartable = _restartable(by_name.get(status.get("name")))
        if restartable:
            sidecars.add_restarts(status)
        terminated = lookup(status, ("state", "terminated"))
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if restartable and status.get("started"):
            summary.ready += bool(status.get("ready"))
            continue
        summary.reason = _init_reason(status, index, len(specs))
        return True
    return False


def _read_containers(pod: Object, summary: _PodSummary) -> None:
    running = False
    for status in reversed(lookup(pod, ("status", "containerStatuses"), [])):
        summary.add_restarts(status)
        state = status.get("state") or {}
        waiting = lookup(state, ("waiting", "reason"), "")
        if waiting:
            summary.reason = waiting
        elif state.get("terminated") is not None:
            summary.reason = _terminated_reason(state["terminated"])
        elif status.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        summary.reason = "Running" if _is_true(pod, "Ready") else "NotReady"


def _pod_summary(pod: Object) -> _PodSummary:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    phase = status.get("phase", "")
    summary = _PodSummary(status.get("reason") or phase)
    if any(c.get("reason") == "SchedulingGated" for c in status.get("conditions") or []):
        summary.reason = "SchedulingGated"
    sidecar_count = sum(map(_restartable, spec.get("initContainers") or []))
    summary.total = len(spec.get("containers") or []) + sidecar_count
    sidecars = _PodSummary("")
    initializing = _read_init_containers(pod, summary, sidecars)
    if not initializing or _is_true(pod, "Initialized"):
        summary.restarts, summary.last_restart = sidecars.restarts, sidecars.last_restart
        _read_containers(pod, summary)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            summary.reason = "Terminating"
    return summary


def _readiness_gates(pod: Object) -> str:
    gates = lookup(pod, ("spec", "readinessGates"), [])
    return f"{sum(_is_true(pod, gate['conditionType']) for gate in gates)}/{len(gates)}" if gates else NONE


def pod_row(pod: Object, now: float) -> Cells:
    """printPod of the API server."""
    summary = _pod_summary(pod)
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts = f"{summary.restarts} ({since(summary.last_restart, now)} ago)"
    addresses = lookup(pod, ("status", "podIPs"), [])
    return [
        name_of(pod),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        restarts,
        age(pod, now),
        addresses[0]["ip"] if addresses else NONE,
        lookup(pod, ("spec", "nodeName"), NONE),
        lookup(pod, ("status", "nominatedNodeName"), NONE),
        _readiness_gates(pod),
    ]


_POD_CONDITIONS = {
    "Succeeded": [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ],
    "Failed": [{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}],
}


def pod_row_conditions(pod: Object) -> list[Object]:
    """The conditions of a finished pod's row."""
    return _POD_CONDITIONS.get(lookup(pod, ("status", "phase"), ""), [])


# ------------------------------------------------------------------ workloads

DEPLOYMENT_COLUMNS = columns("Ready", "Up-to-date", "Available", "Age", wide=("Containers", "Images", "Selector"))


def deployment_row(item: Object, now: float) -> Cells:
    """printDeployment."""
    return [
        name_of(item),
        f"{_count(item, 'status', 'readyReplicas')}/{_count(item, 'spec', 'replicas')}",
        _count(item, "status", "updatedReplicas"),
        _count(item, "status", "availableReplicas"),
        age(item, now),
        *_names_and_images(item),
        _selector(item),
    ]


REPLICA_SET_COLUMNS = columns(
    integer("Desired"), integer("Current"), integer("Ready"), "Age", wide=("Containers", "Images", "Selector")
)


def replica_set_row(item: Object, now: float) -> Cells:
    """printReplicaSet."""
    return [
        name_of(item),
        _count(item, "spec", "replicas"),
        _count(item, "status", "replicas"),
        _count(item, "status", "readyReplicas"),
        age(item, now),
        *_names_and_images(item),
        _selector(item),
    ]


STATEFUL_SET_COLUMNS = columns("Ready", "Age", wide=("Containers", "Images"))


def stateful_set_row(item: Object, now: float) -> Cells:
    """printStatefulSet."""
    ready = f"{_count(item, 'status', 'readyReplicas')}/{_count(item, 'spec', 'replicas')}"
    return [name_of(item), ready, age(item, now), *_names_and_images(item)]


DAEMON_SET_COLUMNS = columns(
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    integer("Up-to-date"),
    integer("Available"),
    "Node Selector",
    "Age",
    wide=("Containers", "Images", "Selector"),
)
_DAEMON_COUNTS = (
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
)


def daemon_set_row(item: Object, now: float) -> Cells:
    """printDaemonSet."""
    node_selector = lookup(item, ("spec", "template", "spec", "nodeSelector"), {})
    return [
        name_of(item),
        *(_count(item, "status", field) for field in _DAEMON_COUNTS),
        _joined([f"{key}={value}" for key, value in sorted(node_selector.items())]),
        age(item, now),
        *_names_and_images(item),
        _selector(item),
    ]


JOB_COLUMNS = columns("Status", "Completions", "Duration", "Age", wide=("Containers", "Images", "Selector"))
_JOB_STATES = (("Complete", "Complete"), ("Failed", "Failed"))
_JOB_LATER_STATES = (
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def _job_status(job: Object) -> str:
    ended = [text for condition, text in _JOB_STATES if _is_true(job, condition)]
    if ended:
        return ended[0]
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((text for condition, text in _JOB_LATER_STATES if _is_true(job, condition)), "Running")


def _job_completions(job: Object) -> str:
    succeeded = _count(job, "status", "succeeded")
    if lookup(job, ("spec", "completions")) is not None:
        return f"{succeeded}/{job['spec']['completions']}"
    parallelism = _count(job, "spec", "parallelism")
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Object, now: float) -> str:
    start, end = lookup(job, ("status", "startTime")), lookup(job, ("status", "completionTime"))
    if not start:
        return ""
    return human_duration((parse_time(end) if end else now) - parse_time(start))


def job_row(item: Object, now: float) -> Cells:
    """printJob."""
    return [
        name_of(item),
        _job_status(item),
        _job_completions(item),
        _job_duration(item, now),
        age(item, now),
        *_names_and_images(item),
        _selector(item),
    ]


CONTROLLER_REVISION_COLUMNS = columns("Controller", "Revision", "Age")


def controller_revision_row(item: Object, now: float) -> Cells:
    """printControllerRevision."""
    owner = next((o for o in item["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
    group = owner["apiVersion"].rpartition("/")[0] if owner else ""
    controller = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}" if owner else NONE
    return [name_of(item), controller, item.get("revision", 0), age(item, now)]


# ------------------------------------------------------------------ core

SERVICE_COLUMNS = columns("Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",))


def _service_external(service: Object) -> str:
    spec = service.get("spec") or {}
    addresses = list(spec.get("externalIPs") or [])
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        ingress = lookup(service, ("status", "loadBalancer", "ingress"), [])
        addresses = [entry.get("ip") or entry.get("hostname", "") for entry in ingress] + addresses
        return ",".join(addresses) or "<pending>"
    return _joined(addresses)


def _port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node_port}/{port.get('protocol', 'TCP')}"


def service_row(item: Object, now: float) -> Cells:
    """printService."""
    spec = item.get("spec") or {}
    selector = spec.get("selector") or {}
    return [
        name_of(item),
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        _service_external(item),
        _joined([_port(port) for port in spec.get("ports") or []]),
        age(item, now),
        _joined([f"{key}={value}" for key, value in sorted(selector.items())]),
    ]


CONFIG_MAP_COLUMNS = columns("Data", "Age")


def config_map_row(item: Object, now: float) -> Cells:
    """printConfigMap."""
    return [name_of(item), len(item.get("data") or {}) + len(item.get("binaryData") or {}), age(item, now)]


SECRET_COLUMNS = columns("Type", "Data", "Age")


def secret_row(item: Object, now: float) -> Cells:
    """printSecret."""
    return [name_of(item), item.get("type", ""), len(item.get("data") or {}), age(item, now)]


NAMESPACE_COLUMNS = columns("Status", "Age")


def namespace_row(item: Object, now: float) -> Cells:
    """printNamespace."""
    return [name_of(item), lookup(item, ("status", "phase"), ""), age(item, now)]


NODE_COLUMNS = columns(
    "Status",
    "Roles",
    "Age",
    "Version",
    wide=("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
)
_ROLE = "node-role.kubernetes.io/"


def _node_status(node: Object) -> str:
    ready = [c for c in lookup(node, ("status", "conditions"), []) if c.get("type") == "Ready"]
    states = ["Ready" if c.get("status") == "True" else "NotReady" for c in ready] or ["Unknown"]
    if lookup(node, ("spec", "unschedulable"), False):
        states.append("SchedulingDisabled")
    return ",".join(states)


def _node_roles(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = {key[len(_ROLE) :] for key in labels if key.startswith(_ROLE) and len(key) > len(_ROLE)}
    roles |= {labels["kubernetes.io/role"]} if labels.get("kubernetes.io/role") else set()
    return _joined(sorted(roles))


def _node_address(node: Object, kind: str) -> str:
    addresses = lookup(node, ("status", "addresses"), [])
    return next((entry["address"] for entry in addresses if entry.get("type") == kind), NONE)


def node_row(item: Object, now: float) -> Cells:
    """printNode."""
    info = lookup(item, ("status", "nodeInfo"), {})
    kernel = info.get("kernelVersion") or UNKNOWN
    architecture = info.get("architecture")
    return [
        name_of(item),
        _node_status(item),
        _node_roles(item),
        age(item, now),
        info.get("kubeletVersion", ""),
        _node_address(item, "InternalIP"),
        _node_address(item, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        f"{kernel} ({architecture})" if architecture else kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


EVENT_COLUMNS = (
    Column("Last Seen"),
    Column("Type"),
    Column("Reason"),
    Column("Object"),
    Column("Subobject", priority=1),
    Column("Source", priority=1),
    Column("Message"),
    Column("First Seen", priority=1),
    Column("Count", priority=1),
    Column("Name", format="name", priority=1),
)


def _event_source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else str(component)


def event_row(item: Object, now: float) -> Cells:
    """printEvent."""
    involved = item.get("involvedObject") or {}
    first = since(item.get("firstTimestamp") or item.get("eventTime"), now)
    last = since(item["lastTimestamp"], now) if item.get("lastTimestamp") else first
    count = item.get("count") or 1
    if item.get("series"):
        last, count = since(item["series"].get("lastObservedTime"), now), item["series"].get("count", 0)
    kind, name = involved.get("kind", "").lower(), involved.get("name", "")
    return [
        last,
        item.get("type", ""),
        item.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        involved.get("fieldPath", ""),
        _event_source(item),
        item.get("message", "").strip(),
        first,
        count,
        name_of(item),
    ]


# ------------------------------------------------------------------ custom resources

CRD_COLUMNS = columns(Column("Created At", type="date"))
DEFAULT_CUSTOM_COLUMNS = ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)


def crd_row(item: Object, now: float) -> Cells:
    """The table of CustomResourceDefinitions."""
    return [name_of(item), item["metadata"].get("creationTimestamp")]


def custom_columns(declared: list[Object]) -> tuple[Column, ...]:
    """The columns of a CRD version's additionalPrinterColumns, after the name."""
    return (
        NAME,
        *(
            Column(
                entry["name"],
                entry.get("type", "string"),
                entry.get("format", ""),
                entry.get("priority", 0),
                entry.get("description", ""),
            )
            for entry in declared
        ),
    )


def _custom_cell(entry: Object, item: Object, now: float) -> Any:
    found = find(entry["jsonPath"], item)
    if not found or found[0] is None:
        return None
    kind = entry.get("type", "string")
    if kind == "date":
        return _date(found[0], now)
    if kind == "string":
        return " ".join(_text(value) for value in found)
    return found[0]


def _date(value: Any, now: float) -> str | None:
    try:
        return since(value, now) if isinstance(value, str) else None
    except ValueError:
        return "<invalid>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def custom_row(declared: list[Object]) -> Row:
    """The row function of a CRD version's additionalPrinterColumns."""

    def row(item: Object, now: float) -> Cells:
        return [name_of(item), *(_custom_cell(entry, item, now) for entry in declared)]

    return row
