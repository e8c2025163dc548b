"""The command line: click's options become one frozen Options. The only place that knows click.

What a command needs is imported when it runs: `--help`, `--version` and completion load neither requests nor tabulate.
"""

from __future__ import annotations

import io
import os
import re
import select
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import fields
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kwatch import __version__
from kwatch.errors import ExitCode, Terminated
from kwatch.model import Environment

if TYPE_CHECKING:
    from kwatch.app import Options

FLUSH_SECONDS = 0.3
"""How long a stopped run waits for a reader that doesn't read."""
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMAND_CONTEXT = CONTEXT | {"auto_envvar_prefix": "KWATCH"}
"""The group has no variables: a KWATCH_VERSION in the environment must not print the version."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?")
_UNIT_SECONDS = (3600, 60, 1, 0.001)


def duration(text: str) -> float:
    """Seconds of `30s`, `2m`, `1h30m`, `500ms` or a bare number. Raises click's BadParameter for anything else."""
    if re.fullmatch(_NUMBER, text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise click.BadParameter(f"{text!r} is not a duration; write 30s, 2m or 1h30m")
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), _UNIT_SECONDS, strict=True))


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them. Raises click's BadParameter for an empty one."""
    parts = tuple(text.split(","))
    if "" in parts:
        raise click.BadParameter(f"{text!r} holds an empty name")
    return parts


