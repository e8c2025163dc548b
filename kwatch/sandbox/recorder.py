"""Events as the controllers and the kubelet write them: repeated ones are counted, old ones expire."""

from __future__ import annotations

from collections import deque

from .cluster import Cluster
from .encoding import Object
from .errors import ApiError

KEPT = 300  # the API server forgets events after an hour; the sandbox after so many more


class Recorder:
    """Writes events about objects."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._names: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._order: deque[tuple[str, str, str]] = deque()

    def record(self, item: Object, reason: str, message: str, component: str, kind: str = "Normal") -> None:
        """An event about an object, or one more of the same."""
        key = (item["metadata"]["uid"], reason, message)
        if not (key in self._names and self._count(*self._names[key])):
            self._create(key, item, component, kind)

    def _count(self, namespace: str, name: str) -> bool:
        try:
            event = self._cluster.get("events", namespace, name)
        except ApiError:  # deleted with its namespace, or by hand
            return False
        event.update(count=event["count"] + 1, lastTimestamp=self._cluster.stamp())
        self._cluster.update("events", event, manager=event["source"]["component"])
        return True

    def _create(self, key: tuple[str, str, str], item: Object, component: str, kind: str) -> None:
        metadata, stamp = item["metadata"], self._cluster.stamp()
        namespace = metadata.get("namespace", "default")
        name = f"{metadata['name']}.{int(self._cluster.now() * 1e9) + self._cluster.resource_version:x}"
        event = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": _reference(item, component),
            "reason": key[1],
            "message": key[2],
            "source": _source(item, component),
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": _source(item, component).get("host", ""),
        }
        self._cluster.create("events", event, manager=component)
        self._names[key] = (namespace, name)
        self._order.append(key)
        if len(self._order) > KEPT:
            self._expire(self._order.popleft())

    def _expire(self, key: tuple[str, str, str]) -> None:
        try:
            self._cluster.delete("events", *self._names.pop(key))
        except ApiError:
            return


def _source(item: Object, component: str) -> Object:
    host = item.get("spec", {}).get("nodeName") if component == "kubelet" else None
    return {"component": component, "host": host} if host else {"component": component}


def _reference(item: Object, component: str) -> Object:
    metadata = item["metadata"]
    reference = {
        "kind": item["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": item["apiVersion"],
        "resourceVersion": metadata["resourceVersion"],
    }
    containers = item["spec"].get("containers")
    if component == "kubelet" and containers:
        reference["fieldPath"] = f"spec.containers{{{containers[0]['name']}}}"
    return reference
