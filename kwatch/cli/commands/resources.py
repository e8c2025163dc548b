"""`kwatch resources`: what the cluster can watch."""

from __future__ import annotations

from typing import Any

import click

from kwatch.cli.options import COMMAND_CONTEXT, CONNECTION, NOTICES, connection_of, options_of
from kwatch.cli.parameters import names
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command

LISTING = (
    click.option("-o", "--output", metavar="FORM", default="", help="wide or name."),
    click.option("--no-headers", is_flag=True, help="Print no header."),
    click.option("--api-group", metavar="GROUP", default=None, help='Those of one API group; "" is the core group.'),
    click.option(
        "--namespaced",
        metavar="BOOL",
        type=bool,
        is_flag=False,
        flag_value=True,
        default=None,
        help="Those in namespaces; with =false, the others.",
    ),
    click.option("--categories", metavar="NAME", type=names, multiple=True, help="Those of a category; repeatable."),
    click.option("--verbs", metavar="VERB", type=names, multiple=True, help="Those that allow a verb; repeatable."),
    click.option("--sort-by", metavar="KEY", default="", help="name or kind; by API group unless given."),
    click.option("--cached", is_flag=True, help="Believe what an earlier run was told, if that is of late."),
)


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@options_of(LISTING, CONNECTION, NOTICES)
def resources(**options: Any) -> int:
    """List the types that the cluster can watch, as `kubectl api-resources` does.

    The server is asked. A group that can't be asked is announced on stderr while the rest is listed, with exit code 0.
    """
    from kwatch.app import run_resources
    from kwatch.app.resources import Listing

    contexts, connection = connection_of(options)
    listing = Listing(
        headers=not options.pop("no_headers"),
        categories=_flat(options.pop("categories")),
        verbs=_flat(options.pop("verbs")),
        contexts=contexts,
        connection=connection,
        **options,
    )
    return run_resources(listing, environment())


def _flat(groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(name for group in groups for name in group)
