"""How kubectl lets options be spelled where click doesn't: `-o=json`, `-n=shop`, `--no-headers=true`.

kubectl's parser (pflag) takes an `=` after a short option as what parts it from its value; click would take it for the
value's first character, and watch the namespace `=shop`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import click

from kwatch.cli import variables

_SHORT = re.compile(r"-[A-Za-z]+")
_TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


class Command(click.Command):
    """A command whose options may be spelled as kubectl's, and have variables of their names."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        variables.give(self)

    def invoke(self, ctx: click.Context) -> Any:
        """As click; what is set for kwatch and means nothing to it is told before."""
        if not ctx.params.get("quiet"):
            from kwatch.cli import Commands

            variables.tell_unknown(self, Commands().values())
        return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, of the words that it understands."""
        return super().parse_args(ctx, list(respelled(self, args)))


def respelled(command: click.Command, words: Sequence[str]) -> Iterator[str]:
    """`words` as click has them. Options that `command` doesn't have, values and what follows `--` stay as they are.

    Raises click's BadParameter where a switch is given something else than true or false.
    """
    known = _Known(command)
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield word
            break
        if word.startswith("--"):
            yield from known.long(word)
        else:
            yield from known.short(word)
        if known.awaits_value(word):
            yield from (value for value in [next(rest, None)] if value is not None)
    yield from rest


class _Known:
    """The options of a command, by their spellings."""

    def __init__(self, command: click.Command) -> None:
        options = [each for each in command.params if isinstance(each, click.Option)]
        self._switches = {name: each for each in options if each.is_flag for name in each.opts}
        self._valued = {name for each in options if _takes_next_word(each) for name in each.opts}

    def long(self, word: str) -> list[str]:
        """`--no-headers=true` without its value, nothing for `=false`."""
        name, equals, value = word.partition("=")
        if name == "--v" and equals:
            return self.short(f"-v={value}")  # as kubectl's, whose -v has no other long name
        if not equals or name not in self._switches:
            return [word]
        return [name] if self._truth(name, value) else self._off(name)

    def short(self, word: str) -> list[str]:
        """`-o=json` as `-o json` and `-A=true` as `-A`, also at the end of several letters (`-Ao=json`)."""
        letters, equals, value = word.partition("=")
        if not equals or not _SHORT.fullmatch(letters):
            return [word]
        first, last = self._first_valued(letters), f"-{letters[-1]}"
        if first == len(letters) - 1:
            return [letters, value]
        if first or last not in self._switches:
            return [word]
        if self._truth(last, value):
            return [letters]
        return [*([letters[:-1]] if letters[:-1] != "-" else []), *self._off(last)]

    def awaits_value(self, word: str) -> bool:
        """Whether the next word is the value of the option in this one."""
        if word.startswith("--"):
            return word in self._valued
        return _SHORT.fullmatch(word) is not None and self._first_valued(word) == len(word) - 1

    def _off(self, switch: str) -> list[str]:
        """What turns off a switch that is on unless told otherwise; nothing for any other."""
        return self._switches[switch].secondary_opts[:1]

    def _truth(self, switch: str, value: str) -> bool:
        if "--verbose" in self._switches[switch].opts and value.isdecimal():
            return int(value) > 0
        if value.lower() not in _TRUTH:
            raise click.BadParameter(f"{value!r} is neither true nor false", param=self._switches[switch])
        return _TRUTH[value.lower()]

    def _first_valued(self, letters: str) -> int:
        """Where the first letter stands that takes a value, or 0: what follows it is its value (in `-no` the `o`)."""
        return next((place for place in range(1, len(letters)) if f"-{letters[place]}" in self._valued), 0)


def _takes_next_word(option: click.Option) -> bool:
    """`--namespaced` of `kwatch resources` takes a value after `=` alone."""
    return not option.is_flag and not getattr(option, "_flag_needs_value", False)
