"""What may have been meant where nothing is found: an object of that name, or a type that the server doesn't serve."""

from __future__ import annotations

import contextlib
import time

from kwatch.cluster.cache import Cache
from kwatch.cluster.catalog import Catalog
from kwatch.cluster.documents import Documents
from kwatch.cluster.kubeconfig import Connection
from kwatch.cluster.resources import SETTLED, find, unknown
from kwatch.errors import KwatchError
from kwatch.model import Query
from kwatch.protocol.jsontext import decode
from kwatch.pump import RealClock

SECONDS = 2.0
"""For a question that only serves advice."""
LIMIT = 500
"""Objects whose names are looked at for it."""
NAMES = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
_GLOB = frozenset("*?[")


def missing(query: Query, connection: Connection) -> str:
    """What to try instead of the name of `query`, which isn't there; at most one request."""
    if set(query.name) & _GLOB:
        return f"did you mean --name '{query.name}'?"
    if "," in query.name:
        first = f"{query.resource.plural}/{query.name.partition(',')[0]}"
        return f"objects have blanks between them: `kwatch {first} po/NAME`"
    if other := find(query.name, SETTLED):
        return f"for several types write `kwatch {query.resource.plural},{other.plural}`"
    begun = [name for name in _names(query, connection) if name.startswith(query.name)]
    if begun:
        dash = "-" if all(name.startswith(f"{query.name}-") for name in begun) else ""
        return f"did you mean --name '{query.name}{dash}*'?"
    return "check the name, or -n" if query.namespace else "check the name"


def _names(query: Query, connection: Connection) -> list[str]:
    """The names of what there is beside it; [] where the server doesn't say."""
    with contextlib.suppress(KwatchError), Documents(connection, RealClock(), time.monotonic() + SECONDS) as documents:
        beside = Query(query.resource, query.namespace)
        found = decode(documents.get(f"{beside.path}?limit={LIMIT}", NAMES))
        return [str(item["metadata"]["name"]) for item in found.get("items") or ()]
    return []


def unserved(query: Query, connection: Connection, typed: str) -> KwatchError | None:
    """kubectl's error for a type that the server, asked for all that it serves, doesn't; None where it isn't that."""
    with contextlib.suppress(KwatchError), Documents(connection, RealClock(), time.monotonic() + SECONDS) as documents:
        served = Catalog(documents.get, Cache(None, connection)).asked().resources
        wanted = query.resource
        if not any((each.group, each.plural) == (wanted.group, wanted.plural) for each in served):
            words = (word.partition("/")[0] for word in typed.split(","))
            return unknown(next((word for word in words if find(word, [wanted])), wanted.plural), served)
    return None
