"""What changed, field by field: a block an event, `old → new` for a MODIFIED, one line for an ADDED or a DELETED."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wcwidth import wcwidth

from kwatch.columns import timestamp, width
from kwatch.diffs import MISSING, Diff, Difference, Line, diff, line_changes, summary, value_text
from kwatch.model import Change, Environment, Query
from kwatch.protocol.forms import TRACE
from kwatch.sinks import QuietSink, SinkOptions
from kwatch.text import inert

INDENT = "    "
ARROW = " → "
LEAST = 24
"""Terminal columns that two values get at the least, whatever the path before them takes."""
CONTEXT = 8
"""Characters kept before the place where two long values begin to differ."""
LINES = 40
"""Lines of a changed text that a terminal gets to see."""

_TRACE = re.compile(TRACE)
_PLAIN = "\x1b[0m"
_STYLES = {
    "ADDED": "\x1b[1;32m",
    "MODIFIED": "\x1b[1;33m",
    "DELETED": "\x1b[1;31m",
    "name": "\x1b[1m",
    "dim": "\x1b[2m",
    "old": "\x1b[31m",
    "new": "\x1b[32m",
}


class DiffSink(QuietSink):
    """Prints blocks. A MODIFIED whose every difference is folded away prints nothing, unless --show-unchanged."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._options = options
        self._now = env.now
        self._size = env.size if env.stdout_is_terminal else None

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        now = self._now()
        time = self._styled("dim", timestamp(now, utc=self._options.utc)) + " " if self._options.timestamps else ""
        blocks = [block for change in changes if (block := self._block(query, change))]
        self._write("".join(f"{time}{block}\n" for block in blocks).encode(errors="backslashreplace"))
        return len(blocks)

    # A block

    def _block(self, query: Query, change: Change) -> str:
        """Its lines; "" for what prints nothing."""
        head = self._head(query, change)
        if change.type != "MODIFIED" or change.old is None:
            return head
        try:
            found = diff(change.old.object, change.state.object, everything=self._options.diff_all)
            if not found.shown and not self._options.show_unchanged:
                return ""
            return "\n".join([head, *self._body(query, found)])
        except RecursionError:
            return f"{head}\n{INDENT}{self._styled('dim', '(nested too deeply to be compared)')}"

    def _head(self, query: Query, change: Change) -> str:
        cluster = f"[{inert(query.cluster)}] " if self._options.show_cluster else ""
        name = self._styled("name", f"{query.resource.reference}/{inert(change.key[1])}")
        namespace = self._styled("dim", f" in {inert(change.key[0])}") if change.key[0] else ""
        return f"{self._styled(change.type, change.type)} {cluster}{name}{namespace}"

    def _body(self, query: Query, found: Diff) -> list[str]:
        if not found.shown:
            folded = ", ".join(map(str, found.folded)) or "nothing"
            return [INDENT + self._styled("dim", self._cut(f"(only {folded})", 0))]
        secret = query.resource.kind == "Secret" and not query.resource.group
        return [line for one in found.shown for line in self._difference(one, secret=secret)]

    # A difference

    def _difference(self, one: Difference, *, secret: bool) -> list[str]:
        lines = line_changes(one.old, one.new)
        sign, style = _SIGNS[one.old is MISSING, one.new is MISSING]
        lead = INDENT[:-2] + (self._styled(style, sign) if style else sign) + " "
        path = str(one)
        if lines is not None:
            return [f"{lead}{path}:", *self._lines(lines)]
        old, new = (self._text(value, secret=secret) for value in (one.old, one.new))
        if style:
            value = old or new if self._options.diff_all else self._text(summary(one), secret=secret)
            if value == "{}" != (old or new):  # the path says all of it
                return [f"{lead}{self._styled(style, path)}"]
            return [f"{lead}{path}: {self._styled(style, self._cut(value, width(path) + 2))}"]
        if secret and old == new:  # redacted values of one size
            new = f"{new[:-1]}, another value>"
        old, new = self._fitted(old, new, taken=width(path) + 2)
        return [f"{lead}{path}: {self._styled('old', old)}{ARROW}{self._styled('new', new)}"]

    def _lines(self, lines: Sequence[Line]) -> list[str]:
        shown = lines if self._size is None else lines[:LINES]
        more = [f"{INDENT}  … {len(lines) - len(shown):,} more lines"] if len(shown) < len(lines) else []
        return [self._line(line) for line in shown] + more

    def _line(self, line: Line) -> str:
        text = f"{INDENT}  {line.sign} {self._cut(line.text, 4)}".rstrip()
        style = _LINE_STYLES.get(line.sign)
        return self._styled(style, text) if style else text

    def _text(self, value: Any, *, secret: bool) -> str:
        """On one line; of a redacted value without what tells it apart."""
        text = "" if value is MISSING else value_text(value)
        return _TRACE.sub("", text) if secret else text

    # What fits

    def _room(self, taken: int) -> int | None:
        """Columns left on a line of which so many are taken; None where lines may be of any length."""
        return None if self._size is None else max(self._size().columns - len(INDENT) - taken - 1, LEAST)

    def _cut(self, text: str, taken: int) -> str:
        room = self._room(taken)
        return text if room is None else _cut(text, room)

    def _fitted(self, old: str, new: str, *, taken: int) -> tuple[str, str]:
        """Both, cut to what a line has for them, where need be from the front: where they differ is to be seen."""
        columns = self._room(taken + len(ARROW))
        if columns is None or width(old) + width(new) <= columns:
            return old, new
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        if same > CONTEXT + 1:
            old, new = (f"…{text[same - CONTEXT :]}" for text in (old, new))
        half = columns // 2
        return _cut(old, columns - min(width(new), half)), _cut(new, columns - min(width(old), half))

    def _styled(self, style: str, text: str) -> str:
        return f"{_STYLES[style]}{text}{_PLAIN}" if self._options.color and text else text


_SIGNS = {(False, False): (" ", ""), (True, False): ("+", "new"), (False, True): ("-", "old")}
"""(added, removed) to the sign before the path and the style of sign and value."""
_LINE_STYLES = {"-": "old", "+": "new", "…": "dim"}


def _cut(text: str, columns: int) -> str:
    """`text` in at most so many terminal columns."""
    if width(text) <= columns:
        return text
    used = 0
    for index, character in enumerate(text):
        used += max(wcwidth(character), 0)
        if used > columns - 1:
            return text[:index] + "…"
    return text
