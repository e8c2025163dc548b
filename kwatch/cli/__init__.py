"""The command line: click's options become one frozen Options. The only place that knows click.

What a command needs is imported when it runs: `--help`, `--version` and completion load neither requests nor tabulate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from kwatch import __version__
from kwatch.cli import habits, process
from kwatch.cli.commands.watch import watch
from kwatch.cli.options import CONTEXT
from kwatch.cli.spelling import respelled

NAMES = ("watch", "wait", "events", "demo", "sandbox", "resources", "replay", "state", "completion")


class Commands(Mapping[str, click.Command]):
    """The commands by their names, each imported when it is asked for: a run has use for one or two."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in NAMES:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"kwatch.cli.commands.{name}"), name)
        return command

    def __contains__(self, name: object) -> bool:
        return name in NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


def _first_words(args: list[str]) -> list[str]:
    """What stands beside the options: a command or TYPE, and what follows; [] where that can't be told."""
    parser = watch.make_parser(click.Context(watch, resilient_parsing=True))
    parser.ignore_unknown_options = True
    try:
        found = parser.parse_args(list(respelled(watch, args)))[0]
    except click.UsageError:
        return args if not args[0].startswith("-") else []
    kind, names = found.get("type"), found.get("names")  # each something else where there is none
    return [kind, *(names if isinstance(names, tuple) else ())] if isinstance(kind, str) else []


def _help(topic: list[str]) -> list[str]:
    return [*(name for name in topic[:1] if name in NAMES), "--help"]


_INSTEAD: Mapping[str, Callable[[list[str]], list[str]]] = {"help": _help, "version": lambda rest: ["--version"]}
"""Words that kubectl has as commands, and what is run instead."""


class WatchByDefault(click.Group):
    """A group in which `kwatch pods` means `kwatch watch pods`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command first: the one named, wherever it stands among options, or `watch`."""
        return super().parse_args(ctx, self._with_command(ctx, args))

    def _with_command(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] in self.commands or args[0] in ("-h", "--help", "-V", "--version"):
            return args
        if args[0] in _INSTEAD:
            return _INSTEAD[args[0]](args[1:])
        ctx.obj = args[0]
        if not args[0].startswith("-") and not habits.is_known(args[0]):
            return ["watch", *args]
        parsed = _first_words(args)
        word = next(iter(parsed), "")
        if word in self.commands:
            rest = list(args)
            rest.remove(word)
            return [word, *rest]
        if text := habits.hint(parsed) if parsed else "":
            raise click.UsageError(text, ctx)
        return ["watch", *args]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. An option that `watch` doesn't have is told with the command that the first word may stand for."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            from difflib import get_close_matches  # takes as long to load as the rest of a command

            meant = get_close_matches(ctx.obj or "", NAMES, 1, 0.7)
            if not meant or ctx.invoked_subcommand != "watch":
                raise
            text = f'there is no command "{ctx.obj}", and no option {error.option_name} to watch a type of that name'
            raise click.UsageError(f"{text}; did you mean `kwatch {meant[0]}`?", ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what `watch` begins with: a TYPE, or its options."""
        default = click.Context(watch, parent=ctx, info_name="watch", resilient_parsing=True)
        if incomplete.startswith("-"):
            return [*super().shell_complete(ctx, incomplete), *watch.shell_complete(default, incomplete)]
        commands = {name: each for name, each in self.commands.items() if name.startswith(incomplete)}
        items = [CompletionItem(name, help=each.get_short_help_str(100)) for name, each in commands.items()]
        return [*items, *watch.params[0].shell_complete(default, incomplete)]


@click.group(cls=WatchByDefault, commands=Commands(), context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(__version__, "-V", "--version", prog_name="kwatch", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """See a Kubernetes cluster change, and act on it from a script.

    `kwatch pods -n default` shows a table that stays current; piped, or with -o ndjson or csv, each event as a line.
    A closed or cut connection is no end: kwatch goes on from where it was, and says so on stderr.
    `kwatch TYPE` is short for `kwatch watch TYPE`.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """The command: run, and leave with the exit code."""
    if sys.argv[1:2] in (["__complete"], ["__complete_line"]):
        complete(sys.argv[1:])
    process.run(cli)


def complete(arguments: list[str]) -> NoReturn:
    """What a shell asks while its user types; see kwatch.cli.completion."""
    from kwatch.cli.completion import run

    run(cli, arguments)
