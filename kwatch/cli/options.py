"""The options that commands share, in groups, and how what they gave becomes the frozen Options of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kwatch.cli.parameters import (
    Condition,
    Cookie,
    Header,
    address,
    duration,
    event_types,
    file_name,
    glob,
    names,
    names_if_any,
    period,
    shard,
    size,
    timeout,
)

if TYPE_CHECKING:
    from kwatch.app import Options, WaitOptions
    from kwatch.cluster.kubeconfig import ConnectionOptions

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMAND_CONTEXT = CONTEXT | {"auto_envvar_prefix": "KWATCH"}
"""The group has no variables: a KWATCH_VERSION in the environment must not print the version."""

Command = Callable[..., Any]
_Each = TypeVar("_Each")

CONNECTION = (
    click.option("--kubeconfig", metavar="FILE", default="", help="Kubeconfig file to use instead of KUBECONFIG."),
    click.option(
        "--context",
        metavar="NAME",
        type=names_if_any,
        multiple=True,
        help="Context of the kubeconfig to use; repeat it to watch several clusters.",
    ),
    click.option("-s", "--server", metavar="URL", default="", help="Address of the API server."),
    click.option("--proxy-url", metavar="URL", default="", help="Proxy to reach the API server through."),
    click.option("--cluster", metavar="NAME", default="", help="Cluster of the kubeconfig to use."),
    click.option("--user", metavar="NAME", default="", help="User of the kubeconfig to use."),
    click.option("--token", metavar="TOKEN", default="", help="Bearer token to authenticate with."),
    click.option("--certificate-authority", metavar="FILE", default="", help="The only CA to trust."),
    click.option("--client-certificate", metavar="FILE", default="", help="Client certificate to authenticate with."),
    click.option("--client-key", metavar="FILE", default="", help="Its private key."),
    click.option("--tls-server-name", metavar="NAME", default="", help="Name the server's certificate must have."),
    click.option(
        "--header",
        "headers",
        metavar="'NAME: VALUE'",
        type=Header(),
        multiple=True,
        help="Header to send with each request, for an API proxy; repeatable.",
    ),
    click.option(
        "--cookie",
        "cookies",
        metavar="NAME=VALUE",
        type=Cookie(),
        multiple=True,
        help="Cookie to send with each request, for an API proxy; repeatable.",
    ),
    click.option("--insecure-skip-tls-verify", is_flag=True, help="Trust any certificate. Says so on each run."),
    click.option(
        "--cache-dir",
        metavar="DIR",
        default="",
        help="Folder of caches, kwatch's in it; KUBECACHEDIR or ~/.kube/cache unless given.",
    ),
    click.option("--as", "as_user", metavar="USER", default="", help="User to impersonate."),
    click.option(
        "--as-group",
        "as_groups",
        metavar="GROUP",
        multiple=True,
        help="Group to impersonate; repeatable.",
    ),
    click.option("--as-uid", metavar="UID", default="", help="UID to impersonate."),
    click.option(
        "--request-timeout",
        metavar="TIME",
        type=duration,
        default="0",
        help="Time that a single list may take: 5s, 1m; 0 leaves it to kwatch. Watches aren't ended by it.",
    ),
)
NAMESPACES = (
    click.option("-n", "--namespace", metavar="NS", type=names_if_any, multiple=True,
                 help="Namespace to watch; repeat it or write a,b for several."),
)  # fmt: skip
SELECTION = (
    *NAMESPACES,
    click.option("-A", "--all-namespaces", is_flag=True, help="Watch all namespaces."),
    click.option("-l", "--selector", metavar="SEL", default="",
                 help="Label selector: app=web,tier!=db"),
    click.option("--field-selector", metavar="SEL", default="", help="Field selector: status.phase=Running"),
    click.option("--watch-only", is_flag=True, help="Leave out what is there at the start; print changes alone."),
    click.option("--watch-list", is_flag=True,
                 help="Ask for what is there as a stream (Kubernetes 1.34), not as a list in pages."),
    click.option("--chunk-size", metavar="N", type=click.IntRange(min=0), default=500, show_default=True,
                 help="List so many objects at a time; 0 lists them all at once."),
)  # fmt: skip
FILTERS = (
    click.option("--where", metavar="COND", type=Condition(), multiple=True,
                 help="Only what a printed column says: 'STATUS!=Running', 'READY<50%', 'AGE>1h'; "
                      "with = != =~ !~ > >= < <=. Repeatable: all must hold."),
    click.option("--name", metavar="GLOB", type=glob, multiple=True,
                 help="Only objects whose name matches, as 'web-*'. Repeatable: any of them."),
)  # fmt: skip
TYPES = (
    click.option("--types", metavar="TYPES", type=event_types, multiple=True,
                 help="Show these events alone: ADDED,MODIFIED,DELETED."),
)  # fmt: skip
KUBECTL = (click.option("-w", "--watch/--no-watch", "watch", default=True, hidden=True),)
"""What kubectl's users type out of habit, and kwatch does anyway; or, with =false, a list."""
OUTPUT = (
    click.option("-o", "--output", metavar="FORM", default="",
                 help="table, wide, nodes, ndjson, jsonl, json, yaml, csv, diff, name, jsonpath=…, jsonpath-file=…, "
                 "custom-columns=… or custom-columns-file=…."),
    click.option("--sort-by", metavar="PATH", default="",
                 help="Order of what is there at the start: a JSONPath, or a printed column; a - before it turns "
                 "it round, as -RESTARTS."),
    click.option("--output-watch-events", is_flag=True,
                 help="json, yaml, jsonpath, custom-columns: each object as {type, object}. Without it these forms "
                 "print a deleted object once more, with no mark, as kubectl's do."),
    click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
                 help="Colour: auto is on a terminal, unless NO_COLOR is set."),
    click.option("--no-live", is_flag=True,
                 help="On a terminal, print a row an event in place of the live table."),
    click.option("--no-headers", is_flag=True, help="Print no header."),
    click.option("--show-labels", is_flag=True, help="Print all labels, as the last column."),
    click.option("-L", "--label-columns", metavar="KEY", type=names, multiple=True, help="Print a label as a column."),
    click.option("--show-kind", is_flag=True, help="Print names as pod/web-0."),
    click.option("--timestamps", is_flag=True, help="Print when each event came; in ndjson as \"time\"."),
    click.option("--utc", is_flag=True, help="Print that time as UTC, not in this machine's zone."),
    click.option("--show-unchanged", is_flag=True, help="Print rows in which no printed cell changed, too."),
    click.option("--diff-all", is_flag=True, help="With -o diff, fold nothing: resourceVersion, heartbeats…"),
    click.option("--show-managed-fields", is_flag=True, help="Keep metadata.managedFields in objects."),
    click.option("--show-secrets", is_flag=True, help="Show the values of Secrets; else they are redacted."),
    click.option("--csv-raw", is_flag=True, help="Leave cells that a spreadsheet would run as they are."),
)  # fmt: skip
COUNT = (click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after N events."),)
ENDING = (
    *COUNT,
    click.option(
        "--duration",
        metavar="TIME",
        type=duration,
        help="End after TIME: 30s, 2m, 1h30m; 0 (or -w=false) lists what there is, and ends.",
    ),
)
EXPORT = (
    click.option("--output-file", metavar="FILE", type=file_name,
                 help="Append to FILE in place of stdout; with -o ndjson, json, yaml or csv."),
    click.option("--state", metavar="FILE", type=file_name,
                 help="Remember what was written; the next run goes on from there, nothing twice, nothing lost."),
    click.option("--rotate-size", metavar="SIZE", type=size, help="Begin a new file at SIZE: 100MB, 1GiB."),
    click.option("--rotate-every", metavar="TIME", type=period, help="Begin a new file each TIME of UTC: 1h, 1d."),
    click.option("--rotate-keep", metavar="N", type=click.IntRange(min=1), help="Keep the latest N rotated files."),
    click.option("--compress", is_flag=True, help="Compress rotated files (gzip)."),
    click.option("--shard", metavar="I/N", type=shard, help="Watch one of N equal parts, by the uid: 0/8 to 7/8."),
)  # fmt: skip
HEALTH = (
    click.option("--heartbeat", metavar="TIME", type=period, default=None, help="Say how it is going each TIME: 60s."),
    click.option("--metrics", metavar="ADDRESS", type=address,
                 help="Serve Prometheus' /metrics and /healthz at ADDRESS: 127.0.0.1:9187; port 0 is a free one, "
                      "which is said."),
)  # fmt: skip
CONDITION = (
    "condition=TYPE[=STATUS], jsonpath=EXPRESSION[=VALUE], create, delete, rollout, complete or where=COLUMN OP VALUE"
)
UNTIL = (
    click.option("--until", metavar="COND", multiple=True,
                 help=f"End when it holds of all objects; repeatable. COND is {CONDITION}."),
    click.option("--fail-on", metavar="COND", multiple=True, help="End with exit code 3 as soon as it is met."),
    click.option("--no-fail-fast", is_flag=True,
                 help="--until rollout sits out pods that can't start; only the controller's own word fails."),
    click.option("--timeout", metavar="TIME", type=timeout,
                 help="End after TIME with exit code 124; 0 checks once, a negative one is none."),
)  # fmt: skip
WATCH = (SELECTION, FILTERS, TYPES, OUTPUT, ENDING, UNTIL, EXPORT, HEALTH)
"""All that a watch takes, wherever its server is."""
NOTICES = (
    click.option("-q", "--quiet", is_flag=True, help="No notices on stderr, only errors."),
    click.option("-v", "--verbose", is_flag=True, help="More notices: each list and watch."),
)


def scenario(default: str) -> Callable[[Command], Command]:
    """The option that names what the API server in this process plays."""
    known = "What happens: quiet, rollout, crashloop or churn."
    return click.option("--scenario", metavar="NAME", default=default, show_default=True, help=known)


def options_of(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """A decorator that gives a command the options of these groups, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def to_options(given: dict[str, Any]) -> Options:
    """What click collected for a watch, as one frozen value."""
    from kwatch.app.options import ExportOptions, Options
    from kwatch.sinks import SinkOptions

    if not given.pop("watch", True):
        if given["duration"]:
            raise click.UsageError("--watch=false is a list, and takes no time; leave it out, or --duration")
        given["duration"] = 0.0
    shared = _watched(given)
    output, _, template = given.pop("output").partition("=")
    color = given.pop("color", "auto")
    sink = SinkOptions(
        output=output,
        template=template,
        live=not given.pop("no_live"),
        headers=not given.pop("no_headers"),
        label_columns=_flat(given.pop("label_columns")),
        **_taken(given, SinkOptions),
    )
    return Options(
        sink=sink,
        wheres=tuple(given.pop("where", ())),
        name_patterns=tuple(given.pop("name", ())),
        types=_flat(given.pop("types", ())),
        **shared,
        color=color,
        export=ExportOptions(**{name: value for name, value in _taken(given, ExportOptions).items() if value}),
        heartbeat=given.pop("heartbeat", None) or 0.0,
        **given,
    )


def to_wait_options(given: dict[str, Any]) -> WaitOptions:
    """What click collected for a wait."""
    from kwatch.app import Options, WaitOptions

    waits = _taken(given, WaitOptions)
    return WaitOptions(Options(**_watched(given), **given), **waits)


def _watched(given: dict[str, Any]) -> dict[str, Any]:
    """What a watch and a wait have in common of the fields of Options, out of `given`."""
    contexts, connection = connection_of(given)
    return {
        "namespaces": _flat(given.pop("namespace")),
        "label_selector": given.pop("selector"),
        "fail_fast": not given.pop("no_fail_fast", False),
        "contexts": contexts,
        "connection": connection,
    }


def _flat(groups: Iterable[tuple[_Each, ...]]) -> tuple[_Each, ...]:
    return tuple(each for group in groups for each in group)


def connection_of(given: dict[str, Any]) -> tuple[tuple[str, ...], ConnectionOptions]:
    """(contexts, the connection flags), out of what click collected."""
    from kwatch.cluster.kubeconfig import ConnectionOptions

    contexts = _flat(given.pop("context", ()))
    if cookies := given.pop("cookies", ()):
        given["headers"] += (("Cookie", "; ".join(cookies)),)
    return contexts, ConnectionOptions(**_taken(given, ConnectionOptions))


def _taken(given: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Those of the options that are fields of the dataclass `kind`, out of `given`."""
    return {name: given.pop(name) for name in set(kind.__match_args__) & given.keys()}
