"""What a screen is made of: lines of styled segments, and text cut and padded to terminal columns.

Pure: widths are wcwidth's, a ZWJ sequence or a letter with its marks is never cut in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from wcwidth import wcswidth, wcwidth

from kwatch.columns import width

Style = Literal[
    "plain", "head", "quiet", "gone", "busy", "warn", "bad", "good", "fresh", "new", "busy fresh", "warn fresh",
    "bad fresh",
]  # fmt: skip
"""What a text is to a reader; how a terminal shows it stands in `paint.SGR`."""

_ZWJ, _SKIN_TONES, _FLAGS = "\u200d", "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff", range(0x1F1E6, 0x1F200)
LONGEST = 1024
"""Characters of a cell that are looked at: more than any terminal has columns."""


class Segment(NamedTuple):
    """A text in one style, and the terminal columns it takes."""

    text: str
    style: Style
    width: int


Line = tuple[Segment, ...]


def segment(text: str, style: Style = "plain") -> Segment:
    """An inert text as a segment."""
    return Segment(text, style, width(text))


def cell(text: str, columns: int, style: Style = "plain") -> Segment:
    """An inert text in exactly so many columns: cut at its end, or padded."""
    taken = len(text) if text.isascii() else width(text)
    if taken > columns:
        text = cut(text, columns)
        taken = width(text)
    return Segment(text + " " * (columns - taken), style, columns)


def cut(text: str, columns: int) -> str:
    """`text` in at most so many columns, `…` at its end where something is missing."""
    if len(text) <= columns and text.isascii():
        return text
    text = text[:LONGEST]
    if width(text) <= columns:
        return text
    return _head(clusters(text), columns - 1) + "…" if columns > 0 else ""


def cut_middle(text: str, columns: int) -> str:
    """The same with the middle missing: what tells the names of a ReplicaSet's pods apart is their end."""
    if len(text) <= columns and text.isascii():
        return text
    text = text[:LONGEST]
    if width(text) <= columns or columns < 3:
        return cut(text, columns)
    tail = columns // 2
    parts = list(clusters(text))
    end = _head(reversed(parts), tail, backwards=True)
    return _head(iter(parts), columns - 1 - width(end)) + "…" + end


def clip(line: Iterable[Segment], columns: int) -> Line:
    """A line in at most so many columns."""
    fitting: list[Segment] = []
    for part in line:
        if part.width > columns:
            fitting.append(segment(cut(part.text.rstrip(), columns), part.style))
            break
        fitting.append(part)
        columns -= part.width
    return tuple(part for part in fitting if part.width)


def clusters(text: str) -> Iterator[str]:
    """The characters of a text as a reader counts them: with the marks, joined emoji and tones that belong to them."""
    cluster = ""
    for character in text:
        if cluster and _joins(cluster, character):
            cluster += character
            continue
        if cluster:
            yield cluster
        cluster = character
    if cluster:
        yield cluster


def _joins(cluster: str, character: str) -> bool:
    if character in _SKIN_TONES or cluster[-1] == _ZWJ:
        return True
    if ord(character) in _FLAGS:
        return len(cluster) == 1 and ord(cluster) in _FLAGS
    return not character.isascii() and wcwidth(character) <= 0


def _head(parts: Iterable[str], columns: int, *, backwards: bool = False) -> str:
    taken: list[str] = []
    for part in parts:
        columns -= max(wcswidth(part), 0)
        if columns < 0:
            break
        taken.append(part)
    return "".join(reversed(taken) if backwards else taken)
