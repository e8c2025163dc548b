"""Which words of a table are normal, which are passing, and which somebody should look at: tables, and who reads them.

The words are those of kubectl's printed columns (kubernetes/pkg/printers/internalversion), and what operators print in
theirs. A passing state (Pending, 0/3 ready) that lasts longer than PATIENCE_SECONDS is a bad one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from kwatch.columns import cell, heading
from kwatch.model import Column, Resource

PATIENCE_SECONDS = 60.0


class Health(IntEnum):
    """How much a state calls for attention. BUSY is on its way; WARN is what it is, however long it lasts."""

    DONE = 0
    GOOD = 1
    BUSY = 2
    WARN = 3
    BAD = 4


_DONE, _GOOD, _BUSY, _WARN, _BAD = Health

WORDS: dict[str, dict[str, Health]] = {
    "Pod": {
        "Running": _GOOD,
        "Completed": _DONE,
        "Succeeded": _DONE,
        "Pending": _BUSY,
        "ContainerCreating": _BUSY,
        "PodInitializing": _BUSY,
        "Terminating": _BUSY,
        "SchedulingGated": _BUSY,
        "": _BAD,
    },
    "Node": {"Ready": _GOOD, "SchedulingDisabled": _WARN, "NotReady": _BAD, "Unknown": _BAD},
    "Job": {"Complete": _DONE, "Running": _GOOD, "Suspended": _DONE, "Failed": _BAD, "FailureTarget": _BAD},
    "Event": {"Normal": _GOOD, "Warning": _WARN},
    "PersistentVolume": {"Released": _WARN},
}
"""A kind's own words; what stands at "" holds for all words that it hasn't, instead of ANY_KIND."""

ANY_KIND: dict[str, Health] = {
    "pending": _BUSY,
    "terminating": _BUSY,
    "progressing": _BUSY,
    "provisioning": _BUSY,
    "creating": _BUSY,
    "updating": _BUSY,
    "deleting": _BUSY,
    "false": _BUSY,
    "outofsync": _WARN,
    "warning": _WARN,
    "complete": _DONE,
    "completed": _DONE,
    "succeeded": _DONE,
    "lost": _BAD,
    "notready": _BAD,
    "unknown": _BAD,
    "degraded": _BAD,
    "missing": _BAD,
    "stalled": _BAD,
    "evicted": _BAD,
}
_ALARMING = re.compile("err|fail|backoff|killed|unhealthy|invalid|denied|rejected|expired", re.IGNORECASE)
_INITIALISING = re.compile(r"Init:\d+/\d+")
_RATIO = re.compile(r"(\d+)/(\d+)")

WORD_COLUMNS = ("STATUS", "HEALTH STATUS", "PHASE", "STATE")
"""Where the word stands that a row is counted by: the first of these that is shown without `-o wide`."""
WORD_COLUMNS_OF = {"Event": ("TYPE",)}
"""The same for kinds that have it elsewhere."""


def word_health(kind: str, word: str) -> Health:
    """What a word of a STATUS column means for this kind; of several, with commas between them, the worst."""
    own = WORDS.get(kind, {})
    return max((_one_word(own, part) for part in word.split(",")), default=_GOOD)


def _one_word(own: dict[str, Health], word: str) -> Health:
    if word in own:
        return own[word]
    if _INITIALISING.fullmatch(word):
        return _BUSY
    if "" in own:
        return own[""]
    found = ANY_KIND.get(word.lower())
    if found is not None:
        return found
    return _BAD if _ALARMING.search(word) else _GOOD


def ready_health(text: str) -> Health:
    """What stands in READY: `2/3`, or a condition's True, False or Unknown."""
    if match := _RATIO.fullmatch(text):
        return _GOOD if int(match[1]) >= int(match[2]) else _BUSY
    return {"False": _BUSY, "Unknown": _BAD}.get(text, _GOOD)


class Verdict(NamedTuple):
    """What was made of a row: the word it is counted by, what that means, the row's health, its cells' by heading."""

    word: str
    word_health: Health
    health: Health
    cells: dict[str, Health]


class Judge:
    """Judges the rows of one table. Rows repeat themselves, so each combination of cells is judged once."""

    MOST = 4096
    """Verdicts that are kept; a hostile table has as many words as rows."""

    def __init__(self, resource: Resource, columns: Sequence[Column]) -> None:
        self._kind = resource.kind
        headings = [heading(column) for column in columns]
        always = [name for name, column in zip(headings, columns, strict=True) if column.priority == 0]
        words = [name for name in WORD_COLUMNS_OF.get(resource.kind, WORD_COLUMNS) if name in always]
        self._word = headings.index(words[0]) if words else -1
        self._word_heading = words[0] if words else ""
        self._ready = headings.index("READY") if "READY" in headings else -1
        self._desired = headings.index("DESIRED") if "DESIRED" in headings and self._ready >= 0 else -1
        self._places = [place for place in (self._word, self._ready, self._desired) if place >= 0]
        self._known: dict[tuple[Any, ...], Verdict] = {}
        self._pick: Callable[[Sequence[Any]], tuple[Any, ...]] = lambda cells: tuple(
            [cells[place] if place < len(cells) else "" for place in self._places]
        )

    def __call__(self, cells: Sequence[Any]) -> Verdict:
        """The verdict on a row."""
        key = self._pick(cells)
        try:
            found = self._known.get(key)
        except TypeError:  # a cell that is a list or an object
            return self._judged(cells)
        if found is None:
            if len(self._known) >= self.MOST:
                self._known.clear()
            found = self._known[key] = self._judged(cells)
        return found

    def _judged(self, cells: Sequence[Any]) -> Verdict:
        word = self._text(cells, self._word)
        found: dict[str, Health] = {}
        if self._word >= 0:
            found[self._word_heading] = word_health(self._kind, word)
        if self._ready >= 0 and found.get(self._word_heading) is not _DONE:
            found["READY"] = self._readiness(cells)
        health = max(found.values(), default=_GOOD)
        if self._word >= 0:
            return Verdict(word, found[self._word_heading], health, found)
        return Verdict(self._ready_word(found), health, health, found)

    def _readiness(self, cells: Sequence[Any]) -> Health:
        ready = self._text(cells, self._ready)
        if self._desired < 0:
            return ready_health(ready)
        return ready_health(f"{ready}/{self._text(cells, self._desired)}")

    def _ready_word(self, found: dict[str, Health]) -> str:
        if self._ready < 0:
            return ""
        return "ready" if found["READY"] is _GOOD else "not ready"

    @staticmethod
    def _text(cells: Sequence[Any], place: int) -> str:
        return cell(cells[place]) if 0 <= place < len(cells) else ""
