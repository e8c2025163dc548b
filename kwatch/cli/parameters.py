"""What click's options take beside its own types: durations, lists of names, headers, cookies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from kwatch.errors import UsageError

if TYPE_CHECKING:
    from kwatch.filters import Where

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


def timeout(text: str) -> float:
    """Seconds, as `duration`; -1 or -5s is less than nothing: for ever."""
    return -duration(text[1:]) if text.startswith("-") else duration(text)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them. Raises click's BadParameter for an empty one."""
    parts = tuple(text.split(","))
    if "" in parts:
        raise click.BadParameter(f"{text!r} holds an empty name")
    return parts


class Line(click.types.StringParamType):
    """Text as it is, blanks and commas included. Its variable has one a line."""

    envvar_list_splitter = "\n"


class Condition(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`STATUS!=Running` as a Where. Its variable has one a line."""

    name = "condition"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Where:
        """Refuse what isn't a condition, with the place where it goes wrong."""
        from kwatch.filters import Where, parse_where

        try:
            return value if isinstance(value, Where) else parse_where(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


def event_types(text: str) -> tuple[str, ...]:
    """`added,DELETED` as the API writes them. Raises click's BadParameter for another word."""
    parts = names(text.upper())
    if strange := [part for part in parts if part not in EVENT_TYPES]:
        raise click.BadParameter(f'"{strange[0]}" is none of {", ".join(EVENT_TYPES)}')
    return parts


def kinds_of_events(text: str) -> tuple[str, ...]:
    """`normal,Warning` as events carry it. Raises click's BadParameter for another word."""
    parts = tuple(part.capitalize() for part in names(text))
    if any(part not in ("Normal", "Warning") for part in parts):
        raise click.BadParameter("valid are Normal and Warning")
    return parts


EVENT_TYPES = ("ADDED", "MODIFIED", "DELETED")


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
    "impersonate-user": "use --as",
    "impersonate-group": "use --as-group",
    "impersonate-uid": "use --as-uid",
    "proxy-authorization": "put user and password into --proxy-url",
    **dict.fromkeys(
        ("accept", "accept-encoding", "connection", "content-length", "host", "transfer-encoding", "upgrade"),
        "leave it out",
    ),
}
"""Headers that `--header` can't set, and what to do instead."""
