"""`kwatch state FILE`: what an export remembers."""

from __future__ import annotations

import click

from kwatch.cli.options import COMMAND_CONTEXT
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.argument("file")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="json: a document, for scripts.")  # fmt: skip
def state(file: str, output: str) -> int:
    """What is in the state FILE of an export: its output, and of each source the resume point and the objects.

    It may be in use meanwhile.
    """
    from kwatch.app import run_state

    return run_state(file, output, environment())
