"""What to watch, and where: `TYPE... NAME...` as queries over connections."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kwatch.app.options import Options
from kwatch.app.voice import Voice
from kwatch.cluster.cache import Cache, cache_folder
from kwatch.cluster.catalog import Catalog, resolve_types
from kwatch.cluster.documents import Documents
from kwatch.cluster.kubeconfig import Connection, kubeconfig, resolve
from kwatch.errors import ApiError, ConfigError, NotFound, ProtocolError, TransportError, UsageError
from kwatch.events import selectors
from kwatch.model import Batch, Environment, Notice, Query, Resource
from kwatch.pump import RealClock

NODES = Resource("", "v1", "nodes", "Node", namespaced=False, singular="node")


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


@contextlib.contextmanager
def catalog(
    connection: Connection, folder: Path | None, ends: float, tell: Callable[[Notice], None]
) -> Iterator[Catalog]:
    """What the server of `connection` serves, kept in `folder`; asked for, if need be, until `ends` at the latest."""
    with Documents(connection, RealClock(), ends, tell) as documents:
        yield Catalog(documents.get, Cache(folder, connection, tell), tell)


@dataclass(frozen=True, slots=True)
class Sources:
    """What to watch, and where; what each server was known to serve; of events, which type they are to be about."""

    connections: dict[Query, Connection] = field(default_factory=dict)
    catalogs: dict[Query, Catalog] = field(default_factory=dict)
    subjects: dict[Query, Resource] = field(default_factory=dict)


def sources(
    options: Options, connections: Sequence[Connection], variables: Mapping[str, str], voice: Voice, ends: float
) -> Sources:
    """What to watch, and where. Of several clusters, one that doesn't say what it serves is announced and left out.

    Raises TimeIsUp where a server hasn't said it by `ends`, a monotonic time.
    """

    def tell(notice: Notice) -> None:
        voice.notice(notice, quiet=options.quiet, verbose=options.verbose)

    several = len(set(options.contexts)) > 1
    folder = None if options.cache_dir is None else cache_folder(options.cache_dir, variables)
    found = Sources()
    for index, connection in enumerate(connections):
        try:
            with catalog(connection, folder, ends, tell) as types:
                subject, narrowed = _narrowed(options, types)
                for query in _queries(narrowed, connection, types):
                    named = replace(query, cluster=connection.context) if several else query
                    found.connections[named], found.catalogs[named] = connection, types
                    if subject:
                        found.subjects[named] = subject
        except (ApiError, ConfigError, ProtocolError, TransportError) as error:
            if index + 1 == len(connections) and not found.connections:
                raise
            voice.say(f"error: {connection.context}: {error}")
    if options.sink.output == "nodes":
        _add_nodes(found)
    return found


def _add_nodes(found: Sources) -> None:
    """The nodes of each cluster that pods are watched in, for a picture of both. Raises UsageError for other types."""
    if other := next((query.resource for query in found.connections if query.resource.qualified != "pods"), None):
        raise UsageError(f"-o nodes shows pods; for {other.qualified} choose another output")
    for query, connection in list(found.connections.items()):
        nodes = Query(NODES, cluster=query.cluster)
        found.connections[nodes], found.catalogs[nodes] = connection, found.catalogs[query]


class Outdated:
    """A stage that changes nothing: it notes when a server doesn't have a type that it was known to serve, so that
    nobody believes the cache any more."""

    def __init__(self, catalogs: Mapping[Query, Catalog]) -> None:
        self._catalogs = catalogs
        self.found = False

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch."""
        if isinstance(batch.failure, NotFound) and batch.failure.code == 404:
            self.found |= self._catalogs[batch.query].distrust()
        return (batch,)

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()


def _queries(options: Options, connection: Connection, types: Catalog) -> list[Query]:
    """One for each name in each namespace, or one for all; of each type."""
    wanted = _what(options, types)
    if any(name for _, name in wanted) and (options.label_selector or options.field_selector):
        raise UsageError("a selector and a name exclude each other; leave out -l and --field-selector, or the name")
    named = tuple(dict.fromkeys(options.namespaces)) or (connection.namespace or "default",)
    for namespace in named:
        if namespace in (".", "..") or set(namespace) & set("/%"):  # as kubectl: it would be another path
            raise UsageError(f'"{namespace}" can\'t be a namespace: it may not be . or .. nor hold / or %')
    if options.all_namespaces and any(name and resource.namespaced for resource, name in wanted):
        raise UsageError("a resource can't be watched by name across all namespaces; leave out -A or the name")
    return [
        Query(resource, namespace, name, options.label_selector, options.field_selector, shard=options.shard)
        for resource, name in dict.fromkeys(wanted)
        for namespace in (named if resource.namespaced and not options.all_namespaces else ("",))
    ]


def _narrowed(options: Options, types: Catalog) -> tuple[Resource | None, Options]:
    """For `kwatch events`: what the events are to be about, and the options with the selectors for that."""
    if options.events is None:
        return None, options
    subject, name = _subject(options.events.subject, types) if options.events.subject else (None, "")
    fields = selectors(subject, name, options.events.types)
    return subject, replace(options, field_selector=",".join(filter(None, [options.field_selector, *fields])))


def _subject(text: str, types: Catalog) -> tuple[Resource, str]:
    """The type and name that `--for TYPE/NAME` means."""
    kind, _, name = text.partition("/")
    usage = UsageError(f'"{text}": --for takes TYPE/NAME, as pod/web-0')
    if not kind or not name or set(name) & set("/,=\\") or "," in kind:
        raise usage
    found = resolve_types(kind, types)
    if len(found) != 1:  # a category
        raise usage
    return found[0], name


def _what(options: Options, types: Catalog) -> list[tuple[Resource, str]]:
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
    resources = {kind: resolve_types(kind, types) for kind in dict.fromkeys(kind for kind, _ in pairs)}
    return [(resource, name) for kind, name in pairs for resource in resources[kind]]
