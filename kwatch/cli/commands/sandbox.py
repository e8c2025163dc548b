"""`kwatch sandbox`: an API server to try things against."""

from __future__ import annotations

import click

from kwatch.cli.options import COMMAND_CONTEXT, scenario
from kwatch.cli.parameters import file_name
from kwatch.cli.process import environment
from kwatch.cli.spelling import Command


@click.command(cls=Command, context_settings=COMMAND_CONTEXT)
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="Port; a free one unless given.")
@scenario("quiet")
@click.option("--objects", metavar="N", type=click.IntRange(min=1), default=None, help="churn: how many objects.")
@click.option("--rate", metavar="R", type=click.FloatRange(min=0.01), default=None, help="churn: changes a second.")
@click.option(
    "--write-kubeconfig",
    metavar="FILE",
    type=file_name,
    default=None,
    help="Write a kubeconfig for it. A FILE that is there is overwritten only if the sandbox wrote it.",
)
def sandbox(port: int, scenario: str, objects: int | None, rate: float | None, write_kubeconfig: str | None) -> int:
    """Serve the demo's API server alone, on this machine's loopback, for kubectl, curl or another kwatch.

    Prints its address and serves until Ctrl-C. There are pods, deployments, replicasets, statefulsets, daemonsets,
    controllerrevisions, jobs, services, configmaps, secrets, events, namespaces, nodes, and
    customresourcedefinitions with the types that these define.

    Workloads run, whatever their image, but for two rules. An image whose name begins with bad, or a tag with bad,
    broken, missing, nosuch or notexist in it, can't be pulled; an image whose name begins with crash exits soon
    after it starts.
    """
    from kwatch.app import run_sandbox

    given = {name: value for name, value in (("objects", objects), ("rate", rate)) if value is not None}
    return run_sandbox(port, scenario, given, write_kubeconfig or "", environment())
