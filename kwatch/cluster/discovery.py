"""What the server says it serves, as a list of types that can be watched.

Aggregated discovery (two requests) where the server has it, else the legacy documents (one per group and version).
The network is the caller's: `get(path, accept)` gives the body of a 200 or raises an ApiError. A body that isn't
discovery is a ProtocolError of one line. Follows client-go `discovery/aggregated_discovery.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from kwatch.errors import ApiError, Cut, Forbidden, NotFound, Overdue, ProtocolError
from kwatch.model import Resource
from kwatch.text import brief

Get = Callable[[str, str], bytes]
"""(path, value of the Accept header) → the body of a 200. Raises ApiError for a refusal."""

JSON = "application/json"
AGGREGATED = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        JSON,
    ]
)
"""As client-go asks: 1.30 and later, 1.26 and later, anything."""


class Discovery(NamedTuple):
    """The types, core group first, a group's preferred version before its others; and what couldn't be asked.

    `skipped` has a line for each group and version (or root) that is missing, with the reason: an aggregated API whose
    server is down must not hide the others.
    """

    resources: tuple[Resource, ...] = ()
    skipped: tuple[str, ...] = ()


def discover(get: Get) -> Discovery:
    """Every type that can be watched. Without caching: each call asks the server.

    Raises ProtocolError for a malformed body of a root, ApiError if both roots are refused, and whatever else `get`
    raises. A root that is forbidden or not there is skipped, as in client-go.
    """
    found: list[Resource] = []
    skipped: list[str] = []
    refusals: list[ApiError] = []
    for root in ("/api", "/apis"):
        try:
            _read_root(get, root, found, skipped)
        except (Forbidden, NotFound) as error:
            refusals.append(error)
            skipped.append(f"{root}: {error}")
    if len(refusals) == 2:
        raise refusals[0]
    return Discovery(tuple(found), tuple(skipped))


def _read_root(get: Get, root: str, found: list[Resource], skipped: list[str]) -> None:
    """/api or /apis, in whichever of the forms the server answers: each root decides for itself."""
    document = _Json(root, _parsed(root, get(root, AGGREGATED)))
    kind = document.text("kind")
    if kind == "APIGroupDiscoveryList":
        _read_aggregated(document, found, skipped)
    elif kind == "APIVersions":
        versions = [str(version) for version in document.strings("versions")]
        _read_legacy(get, [("", version) for version in versions], found, skipped)
    elif kind == "APIGroupList":
        _read_legacy(get, list(_group_versions(document)), found, skipped)
    else:
        raise document.error(f"it is {'a ' + kind if kind else 'no API document'}, not discovery")


def _read_aggregated(document: _Json, found: list[Resource], skipped: list[str]) -> None:
    for group in document.items("items"):
        name = group.item("metadata").text("name")
        for version in group.items("versions"):
            api_version = _api_version(name, version.text("version"))
            if version.text("freshness") == "Stale":
                skipped.append(f"{api_version}: the server behind it doesn't answer")
                continue
            for resource in version.items("resources"):
                if "watch" in resource.strings("verbs"):
                    found.extend(_aggregated(name, version.text("version"), resource))


def _aggregated(group: str, version: str, entry: _Json) -> Iterator[Resource]:
    kind, plural = entry.item("responseKind").text("kind"), entry.text("resource")
    if kind and plural:  # without a kind it only carries subresources
        namespaced = entry.text("scope") == "Namespaced"
        yield _resource(group, version, plural, kind, namespaced, entry.text("singularResource"), entry)


def _group_versions(document: _Json) -> Iterator[tuple[str, str]]:
    """(group, version) in the order of the list, the preferred version of each first."""
    for group in document.items("groups"):
        name, preferred = group.text("name"), group.item("preferredVersion").text("version")
        versions = [entry.text("version") for entry in group.items("versions")]
        for version in sorted(versions, key=lambda version: version != preferred):
            yield name, version


def _read_legacy(get: Get, wanted: list[tuple[str, str]], found: list[Resource], skipped: list[str]) -> None:
    for group, version in wanted:
        root = f"/apis/{quote(group, safe='')}" if group else "/api"
        path = f"{root}/{quote(version, safe='')}"
        try:
            document = _Json(path, _parsed(path, get(path, JSON)))
            found.extend(list(_legacy(group, version, document)))
        except (ApiError, ProtocolError, Cut, Overdue) as error:  # one broken group, commonly an aggregated API
            skipped.append(f"{_api_version(group, version)}: {error}")


def _legacy(group: str, version: str, document: _Json) -> Iterator[Resource]:
    for entry in document.items("resources"):
        plural, kind = entry.text("name"), entry.text("kind")
        if plural and kind and "/" not in plural and "watch" in entry.strings("verbs"):
            yield _resource(group, version, plural, kind, entry.flag("namespaced"), entry.text("singularName"), entry)


def _resource(
    group: str, version: str, plural: str, kind: str, namespaced: bool, singular: str, entry: _Json
) -> Resource:
    short_names, categories, verbs = (entry.strings(key) for key in ("shortNames", "categories", "verbs"))
    return Resource(group, version, plural, kind, namespaced, singular or kind.lower(), short_names, categories, verbs)


def _api_version(group: str, version: str) -> str:
    return brief(f"{group}/{version}" if group else version)


def _parsed(path: str, body: bytes) -> object:
    import orjson  # not for completion, which only reads what was kept; unlike json it takes no lone surrogates

    try:
        return orjson.loads(body)
    except ValueError:
        raise ProtocolError(f"{path}: the server's answer isn't JSON; is this a Kubernetes API server?") from None


class _Json(NamedTuple):
    """A JSON object of the document at `path`, read with the types discovery has; null is as good as absent."""

    path: str
    value: object

    def error(self, text: str) -> ProtocolError:
        return ProtocolError(brief(f"{self.path}: {text}; is this a Kubernetes API server?"))

    def _get(self, key: str, kind: type, default: Any) -> Any:
        if not isinstance(self.value, Mapping):
            raise self.error(f"there is {_named(self.value)} where an object should be")
        value = self.value.get(key)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self.error(f'"{key}" is {_named(value)}')
        return value

    def text(self, key: str) -> str:
        return str(self._get(key, str, ""))

    def flag(self, key: str) -> bool:
        return bool(self._get(key, bool, False))

    def item(self, key: str) -> _Json:
        return _Json(self.path, self._get(key, dict, {}))

    def items(self, key: str) -> list[_Json]:
        return [_Json(self.path, value) for value in self._get(key, list, [])]

    def strings(self, key: str) -> tuple[str, ...]:
        values = self._get(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise self.error(f'"{key}" holds what isn\'t text')
        return tuple(values)


def _named(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
