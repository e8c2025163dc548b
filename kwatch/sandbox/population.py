"""What a small cluster has in it before anything happens: nodes, namespaces, workloads of every kind, of some age."""

from __future__ import annotations

from typing import Any

from .cluster import Cluster
from .controlplane import ControlPlane
from .encoding import Object
from .tables import parse_time

NODES = ("node-0", "node-1", "node-2")
DAY = 86400.0
AGE = 9 * DAY
"""Of the cluster, in seconds."""
EVENT_TTL = 3600.0


def container(name: str, image: str) -> Object:
    """A container of a template."""
    return {"name": name, "image": image}


def workload(name: str, image: str, namespace: str = "default", **spec: Any) -> Object:
    """A Deployment, StatefulSet, DaemonSet or Job with one container and the label app=NAME."""
    labels = {"app": name}
    template: Object = {"metadata": {"labels": labels}, "spec": {"containers": [container(name, image)]}}
    template["spec"].update(spec.pop("pod", {}))
    selector = spec.pop("selector", {"matchLabels": labels})
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {
        "metadata": metadata,
        "spec": {**({"selector": selector} if selector else {}), "template": template, **spec},
    }


def service(name: str, port: int, namespace: str = "default", **spec: Any) -> Object:
    """A Service in front of app=NAME."""
    ports = [{"port": port, "protocol": "TCP", "targetPort": port}]
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def node(name: str, index: int, stamp: str, control_plane: bool = False) -> Object:
    """A Ready node."""
    labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    if control_plane:
        labels["node-role.kubernetes.io/control-plane"] = ""
    capacity = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    ready = {
        "type": "Ready",
        "status": "True",
        "lastHeartbeatTime": stamp,
        "lastTransitionTime": stamp,
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
    }
    info = {
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kernelVersion": "6.12.0",
        "osImage": "Sandbox Linux",
        "containerRuntimeVersion": "containerd://2.1.0",
        "kubeletVersion": "v1.36.2",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
    addresses = [{"type": "InternalIP", "address": f"10.0.0.{index + 10}"}, {"type": "Hostname", "address": name}]
    status = {
        "capacity": capacity,
        "allocatable": dict(capacity),
        "conditions": [ready],
        "addresses": addresses,
        "nodeInfo": info,
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": {"podCIDR": f"10.9.{index}.0/24"}, "status": status}


def add_nodes(cluster: Cluster) -> None:
    """Three nodes, the first one the control plane."""
    for index, name in enumerate(NODES):
        cluster.create("nodes", node(name, index, cluster.stamp(), control_plane=index == 0), manager="kubelet")


# (age in seconds, resource, object)
_WORKLOADS: tuple[tuple[float, str, Object], ...] = (
    (9 * DAY, "daemonsets", workload("kube-proxy", "registry.k8s.io/kube-proxy:v1.36.2", "kube-system")),
    (9 * DAY, "deployments", workload("coredns", "registry.k8s.io/coredns/coredns:v1.12.1", "kube-system", replicas=2)),
    (6.3 * DAY, "statefulsets", workload("db", "postgres:17.5", "shop", replicas=2, serviceName="db")),
    (4.2 * DAY, "deployments", workload("cache", "redis:8.0", replicas=1)),
    (
        2700.0,
        "jobs",
        workload("migrate", "ghcr.io/acme/migrate:2.7.1", "shop", selector=None, pod={"restartPolicy": "Never"}),
    ),
    (2640.0, "deployments", workload("api", "ghcr.io/acme/api:2.7.1", "shop", replicas=2)),
)
_SERVICES: tuple[tuple[str, int, str, Object], ...] = (
    ("kubernetes", 443, "default", {"clusterIP": "10.96.0.1", "selector": None}),
    ("cache", 6379, "default", {}),
    ("kube-dns", 53, "kube-system", {"clusterIP": "10.96.0.10"}),
    ("api", 8080, "shop", {"type": "LoadBalancer"}),
    ("db", 5432, "shop", {"clusterIP": "None"}),
)


def _add_configuration(cluster: Cluster) -> None:
    settings = {"LOG_LEVEL": "info", "REGION": "eu-central-1"}
    cluster.create("configmaps", {"metadata": {"name": "settings", "namespace": "shop"}, "data": settings})
    corefile = {"Corefile": ".:53 {\n    errors\n    health\n}\n"}
    cluster.create("configmaps", {"metadata": {"name": "coredns", "namespace": "kube-system"}, "data": corefile})
    credentials = {"username": "c2hvcA==", "password": "bm90LWEtcmVhbC1wYXNzd29yZA=="}
    cluster.create("secrets", {"metadata": {"name": "db", "namespace": "shop"}, "data": credentials})


def populate(cluster: Cluster, plane: ControlPlane) -> None:
    """Fill an empty cluster; the objects are minutes to days old, the events at most an hour, as in a real one."""
    start = cluster.now()
    with cluster.at(start - AGE):
        add_nodes(cluster)
        cluster.create("namespaces", {"metadata": {"name": "shop"}})
        _add_configuration(cluster)
        for name, port, namespace, spec in _SERVICES:
            cluster.create("services", service(name, port, namespace, **spec))
    for age, resource, item in _WORKLOADS:
        with cluster.at(start - age):
            cluster.create(resource, item, manager="kubectl-create")
            plane.settle()
    for event in cluster.list("events"):
        if parse_time(event["lastTimestamp"]) < start - EVENT_TTL:
            cluster.delete("events", event["metadata"]["namespace"], event["metadata"]["name"])
