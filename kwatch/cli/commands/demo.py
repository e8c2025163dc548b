"""`kwatch demo`: a watch without a cluster."""

from __future__ import annotations

from typing import Any

import click

from kwatch.cli.options import COMMAND_CONTEXT, NOTICES, WATCH, options_of, scenario, to_options
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.argument("type", default="pods")
@click.argument("names", nargs=-1)
@scenario("rollout")
@options_of(*WATCH, NOTICES)
def demo(scenario: str, **options: Any) -> int:
    """Watch an API server inside this process: no cluster needed.

    TYPE is pods unless given.
    """
    from kwatch.app import run_demo

    return run_demo(to_options(options), scenario, environment())
