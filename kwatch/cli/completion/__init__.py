"""Shell completion: the words before the cursor in, candidates out, in the form of cobra's `__complete`.

A candidate a line, a tab and its description behind it, and at the end `:N`, what the shell is to do (DIRECTIVES). The
scripts beside this module read that, and so does kubectl of its plugins (`kubectl_complete-kwatch`). Which parameter
takes what stands in tables, by option, metavar or argument, so that a new option needs a row at most. Whatever goes
wrong, nothing is printed but the last line, and nothing is waited for longer than SECONDS.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import NamedTuple, NoReturn

import click
from click.shell_completion import CompletionItem, ShellComplete

from kwatch.cli.completion import candidates
from kwatch.cli.completion.candidates import Candidate, Line
from kwatch.text import one_line

SECONDS = 1.8
"""All that an answer may take; a shell that waits for longer seems to hang."""

NO_SPACE, NO_FILES, FOLDERS = 2, 4, 16
"""cobra's directives: bits of the last line."""
DIRECTIVES = {"file": 0, "dir": FOLDERS}
"""What click's types of candidates ask for; all others are the whole answer."""

Completer = Callable[[Line], Iterable[Candidate]]


def _files(line: Line) -> list[Candidate]:
    return [Candidate("", type="file")]


def _folders(line: Line) -> list[Candidate]:
    return [Candidate("", type="dir")]


def _words(*words: str) -> Completer:
    return lambda line: candidates.after_comma(line, words)


_CONDITIONS = _words("condition=", "jsonpath=", "create", "delete", "rollout", "complete", "where=")

OF_COMMANDS: dict[tuple[str, str], Completer] = {
    ("events", "--for"): candidates.references,
    ("events", "--types"): _words("Normal", "Warning"),
    ("resources", "--output"): _words("wide", "name"),
    ("resources", "--sort-by"): _words("name", "kind"),
    ("resources", "--namespaced"): _words("true", "false"),
    ("wait", "--output"): _words("json", "ndjson"),
}
OPTIONS: dict[str, Completer] = {
    "--namespace": candidates.namespaces,
    "--context": partial(candidates.of_kubeconfig, "contexts"),
    "--cluster": partial(candidates.of_kubeconfig, "clusters"),
    "--user": partial(candidates.of_kubeconfig, "users"),
    "--output": candidates.forms,
    "--sort-by": candidates.columns,
    "--where": candidates.conditions_on_columns,
    "--types": _words("ADDED", "MODIFIED", "DELETED"),
    "--scenario": candidates.scenarios,
    "--for": _CONDITIONS,
    "--for-any": _CONDITIONS,
    "--until": _CONDITIONS,
    "--fail-on": _CONDITIONS,
}
METAVARS: dict[str, Completer] = {"FILE": _files, "DIR": _folders, "TYPE/NAME": candidates.references}
ARGUMENTS: dict[str, Completer] = {
    "type": candidates.types,
    "names": candidates.names,
    "file": _files,
    "files": _files,
}


class Answer(NamedTuple):
    """What a shell is told."""

    candidates: tuple[Candidate, ...] = ()
    directive: int = NO_FILES

    def __str__(self) -> str:
        lines = [f"{each.value}\t{each.help}" if each.help else each.value for each in self.candidates]
        return "\n".join([*lines, f":{self.directive}", ""])


