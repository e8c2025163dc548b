"""`kwatch events`: the events of a namespace, or those about one object."""

from __future__ import annotations

from typing import Any

import click

from kwatch.cli.options import (
    COMMAND_CONTEXT,
    CONNECTION,
    ENDING,
    EXPORT,
    FILTERS,
    HEALTH,
    KUBECTL,
    NOTICES,
    OUTPUT,
    SELECTION,
    options_of,
    to_options,
)
from kwatch.cli.parameters import kinds_of_events
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command

ROWS = ("", "table", "wide")
"""Outputs that tell what happens: that an event expired is no news there, nor in an export."""


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.option("--for", "subject", metavar="TYPE/NAME", default="", help="Only events about this object: pod/web-0.")
@click.option(
    "--types",
    "event_types",
    metavar="TYPES",
    type=kinds_of_events,
    multiple=True,
    help="Only events of these types: Normal,Warning.",
)
@click.option("--dedup-events", is_flag=True, help="Leave out what happens again, and its counts.")
@options_of(SELECTION, FILTERS, OUTPUT, ENDING, EXPORT, HEALTH, CONNECTION, NOTICES, KUBECTL)
def events(subject: str, event_types: tuple[tuple[str, ...], ...], dedup_events: bool, **options: Any) -> int:
    """Watch events, as `kubectl events -w`: those there are, in the order they happened, then what comes.

    An event that happens again is printed again, with its count; one that expires isn't. `kwatch watch events` watches
    the plain resource.
    """

    from kwatch.app import EventOptions, run

    types = tuple(dict.fromkeys(kind for group in event_types for kind in group))
    given = to_options({"type": "events", **options})
    shown = given._replace(
        events=EventOptions(subject, types, dedup_events),
        types=("ADDED", "MODIFIED") if given.sink.output in ROWS or given.export.is_asked_for else (),
        sink=given.sink._replace(show_kind=False),
    )
    return run(shown, environment())
