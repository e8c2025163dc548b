"""`kwatch replay FILE...`: what was recorded, again."""

from __future__ import annotations

from typing import Any

import click

from kwatch.cli.options import COMMAND_CONTEXT, COUNT, FILTERS, NAMESPACES, OUTPUT, TYPES, options_of, to_options
from kwatch.cli.parameters import moment, speed
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.argument("files", nargs=-1, required=True)
@click.option("--speed", type=speed, default="max", show_default=True, metavar="N",
              help="So many times as fast as it happened: 1x, 10x, or max for no pauses.")  # fmt: skip
@click.option("--from", "start", type=moment, metavar="TIME", help="Leave out what came before TIME.")
@click.option("--to", "end", type=moment, metavar="TIME", help="Leave out what came after TIME.")
@click.option("--at", type=moment, metavar="TIME", help="Print the state of the cluster at TIME, as a table.")
@options_of(NAMESPACES, FILTERS, TYPES, OUTPUT, COUNT)
def replay(files: tuple[str, ...], speed: float, start: float, end: float, at: float, **options: Any) -> int:
    """Print recorded events again: FILES that kwatch -o ndjson wrote, plain or gzip, in the order of their time. - is
    stdin, which is read to its end first.

    Every output and filter of a live watch works. TIME is 2026-11-25T03:12 (this machine's time), or with a zone:
    2026-11-25T03:12:00Z. For times, record with --timestamps.
    """
    from kwatch.app import run_replay
    from kwatch.app.replaying import ReplayOptions

    asked = ReplayOptions(files, speed, start, end, at)
    return run_replay(to_options({"type": "", "selector": "", **options}), asked, environment())