def answer(root: click.Group, words: Sequence[str], variables: Mapping[str, str]) -> Answer:
    """What the last of `words`, those after the program's name, may become. Raises whatever goes wrong on the way."""
    *before, word = words or [""]
    if before and before[-1] in _options_with_values(root):
        word = f"{before.pop()}={word}"  # of words that end in an option without its value click reads none
    if not before and word.startswith("-") and "=" in word:
        before = ["watch"]  # the group itself has no such option
    for name, command in root.commands.items():
        for parameter in command.params:
            if completer := _completer(name, parameter):
                ask = partial(_asked, parameter, completer, variables)
                parameter.shell_complete = ask  # type: ignore[method-assign]
    found = ShellComplete(root, {}, "kwatch", "").get_completions(before, word)
    kinds = {item.type for item in found} & DIRECTIVES.keys()
    values: dict[str, str] = {}
    for item in found:
        if item.type not in DIRECTIVES and item.value.isprintable():
            values.setdefault(item.value, one_line(item.help or "").partition(". ")[0].removesuffix("."))
    known = tuple(Candidate(value, text) for value, text in values.items())
    space = 0 if not any(each.value.endswith(("=", "/")) for each in known) else NO_SPACE
    return Answer(known, (DIRECTIVES[kinds.pop()] if kinds and not known else NO_FILES) | space)


def _options_with_values(root: click.Group) -> set[str]:
    parameters = [each for command in root.commands.values() for each in command.params]
    options = [each for each in parameters if isinstance(each, click.Option) and not each.is_flag]
    return {name for option in options for name in option.opts}


def _completer(command: str, parameter: click.Parameter) -> Completer | None:
    """The most particular row for a parameter, None for one that click knows or nobody can guess."""
    if isinstance(parameter, click.Argument):
        return ARGUMENTS.get(parameter.name or "")
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return None
    rows = [OF_COMMANDS.get((command, name)) or OPTIONS.get(name) for name in parameter.opts]
    return next(filter(None, rows), METAVARS.get(parameter.metavar or ""))


def _asked(
    parameter: click.Parameter, completer: Completer, variables: Mapping[str, str], context: click.Context, word: str
) -> list[CompletionItem]:
    """A parameter's candidates, as click wants them."""
    connects = any(each.name == "server" for each in context.command.params)
    line = Line(context.command.name or "", context.params, word, variables, connects)
    found = [each for each in completer(line) if each.type in DIRECTIVES or each.value.startswith(word)]
    return [CompletionItem(each.value, help=each.help, type=each.type) for each in found]


def split(line: str) -> list[str]:
    """The words of a shell's command line, the last one unfinished, its quote perhaps open."""
    if line.endswith("\\") and not line.endswith("\\\\"):
        line = line[:-1]
    for closing in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            words = shlex.split(line + closing)
            return [*words, ""] if not closing and line[-1:].isspace() and not line.endswith("\\ ") else words
    return []


def for_line(root: click.Group, line: str, tail: str, variables: Mapping[str, str]) -> Answer:
    """What `tail`, the end of `line` that bash takes for the word, may become: bash parts words at = and : too."""
    words = split(line)[1:]
    word = words[-1] if words else ""
    found = answer(root, words, variables)
    option = word[: word.index("=") + 1] if word.startswith("-") and "=" in word else ""
    kept = word.removesuffix(tail)
    return found._replace(candidates=tuple(each.within(option, kept) for each in found.candidates))


def run(root: click.Group, arguments: Sequence[str]) -> NoReturn:
    """Answer `__complete WORD…` (or bash's `__complete_line LINE TAIL`) and leave with 0."""
    _leave_terminal()
    guard = threading.Timer(SECONDS + 0.1, _leave, [Answer()])  # a name server that hangs lets no signal through
    guard.daemon = True
    guard.start()
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    found = Answer()
    try:
        name, *words = arguments
        line = name == "__complete_line"
        found = for_line(root, words[0], words[1], os.environ) if line else answer(root, words, os.environ)
    except BaseException:  # whatever it is, somebody is typing: the plugin that was waited for is gone with it
        pass
    _leave(found)


class _TimeIsUp(BaseException):
    """SECONDS passed."""


def _end(number: int, frame: FrameType | None) -> None:
    raise _TimeIsUp


def _leave(found: Answer) -> NoReturn:
    """Print it, and exit without waiting for anything."""
    with contextlib.suppress(OSError, ValueError):
        os.write(1, str(found).encode("utf-8", "replace"))
    os._exit(0)


def _leave_terminal() -> None:
    """Somebody types on there: nothing that we load or run may ask or complain."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
