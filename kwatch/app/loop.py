"""The main thread of a watch: what the watches found goes through the stages to the sink, until something ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kwatch.app.absence import Absence
from kwatch.app.options import Options
from kwatch.app.voice import Voice
from kwatch.errors import ExitCode, KwatchError, NotFound
from kwatch.model import Batch, Change, Connected, Ended, Environment, Listed, Notice, Query, Signal, Synced
from kwatch.pump import Pump
from kwatch.sinks import Sink
from kwatch.stages import Stage, Ticking

if TYPE_CHECKING:
    from kwatch.app.judging import Until
    from kwatch.export import Export
    from kwatch.vitals import Vitals

TICK_SECONDS = 0.1
"""How often the main thread looks at the clock, the terminal and whether its reader is still there."""
LATE_SECONDS = 0.05
"""How late a line may reach stdout, for the sake of larger writes."""


class Loop:
    """Takes what the watches found to the sink until something ends it."""

    def __init__(
        self,
        options: Options,
        env: Environment,
        stages: Sequence[Stage],
        sink: Sink,
        voice: Voice,
        queries: Sequence[Query],
        export: Export | None = None,
        vitals: Vitals | None = None,
        until: Until | None = None,
        advise: Callable[[Query], str] = lambda query: "check the name",
    ) -> None:
        """`export` is where the sink writes, if that isn't stdout alone; `vitals` are kept for who looks after it;
        `advise` says what to try instead of a name that isn't there."""
        self._options = options
        self._env = env
        self._stages = stages
        self._ticking = [(place, one) for place, one in enumerate(stages, start=1) if isinstance(one, Ticking)]
        self._sink = sink
        self._voice = voice
        self._watches = len(queries)
        self._absence = Absence(queries)
        self._unlisted = set(queries) if options.is_list else set()
        self._unseen = {query for query in queries if query.name}
        self._unheard = dict.fromkeys(queries, "no answer")
        """Of what no first list is complete yet, nor a watch that goes on from an earlier run: why, so far."""
        self._resumed: set[Query] = set()
        self._asked = len(queries)
        self.report: list[str] = []
        """Why it ended otherwise than asked, a line each."""
        self._is_empty = True
        self._place = _place(queries)
        self._lacks_cluster = len({query.cluster for query in queries}) < len(set(options.contexts))
        self._is_incomplete = options.is_list and self._lacks_cluster
        """Whether something that was asked for by name, or listed, could not be had: then the end is no success."""
        self._export = export
        self._vitals = vitals
        self._next_heartbeat = time.monotonic() + options.heartbeat
        self._unanswered: dict[Query, Exception] = {}
        self._until = until
        self._advise = advise
        self._printed = 0
        self._aside = not (sink.shows_notices and env.stderr.isatty())
        """Whether what is said on stderr stands elsewhere than in the middle of the sink's picture."""

    def until_ended(self, pump: Pump, started: float) -> ExitCode:
        """The exit code once count, or duration since `started`, is reached, conditions are, or nobody reads stdout."""
        ends = self._options.ends(started)
        while (code := self._ended(pump, ends)) is None:
            left = self._until.left() if self._until else TICK_SECONDS
            self._take_all(pump, max(min(TICK_SECONDS, ends - time.monotonic(), left), 0))
            self._tick_stages()
            self._sink.tick(time.monotonic())
            self._flush(ends)
            if self._vitals:
                self._beat(self._vitals, time.monotonic())
            if self._env.stdout_closed():
                return ExitCode.PIPE_CLOSED
        if not self._counted():
            self._end_stages()
        if self._options.is_list and self._is_empty and not self._is_incomplete:
            self._notice(f"No resources found{self._place}")
        return ExitCode.ERROR if self._is_incomplete and code is ExitCode.OK else code

    def _ended(self, pump: Pump, ends: float) -> ExitCode | None:
        """The exit code, once something that was asked for ends the run."""
        if self._has_all():
            return ExitCode.OK
        if time.monotonic() >= ends:
            return self._out_of_time()
        if self._until and (code := self._until.code(pump)) is not None:
            self.report = self._until.report() if code is not ExitCode.OK else []
            return code
        return ExitCode.OK if self._is_listed() else None

    def _out_of_time(self) -> ExitCode:
        """That the duration passed is a success only if all was watched: else silence would pass for calm."""
        never = f"never listed within {self._options.duration:g}s"
        self.report = [f"error: {query}: {never}: {why}" for query, why in self._unheard.items()]
        is_whole = self._watches == self._asked and not self._lacks_cluster
        return ExitCode.OK if is_whole and not self._unheard else ExitCode.ERROR

    def _has_all(self) -> bool:
        """Whether so many events were printed, and of each name it is known whether it is there."""
        return self._counted() and not self._unseen

    def _is_listed(self) -> bool:
        return self._options.is_list and not self._unlisted

    def _flush(self, ends: float) -> None:
        if self._export:
            self._export.commit(ends)
        else:
            self._env.stdout.flush()

    def _beat(self, vitals: Vitals, now: float) -> None:
        vitals.beat(now)
        if self._options.heartbeat and now >= self._next_heartbeat:
            self._next_heartbeat = now + self._options.heartbeat
            self._notice(f"heartbeat: {vitals.summary(now)}")

    def _is_late(self, late: float) -> bool:
        return time.monotonic() >= late or (self._export is not None and self._export.is_full)

    def _take_all(self, pump: Pump, seconds: float) -> None:
        """Wait so long for something; then all that is there, but no longer than output may be late."""
        batch = pump.take(seconds)
        late = time.monotonic() + LATE_SECONDS
        while batch:
            self._handle(batch)
            is_over = self._counted() or self._is_listed()
            batch = pump.take(0) if not is_over and not self._is_late(late) else None

    def _handle(self, batch: Batch) -> None:
        if self._vitals:
            self._vitals.take(batch, time.monotonic())
        for staged in self._staged([batch], self._stages):
            self._show(staged)
        if self._export:
            self._export.note(batch)

    def _staged(self, batches: Iterable[Batch], stages: Sequence[Stage]) -> Iterable[Batch]:
        for stage in stages:
            batches = [staged for batch in batches for staged in stage.take(batch)]
        return batches

    def _tick_stages(self) -> None:
        for place, stage in self._ticking:
            for batch in self._staged(stage.tick(), self._stages[place:]):
                self._show(batch)

    def _end_stages(self) -> None:
        """What the stages hold back is shown, each one's passing through those after it."""
        for place, stage in enumerate(self._stages, start=1):
            for batch in self._staged(stage.end(), self._stages[place:]):
                self._show(batch)

    def _show(self, batch: Batch) -> None:
        """Changes in runs, as they stand between the other signals."""
        changes: list[Change] = []
        for signal in batch.signals:
            if isinstance(signal, Change):
                changes.append(signal)
            else:
                self._print(batch.query, changes)
                changes = []
                self._signal(batch.query, signal)
        self._print(batch.query, changes)
        if batch.failure:
            self._unanswered.pop(batch.query, None)
            self._fail(batch.query, batch.failure)

    def _print(self, query: Query, changes: list[Change]) -> None:
        if changes:
            self._unseen.discard(query)
        if self._options.watch_only:
            changes = [change for change in changes if not change.initial]
        if self._options.count is None:
            if changes:
                self._sink.change(query, changes)
            return
        while changes and not self._counted():
            left = self._options.count - self._printed  # never more than that many, and those aligned
            self._printed += self._sink.change(query, changes[:left])
            changes = changes[left:]

    def _counted(self) -> bool:
        return self._options.count is not None and self._printed >= self._options.count

    def _signal(self, query: Query, signal: Signal) -> None:
        self._hear(query, signal)
        if isinstance(signal, (Listed, Synced, Connected)):
            self._unanswered.pop(query, None)
        if isinstance(signal, Listed) and not self._options.quiet and self._voice.progress.is_due:
            about = f" of about {signal.objects + signal.remaining:,}" if signal.remaining else ""
            self._voice.progress.show(f"listing {query.resource.plural}: {signal.objects:,}{about}")
        if isinstance(signal, Synced):
            self._voice.progress.clear()
            self._synced(query, signal)
            self._answered(query)
        if isinstance(signal, Notice):
            if signal.unanswered:
                self._unanswered[query] = signal.unanswered
                self._is_incomplete |= self._options.is_list
                self._answered(query)
                self._say_error(signal.unanswered)
                self._end_unless_answered()
            signal = signal._replace(text=self._voice.fit(signal.text), reason=self._voice.fit(signal.reason))
            if not self._sink.shows_notices:
                self._notice(signal.text, detail=signal.detail)
        if isinstance(signal, Connected):
            self._notice(f"{query}: watching from resourceVersion {signal.version}", detail=True)
        self._sink.signal(query, signal)

    def _hear(self, query: Query, signal: Signal) -> None:
        """Note what keeps a watch from its first list, and that it has it; what is resumed has none, but a watch."""
        if isinstance(signal, Notice) and signal.reason and query in self._unheard:
            self._unheard[query] = signal.reason
        if isinstance(signal, Synced) and not signal.first:
            self._resumed.add(query)
        is_resumed = isinstance(signal, Connected) and query in self._resumed
        if is_resumed or (isinstance(signal, Synced) and signal.first):
            self._unheard.pop(query, None)

    def _synced(self, query: Query, signal: Synced) -> None:
        self._notice(f"{query}: listed {signal.objects} at resourceVersion {signal.version}", detail=True)
        self._is_empty &= not signal.objects
        if not signal.first:
            return
        wanted = self._options.events.wanted if self._options.events else ""
        is_empty = self._absence.listed(query, signal, wanted or query.name or query.resource.plural)
        if not signal.objects and query.name and not self._options.until:
            cluster = f" of {query.cluster}" if query.cluster else ""
            where = f" in namespace {query.namespace}" if query.namespace else ""
            self._is_incomplete = True
            words = f'{query.resource.qualified} "{query.name}" not found{where}{cluster}'
            self._fail(query, NotFound(f"{words}; {self._advise(query)}"))
        elif is_empty and not self._options.is_list:  # of which it is said once, of all types together
            self._notice(self._absence.told(query, signal, wanted or "resources"))
        if signal.namespace_missing and self._sink.shows_notices:
            self._sink.signal(query, Notice(f"namespace {query.namespace} doesn't exist (yet)"))

    def _notice(self, text: str, *, detail: bool = False) -> None:
        if self._aside and not self._options.quiet and (self._options.verbose or not detail):
            self._voice.say(text)

    def _answered(self, query: Query) -> None:
        """What there is of it is known, or won't be."""
        self._unseen.discard(query)
        self._unlisted.discard(query)

    def _fail(self, query: Query, failure: Exception) -> None:
        """One watch can't go on: with others still running it is announced, the last one ends the run."""
        self._watches -= 1
        self._unheard.pop(query, None)
        self._answered(query)
        self._is_incomplete |= self._options.is_list
        if not self._watches or not isinstance(failure, KwatchError):
            raise failure
        self._sink.signal(query, Ended(self._voice.fit(str(failure))))
        self._say_error(failure)
        self._end_unless_answered()

    def _say_error(self, failure: Exception) -> None:
        if self._aside:
            self._voice.error(failure)

    def _end_unless_answered(self) -> None:
        """Who can't be reached at the start is tried again while others go on; where none do, the run ends."""
        if self._unanswered and len(self._unanswered) == self._watches:
            raise next(iter(self._unanswered.values()))


def _place(queries: Sequence[Query]) -> str:
    """` in shop namespace`, where all that is watched is in one."""
    [namespace, *others] = {query.namespace for query in queries}
    return f" in {namespace} namespace" if namespace and not others else ""
