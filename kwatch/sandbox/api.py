"""The Kubernetes API over a cluster: from a request to a reply or to a watch that the server is to stream. No sockets.

`Api.route` says what a request is about without judging it (the log and the faults need that), `Api.handle` does it.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import discovery, errors, protobuf
from .cluster import Cluster, Key, Record
from .connection import Request
from .encoding import Object, encode, lookup, pretty
from .errors import ApiError
from .kinds import Kind
from .patches import PATCHES
from .representations import Partial, Plain, Representation, Table
from .selection import Selection

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
NOT_FOUND = b"404 page not found\n"
LIST_CHUNK = 2048  # a plain list leaves the server in pieces of this size
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OF_OBJECTS = ("get", "update", "patch", "delete")  # these have a name in their path, others (but a watch) don't
_TRUE = ("1", "true", "True", "t", "T", "TRUE")
_SERVER_SET = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "generation", "managedFields")
_RETURNS_OBJECT = ("pods", "namespaces")  # a delete of these answers with the object, of others with a Status


@dataclass(frozen=True)
class Route:
    """What a request is about; `kind` is None for a document and for what isn't served."""

    verb: str
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    kind: Kind | None = None


@dataclass(frozen=True)
class Reply:
    """A whole answer; `chunk` is the piece size that the server would send it in; a `stream` has no length."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    cache: str = "no-cache, private"
    chunk: int | None = None
    stream: bool = False


@dataclass(frozen=True)
class Watching:
    """A watch to be streamed; `after` None starts from now, `timeout` is in seconds."""

    kind: Kind
    selection: Selection
    representation: Representation
    after: int | None
    initial: bool
    initial_end: bool
    bookmarks: bool
    timeout: float


UNAVAILABLE = Reply(503, b"service unavailable\n", TEXT)
"""What the aggregator answers for an API whose own server is down."""


def error_reply(error: ApiError) -> Reply:
    """The Status of an error."""
    body = pretty(error.status()) if error.pretty else encode(error.status()) + b"\n"
    return Reply(error.code, body, headers=error.headers)


def _json_reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, body + b"\n")


# ------------------------------------------------------------------ routing


def _verb(method: str, query: dict[str, str], name: str) -> str:
    if method == "GET":
        if query.get("watch") in _TRUE:
            return "watch"
        return "get" if name else "list"
    verb = _VERBS.get(method, method.lower())
    return "deletecollection" if verb == "delete" and not name else verb


def parse_path(segments: list[str]) -> dict[str, str] | None:
    """The parts of a resource's path; None where it is the path of a document, or of nothing."""
    core = segments[:1] == ["api"]
    head = 2 if core else 3
    if len(segments) <= head or segments[0] not in ("api", "apis"):
        return None
    parts = {"group": "" if core else segments[1], "version": segments[head - 1]}
    rest = segments[head:]
    within = rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize")
    if within:
        parts["namespace"], rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    return {**parts, **dict(zip(("plural", "name", "subresource"), rest, strict=False))}


# ------------------------------------------------------------------ negotiation


def _media(text: str) -> tuple[str, dict[str, str]]:
    media, *parameters = (part.strip() for part in text.split(";"))
    return media, {key: value for key, _, value in (part.partition("=") for part in parameters)}


_AS: dict[str, Callable[[Kind, str], Representation]] = {
    "": lambda kind, include: Plain(kind),
    "Table": Table,
    "PartialObjectMetadata": lambda kind, include: Partial(kind),
    "PartialObjectMetadataList": lambda kind, include: Partial(kind),
}


def negotiate(kind: Kind, accept: str, include: str = "Metadata") -> Representation:
    """The representation that the Accept header asks for first; ApiError 406 where there is none."""
    for choice in (accept or "*/*").split(","):
        media, parameters = _media(choice)
        if media not in (JSON, "*/*", "application/*") or parameters.get("v", "v1") not in ("v1", ""):
            continue
        make = _AS.get(parameters.get("as", ""))
        if make:
            return make(kind, include)
    raise errors.not_acceptable()


