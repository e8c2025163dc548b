"""What an output and the stages before it need: their form of the objects, their order, the sink itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kwatch import events
from kwatch.app.exporting import PerFile
from kwatch.app.options import Options
from kwatch.app.sources import NODES, Sources
from kwatch.errors import UsageError
from kwatch.model import Change, Environment, Key, Query
from kwatch.protocol.forms import Form, FullForm, ObjectForm, SharedTableForm, TableForm
from kwatch.sinks import FORMS, Sink, SinkOptions, Wants, make
from kwatch.stages import Only, Opening, Sought, Stage

if TYPE_CHECKING:
    from kwatch.export import Export
    from kwatch.sorting import Order


def prepared(options: Options, env: Environment) -> Options:
    """`options` with the output's template read, and tried with --sort-by, so that a bad one is refused before anything
    is asked of a server; and whether there is colour: on a terminal, unless NO_COLOR is set (https://no-color.org).

    Raises UsageError.
    """
    _check(options)
    output, template = options.sink.output, options.sink.template
    terminal = env.stdout_is_terminal and not env.is_dumb
    color = options.color == "always" or (options.color == "auto" and terminal and not env.variables.get("NO_COLOR"))
    if output.endswith("-file"):
        template = _read(template)
    sink = options.sink._replace(template=template, color=color, live=options.sink.live and terminal)
    if FORMS[output].takes_template:
        make(sink, env)
    _sort_by(sink)
    return options._replace(sink=sink)


def _check(options: Options) -> None:
    output, template = options.sink.output, options.sink.template
    if output not in FORMS:
        known = ", ".join(f"{name}=…" if form.takes_template else name for name, form in FORMS.items() if name)
        raise UsageError(f'there is no output "{output}"; -o takes {known}')
    if template and not FORMS[output].takes_template:
        raise UsageError(f"-o {output} takes nothing after it; leave out ={template}")
    if FORMS[output].takes_template and not template:
        raise UsageError(f"-o {output} needs something after it: -o {output}=…")
    for is_wrong, words in _REFUSALS:
        if is_wrong(options):
            raise UsageError(words.format(output=output or "table"))


_TABLES = ("", "table", "wide", "nodes")
_WITH_LABELS = (*_TABLES, "csv")
_WITH_EVENTS = ("json", "yaml", "jsonpath", "jsonpath-file", "custom-columns", "custom-columns-file")
_AS_KUBECTL = ("", "table", "wide", "name", "ndjson", "jsonl")

_REFUSALS: tuple[tuple[Callable[[Options], object], str], ...] = (
    (lambda options: options.is_list and options.watch_only,
     "--watch-only leaves out all that a list has; leave it out, or give --duration some time"),
    (lambda options: options.sink.show_labels and options.sink.output not in _WITH_LABELS,
     "--show-labels is for tables and csv; -o {output} has no column for them"),
    (lambda options: options.sink.output_watch_events and options.sink.output not in (*_WITH_EVENTS, *_AS_KUBECTL),
     "--output-watch-events is for json, yaml, jsonpath and custom-columns; with -o {output} leave it out"),
    (lambda options: options.sink.diff_all and options.sink.output != "diff",
     "--diff-all is for -o diff; with -o {output} leave it out"),
)  # fmt: skip
"""What would have no effect, so that who typed it would take the output for something else."""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is not text'}") from error


def stages(options: Options, wanted: Sources, sink: Sink, export: Export | None) -> list[Stage]:
    """What changes pass first stands first."""
    chosen: list[Stage] = []
    queries = list(wanted.connections)
    if options.events is not None:
        rows = bool(_wants(options) & Wants.ROWS)
        if options.events.folded:
            chosen.append(events.Folded(_known(queries, export)))
        chosen.append(events.EventRows(_now, wanted.subjects, rows=rows))
    if options.wheres or options.name_patterns:
        from kwatch.filters import Filter

        shown = [query for query in queries if options.sink.output != "nodes" or query.resource != NODES]
        of_all = Filter(shown, options.wheres, options.name_patterns, _now, waits=not options.is_list)
        chosen.append(Only(of_all, shown))
    order = _order(options, queries)
    if (by := _sort_by(options.sink)) and not by.of_rows:
        from kwatch.sorting import unmatched

        chosen.append(Sought(queries, by.has, unmatched(by)))
    waits = (order or len(queries) > 1) and not sink.shows_notices
    if waits and not options.export.state:  # what is committed as handed on can't be held back
        chosen.append(Opening(queries, order))
    if options.types:
        from kwatch.filters import OfTypes

        chosen.append(OfTypes(options.types))
    return chosen


def _known(queries: Sequence[Query], export: Export | None) -> Iterator[tuple[Query, Key, Any]]:
    """What an earlier run of the export knew, whole."""
    for query in queries if export else ():
        assert export
        yield from ((query, key, known.state) for key, known in export.kept(query).objects.items())


def _order(options: Options, queries: Sequence[Query]) -> Callable[[Query, Change], Any] | None:
    """How the first screen is sorted: as --sort-by says, else events by time and all else as it comes."""
    if by := _sort_by(options.sink):
        return by.key
    rows = options.events is not None or FORMS[options.sink.output].wants & Wants.ROWS
    return events.order(queries) if rows and any(events.is_events(query.resource) for query in queries) else None


def _sort_by(sink: SinkOptions) -> Order | None:
    """The order of the first screen, if --sort-by asks for one; else what it takes isn't imported."""
    if not sink.sort_by:
        return None
    from kwatch.sorting import order

    return order(sink.sort_by)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def sink(options: Options, queries: Sequence[Query], env: Environment, export: Export | None) -> Sink:
    """The sink, showing what tells one query's objects from another's."""
    namespaced = any(query.resource.namespaced for query in queries)
    several = options.all_namespaces or len({query.namespace for query in queries if query.resource.namespaced}) > 1
    types = {query.resource for query in queries}
    shown = options.sink._replace(
        show_namespace=namespaced and several,
        show_cluster=any(query.cluster for query in queries),
        show_types=len(types) > 1,
        show_event=options.events is None and not options.is_list,
        live=options.sink.live and not _is_of_rows(options),
        queries=tuple(queries),
    )
    return PerFile(shown, env, export) if export else make(shown, env)


def _is_of_rows(options: Options) -> bool:
    """Whether its table is one of rows on a terminal, too: it tells of events, or of one moment."""
    is_picture = options.sink.output == "nodes"
    about_events = options.types or options.sink.timestamps or options.events is not None
    return bool(about_events or (options.is_list and not is_picture))


def form(query: Query, options: Options, also: Wants) -> Form:
    """The smallest form that gives what the output and the stages need, and `also`."""
    wants = _wants(options) | also
    if options.events is not None:
        wants = wants & ~Wants.ROWS | Wants.OBJECTS  # their rows are made here
    elif wants & Wants.ROWS and events.is_events(query.resource):
        wants |= Wants.OBJECTS  # their table doesn't say when
    if not wants & Wants.OBJECTS:
        return SharedTableForm() if options.sink.live else TableForm()
    trace = os.urandom(16) if wants & Wants.TRACES else b""
    make = partial(FullForm, query.resource) if wants & Wants.ROWS else ObjectForm
    managed_fields = options.show_managed_fields or (options.sink.diff_all and options.sink.output == "diff")
    return make(managed_fields=managed_fields, secrets=options.show_secrets, trace=trace)


def _wants(options: Options) -> Wants:
    """What the output needs, the conditions on printed cells, and the order of the first screen."""
    wants = FORMS[options.sink.output].wants | (Wants.ROWS if options.wheres else Wants(0))
    if order := _sort_by(options.sink):
        wants |= Wants.ROWS if order.of_rows else Wants.OBJECTS
    return wants
