"""Pods as an API server encodes them, of any size from 1 KB on, made quickly from a template.

A Pod of 3 KB looks like the recorded ones: a third of it is managedFields, one in four carries text beyond ASCII.
Every event changes a printed cell (RESTARTS), so that a table has to print each.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

_TIME = "2026-11-21T22:34:21Z"
_UNICODE = "héllo 漢字 🚀 Ω"
_PLAIN = "hello pod of the fleet"
_FIELD = 'k:{{"name":"SETTING_{}"}}'
_SETTING, _ENTRY = 160, 70
"""Bytes, at the most, of one more setting of a Pod with its managedFields, and of the latter alone."""
_MARKS = {"@name@": b"%(name)s", "@uid@": b"%(uid)s", "@ip@": b"%(ip)s", "@node@": b"%(node)s"}
_NUMBERS = {'"@version@"': b'"%(version)d"', '"@restarts@"': b"%(restarts)d", '"@cell@"': b'"%(restarts)d"'}

COLUMNS = [
    {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": wide}
    for name, wide in [
        ("Name", 0),
        ("Ready", 0),
        ("Status", 0),
        ("Restarts", 0),
        ("Age", 0),
        ("IP", 1),
        ("Node", 1),
        ("Nominated Node", 1),
        ("Readiness Gates", 1),
    ]
]


class Pod(NamedTuple):
    """What tells one Pod from another, and one of its versions from the next."""

    index: int
    version: int
    restarts: int = 0

    def fields(self) -> dict[bytes, object]:
        """The values for a template."""
        return {
            b"name": b"web-5f6c49c5db-%06d" % self.index,
            b"uid": b"2f6cb985-91e1-4c36-bae6-%012x" % self.index,
            b"ip": b"10.%d.%d.%d" % (self.index >> 16 & 255, self.index >> 8 & 255, self.index & 255),
            b"node": b"node-%d" % (self.index % 50),
            b"version": self.version,
            b"restarts": self.restarts,
        }


def encoded(pod: Pod, size: int) -> bytes:
    """The Pod as JSON of about `size` bytes, without kind and apiVersion, as in a list."""
    return _object(size, pod.index % 4 == 0) % pod.fields()


def event(pod: Pod, size: int, kind: bytes = b"MODIFIED") -> bytes:
    """A line of a watch."""
    body = encoded(pod, size)
    return b'{"type":"%s","object":{"kind":"Pod","apiVersion":"v1",%s}\n' % (kind, body[1:])


def row(pod: Pod, size: int) -> bytes:
    """The Pod's row of a Table, with the metadata of a Pod of `size` bytes."""
    return _row(size, pod.index % 4 == 0) % pod.fields()


def table_event(pod: Pod, size: int, *, columns: bool, kind: bytes = b"MODIFIED") -> bytes:
    """A line of a watch whose object is a Table; only the first of a stream has `columns`."""
    definitions = json.dumps(COLUMNS, separators=(",", ":")).encode() if columns else b"null"
    return (
        b'{"type":"%s","object":{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"%d"},'
        b'"columnDefinitions":%s,"rows":[%s]}}\n' % (kind, pod.version, definitions, row(pod, size))
    )


@cache
def _object(size: int, is_unicode: bool) -> bytes:
    pod = _pod(is_unicode)
    spec, entries = pod["spec"]["containers"][0]["env"], pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    for number in range(max(size - len(_json(pod)) - 200, 0) // _SETTING):
        spec.append({"name": f"SETTING_{number}", "value": f"postgres://db-{number}.svc.cluster.local:5432/orders"})
        entries[_FIELD.format(number)] = {".": {}, "f:name": {}, "f:value": {}}
    pod["metadata"]["annotations"]["padding"] = "x" * max(size - len(_json(pod)) - 20, 0)
    return _template(pod)


@cache
def _row(size: int, is_unicode: bool) -> bytes:
    metadata = json.loads(_json(_pod(is_unicode)))["metadata"]
    fields = metadata["managedFields"][0]["fieldsV1"]["f:spec"]
    for number in range(max(size // 3 - len(_json(metadata["managedFields"])), 0) // _ENTRY):
        fields[_FIELD.format(number)] = {".": {}, "f:name": {}, "f:value": {}}
    cells = ["@name@", "1/1", "Running", "@cell@", "4d", "@ip@", "@node@", "<none>", "<none>"]
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return _template({"cells": cells, "object": partial})


def _pod(is_unicode: bool) -> dict[str, Any]:
    """A small Pod, in the order of fields that the server has."""
    container = {"name": "web", "image": "registry.example/web:1.27.3", "env": [], "imagePullPolicy": "IfNotPresent"}
    status = {
        "name": "web",
        "state": {"running": {"startedAt": _TIME}},
        "ready": True,
        "restartCount": "@restarts@",
        "image": "web:1.27.3",
        "imageID": "",
    }
    return {
        "metadata": {
            "name": "@name@",
            "namespace": "default",
            "uid": "@uid@",
            "resourceVersion": "@version@",
            "creationTimestamp": _TIME,
            "labels": {"app": "web", "pod-template-hash": "5f6c49c5db"},
            "annotations": {"greeting": _UNICODE if is_unicode else _PLAIN},
            "managedFields": [
                {
                    "manager": "kube-controller-manager",
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": _TIME,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {}},
                }
            ],
        },
        "spec": {"containers": [container], "nodeName": "@node@", "restartPolicy": "Always"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": _TIME}],
            "podIP": "@ip@",
            "containerStatuses": [status],
        },
    }


def _json(value: Any) -> bytes:
    """Compact, with the escapes that Go's encoder writes."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def _template(value: Any) -> bytes:
    text = _json(value).replace(b"%", b"%%")
    for mark, field in {**_NUMBERS, **_MARKS}.items():
        text = text.replace(mark.encode(), field)
    return text
