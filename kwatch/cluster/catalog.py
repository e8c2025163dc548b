"""Which types a word means, asking as little as possible: the built-in table, then the cache, then the server.

A miss in the cache asks the server, so that a CRD installed since is found. A category always does, as in kubectl:
what a kept answer lacks would be left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kwatch.cluster.cache import Cache
from kwatch.cluster.discovery import Discovery, Get, discover
from kwatch.cluster.resources import BUILT_IN, SETTLED, category, find, rivals, unknown
from kwatch.errors import Forbidden
from kwatch.model import Notice, Resource

_SHOWN = 3


class Catalog:
    """What one server serves, asked at most once."""

    def __init__(self, get: Get, cache: Cache, tell: Callable[[Notice], None] = lambda notice: None) -> None:
        self._get = get
        self._cache = cache
        self._tell = tell
        self._kept: Discovery | None = None
        self._asked: Discovery | None = None

    def kept(self) -> Discovery | None:
        """The answer of this or an earlier run, None for none that may still be believed. No request."""
        if self._asked is None and self._kept is None:
            self._kept = self._cache.load()
        return self._asked or self._kept

    def asked(self) -> Discovery:
        """The server's own answer, which is kept for later runs. Raises what `discover` raises."""
        if self._asked is None:
            self._asked = discover(self._get)
            self._cache.save(self._asked)
        return self._asked

    def distrust(self) -> bool:
        """A type of the cache isn't there any more: forget the kept answer. False where it isn't to blame, for the
        server was asked in this run, or nothing was kept."""
        if self._asked is not None or self._kept is None:
            return False
        self._cache.forget()
        self._kept = None
        return True

    def tell(self, text: str) -> None:
        """Say something that a person should know."""
        self._tell(Notice(text))


def resolve_types(name: str, catalog: Catalog) -> list[Resource]:
    """The type that `name` means, as kubectl reads it; the types of a category, in the server's order.

    Raises NotFound with kubectl's words where there is none, and what `discover` raises. Where discovery is forbidden
    the table of built-in types is the answer.
    """
    settled = find(name, SETTLED, group_prefix=False)  # a cut group may be the whole name of another, on the server
    if settled is not None:
        return [settled]
    kept = catalog.kept()
    if kept and not category(name, kept.resources) and (found := find(name, kept.resources)):
        return _one(name, found, kept.resources, catalog)
    try:
        asked = catalog.asked()
    except Forbidden as error:
        return _without_discovery(name, error, catalog)
    if members := category(name, asked.resources):
        if asked.skipped:
            catalog.tell(f"{name} may be more than what is watched: {not_asked(asked.skipped)}")
        return members
    if found := find(name, asked.resources):
        return _one(name, found, asked.resources, catalog)
    note = f" ({not_asked(asked.skipped)})" if asked.skipped else ""
    raise unknown(name, asked.resources, note)


def not_asked(skipped: Sequence[str]) -> str:
    """In words, what a Discovery lacks: the first of it."""
    more = f"; and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    return f"not asked, for it is unavailable: {'; '.join(skipped[:_SHOWN])}{more}"


def _one(name: str, found: Resource, resources: Iterable[Resource], catalog: Catalog) -> list[Resource]:
    for other in rivals(name, found, resources):
        catalog.tell(f'{found.qualified} is watched; the short name "{name}" could also mean {other.qualified}')
    return [found]


def _without_discovery(name: str, error: Forbidden, catalog: Catalog) -> list[Resource]:
    """What every cluster has; custom types can't be known."""
    if members := category(name, SETTLED):
        catalog.tell(f"{name} means its built-in types alone: {error}")
        return members
    if found := find(name, BUILT_IN):
        return [found]
    raise error
