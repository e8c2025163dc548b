"""`kwatch resources`: what a cluster can watch, in the form of `kubectl api-resources`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kwatch.app.voice import Voice
from kwatch.cluster.cache import cache_folder
from kwatch.cluster.discovery import Discovery
from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.cluster.resources import preferred
from kwatch.errors import ApiError, ExitCode, UsageError
from kwatch.model import Environment, Notice, Resource
from kwatch.selection import catalog
from kwatch.text import one_line

GAP = 3
"""Blanks between columns, as kubectl has them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What `kwatch resources` was asked for. `namespaced` and `api_group` None: all ("" is the core group).

    Of `categories` and `verbs` a type has to have all. `cached`: believe what an earlier run kept.
    """

    output: str = ""
    headers: bool = True
    api_group: str | None = None
    namespaced: bool | None = None
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    sort_by: str = ""
    cached: bool = False
    quiet: bool = False
    verbose: bool = False
    contexts: tuple[str, ...] = ()
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    cache_dir: str = ""


def list_resources(listing: Listing, env: Environment, voice: Voice) -> ExitCode:
    """Print the types, each in its preferred version. What can't be asked is announced, and is no failure: the list is
    right without it; unless nothing else was asked for."""
    _check(listing)
    connection = resolve(replace(listing.connection, context="".join(listing.contexts)), env.variables)
    try:
        voice.keep(connection)
        found = _discovered(listing, connection, env, voice)
    finally:
        connection.credentials.close()
    shown = sorted(_chosen(listing, found.resources), key=_ORDERS[listing.sort_by])
    for line in found.skipped:
        voice.notice(Notice(f"not asked, for it is unavailable: {line}"), quiet=listing.quiet, verbose=listing.verbose)
    if not shown and _missing(listing, found.skipped):
        raise ApiError(
            f"{listing.api_group} can't be asked what it has now; try again, or see why with `kwatch apiservices`"
        )
    env.stdout.write(_text(listing, shown).encode("utf-8", "replace"))
    env.stdout.flush()
    return ExitCode.OK


def _check(listing: Listing) -> None:
    if listing.output not in _COLUMNS:
        raise UsageError(f'there is no output "{listing.output}"; -o takes {", ".join(filter(None, _COLUMNS))}')
    if listing.sort_by not in _ORDERS:
        raise UsageError(f"--sort-by takes {' or '.join(filter(None, _ORDERS))}")
    if len(listing.contexts) > 1:
        raise UsageError("resources are listed of one cluster at a time; give one --context")


def _discovered(listing: Listing, connection: Connection, env: Environment, voice: Voice) -> Discovery:
    def tell(notice: Notice) -> None:
        voice.notice(notice, quiet=listing.quiet, verbose=listing.verbose)

    folder = cache_folder(listing.cache_dir, env.variables)
    with catalog(connection, folder, float("inf"), tell) as types:
        return (listing.cached and types.kept()) or types.asked()


def _chosen(listing: Listing, resources: Iterable[Resource]) -> list[Resource]:
    return [
        resource
        for resource in preferred(resources)
        if listing.api_group in (None, resource.group)
        and listing.namespaced in (None, resource.namespaced)
        and set(listing.categories) <= set(resource.categories)
        and set(listing.verbs) <= set(resource.verbs)
    ]


def _missing(listing: Listing, skipped: Sequence[str]) -> bool:
    """Whether the group that was asked for is one that didn't answer."""
    group = listing.api_group
    return group is not None and any(line.startswith(f"{group}/" if group else ("v1:", "/api:")) for line in skipped)


_ORDERS: Mapping[str, Callable[[Resource], tuple[str, ...]]] = {
    "": lambda resource: (resource.group, resource.plural),
    "name": lambda resource: (resource.plural,),
    "kind": lambda resource: (resource.kind,),
}
"""By `--sort-by`, as kubectl: among equals the server's order stands."""

Cells = Mapping[str, Callable[[Resource], str]]

_TABLE: Cells = {
    "NAME": lambda resource: resource.plural,
    "SHORTNAMES": lambda resource: ",".join(resource.short_names),
    "APIVERSION": lambda resource: resource.api_version,
    "NAMESPACED": lambda resource: str(resource.namespaced).lower(),
    "KIND": lambda resource: resource.kind,
}
_WIDE: Cells = {
    "VERBS": lambda resource: ",".join(resource.verbs),
    "CATEGORIES": lambda resource: ",".join(resource.categories),
}
_COLUMNS: Mapping[str, Cells] = {
    "": _TABLE,
    "wide": {**_TABLE, **_WIDE},
    "name": {"NAME": lambda resource: resource.qualified},
}
"""By `-o`."""


def _text(listing: Listing, resources: Sequence[Resource]) -> str:
    from tabulate import DataRow, TableFormat, tabulate

    columns = _COLUMNS[listing.output]
    rows = [[one_line(cell(resource)) for cell in columns.values()] for resource in resources]
    if listing.headers and listing.output != "name":
        rows.insert(0, list(columns))
    line = DataRow("", " " * GAP, "")
    kubectls = TableFormat(None, None, None, None, headerrow=line, datarow=line, padding=0, with_header_hide=None)
    text = tabulate(rows, tablefmt=kubectls, disable_numparse=True)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
