"""What to watch on one cluster: `TYPE... NAME...` and namespaces as queries, for the command and for programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from kwatch.cluster.cache import Cache
from kwatch.cluster.catalog import Catalog, resolve_types
from kwatch.cluster.documents import Documents
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import KwatchError, NotFound, UsageError
from kwatch.model import Notice, Query, Resource
from kwatch.pump import RealClock

if TYPE_CHECKING:
    from kwatch.shards import Shard

ASK_SECONDS = (0.1, 1.0)
"""The first and the longest pause between two questions for a type that isn't served yet."""

_Found = TypeVar("_Found")


class Selection(NamedTuple):
    """The words as they are typed: `type` may be `po,deploy` or `deploy/web`; no namespace is the connection's."""

    type: str
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    all_namespaces: bool = False
    label_selector: str = ""
    field_selector: str = ""
    shard: Shard | None = None


@contextlib.contextmanager
def catalog(
    connection: Connection, folder: Path | None, ends: float, tell: Callable[[Notice], None]
) -> Iterator[Catalog]:
    """What the server of `connection` serves, kept in `folder`; asked for, if need be, until `ends` at the latest."""
    with Documents(connection, RealClock(), ends, tell) as documents:
        yield Catalog(documents.get, Cache(folder, connection, tell), tell)


def queries(selection: Selection, connection: Connection, types: Catalog) -> list[Query]:
    """One for each name in each namespace, or one for all; of each type. Raises UsageError, and as `resolve_types`."""
    wanted = _what(selection, types)
    if any(name for _, name in wanted) and (selection.label_selector or selection.field_selector):
        raise UsageError("a selector and a name exclude each other; leave out -l and --field-selector, or the name")
    named = tuple(dict.fromkeys(selection.namespaces)) or (connection.namespace or "default",)
    for namespace in named:
        if namespace in (".", "..") or set(namespace) & set("/%"):  # as kubectl: it would be another path
            raise UsageError(f'"{namespace}" can\'t be a namespace: it may not be . or .. nor hold / or %')
    if selection.all_namespaces and any(name and resource.namespaced for resource, name in wanted):
        raise UsageError("a resource can't be watched by name across all namespaces; leave out -A or the name")
    return [
        Query(resource, namespace, name, selection.label_selector, selection.field_selector, shard=selection.shard)
        for resource, name in dict.fromkeys(wanted)
        for namespace in (named if resource.namespaced and not selection.all_namespaces else ("",))
    ]


def once_served(
    ask: Callable[[], _Found],
    left: Callable[[], float],
    sleep: Callable[[float], object],
    tell: Callable[[str], None] = lambda text: None,
    awaited: tuple[type[KwatchError], ...] = (NotFound,),
) -> _Found:
    """What `ask` gives, once the server has the type: a CRD may be about to come, or with other errors `awaited` the
    server itself. `left` gives the seconds that it may take yet, `sleep` may end early, `tell` is told the first time
    that it isn't there.

    Raises TimeoutError with what isn't there as its text.
    """
    pause, longest = ASK_SECONDS
    told = False
    while True:
        try:
            return ask()
        except awaited as error:
            if left() <= pause:
                raise TimeoutError(str(error)) from None
            if not told:
                tell(f"{error}; waiting for it")
            told = True
            sleep(pause)
            pause = min(pause * 2, longest)


_BOTH = "; types have commas between them (`kwatch deploy,po`), objects blanks (`kwatch deploy/web po/web-0`)"


def _what(selection: Selection, types: Catalog) -> list[tuple[Resource, str]]:
    """The types, each with a name or "", meant by `TYPE[,TYPE...]`, `TYPE[,TYPE...] NAME...` or `TYPE/NAME...`."""
    words = (selection.type, *selection.names)
    usage = UsageError(f'"{" ".join(words)}": give TYPE, TYPE NAME... or TYPE/NAME...')
    if "/" in selection.type:
        pairs = [word.split("/") for word in words]
        if any(len(pair) != 2 or "" in pair or "," in pair[0] for pair in pairs):
            raise UsageError(f"{usage}{_BOTH}") if "," in "".join(words) else usage
    else:
        pairs = [[kind, name] for kind in selection.type.split(",") for name in selection.names or ("",)]
        if any(not kind or "/" in name for kind, name in pairs) or "" in selection.names:
            raise usage
    resources = {kind: resolve_types(kind, types) for kind in dict.fromkeys(kind for kind, _ in pairs)}
    return [(resource, name) for kind, name in pairs for resource in resources[kind]]
