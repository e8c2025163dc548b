"""`kwatch watch TYPE`, which `kwatch TYPE` is short for."""

from __future__ import annotations

from typing import Any

import click

from kwatch.cli.options import COMMAND_CONTEXT, CONNECTION, KUBECTL, NOTICES, WATCH, options_of, to_options
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.argument("type")
@click.argument("names", nargs=-1)
@options_of(*WATCH, CONNECTION, NOTICES, KUBECTL)
def watch(**options: Any) -> int:
    """Watch objects of TYPE: all of a namespace, or the NAMES given.

    TYPE is a plural, a singular, a short name or a kind: pods, po, Pod, deployments.apps; TYPE/NAME works too.
    """
    from kwatch.app import run

    return run(to_options(options), environment())
