"""How long to wait after a fault: client-go's schedule, as a value without a clock.

client-go tools/cache/reflector.go: 0.8 s, doubled up to 30 s, each drawn from [d, 2d), back to the start after two
minutes without a fault.
"""

from __future__ import annotations

from typing import NamedTuple

BASE = 0.8
FACTOR = 2.0
CAP = 30.0
RESET_AFTER = 120.0
RETRY_AFTER_CAP = 60.0


class Backoff(NamedTuple):
    """Where in the schedule a watch is: `faults` so far, the last at `last` (seconds of a monotonic clock)."""

    faults: int = 0
    last: float = float("-inf")

    def after(self, now: float) -> Backoff:
        """The schedule as it stands at `now`: back at its start after two quiet minutes."""
        return Backoff() if now - self.last >= RESET_AFTER else self

    def step(self, now: float, chance: float) -> tuple[float, Backoff]:
        """Seconds to wait for a fault at `now`, and the schedule from then on. `chance` in [0, 1) is the jitter."""
        base = min(BASE * FACTOR ** min(self.faults, 16), CAP)
        delay = base * (1 + chance)
        return delay, self._replace(faults=self.faults + 1, last=now + delay)


def retry_after(seconds: float) -> float:
    """A server's Retry-After, in seconds, never under a second nor over RETRY_AFTER_CAP (fault 26)."""
    return min(max(seconds, 1.0), RETRY_AFTER_CAP)
