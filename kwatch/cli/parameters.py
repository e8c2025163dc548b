"""What click's options take beside its own types: durations, lists of names, headers, cookies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from kwatch.errors import UsageError

if TYPE_CHECKING:
    from kwatch.filters import Where
    from kwatch.shards import Shard

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?")
_UNIT_SECONDS = (3600, 60, 1, 0.001)
_SIZE = re.compile(rf"({_NUMBER}) ?([kmgt]?b?|[kmgt]ib?)", re.IGNORECASE)
_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _SIZES |= dict.fromkeys((_letter, f"{_letter}b"), 1000**_power)
    _SIZES |= dict.fromkeys((f"{_letter}i", f"{_letter}ib"), 1024**_power)


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


def size(text: str) -> int:
    """Bytes of `100MB`, `1.5GiB`, `64k` or a bare number. Raises click's BadParameter for anything else."""
    match = _SIZE.fullmatch(text)
    if not match or float(match[1]) <= 0:
        raise click.BadParameter(f"{text!r} is not a size; write 100MB or 1GiB")
    return max(int(float(match[1]) * _SIZES[match[2].lower()]), 1)


def period(text: str) -> float:
    """Seconds of a duration, or of days (`1d`), more than none. Raises click's BadParameter for anything else."""
    days = re.fullmatch(rf"({_NUMBER})d", text)
    seconds = float(days[1]) * 86400 if days else duration(text)
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} is no time; write 1h or 1d")
    return seconds


def speed(text: str) -> float:
    """`10x`, `0.5` or `max`. Raises click's BadParameter for anything else."""
    if text == "max":
        return float("inf")
    match = re.fullmatch(rf"({_NUMBER})x?", text)
    if not match or not float(match[1]):
        raise click.BadParameter(f"{text!r} is no speed; write 10x, 1x or max")
    return float(match[1])


def moment(text: str) -> float:
    """Seconds since the epoch of `2026-11-25T03:12`, with or without seconds and a zone. Raises BadParameter."""
    from kwatch.columns import parsed_time

    if (found := parsed_time(text)) is None:
        raise click.BadParameter(f"{text!r} is no time; write 2026-11-25T03:12 or 2026-11-25T03:12:00Z")
    return (found if found.tzinfo else found.astimezone()).timestamp()


def address(text: str) -> tuple[str, int]:
    """`127.0.0.1:9187`, `[::1]:9187` or `:9187` for all of this machine's. Raises click's BadParameter."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^:/\s]*):([0-9]{1,5})", text)
    if not match or int(match[2]) > 65535:
        raise click.BadParameter(f"{text!r} is no address; write 127.0.0.1:9187")
    return match[1].strip("[]"), int(match[2])


def file_name(text: str) -> str:
    """The name of a file to write. Raises BadParameter for what an unset variable leaves, and for stdout's."""
    if not text:
        raise click.BadParameter("a file has no empty name; name one, or leave it out")
    if text == "-":
        raise click.BadParameter("'-' is no file; leave it out for stdout, or write ./- for a file of that name")
    return text


def shard(text: str) -> Shard:
    """`2/8`. Raises click's BadParameter for anything else."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if index >= count:
        last = f"; the shards of {count} are 0/{count} to {count - 1}/{count}" if count else "; write 2/8"
        raise click.BadParameter(f"{text!r} is no shard{last}")
    from kwatch.shards import Shard

    return Shard(index, count)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them. Raises click's BadParameter for an empty one."""
    parts = tuple(text.split(","))
    if "" in parts:
        raise click.BadParameter(f"{text!r} holds an empty name")
    return parts


def names_if_any(text: str) -> tuple[str, ...]:
    """The same, and none for "": `-n "$NS"` where the variable is empty is as good as nothing, as in kubectl."""
    return names(text) if text else ()


def glob(text: str) -> str:
    """A pattern for names. Raises click's BadParameter for an empty one, which none has."""
    if not text:
        raise click.BadParameter("no object has an empty name; write 'web-*', or leave it out")
    return text


class Condition(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`STATUS!=Running` as a Where."""

    name = "condition"

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
    """`Name: value` as (name, value). Errors don't repeat the value, a secret perhaps."""

    name = "header"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Refuse what HTTP can't carry, and what kwatch itself has to set."""
        name, colon, text = (part.strip(" ") for part in str(value).partition(":"))
        if not colon or not _TOKEN.fullmatch(name):
            self.fail("write it as 'Name: value'", param, ctx)
        if name.lower() in _OWN_HEADERS:
            self.fail(f"{name} is set by kwatch; {_OWN_HEADERS[name.lower()]}", param, ctx)
        if not text:
            self.fail(f"{name} has no value; write it as 'Name: value'", param, ctx)
        if not _HEADER_VALUE.fullmatch(text):
            self.fail(f"the value of {name} holds a character that no HTTP header can carry", param, ctx)
        return name, text


class Cookie(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`name=value`."""

    name = "cookie"

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
