"""What to watch, and where: `TYPE... NAME...` as queries over connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from kwatch.app.options import Options
from kwatch.app.voice import Voice
from kwatch.cluster.cache import cache_folder
from kwatch.cluster.catalog import Catalog, resolve_types
from kwatch.cluster.kubeconfig import Connection, kubeconfig, resolve
from kwatch.errors import ApiError, ConfigError, KwatchError, NotFound, ProtocolError, TransportError, UsageError
from kwatch.events import selectors
from kwatch.model import Batch, Environment, Notice, Query, Resource
from kwatch.selection import Selection, catalog, queries

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


class Sources(NamedTuple):
    """What to watch, and where; what each server was known to serve; of events, which type they are to be about."""

    connections: dict[Query, Connection]
    catalogs: dict[Query, Catalog]
    subjects: dict[Query, Resource]


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
    found = Sources({}, {}, {})
    for index, connection in enumerate(connections):
        try:
            with catalog(connection, folder, ends, tell) as types:
                subject, narrowed = _narrowed(options, types)
                for query in queries(narrowed, connection, types):
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

    def __init__(self, wanted: Sources) -> None:
        self._wanted = wanted
        self._refused: Query | None = None
        self.found = False

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch."""
        if isinstance(batch.failure, NotFound) and batch.failure.code == 404:
            self.found |= self._wanted.catalogs[batch.query].distrust()
            self._refused = batch.query
        return (batch,)

    def explained(self, error: NotFound, typed: str) -> KwatchError:
        """The error that ends a run: that the server doesn't serve a type at all, where it is that."""
        from kwatch.app.advice import unserved

        refused = self._refused if error.code == 404 else None
        return (refused and unserved(refused, self._wanted.connections[refused], typed)) or error

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()


def _narrowed(options: Options, types: Catalog) -> tuple[Resource | None, Selection]:
    """What is selected; for `kwatch events`, what they are to be about, and the selectors for that."""
    selection = Selection(
        options.type,
        options.names,
        options.namespaces,
        options.all_namespaces,
        options.label_selector,
        options.field_selector,
        options.shard,
    )
    if options.events is None:
        return None, selection
    subject, name = _subject(options.events.subject, types) if options.events.subject else (None, "")
    fields = selectors(subject, name, options.events.types)
    return subject, selection._replace(field_selector=",".join(filter(None, [options.field_selector, *fields])))


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