class Header(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`Name: value` as (name, value). Its variable has one a line. Errors don't repeat the value, a secret perhaps."""

    name = "header"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Refuse what HTTP can't carry, and what kwatch itself has to set."""
        name, colon, text = (part.strip(" ") for part in str(value).partition(":"))
        if not colon or not _TOKEN.fullmatch(name):
            self.fail("write it as 'Name: value'", param, ctx)
        if name.lower() in _OWN_HEADERS:
            self.fail(f"{name} is set by kwatch; {_OWN_HEADERS[name.lower()]}", param, ctx)
        if not _HEADER_VALUE.fullmatch(text):
            self.fail(f"the value of {name} holds a character that no HTTP header can carry", param, ctx)
        return name, text


class Cookie(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`name=value`. Its variable has one a line."""

    name = "cookie"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what isn't one cookie."""
        text = str(value)
        if not re.fullmatch(r"[!#-+\--:<>-~]+=[!#-+\--:<-~]*", text) or text.startswith("="):
            self.fail("write it as 'name=value', without blanks, commas and semicolons", param, ctx)
        return text


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~\xa0-\xff]+")
_OWN_HEADERS = {
    "authorization": "use --token",
    "cookie": "use --cookie",
    "proxy-authorization": "put user and password into --proxy-url",
    **dict.fromkeys(
        ("accept", "accept-encoding", "connection", "content-length", "host", "transfer-encoding", "upgrade"),
        "leave it out",
    ),
}
"""Headers that `--header` can't set, and what to do instead."""


class WatchByDefault(click.Group):
    """A group in which `kwatch pods` means `kwatch watch pods`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command first: the one named, wherever it stands among options, or `watch`."""
        return super().parse_args(ctx, self._with_command(ctx, args))

    def _with_command(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] in self.commands or args[0] in ("-h", "--help", "--version"):
            return args
        parser = watch.make_parser(click.Context(watch, resilient_parsing=True))
        parser.ignore_unknown_options = True
        try:
            word = str(parser.parse_args(list(args))[0].get("type"))
        except click.UsageError:
            word = ""
        if word in self.commands:
            rest = list(args)
            rest.remove(word)
            return [word, *rest]
        return ["watch", *args]


Command = Callable[..., Any]

_CONNECTION = (
    click.option("--kubeconfig", metavar="FILE", default="", help="Kubeconfig file to use instead of KUBECONFIG."),
    click.option(
        "--context",
        metavar="NAME",
        type=names,
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
)
_SELECTION = (
    click.option("-n", "--namespace", metavar="NS", type=names, multiple=True,
                 help="Namespace to watch; repeat it or write a,b for several."),
    click.option("-A", "--all-namespaces", is_flag=True, help="Watch all namespaces."),
    click.option("-l", "--selector", metavar="SEL", default="",
                 help="Label selector: app=web,tier!=db"),
    click.option("--field-selector", metavar="SEL", default="", help="Field selector: status.phase=Running"),
    click.option("--watch-only", is_flag=True, help="Leave out what is there at the start; print changes alone."),
    click.option("--watch-list", is_flag=True,
                 help="Ask for what is there as a stream (Kubernetes 1.34), not as a list in pages."),
)  # fmt: skip
_KUBECTL = (click.option("-w", "--watch", "_", is_flag=True, expose_value=False, hidden=True),)
"""What kubectl's users type out of habit, and kwatch does anyway."""
_OUTPUT = (
    click.option("-o", "--output", metavar="FORM", default="", help="table, wide, ndjson, jsonl or csv."),
    click.option("--no-live", is_flag=True,
                 help="On a terminal, print a row an event in place of the live table."),
    click.option("--no-headers", is_flag=True, help="Print no header."),
    click.option("--show-labels", is_flag=True, help="Print all labels, as the last column."),
    click.option("-L", "--label-columns", metavar="KEY", type=names, multiple=True, help="Print a label as a column."),
    click.option("--show-kind", is_flag=True, help="Print names as pod/web-0."),
    click.option("--timestamps", is_flag=True, help="Print when each event came; in ndjson as \"time\"."),
    click.option("--utc", is_flag=True, help="Print that time as UTC, not in this machine's zone."),
    click.option("--show-unchanged", is_flag=True, help="Print rows in which no printed cell changed, too."),
    click.option("--show-managed-fields", is_flag=True, help="Keep metadata.managedFields in objects."),
    click.option("--show-secrets", is_flag=True, help="Show the values of Secrets; else they are redacted."),
    click.option("--csv-raw", is_flag=True, help="Leave cells that a spreadsheet would run as they are."),
)  # fmt: skip
_ENDING = (
    click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after N events."),
    click.option("--duration", metavar="TIME", type=duration, help="End after TIME: 30s, 2m, 1h30m."),
)
_NOTICES = (
    click.option("-q", "--quiet", is_flag=True, help="No notices on stderr, only errors."),
    click.option("-v", "--verbose", is_flag=True, help="More notices: each list and watch."),
)


def _with(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


@click.group(cls=WatchByDefault, context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(__version__, prog_name="kwatch", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """See a Kubernetes cluster change, and act on it from a script.

    `kwatch pods -n default` shows a table that stays current; piped, or with -o ndjson or csv, each event as a line.
    A closed or cut connection is no end: kwatch goes on from where it was, and says so on stderr.
    `kwatch TYPE` is short for `kwatch watch TYPE`.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(context_settings=COMMAND_CONTEXT)
@click.argument("type")
@click.argument("names", nargs=-1)
@_with(_SELECTION, _OUTPUT, _ENDING, _CONNECTION, _NOTICES, _KUBECTL)
def watch(**options: Any) -> int:
    """Watch objects of TYPE: all of a namespace, or the NAMES given.

    TYPE is a plural, a singular, a short name or a kind: pods, po, Pod, deployments.apps; TYPE/NAME works too.
    """
    from kwatch.app import run

    if options["type"] == "get" and options["names"]:
        raise click.UsageError(f'leave out "get": kwatch {" ".join(options["names"])}')
    return run(_options(options), environment())


@cli.command(context_settings=COMMAND_CONTEXT)
@click.argument("type", default="pods")
@click.argument("names", nargs=-1)
@click.option(
    "--scenario",
    metavar="NAME",
    default="rollout",
    show_default=True,
    help="What happens: quiet, rollout, crashloop or churn.",
)
@_with(_SELECTION, _OUTPUT, _ENDING, _NOTICES)
def demo(scenario: str, **options: Any) -> int:  # fmt: skip
    """The same watch, against an API server inside this process: no cluster needed.

    TYPE is pods unless given.
    """
    from kwatch.app import run_demo

    return run_demo(_options(options), scenario, environment())


@cli.command(context_settings=COMMAND_CONTEXT)
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="Port; a free one unless given.")
@click.option(
    "--scenario",
    metavar="NAME",
    default="quiet",
    show_default=True,
    help="What happens: quiet, rollout, crashloop or churn.",
)
@click.option("--objects", metavar="N", type=click.IntRange(min=1), default=None, help="churn: how many objects.")
@click.option("--rate", metavar="R", type=click.FloatRange(min=0.01), default=None, help="churn: changes a second.")
def sandbox(port: int, scenario: str, objects: int | None, rate: float | None) -> int:  # fmt: skip
    """That API server alone, on this machine's loopback, for kubectl, curl or another kwatch.

    Prints its address and serves until Ctrl-C.
    """
    from kwatch.app import run_sandbox

    given = {name: value for name, value in (("objects", objects), ("rate", rate)) if value is not None}
    return run_sandbox(port, scenario, given, environment())


def main() -> NoReturn:
    """The command: run, and leave with the exit code, at once even if a reader of stdout has stopped reading."""
    sys.stderr = sys.stderr or io.StringIO()  # closed by the caller: there is nobody to tell
    try:
        _catch_signals()
        _check_process()
        code = cli.main(prog_name=_program(), standalone_mode=False) or ExitCode.OK
    except click.ClickException as error:
        code = _usage_error(error)
    except OSError as error:
        sys.stderr.write(f"kwatch: error: stdout: {error.strerror or error}\n")
        code = ExitCode.ERROR
    except (click.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except Terminated:
        code = ExitCode.TERMINATED
    _leave(int(code))


def _catch_signals() -> None:
    """Ctrl-C and SIGTERM as exceptions in the main thread, the first alone: a second must not disturb the end."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a background job
        signal.signal(signal.SIGINT, end)


def _check_process() -> None:
    """What no option is to blame for: no stdout, or words that are not text."""
    if sys.stdout is None:
        raise click.UsageError("stdout is closed; there is nowhere to print to")
    variables = [(name, value) for name, value in os.environ.items() if name.startswith("KWATCH_")]
    for place, word in [*zip(sys.argv[1:], sys.argv[1:], strict=True), *variables]:
        if not word.isascii() and any("\ud800" <= character <= "\udfff" for character in word):
            raise click.UsageError(f"{place!a} is not text in this locale's encoding; check LANG, or the argument")


def environment() -> Environment:
    """The process's own streams, variables and terminal."""
    stdout = sys.stdout.buffer
    terminal = sys.stdout.isatty()
    return Environment(
        stdout=stdout,
        stderr=sys.stderr,
        variables=os.environ,
        stdout_is_terminal=terminal,
        stdout_closed=_closed_pipe(stdout.fileno()) if not terminal else (lambda: False),
        size=lambda: shutil.get_terminal_size(),
    )


def _options(given: dict[str, Any]) -> Options:
    from kwatch.app import Options
    from kwatch.cluster.kubeconfig import ConnectionOptions
    from kwatch.sinks import SinkOptions

    known = {each.name for each in fields(ConnectionOptions)}
    contexts = tuple(name for group in given.pop("context", ()) for name in group)
    if cookies := given.pop("cookies", ()):
        given["headers"] += (("Cookie", "; ".join(cookies)),)
    connection = {name: given.pop(name) for name in known & given.keys()}
    return Options(
        namespaces=tuple(name for group in given.pop("namespace") for name in group),
        label_selector=given.pop("selector"),
        sink=SinkOptions(
            output=given.pop("output"),
            live=not given.pop("no_live"),
            headers=not given.pop("no_headers"),
            show_unchanged=given.pop("show_unchanged"),
            show_labels=given.pop("show_labels"),
            label_columns=tuple(key for group in given.pop("label_columns") for key in group),
            show_kind=given.pop("show_kind"),
            timestamps=given.pop("timestamps"),
            utc=given.pop("utc"),
            csv_raw=given.pop("csv_raw"),
        ),
        contexts=contexts,
        connection=ConnectionOptions(**connection),
        **given,
    )


def _closed_pipe(descriptor: int) -> Callable[[], bool]:
    """Tells whether the other end of a pipe is closed, without writing: else `kwatch pods | head -1` would linger."""
    if not (stat.S_ISFIFO(mode := os.fstat(descriptor).st_mode) or stat.S_ISSOCK(mode)):
        return lambda: False
    poller = select.poll()
    poller.register(descriptor, 0)
    return lambda: any(events & (select.POLLERR | select.POLLHUP) for _, events in poller.poll(0))


def _program() -> str:
    """`kubectl kwatch` where kubectl runs us as its plugin."""
    return "kubectl kwatch" if os.path.basename(sys.argv[0]).startswith("kubectl-") else "kwatch"


def _usage_error(error: click.ClickException) -> int:
    where = f"; see {error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
    sys.stderr.write(f"kwatch: error: {error.format_message().rstrip('.')}{where}\n")
    return error.exit_code


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads amid a connect, nor long for a reader that doesn't read."""

    def flush() -> None:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except (OSError, ValueError):  # the other end is closed
                continue

    flusher = threading.Thread(target=flush, daemon=True)
    flusher.start()
    flusher.join(FLUSH_SECONDS if code else None)
    os._exit(code)
