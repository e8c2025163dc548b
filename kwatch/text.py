"""Strings of the cluster's made harmless to a terminal, and short (as kubectl did not: CVE-2021-25743)."""

from __future__ import annotations

import re

BRIEF = 256
"""Characters of a server's text that an error repeats."""

_CONTROLS = "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_CONTROL_IN_LINE = re.compile(f"(?![\\n\\t])[{_CONTROLS}]")
_BLANK = re.compile(r"\s+")
_UNSAFE_IN_JSON = re.compile("[\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


def inert(text: str) -> str:
    """`text` without C0, DEL, C1 and bidirectional controls."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def inert_lines(text: str) -> str:
    """The same, line breaks and tabs kept."""
    return text if text.isprintable() else _CONTROL_IN_LINE.sub("", text)


def one_line(text: str) -> str:
    """`text` inert, runs of white space (line breaks too) as one space."""
    return text if text.isprintable() else inert(_BLANK.sub(" ", text))


def brief(text: str) -> str:
    """`text` on one line, inert, cut at BRIEF characters: fit for an error message."""
    line = one_line(text[: 4 * BRIEF]).strip()
    return line if len(line) <= BRIEF else line[: BRIEF - 1] + "…"


def as_typed(text: str, program: str) -> str:
    """`text` with the commands in it (`kwatch pods`, in backquotes) as they are typed where kwatch is `program`."""
    return text.replace("`kwatch ", f"`{program} ")


def inert_json(text: str) -> str:
    """A JSON text with what a terminal might obey written as escapes: the same value, nothing raw."""
    return text if text.isprintable() else _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