# ------------------------------------------------------------------ continue tokens


def _encode_token(version: int, start: str) -> str:
    token = encode({"v": "meta.k8s.io/v1", "rv": version, "start": start}).replace(b"\x00", b"\\u0000")
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _start_text(key: Key, namespace: str) -> str:
    return "/" + (key[1] if namespace or key[0] == "/" else key[0] + key[1])


def _decode_token(token: str, namespace: str, kind: Kind) -> tuple[int, Key]:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = int(decoded["rv"]), str(decoded["start"]).removeprefix("/")
    except (ValueError, KeyError, TypeError) as error:
        raise errors.bad_request("continue key is not valid: illegal base64 data or token") from error
    if namespace or not kind.namespaced:
        return version, (namespace + "/", start)
    before, _, name = start.partition("/")
    return version, (before + "/", name)


def parse_version(text: str) -> int:
    """A resourceVersion parameter; a malformed one is a 500, as recorded."""
    if not (text.isascii() and text.isdigit()):
        raise errors.invalid_version(text)
    return int(text)


def _number(query: dict[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not (text.isascii() and text.isdigit()):
        raise errors.bad_request(f'invalid {name}: strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


# ------------------------------------------------------------------ the API


class Api:
    """Requests on a cluster. `forbid` makes RBAC refuse; `watch_timeout` is the range of a watch without
    timeoutSeconds, in seconds."""

    def __init__(self, cluster: Cluster, address: str, user: str, aggregated: bool) -> None:
        self.cluster = cluster
        self.aggregated = aggregated
        self.address = address
        self.user = user
        self.watch_timeout = (1800.0, 3600.0)
        self._forbidden: set[tuple[str, str, str | None]] = set()
        self.down: set[str] = set()
        self._verbs: dict[str, Callable[[Request, Route, Kind], Reply | Watching]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    def forbid(self, verb: str, resource: str, namespace: str | None = None) -> None:
        """Answer 403 to a verb on a resource, in one namespace or (None) everywhere."""
        self._forbidden.add((verb, resource, namespace))

    def allow(self, verb: str, resource: str, namespace: str | None = None) -> None:
        """Take back a `forbid`."""
        self._forbidden.discard((verb, resource, namespace))

    def route(self, request: Request) -> Route:
        """What a request is about."""
        parts = parse_path(request.segments)
        if parts is None:
            return Route("discovery")
        kind = self.cluster.kinds.at(parts["group"], parts["version"], parts["plural"])
        return Route(_verb(request.method, request.query, parts.get("name", "")), **parts, kind=kind)

    def handle(self, request: Request, route: Route) -> Reply | Watching:
        """Do it; raises ApiError."""
        if route.verb == "discovery":
            return self._document(request)
        if route.kind is None:
            return self._unknown(route)
        self._authorize(route, route.kind)
        if route.group in self.down:
            return UNAVAILABLE
        if route.subresource and route.subresource not in route.kind.subresources:
            raise errors.generic(404)
        if route.subresource == "scale":
            return self._scale(request, route, route.kind)
        if request.query.get("dryRun"):
            raise errors.bad_request("dryRun is not supported by the sandbox")
        do = self._verbs.get(route.verb)
        if not do or (bool(route.name) is (route.verb not in _OF_OBJECTS) and route.verb != "watch"):
            raise errors.not_allowed()
        return do(request, route, route.kind)

    def _unknown(self, route: Route) -> Reply:
        if route.version in self.cluster.kinds.groups().get(route.group, {}):
            raise ApiError(404, "NotFound", errors.GENERIC[404][1], details={})
        return Reply(404, NOT_FOUND, TEXT)

    def _authorize(self, route: Route, kind: Kind) -> None:
        for resource in (kind.plural, kind.qualified):
            for namespace in (None, route.namespace):
                if (route.verb, resource, namespace) in self._forbidden:
                    raise errors.forbidden(kind, route.verb, self.user, route.namespace, route.name)

    # -------------------------------------------------------------- documents

    def _document(self, request: Request) -> Reply:
        segments, kinds = request.segments, self.cluster.kinds
        if segments[:1] == ["apis"] and len(segments) == 3 and segments[1] in self.down:
            return UNAVAILABLE
        if segments in (["api"], ["apis"]):
            return self._groups(request, core=segments == ["api"])
        if segments in (["healthz"], ["livez"], ["readyz"]):
            return Reply(200, b"ok", TEXT)
        if segments == ["version"]:
            return Reply(200, pretty(discovery.VERSION))
        document: Object | None = None
        if segments[:2] == ["openapi", "v3"]:
            path = "/".join(segments[2:])
            document = discovery.openapi(kinds, path) if path else discovery.openapi_index(kinds)
        elif segments[:1] == ["apis"] and len(segments) == 2:
            document = discovery.api_group(kinds, segments[1])
        elif segments[:1] == ["apis"] and len(segments) == 3:
            document = discovery.api_resources(kinds, segments[1], segments[2])
        elif segments[:1] == ["api"] and len(segments) == 2:
            document = discovery.api_resources(kinds, "", segments[1])
        return _json_reply(encode(document)) if document else Reply(404, NOT_FOUND, TEXT)

    def _groups(self, request: Request, core: bool) -> Reply:
        for choice in request.headers.get("accept", "").split(",") if self.aggregated else ():
            media, parameters = _media(choice)
            if media == JSON and parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("v") == "v2":
                body = encode(discovery.aggregated(self.cluster.kinds, core, self.down)) + b"\n"
                return Reply(200, body, discovery.AGGREGATED, cache="public")
        if core:
            return _json_reply(encode(discovery.api_versions(self.address)))
        return _json_reply(encode(discovery.api_groups(self.cluster.kinds)))

    # -------------------------------------------------------------- reading

    def _representation(self, request: Request, kind: Kind) -> Representation:
        include = request.query.get("includeObject") or "Metadata"
        return negotiate(kind, request.headers.get("accept", ""), include)

    @staticmethod
    def _selection(request: Request, route: Route, kind: Kind) -> Selection:
        query = request.query
        fields = query.get("fieldSelector", "")
        if route.name:  # a watch of one object, by its path
            fields = f"{fields},metadata.name={route.name}".lstrip(",")
        labels, shard = query.get("labelSelector", ""), query.get("shardSelector", "")
        return Selection.of(kind, route.namespace, labels, fields, shard)

    def _get(self, request: Request, route: Route, kind: Kind) -> Reply:
        representation = self._representation(request, kind)
        record = self.cluster.record_of(kind, route.namespace, route.name)
        return _json_reply(representation.one(record, self.cluster.now()))

    def _list(self, request: Request, route: Route, kind: Kind) -> Reply:
        representation = self._representation(request, kind)
        selection = self._selection(request, route, kind)
        version, start = self._list_start(request.query, selection, kind)
        limit = _number(request.query, "limit")
        try:
            page = self.cluster.page(kind, selection, version=version, start=start, limit=limit)
        except ApiError as error:
            if error.code == 410 and start:
                raise errors.expired_continue(_encode_token(-1, _start_text(start, route.namespace)[1:])) from error
            raise
        metadata: Object = {"resourceVersion": str(page.version)}
        if page.next_key:
            metadata["continue"] = _encode_token(page.version, _start_text(page.next_key, route.namespace))
            if not selection.predicates:
                metadata["remainingItemCount"] = page.remaining
        body = representation.many(page.records, metadata, self.cluster.now()) + b"\n"
        return Reply(200, body, chunk=LIST_CHUNK if isinstance(representation, Plain) else None)

    def _list_start(self, query: dict[str, str], selection: Selection, kind: Kind) -> tuple[int | None, Key | None]:
        """The version (None: now) and the key to list from."""
        token, text = query.get("continue", ""), query.get("resourceVersion", "")
        if token:
            if text not in ("", "0"):
                raise errors.bad_request("specifying resource version is not allowed when using continue")
            version, start = _decode_token(token, selection.namespace, kind)
            return (None if version < 0 else version), start
        match = query.get("resourceVersionMatch", "")
        if match and not text:
            cause = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            raise errors.invalid_options("resourceVersionMatch", cause)
        wanted = parse_version(text or "0")
        if wanted > self.cluster.resource_version:
            raise errors.too_large(wanted, self.cluster.resource_version)
        if match == "Exact" and not wanted:
            raise errors.invalid_options("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for "0"')
        return (wanted if match == "Exact" else None), None

    def _watch(self, request: Request, route: Route, kind: Kind) -> Watching:
        query = request.query
        representation = self._representation(request, kind)
        selection = self._selection(request, route, kind)
        after = parse_version(query.get("resourceVersion") or "0") or None
        send = self._send_initial_events(query, after)
        timeout = float(_number(query, "timeoutSeconds")) or random.uniform(*self.watch_timeout)
        bookmarks = query.get("allowWatchBookmarks") in _TRUE
        initial = after is None if send is None else send
        return Watching(
            kind,
            selection,
            representation,
            after=None if initial else after,
            initial=initial,
            initial_end=bool(send) and bookmarks,
            bookmarks=bookmarks,
            timeout=timeout,
        )

    def _send_initial_events(self, query: dict[str, str], after: int | None) -> bool | None:
        text, match = query.get("sendInitialEvents"), query.get("resourceVersionMatch", "")
        if text is None:
            if match:
                cause = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                raise errors.invalid_options("resourceVersionMatch", cause)
            return None
        if match != "NotOlderThan":
            cause = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            raise errors.invalid_options("resourceVersionMatch", cause)
        if after is not None and after > self.cluster.resource_version:
            raise errors.too_large(after, self.cluster.resource_version)
        return text in _TRUE

    # -------------------------------------------------------------- writing

    @staticmethod
    def _body(request: Request) -> Any:
        try:
            return json.loads(request.body or b"null")
        except ValueError as error:
            message = f"unable to decode the body of the request as JSON: {error}"
            raise errors.bad_request(message) from error

    def _object(self, request: Request, route: Route, kind: Kind) -> Object:
        media = _media(request.headers.get("content-type", JSON))[0]
        if media not in (JSON, protobuf.MEDIA):
            raise errors.unsupported_media(media, f"{JSON}, {protobuf.MEDIA}")
        item = protobuf.decode(request.body) if media == protobuf.MEDIA else self._body(request)
        if not isinstance(item, dict) or not isinstance(item.get("metadata") or {}, dict):
            raise errors.bad_request("the object provided is unrecognized (must be of type object)")
        item["metadata"] = item.get("metadata") or {}
        found = (item.get("apiVersion", kind.api_version), item.get("kind", kind.kind))
        if found != (kind.api_version, kind.kind):
            message = (
                f"{found[1]} in version {json.dumps(found[0])} cannot be handled as a {kind.kind}: "
                "the object provided does not match the resource of the path"
            )
            raise errors.bad_request(message)
        self._place(item["metadata"], route, kind)
        return item

    @staticmethod
    def _place(metadata: Object, route: Route, kind: Kind) -> None:
        if kind.namespaced:
            namespace = route.namespace or "default"
            if metadata.setdefault("namespace", namespace) != namespace:
                message = "the namespace of the provided object does not match the namespace sent on the request"
                raise errors.bad_request(message)
        if route.name and metadata.setdefault("name", route.name) != route.name:
            raise errors.bad_request("the name of the object does not match the name on the URL")

    @staticmethod
    def _manager(request: Request) -> str:
        agent = request.headers.get("user-agent", "").partition("/")[0]
        return request.query.get("fieldManager") or agent or "unknown"

    def _written(self, request: Request, kind: Kind, record: Record, status: int = 200) -> Reply:
        representation = self._representation(request, kind)
        return _json_reply(representation.one(record, self.cluster.now()), status)

    def _create(self, request: Request, route: Route, kind: Kind) -> Reply:
        item = self._object(request, route, kind)
        return self._stored(request, kind, item)

    def _stored(self, request: Request, kind: Kind, item: Object) -> Reply:
        metadata = item["metadata"]
        for name in _SERVER_SET:
            metadata.pop(name, None)
        if "status" in kind.subresources:
            item.pop("status", None)
        if kind.namespaced:
            self.cluster.record_of(self.cluster.kind("namespaces"), "", metadata["namespace"])
        record = self.cluster.create_record(kind, item, manager=self._manager(request))
        return self._written(request, kind, record, 201)

    def _update(self, request: Request, route: Route, kind: Kind) -> Reply:
        item = self._object(request, route, kind)
        manager = self._manager(request)
        record = self.cluster.update_record(kind, item, subresource=route.subresource, manager=manager)
        return self._written(request, kind, record)

    def _patch(self, request: Request, route: Route, kind: Kind) -> Reply:
        media = _media(request.headers.get("content-type", ""))[0]
        supported = [name for name in PATCHES if not (kind.custom and "strategic" in name)]
        if media not in supported:
            raise errors.unsupported_media(media, ", ".join(supported))
        patch = self._body(request)
        if media.endswith("yaml") and not self._exists(kind, route):
            self._place(patch["metadata"], route, kind)
            return self._stored(request, kind, patch)
        record = self.cluster.patch_record(
            kind,
            route.namespace,
            route.name,
            patch,
            function=PATCHES[media],
            subresource=route.subresource,
            manager=self._manager(request),
        )
        return self._written(request, kind, record)

    def _exists(self, kind: Kind, route: Route) -> bool:
        try:
            self.cluster.record_of(kind, route.namespace, route.name)
        except ApiError:
            return False
        return True

    def _delete_options(self, request: Request) -> tuple[int | None, bool, str | None]:
        """Grace period, whether to cascade, and the uid that the object must have."""
        options = self._body(request) or {}
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        uid = lookup(options, ("preconditions", "uid"))
        return (None if grace is None else int(grace)), policy != "Orphan", uid

    def _delete(self, request: Request, route: Route, kind: Kind) -> Reply:
        record = self.cluster.delete_record(kind, route.namespace, route.name, *self._delete_options(request))
        if kind.store in _RETURNS_OBJECT or self._exists(kind, route):
            return self._written(request, kind, record)
        details = {"name": route.name, "group": kind.group, "kind": kind.plural, "uid": record.uid}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return _json_reply(encode({**status, "details": {key: value for key, value in details.items() if value}}))

    def _delete_collection(self, request: Request, route: Route, kind: Kind) -> Reply:
        grace, cascade, _ = self._delete_options(request)
        representation = self._representation(request, kind)
        page = self.cluster.page(kind, self._selection(request, route, kind))
        for record in page.records:
            namespace = record.item["metadata"].get("namespace", "")
            self.cluster.delete_record(kind, namespace, record.key[1], grace, cascade)
        return _json_reply(representation.many(page.records, {"resourceVersion": str(page.version)}, 0.0))

    # -------------------------------------------------------------- scale

    def _scale(self, request: Request, route: Route, kind: Kind) -> Reply:
        if route.verb in ("update", "patch"):
            replicas = lookup(self._body(request), ("spec", "replicas"))
            if not isinstance(replicas, int) or replicas < 0:
                raise errors.invalid(kind, route.name, "spec.replicas", "Invalid value: must be 0 or more")
            patch, manager = {"spec": {"replicas": replicas}}, self._manager(request)
            self.cluster.patch_record(kind, route.namespace, route.name, patch, subresource="", manager=manager)
        elif route.verb != "get":
            raise errors.not_allowed()
        return _json_reply(encode(_scale_of(self.cluster.record_of(kind, route.namespace, route.name))))


def _scale_of(record: Record) -> Object:
    item = record.item
    metadata = item["metadata"]
    labels = lookup(item, ("spec", "selector", "matchLabels"), {})
    shown = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": shown,
        "spec": {"replicas": lookup(item, ("spec", "replicas"), 0)},
        "status": {
            "replicas": lookup(item, ("status", "replicas"), 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }
