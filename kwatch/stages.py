"""What stands between the watches and the sink: each stage takes a batch and hands on batches.

Pure, on the main thread. A run has only the stages that it needs, so that what is off costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, Protocol, runtime_checkable

from kwatch.model import Batch, Change, Key, Listed, Notice, Query, Signal, Synced


class Stage(Protocol):
    """Changes what is shown, or when."""

    def take(self, batch: Batch) -> Iterable[Batch]:
        """What is to be handed on now that `batch` came, in order."""

    def end(self) -> Iterable[Batch]:
        """The run ends: what was held back."""


@runtime_checkable
class Ticking(Protocol):
    """A stage that may have something to hand on though nothing came."""

    def tick(self) -> Iterable[Batch]:
        """Called several times a second."""


class Only:
    """Another stage, for what comes of `queries` alone; all else passes."""

    def __init__(self, stage: Stage, queries: Iterable[Query]) -> None:
        self._stage = stage
        self._queries = frozenset(queries)

    def take(self, batch: Batch) -> Iterable[Batch]:
        """What the stage makes of it, or the batch."""
        return self._stage.take(batch) if batch.query in self._queries else (batch,)

    def tick(self) -> Iterable[Batch]:
        """What the stage finds due."""
        return self._stage.tick() if isinstance(self._stage, Ticking) else ()

    def end(self) -> Iterable[Batch]:
        """What the stage held back."""
        return self._stage.end()


class Opening:
    """What is there at the start comes first, source by source in their order; what happens meanwhile waits for it.

    With `order`, a sort key, the first screen waits for all sources and is sorted. Who is in trouble isn't waited for,
    and notices never wait.
    """

    def __init__(self, queries: Sequence[Query], order: Callable[[Query, Change], Any] | None = None) -> None:
        self._waiting = list(queries)
        self._first: dict[Query, list[Signal]] = {query: [] for query in queries}
        self._later: list[Batch] = []
        self._order = order

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch, but for what has to wait; and what need wait no longer."""
        if not self._waiting and not self._later:
            return (batch,)
        at_once: list[Signal] = []
        later: list[Signal] = []
        for signal in batch.signals:
            self._place(batch.query, signal, at_once, later)
        if later or batch.failure:
            self._later.append(Batch(batch.query, later, batch.failure))
        if batch.failure:
            self._await_no_more(batch.query)
        return [Batch(batch.query, at_once), *self._released()] if at_once else self._released()

    def end(self) -> Iterable[Batch]:
        """All that still waits."""
        self._waiting.clear()
        return self._released()

    def _place(self, query: Query, signal: Signal, at_once: list[Signal], later: list[Signal]) -> None:
        if isinstance(signal, (Notice, Listed)):
            at_once.append(signal)
            if isinstance(signal, Notice) and signal.delay:
                self._await_no_more(query)
        elif query in self._waiting:
            self._first[query].append(signal)
            if isinstance(signal, Synced):
                self._await_no_more(query)
        else:
            later.append(signal)

    def _await_no_more(self, query: Query) -> None:
        if query in self._waiting:
            self._waiting.remove(query)

    def _released(self) -> list[Batch]:
        released = self._in_turn() if self._order is None else self._sorted()
        if not self._waiting:
            released += self._later
            self._later = []
        return released

    def _in_turn(self) -> list[Batch]:
        """The first state of each source as far as none before it is waited for."""
        released = []
        for query in list(self._first):
            if self._first[query]:
                released.append(Batch(query, self._first[query]))
                self._first[query] = []
            if query in self._waiting:
                break
            del self._first[query]
        return released

    def _sorted(self) -> list[Batch]:
        if self._waiting or not self._first:
            return []
        order, first, self._first = self._order, self._first, {}
        assert order is not None
        changes = [(query, change) for query, signals in first.items() for change in _state(signals)]
        changes.sort(key=lambda pair: order(*pair))
        runs = [
            Batch(query, [change for _, change in run]) for query, run in groupby(changes, key=lambda pair: pair[0])
        ]
        others = ((query, [one for one in signals if not isinstance(one, Change)]) for query, signals in first.items())
        return [*runs, *(Batch(query, signals) for query, signals in others if signals)]


class Sought:
    """Says `text` once if none of the objects that are there at the start, of all queries, `has` something."""

    def __init__(self, queries: Iterable[Query], has: Callable[[Change], bool], text: str) -> None:
        self._waiting = set(queries)
        self._has = has
        self._text = text
        self._missed = False

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch, and after the last one that had to be looked at, what is to be said."""
        if not self._waiting:
            return (batch,)
        for signal in batch.signals:
            if isinstance(signal, Change) and self._has(signal):
                self._waiting.clear()
                return (batch,)
            self._missed = self._missed or isinstance(signal, Change)
            if isinstance(signal, Synced):
                self._waiting.discard(batch.query)
        if batch.failure:
            self._waiting.discard(batch.query)
        if self._waiting or not self._missed:
            return (batch,)
        return batch, Batch(batch.query, [Notice(self._text)])

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()


def _state(signals: Iterable[Signal]) -> list[Change]:
    """What is there after these signals, each object as ADDED: a list that started over may have corrected itself."""
    state: dict[Key, Change] = {}
    for signal in signals:
        if isinstance(signal, Change):
            state.pop(signal.key, None)
            if signal.type != "DELETED":
                state[signal.key] = signal._replace(type="ADDED", old=None)
    return list(state.values())
