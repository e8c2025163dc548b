"""How a run is doing, for those who look after it: what came, when the last word came, and whether all is well. Pure.

Times are monotonic seconds and arguments. Written by the main thread; reading from another sees numbers a moment old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kwatch.model import Batch, Bookmark, Change, Connected, Listed, Notice, Query, Synced

STALE_SECONDS = 60.0
"""In trouble for longer than this, or the main thread held up: a watch is stale."""
SILENT_SECONDS = 660.0
"""Without any word for longer: the longest watch, and what is allowed beyond its end, are over by then."""


@dataclass(slots=True)
class Pulse:
    """One watch: the last word from its server, and since when there is trouble."""

    heard: float
    troubled: float | None = None
    connections: int = 0
    lists: int = 0


class Vitals:
    """Counts what passes, and judges."""

    def __init__(self, queries: Iterable[Query], now: float) -> None:
        self.events: Counter[tuple[str, str]] = Counter()
        """By the type's plural and the event."""
        self.pulses = {query: Pulse(now) for query in queries}
        self._beaten = now

    def take(self, batch: Batch, now: float) -> None:
        """The batch came at `now`."""
        pulse, resource = self.pulses.setdefault(batch.query, Pulse(now)), batch.query.resource.qualified
        for signal in batch.signals:
            if isinstance(signal, Change):
                self.events[resource, signal.type] += 1
            elif isinstance(signal, Notice):
                if signal.delay and pulse.troubled is None:
                    pulse.troubled = now
                continue
            elif isinstance(signal, Connected):
                pulse.connections += 1
            elif isinstance(signal, Synced) and (signal.first or pulse.connections):
                pulse.lists += 1
            if isinstance(signal, (Change, Connected, Synced, Bookmark, Listed)):
                pulse.heard, pulse.troubled = now, None
        if batch.failure:
            pulse.troubled = float("-inf")

    def beat(self, now: float) -> None:
        """The main thread got round: what it had is written."""
        self._beaten = now

    def problems(self, now: float, patience: float = STALE_SECONDS) -> list[str]:
        """What is wrong at `now`, a line each; none if all is well. Trouble is, after `patience` seconds."""
        held = now - self._beaten
        found = [f"nothing could be written for {held:.0f}s"] if held > STALE_SECONDS else []
        for query, pulse in list(self.pulses.items()):
            if pulse.troubled == float("-inf"):
                found.append(f"{query}: the watch has ended")
            elif pulse.troubled is not None and now - pulse.troubled > patience:
                found.append(f"{query}: in trouble for {now - pulse.troubled:.0f}s")
            elif now - pulse.heard > SILENT_SECONDS:
                found.append(f"{query}: no word for {now - pulse.heard:.0f}s")
        return found

    def summary(self, now: float) -> str:
        """One line for a person, who is told of trouble from its beginning."""
        lag = max((now - pulse.heard for pulse in list(self.pulses.values())), default=0.0)
        state = "; ".join(self.problems(now, patience=0.0)) or "all is well"
        watches = f"{len(self.pulses)} watch{'es' * (len(self.pulses) != 1)}"
        return f"{state}: {self.events.total():,} events from {watches}, last word {lag:.0f}s ago"
