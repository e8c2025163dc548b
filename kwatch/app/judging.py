"""What `wait` and `--until` share: options become a plan, a Wait is fed and followed, its end is an exit code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from kwatch.app.options import Options
from kwatch.conditions.verdict import Moment, Outcome
from kwatch.conditions.wait import End, Plan, Wait
from kwatch.errors import ExitCode
from kwatch.model import Batch, Query
from kwatch.pump import Pump
from kwatch.sinks import Wants

TICK_SECONDS = 0.1
"""How often the main thread looks at the clock when nothing comes."""
REPORTED = 20
"""Objects that a timeout names."""


def plan_of(options: Options, any_of: Sequence[str] = ()) -> Plan:
    """The conditions, each once, understood. Raises UsageError."""
    once = (dict.fromkeys(texts) for texts in (options.until, any_of, options.fail_on))
    return Plan.of(*once, fail_fast=options.fail_fast)


def left(options: Options, started: float) -> float:
    """Seconds that what has to be done first may take."""
    return options.times_out(started) - time.monotonic()


def moment() -> Moment:
    """Now."""
    return Moment(time.monotonic(), datetime.now(timezone.utc))


class Judge:
    """Feeds a Wait with what the watches find, and adds to the watches what it wants; how it ends is an exit code."""

    def __init__(self, waiting: Wait, options: Options, ends: float) -> None:
        self.wait = waiting
        self.end: End | None = None
        self._options = options
        self._ends = ends

    @property
    def checks_once(self) -> bool:
        """Whether there is no waiting: what is listed decides."""
        return self._options.timeout == 0

    def take(self, batch: Batch) -> None:
        """What a watch found. Raises its failure where the wait can't do without it."""
        self.wait.take(batch.query, batch.signals, moment())

    def code(self, pump: Pump) -> ExitCode | None:
        """The exit code, once it is decided or the time is up."""
        self.end = self.wait.decide(moment())
        wanted, unwanted = self.wait.wanted()
        for query in unwanted:
            pump.drop(query)
        for query in wanted:
            pump.add(query)
        if self.end is not None:
            return _CODES[self.end.outcome]
        late = time.monotonic() >= self._ends or (self.checks_once and self.wait.is_synced)
        return ExitCode.TIMED_OUT if late else None

    def left(self) -> float:
        """Seconds that the main thread may wait for something to come."""
        return max(min(TICK_SECONDS, self._ends - time.monotonic()), 0)

    def report(
        self, conditions: str, is_said: Callable[[str, str, str], bool] = lambda reference, namespace, why: False
    ) -> list[str]:
        """What to say of an end that isn't what was waited for, a line each; why, unless that `is_said` already."""
        if self.end is not None:
            result = self.end.result
            return [f"error: {result.reference}{self.wait.place(result.namespace)}: {result.reason}"] if result else []
        late = f"timed out after {self._options.patience:g}s"
        if not conditions:
            return [f"error: {late}"]
        words = "not met" if self.checks_once and self.wait.is_listed else f"{late} waiting"
        missing = self.wait.references(met=False)
        lines = [
            f"error: {words} for {conditions} on {reference}{self.wait.place(namespace)}"
            + ("" if is_said(reference, namespace, why) else f": {why}")
            for reference, namespace, why in missing[:REPORTED]
        ]
        if len(missing) > REPORTED:
            lines.append(f"error: and for {len(missing) - REPORTED} more")
        met = len(self.wait.references(met=True))
        there = f"only {met} of {self._options.count} {self.wait.sought}" if met else f"there are no {self.wait.sought}"
        if not self.wait.is_listed:
            there = f"{self.wait.sought}: not listed yet"
        return lines or [f"error: {words} for {conditions}: {there}"]


_CODES = {
    Outcome.MET: ExitCode.OK,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.UNANSWERABLE: ExitCode.ERROR,
}


class Until:
    """`--until` of a watch, as its first stage: it looks at what passes, and takes out what only itself asked for."""

    def __init__(
        self, options: Options, queries: Sequence[Query], started: float, quiet: Callable[[str], None]
    ) -> None:
        """`quiet` takes notices. Raises UsageError."""
        plan = replace(plan_of(options), lasting=False)
        self.wants = Wants.BOTH if plan.needs_rows else Wants.OBJECTS
        self._options = options
        self._queries = frozenset(queries)
        self._notice = quiet
        self._judge = Judge(Wait(plan, queries, started), options, options.times_out(started))

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch, if it is of the watch."""
        self._judge.take(batch)
        if batch.query in self._queries:
            return (batch,)
        if batch.failure and self._judge.wait.fail(batch.query):
            self._notice(f"{batch.failure}; what it would tell of a failure isn't known")
        return ()

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()

    def code(self, pump: Pump) -> ExitCode | None:
        """The exit code, once the conditions are decided or the time is up."""
        return self._judge.code(pump)

    def left(self) -> float:
        """Seconds until the timeout, at most a tick."""
        return self._judge.left()

    def report(self) -> list[str]:
        """Why it ended otherwise than asked."""
        return self._judge.report(" and ".join(self._options.until))
