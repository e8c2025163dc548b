"""The environment's part in the command line: each option has a variable of its own name, as `--output` KWATCH_OUTPUT.

What is repeatable has one value a line, for blanks and commas may be part of it. A `KWATCH_` variable of which no
option knows is told: it would be believed to do something.
"""

from __future__ import annotations

import copy
import difflib
import os
import re
import sys
from collections.abc import Iterable

import click

PREFIX = "KWATCH_"
_OF_A_SERVICE = re.compile(r"KWATCH(?:_\w+)?_(?:SERVICE_(?:HOST|PORT)\w*|PORT(?:_[0-9]+_\w+)?)")
"""What Kubernetes sets in the pods beside a Service whose name begins with kwatch."""


def give(command: click.Command) -> None:
    """Let each of its options have its variable, beside the one that click finds by the parameter's name."""
    for option in _options(command):
        option.envvar = [name_of(option)]
        if option.multiple:
            option.type = copy.copy(option.type)
            option.type.split_envvar_value = _lines  # type: ignore[method-assign,assignment]


def name_of(option: click.Option) -> str:
    """`KWATCH_FIELD_SELECTOR` of `--field-selector`."""
    return PREFIX + max(option.opts, key=len).lstrip("-").replace("-", "_").upper()


def tell_unknown(command: click.Command, others: Iterable[click.Command]) -> None:
    """Say of each variable of which neither the command nor one of `others` knows; on stderr, a line each."""
    strange = [name for name in os.environ if name.startswith(PREFIX) and not _OF_A_SERVICE.fullmatch(name)]
    strange = sorted(set(strange) - _names([command]))
    known = _names(others) if strange else set()
    for name in strange:
        if name not in known:
            from kwatch.text import one_line

            near = difflib.get_close_matches(
                name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], 1
            )
            advice = f"did you mean {PREFIX}{near[0]}?" if near else "see kwatch watch --help for the options"
            sys.stderr.write(f"kwatch: {one_line(name)} is no option's variable; {advice}\n")


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def _names(commands: Iterable[click.Command]) -> set[str]:
    by_parameter = {f"{PREFIX}{each.name}".upper() for one in commands for each in _options(one)}
    return by_parameter | {name_of(each) for one in commands for each in _options(one)}
