"""What to watch, and where: `TYPE... NAME...` as queries over connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kwatch.app.options import Options
from kwatch.app.voice import Voice
from kwatch.cluster.discovery import resolve_type
from kwatch.cluster.kubeconfig import Connection, kubeconfig, resolve
from kwatch.errors import ApiError, ConfigError, ProtocolError, TransportError, UsageError
from kwatch.model import Environment, Query, Resource
from kwatch.transport import Transport


def connections(options: Options, env: Environment, voice: Voice) -> list[Connection]:
    """One for each context. Of several, one that can't be used is announced while the others go on."""
    contexts = tuple(dict.fromkeys(options.contexts)) or ("",)
    found: list[Connection] = []
    config = kubeconfig(options.connection, env.variables)
    for index, context in enumerate(contexts):
        try:
            found.append(resolve(replace(options.connection, context=context), env.variables, config=config))
        except ConfigError as error:
            if index + 1 == len(contexts) and not found:
                raise
            voice.say(f"error: {error}")
    return found


def sources(options: Options, connections: Sequence[Connection], voice: Voice) -> dict[Query, Connection]:
    """What to watch, and where. Of several clusters, one that doesn't say what it serves is announced and left out."""
    several = len(set(options.contexts)) > 1
    found: dict[Query, Connection] = {}
    for index, connection in enumerate(connections):
        try:
            for query in _queries(options, connection):
                found[replace(query, cluster=connection.context) if several else query] = connection
        except (ApiError, ConfigError, ProtocolError, TransportError) as error:
            if index + 1 == len(connections) and not found:
                raise
            voice.say(f"error: {connection.context}: {error}")
    return found


def _queries(options: Options, connection: Connection) -> list[Query]:
    """One for each name in each namespace, or one for all; of each type."""
    wanted = _what(options, connection)
    if any(name for _, name in wanted) and (options.label_selector or options.field_selector):
        raise UsageError("a selector and a name exclude each other; leave out -l and --field-selector, or the name")
    named = tuple(dict.fromkeys(options.namespaces)) or (connection.namespace or "default",)
    for namespace in named:
        if namespace in (".", "..") or set(namespace) & set("/%"):  # as kubectl: it would be another path
            raise UsageError(f'"{namespace}" can\'t be a namespace: it may not be . or .. nor hold / or %')
    if options.all_namespaces and any(name and resource.namespaced for resource, name in wanted):
        raise UsageError("a resource can't be watched by name across all namespaces; leave out -A or the name")
    return [
        Query(resource, namespace, name, options.label_selector, options.field_selector)
        for resource, name in dict.fromkeys(wanted)
        for namespace in (named if resource.namespaced and not options.all_namespaces else ("",))
    ]


def _what(options: Options, connection: Connection) -> list[tuple[Resource, str]]:
    """The types, each with a name or "", meant by `TYPE[,TYPE...]`, `TYPE[,TYPE...] NAME...` or `TYPE/NAME...`."""
    words = (options.type, *options.names)
    usage = UsageError(f'"{" ".join(words)}": give TYPE, TYPE NAME... or TYPE/NAME...')
    if "/" in options.type:
        pairs = [word.split("/") for word in words]
        if any(len(pair) != 2 or "" in pair or "," in pair[0] for pair in pairs):
            raise usage
    else:
        pairs = [[kind, name] for kind in options.type.split(",") for name in options.names or ("",)]
        if any(not kind or "/" in name for kind, name in pairs) or "" in options.names:
            raise usage
    resources = {kind: _resource(kind, connection) for kind in dict.fromkeys(kind for kind, _ in pairs)}
    return [(resources[kind], name) for kind, name in pairs]


def _resource(kind: str, connection: Connection) -> Resource:
    def get(path: str, accept: str) -> bytes:
        transport = Transport(connection)
        try:
            return transport.get(path, accept)
        finally:
            transport.close()

    return resolve_type(kind, get)
