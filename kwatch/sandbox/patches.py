"""Patches: merge (RFC 7386), JSON (RFC 6902), and strategic merge in the part of it that kubectl sends.

Each is a function (document, patch) -> new document; the document is not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .encoding import Object, copied
from .errors import ApiError, bad_request

# The key by which strategic merge matches the items of a list; other lists are replaced.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
    "podIPs": "ip",
    "taints": "key",
}
_SET_ORDER, _DELETE_FROM, _RETAIN = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


def merge(document: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(document: Any, patch: Any) -> Any:
    """Strategic merge: as `merge`, but lists with a merge key are merged item by item."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(document) if isinstance(document, dict) else {}
    if patch.get("$patch") == "replace":
        return copied({key: value for key, value in patch.items() if key != "$patch"})
    if _RETAIN in patch:
        result = {key: value for key, value in result.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        _strategic_key(result, key, value)
    return result


def _strategic_key(result: Object, key: str, value: Any) -> None:
    if key.startswith(_DELETE_FROM):
        name = key[len(_DELETE_FROM) :]
        result[name] = [item for item in result.get(name) or [] if item not in value]
    elif key.startswith((_SET_ORDER, "$")):
        return
    elif value is None:
        result.pop(key, None)
    elif isinstance(value, list) and _merge_key(key, value):
        result[key] = _merged_list(result.get(key) or [], value, _merge_key(key, value))
    elif isinstance(value, list) and key == "finalizers":
        result[key] = list(dict.fromkeys([*(result.get(key) or []), *value]))
    else:
        result[key] = strategic(result.get(key), value)


def _merge_key(field: str, items: list[Any]) -> str:
    """`ports` are keyed by containerPort in a pod and by port in a Service."""
    key = MERGE_KEYS.get(field, "")
    if field == "ports":
        key = "containerPort" if any(isinstance(i, dict) and "containerPort" in i for i in items) else "port"
    return key if all(isinstance(item, dict) and (key in item or "$patch" in item) for item in items) else ""


def _merged_list(old: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [copied(item) for item in patch if "$patch" not in item]
    result = list(old)
    for item in patch:
        found = next((index for index, have in enumerate(result) if have.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            result = [have for have in result if have.get(key) != item.get(key)]
        elif found is None:
            result.append(copied(item))
        else:
            result[found] = strategic(result[found], item)
    return result


# ------------------------------------------------------------------ JSON patch


def _pointer(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise bad_request(f"jsonpatch: invalid pointer {path!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _step(parent: Any, token: str) -> Any:
    try:
        return parent[int(token)] if isinstance(parent, list) else parent[token]
    except (KeyError, IndexError, ValueError, TypeError):
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request") from None


def _walk(document: Any, tokens: list[str]) -> Any:
    for token in tokens:
        document = _step(document, token)
    return document


def _add(document: Any, tokens: list[str], value: Any) -> Any:
    if not tokens:
        return value
    parent, last = _walk(document, tokens[:-1]), tokens[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), value)
    else:
        parent[last] = value
    return document


def _remove(document: Any, tokens: list[str]) -> Any:
    parent, last = _walk(document, tokens[:-1]), tokens[-1]
    value = _step(parent, last)
    del parent[int(last) if isinstance(parent, list) else last]
    return value


def _replace(document: Any, operation: Object, tokens: list[str]) -> Any:
    if tokens:
        _remove(document, tokens)
    return _add(document, tokens, operation.get("value"))


def _move(document: Any, operation: Object, tokens: list[str]) -> Any:
    return _add(document, tokens, _remove(document, _pointer(operation["from"])))


def _copy(document: Any, operation: Object, tokens: list[str]) -> Any:
    return _add(document, tokens, copied(_walk(document, _pointer(operation["from"]))))


def _test(document: Any, operation: Object, tokens: list[str]) -> Any:
    if _walk(document, tokens) != operation.get("value"):
        raise ApiError(422, "Invalid", f"the server rejected our request: testing value {operation['path']} failed")
    return document


def _removed(document: Any, operation: Object, tokens: list[str]) -> Any:
    _remove(document, tokens)
    return document


_OPERATIONS: dict[str, Callable[[Any, Object, list[str]], Any]] = {
    "add": lambda document, operation, tokens: _add(document, tokens, operation.get("value")),
    "remove": _removed,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902; an operation that can't be done is a 422."""
    result = copied(document)
    for operation in operations:
        apply = _OPERATIONS.get(operation.get("op"))
        if not apply:
            raise bad_request(f"jsonpatch: unknown operation {operation.get('op')!r}")
        result = apply(result, copied(operation), _pointer(operation.get("path", "")))
    return result


PATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "application/merge-patch+json": merge,
    "application/json-patch+json": json_patch,
    "application/strategic-merge-patch+json": strategic,
    "application/apply-patch+yaml": strategic,
}
