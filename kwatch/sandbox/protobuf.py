"""The bodies that `kubectl create deployment`, `configmap` and the like send: they are protobuf, whatever is accepted.

Decodes the fields that those commands fill, of the kinds that they create; everything else is skipped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from .encoding import Object
from .errors import bad_request

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# A schema is {field number: (name, type)}. Types: "text", "number" (0 is unset), "pointer" (0 is a value), "flag",
# "texts", "map", "blobs" (a map of bytes), "port" (IntOrString), a schema, or [schema] for a list.
Schema = dict[int, tuple[str, Any]]

_METADATA: Schema = {
    1: ("name", "text"),
    2: ("generateName", "text"),
    3: ("namespace", "text"),
    11: ("labels", "map"),
    12: ("annotations", "map"),
    14: ("finalizers", "texts"),
}
_SELECTOR: Schema = {1: ("matchLabels", "map")}
_PORT: Schema = {1: ("name", "text"), 3: ("containerPort", "number"), 4: ("protocol", "text")}
_CONTAINER: Schema = {
    1: ("name", "text"),
    2: ("image", "text"),
    3: ("command", "texts"),
    4: ("args", "texts"),
    6: ("ports", [_PORT]),
    7: ("env", [{1: ("name", "text"), 2: ("value", "text")}]),
    14: ("imagePullPolicy", "text"),
}
_POD_SPEC: Schema = {
    2: ("containers", [_CONTAINER]),
    3: ("restartPolicy", "text"),
    8: ("serviceAccountName", "text"),
    20: ("initContainers", [_CONTAINER]),
}
_TEMPLATE: Schema = {1: ("metadata", _METADATA), 2: ("spec", _POD_SPEC)}
_DEPLOYMENT: Schema = {
    1: ("replicas", "pointer"),
    2: ("selector", _SELECTOR),
    3: ("template", _TEMPLATE),
    4: ("strategy", {1: ("type", "text")}),
}
_JOB: Schema = {
    1: ("parallelism", "pointer"),
    2: ("completions", "pointer"),
    6: ("template", _TEMPLATE),
    7: ("backoffLimit", "pointer"),
}
_SERVICE_PORT: Schema = {
    1: ("name", "text"),
    2: ("protocol", "text"),
    3: ("port", "number"),
    4: ("targetPort", "port"),
    5: ("nodePort", "number"),
}
_SERVICE: Schema = {
    1: ("ports", [_SERVICE_PORT]),
    2: ("selector", "map"),
    3: ("clusterIP", "text"),
    4: ("type", "text"),
    5: ("externalIPs", "texts"),
    10: ("externalName", "text"),
}
_INT_OR_STRING: Schema = {1: ("type", "pointer"), 2: ("number", "pointer"), 3: ("text", "text")}
_ENVELOPE: Schema = {1: ("type", {1: ("apiVersion", "text"), 2: ("kind", "text")}), 2: ("raw", "raw")}


def _object(spec: Schema) -> Schema:
    return {1: ("metadata", _METADATA), 2: ("spec", spec)}


_KINDS: dict[str, Schema] = {
    "ConfigMap": {1: ("metadata", _METADATA), 2: ("data", "map"), 3: ("binaryData", "blobs")},
    "Secret": {1: ("metadata", _METADATA), 2: ("data", "blobs"), 3: ("type", "text")},
    "Namespace": {1: ("metadata", _METADATA)},
    "Pod": _object(_POD_SPEC),
    "Deployment": _object(_DEPLOYMENT),
    "Job": _object(_JOB),
    "Service": _object(_SERVICE),
}


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message: an int for a varint, bytes for everything else."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + size > len(data):
            raise ValueError("the message is cut short")
        yield tag >> 3, data[position : position + size]
        position += size


def _decode(data: bytes, schema: Schema) -> Object:
    result: Object = {}
    for number, value in _fields(data):
        if number in schema:
            _set(result, *schema[number], value)
    return result


def _set(result: Object, name: str, kind: Any, value: Any) -> None:
    if kind == "texts":
        result.setdefault(name, []).append(value.decode())
    elif kind in ("map", "blobs"):
        entry = dict(_fields(value))
        content = entry.get(2, b"")
        text = content.decode() if kind == "map" else base64.b64encode(content).decode()
        result.setdefault(name, {})[entry.get(1, b"").decode()] = text
    elif isinstance(kind, list):
        result.setdefault(name, []).append(_decode(value, kind[0]))
    elif (decoded := _scalar(kind, value)) not in (None, "", {}):
        result[name] = decoded


def _scalar(kind: Any, value: Any) -> Any:
    if isinstance(kind, dict):
        return _decode(value, kind)
    if kind == "text":
        return value.decode()
    if kind == "port":
        port = _decode(value, _INT_OR_STRING)
        return port.get("text") if port.get("type") else port.get("number") or None
    return (value or None) if kind == "number" else value


def decode(body: bytes) -> Object:
    """The object in a Kubernetes protobuf body; ApiError 400 where it can't be read."""
    try:
        if not body.startswith(_MAGIC):
            raise ValueError("the magic number is missing")
        envelope = _decode(body[len(_MAGIC) :], _ENVELOPE)
        head = envelope["type"]
        schema = _KINDS.get(head["kind"])
        if schema is None:
            raise ValueError(f"the sandbox reads no {head['kind']} in protobuf")
        return {"kind": head["kind"], "apiVersion": head["apiVersion"], **_decode(envelope.get("raw", b""), schema)}
    except (ValueError, KeyError, IndexError) as error:
        raise bad_request(f"unable to decode the body of the request as protobuf: {error}") from error
