"""From the screen that is shown to the one that is to be shown, in the fewest bytes a terminal understands.

The lines stand in the normal screen, the cursor waits at the start of the last one. What a line is to show next is
written over it segment by segment; each is placed by its column, so that a terminal that takes another width for a
character than wcwidth does displaces nothing beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import ceil

from kwatch.sinks.live.screen import Line, Segment, Style

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
BEGIN_UPDATE, END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: a terminal that knows it shows what is between at once, others ignore it."""
ATOMIC = 512
"""Bytes that arrive at a terminal in one piece anyway."""
_ERASE_LINE, _ERASE_BELOW, _PLAIN = "\x1b[K", "\x1b[J", "\x1b[0m"

SGR: dict[Style, tuple[str, str]] = {
    "plain": ("", ""),
    "head": ("1", "1"),
    "quiet": ("2", "2"),
    "gone": ("2", "2"),
    "good": ("32", ""),
    "busy": ("33", ""),
    "warn": ("33", "1"),
    "bad": ("1;31", "1"),
    "new": ("32", ""),
    "fresh": ("1;36", "1"),
    "busy fresh": ("1;33", "1"),
    "warn fresh": ("1;33", "1;4"),
    "bad fresh": ("1;7;31", "1;7"),
}
"""Style to the parameters of its escape sequence: with colours, and without."""


class Painter:
    """What the terminal shows of ours by now. `paint` gives the bytes to write; nothing is written here."""

    def __init__(self, *, color: bool) -> None:
        self._styles: Mapping[Style, str] = {style: pair[not color] for style, pair in SGR.items()}
        self.lines: Sequence[Line] = ()

    def paint(self, lines: Sequence[Line]) -> str:
        """What turns the shown lines into `lines`."""
        old, self.lines = self.lines, lines
        text = "" if old == lines else self._rewritten(old, lines)
        return f"{BEGIN_UPDATE}{text}{END_UPDATE}" if len(text) > ATOMIC else text

    def anew(self, lines: Sequence[Line], climb: int = 0) -> str:
        """All of `lines`, over what stands from `climb` lines above the cursor on, whatever that has become.

        Line by line: some terminals keep what is erased at once in their scrollback, as if it were history.
        """
        self.lines = lines
        over = "\n".join(f"\r{_ERASE_LINE}{self._written(line, 0)}" for line in lines)
        return f"{BEGIN_UPDATE}\r{_up(climb)}{over}{_ERASE_BELOW}\r{END_UPDATE}"

    def erase(self) -> str:
        """What takes all of it away."""
        above = len(self.lines) - 1
        self.lines = ()
        return f"\r{_up(above)}{_ERASE_BELOW}"

    def _rewritten(self, old: Sequence[Line], new: Sequence[Line]) -> str:
        parts: list[str] = []
        known = len(old)
        at = max(known - 1, 0)
        for index, line in enumerate(new):
            before = old[index] if index < len(old) else ()
            if index < len(old) and before == line:
                continue
            parts += (_move(at, index, known), self._patch(before, line))
            at, known = index, max(known, index + 1)
        if len(old) > len(new):
            parts += (_move(at, len(new), known), "\r", _ERASE_BELOW)
            at = len(new)
        parts += (_move(at, len(new) - 1, known), "\r")
        return "".join(parts)

    def _patch(self, before: Line, line: Line) -> str:
        """The line written over `before`: the segments that differ, or from the first of another width on."""
        if [part.width for part in before] != [part.width for part in line]:
            return self._tail(before, line)
        parts: list[str] = []
        column, end = 0, -1
        for old, new in zip(before, line, strict=True):
            if old != new:
                if _odd(old) or _odd(new):
                    return "\r" + _ERASE_LINE + self._written(line, 0)
                parts.append(("" if end == column else _column(column)) + self._segment(new, column))
                end = column + new.width
            column += new.width
        return "".join(parts)

    def _tail(self, before: Line, line: Line) -> str:
        same = column = 0
        for old, new in zip(before, line, strict=False):
            if old != new:
                break
            same, column = same + 1, column + new.width
        if any(map(_odd, before)) or any(map(_odd, line)):
            same = column = 0
        erase = _ERASE_LINE if before else ""
        return _column(column) + erase + self._written(line[same:], column)

    def _written(self, line: Sequence[Segment], column: int) -> str:
        parts = []
        for part in line:
            parts.append(self._segment(part, column))
            column += part.width
        return "".join(parts).rstrip(" ")

    def _segment(self, part: Segment, column: int) -> str:
        text = part.text
        if not text.isascii():
            place = _column(column + part.width)
            return self._styled(text, part.style) + place
        return self._styled(text, part.style)

    def _styled(self, text: str, style: Style) -> str:
        code = self._styles[style]
        if not code:
            return text
        body = text.rstrip(" ")
        return f"\x1b[{code}m{body}{_PLAIN}{text[len(body) :]}" if body else text


def _odd(part: Segment) -> bool:
    """Whether terminals may disagree on the columns that this takes."""
    return len(part.text) != part.width


def _column(column: int) -> str:
    return f"\x1b[{column + 1}G" if column else "\r"


def _up(lines: int) -> str:
    return f"\x1b[{lines}A" if lines > 0 else ""


def _move(at: int, to: int, known: int) -> str:
    """From one line to another; below the `known` ones there is nothing yet, perhaps not even room."""
    if to <= at:
        return _up(at - to)
    inside = max(min(to, known - 1) - at, 0)
    down = "\n" * inside if inside < 4 else f"\x1b[{inside}B"
    return down + "\n" * (to - at - inside)


REFLOWING = (
    "TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "ALACRITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "WEZTERM_PANE",
    "ITERM_SESSION_ID", "GHOSTTY_RESOURCES_DIR", "TERM_PROGRAM",
)  # fmt: skip
"""Variables set by terminals that wrap long lines anew when they get narrower; others cut them."""
REFLOWING_TYPES = ("tmux", "foot", "alacritty", "xterm-kitty", "xterm-ghostty", "wezterm", "konsole", "vte")
"""How TERM begins in such terminals: unlike the variables, it gets through ssh."""


def climb(lines: Sequence[Line], old: os.terminal_size, size: os.terminal_size, variables: Mapping[str, str]) -> int:
    """Lines from the cursor up to the first one of ours, after the window got another size.

    Where the terminal isn't known to reflow, rather too few: what is above isn't ours to erase.
    """
    above = lines[:-1]
    if len(lines) >= old.lines >= size.lines and size.columns < old.columns:
        return size.lines - 1  # all that can be seen is ours
    if size.columns >= old.columns or not _reflows(variables):
        return len(above)
    return sum(max(ceil(sum(part.width for part in line) / size.columns), 1) for line in above)


def _reflows(variables: Mapping[str, str]) -> bool:
    return any(name in variables for name in REFLOWING) or variables.get("TERM", "").startswith(REFLOWING_TYPES)
