"""`kwatch wait`: for scripts."""

from __future__ import annotations

from typing import Any

import click

from kwatch.cli.options import COMMAND_CONTEXT, CONDITION, CONNECTION, NOTICES, options_of, to_wait_options
from kwatch.cli.parameters import names_if_any, timeout
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command

CONDITIONS = (
    click.option("--for", "until", metavar="COND", multiple=True, help=f"Wait for {CONDITION}; repeatable, all hold."),
    click.option("--for-any", "any_of", metavar="COND", multiple=True, help="As --for, but one of them is enough."),
    click.option("--fail-on", metavar="COND", multiple=True, help="End with exit code 3 as soon as it is met."),
    click.option(
        "--no-fail-fast",
        is_flag=True,
        help="With rollout and complete, sit out pods that can't start; only the controller's own word fails.",
    ),
    click.option(
        "--timeout", metavar="TIME", type=timeout, default="30s", show_default=True,
        help="Give up after TIME, with exit code 124; 0 checks once, a negative one waits for ever.",
    ),
)  # fmt: skip
OBJECTS = (
    click.option("-n", "--namespace", metavar="NS", type=names_if_any, multiple=True,
                 help="Namespace of the objects; repeat it or write a,b for several."),
    click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces."),
    click.option("-l", "--selector", metavar="SEL", default="", help="Label selector: app=web,tier!=db"),
    click.option("--field-selector", metavar="SEL", default="", help="Field selector: status.phase=Running"),
    click.option("--all", "all_objects", is_flag=True, help="All objects of the type in the namespace."),
    click.option("--count", metavar="N", type=click.IntRange(min=1),
                 help="N objects are enough; else all that match have to, and at least one."),
    click.option("-o", "--output", metavar="FORM", default="", help="json or ndjson: the verdicts, for machines."),
)  # fmt: skip


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.argument("type")
@click.argument("names", nargs=-1)
@options_of(CONDITIONS, OBJECTS, CONNECTION, NOTICES)
def wait(**options: Any) -> int:
    """Wait until objects are as a script needs them.

    Exit codes: 0 the conditions are met, 1 an error, 2 usage, 3 they can't be met any more (--fail-on, a rollout that
    fails, an object deleted), 124 the timeout passed, 129 SIGHUP, 130 Ctrl-C, 141 the reader of stdout went away, 143
    SIGTERM; why is on stderr. What isn't there yet is waited for.

    \b
    kwatch wait deploy/web --for rollout
    kwatch wait pod -l app=web --for condition=Ready --count 3
    kwatch wait job/migrate --for complete --timeout 5m
    """
    from kwatch.app import run_wait

    return run_wait(to_wait_options(options), environment(is_printing=False))
