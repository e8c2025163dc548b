"""`kwatch replay`: recorded events through the stages and sinks of a live watch, or the state at one moment."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from kwatch.app.loop import LATE_SECONDS, TICK_SECONDS
from kwatch.app.options import Options
from kwatch.app.progress import ProgressLine
from kwatch.app.voice import Voice
from kwatch.cluster.files import config_error, why
from kwatch.columns import Layout, View, width
from kwatch.errors import ExitCode, KwatchError, UsageError
from kwatch.filters import Filter, OfTypes
from kwatch.model import Batch, Change, ChangeType, Connected, Environment, Key, Query, Synced
from kwatch.printing import row
from kwatch.protocol.forms import Item, ObjectForm
from kwatch.protocol.frames import Frame
from kwatch.recordings import Record, Recording, moment, query_of
from kwatch.sinks import FORMS, Sink, Wants, make
from kwatch.stages import Stage
from kwatch.text import inert

AHEAD = 1000
"""Records looked at beforehand, for the columns that tell types, namespaces and clusters apart."""
PIECE = 500
"""Changes that are handed on at once, at most."""
LARGE = 16 << 20
"""Bytes of files from which on a terminal is shown how far the reading has got."""
TABLES = ("", "table", "wide")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What to replay: `files`, `speed` times as fast as it happened (inf: without a pause), the records from `start` to
    `end`, or the state `at` a moment (seconds since the epoch)."""

    files: tuple[str, ...]
    speed: float = float("inf")
    start: float | None = None
    end: float | None = None
    at: float | None = None

    @property
    def needs_times(self) -> bool:
        """Whether it can't be done without knowing when each event came."""
        return self.speed != float("inf") or (self.start, self.end, self.at) != (None, None, None)


class NoTimes(KwatchError):
    """The recording doesn't say when its events came."""


class TooFew(KwatchError):
    """The recording holds fewer events than were asked for."""


def replay(options: Options, asked: ReplayOptions, env: Environment, voice: Voice) -> ExitCode:
    """Replay to the end."""
    if asked.at is not None and (asked.start, asked.end) != (None, None):
        raise UsageError("--at is one moment: leave out --from and --to")
    if asked.start is not None and asked.end is not None and asked.start > asked.end:
        raise UsageError("--from is later than --to: nothing is between them; exchange the two")
    if asked.at is None and options.sink.sort_by:
        raise UsageError("events come in the order of their time; --sort-by is for the state --at a moment")
    with _files(asked.files, env) as (paths, stdin):
        return _replayed(Recording(paths, voice.say, stdin), options, asked, env, voice)


@contextlib.contextmanager
def _files(names: Sequence[str], env: Environment) -> Iterator[tuple[list[Path], Path | None]]:
    """The paths; `-` is that of a temporary file with what stdin has, for files are read more than once."""
    if "-" not in names:
        yield [Path(name) for name in names], None
        return
    if env.stdin is None or env.stdin.isatty():
        raise UsageError("- is stdin, and nothing is piped into it; name files, or write: zcat FILE | kwatch replay -")
    with contextlib.ExitStack() as kept:
        try:
            spool = kept.enter_context(tempfile.NamedTemporaryFile(prefix="kwatch-"))
            shutil.copyfileobj(env.stdin, spool)
            spool.flush()
        except OSError as error:
            raise config_error(f"stdin can't be kept in {tempfile.gettempdir()}: {why(error)}; set TMPDIR") from error
        stdin = Path(spool.name)
        yield [stdin if name == "-" else Path(name) for name in names], stdin


def _replayed(recording: Recording, options: Options, asked: ReplayOptions, env: Environment, voice: Voice) -> ExitCode:
    records = _within(_counted(recording, voice.progress), options, asked, voice.say)
    if asked.at is not None:
        return _print_state(options, asked.at, records, env, voice.say)
    ahead = [record for _, record in zip(range(AHEAD), records, strict=False)]
    clock = _Clock(asked.speed)
    told = replace(env, now=clock.now)
    queries = list(dict.fromkeys(query_of(record) for record in ahead))
    sink, stages = _sink(options, queries, told), _stages(options, queries, clock.now)
    for query in queries:
        sink.signal(query, Synced("", 0, first=True))
        sink.signal(query, Connected(""))
    try:
        return _Replay(options, told, sink, stages, clock).run(_chained(ahead, records))
    finally:
        sink.close()


def _counted(recording: Recording, shown: ProgressLine) -> Iterator[Record]:
    """The records; for large files it is shown how far the reading has got."""
    progress = recording.progress
    is_large = progress.total >= LARGE
    for record in recording.records():
        if is_large and shown.is_due:
            part = f"{progress.read * 100 // progress.total}% of {progress.total >> 20} MiB"
            shown.show(f"read {part}, {progress.events:,} events")
        yield record


def _chained(ahead: Iterable[Record], rest: Iterable[Record]) -> Iterator[Record]:
    yield from ahead
    yield from rest


def _within(
    records: Iterable[Record], options: Options, asked: ReplayOptions, say: Callable[[str], None]
) -> Iterator[Record]:
    """Those of the namespaces and the time asked for. Where there is none, `say` takes why."""
    start, end = asked.start, asked.end if asked.at is None else asked.at
    before, is_any = "", False
    after = "the recording ends there"
    for record in records:
        if asked.needs_times and record.time is None:
            raise NoTimes("the recording doesn't say when its events came; record with --timestamps for that")
        at = record.time or 0.0
        if end is not None and at > end:  # by time: nothing earlier follows, but for a clock that was put back
            after = f"the next event came at {_told(at)}"
            break
        before = f"the last event before came at {_told(at)}, "
        in_namespace = not options.namespaces or record.object["metadata"].get("namespace") in options.namespaces
        if in_namespace and (start is None or at >= start):
            is_any = True
            yield record
    if not is_any:
        where = f" in {', '.join(map(inert, options.namespaces))}" if options.namespaces else ""
        around = f" then; {before}{after}" if asked.needs_times and not where else ""
        say(f"nothing was recorded{where}{around}")


def _told(seconds: float) -> str:
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _stages(options: Options, queries: Sequence[Query], now: Callable[[], datetime]) -> list[Stage]:
    stages: list[Stage] = []
    if options.wheres or options.name_patterns:
        stages.append(Filter(queries, options.wheres, options.name_patterns, now))
    if options.types:
        stages.append(OfTypes(options.types))
    return stages


def _wants(options: Options) -> Wants:
    return FORMS[options.sink.output].wants | (Wants.ROWS if options.wheres or options.sink.sort_by else Wants(0))


def _staged(batches: Iterable[Batch], stages: Sequence[Stage]) -> Iterable[Batch]:
    for stage in stages:
        batches = [handed for batch in batches for handed in stage.take(batch)]
    return batches


def _sink(options: Options, queries: Sequence[Query], env: Environment) -> Sink:
    resources = {query.resource for query in queries}
    if len(resources) > 1 and options.sink.output == "csv":
        raise UsageError("csv has one header, and the recording several types; choose -o ndjson")
    shown = options.sink._replace(
        show_namespace=any(resource.namespaced for resource in resources) and len(options.namespaces) != 1,
        show_cluster=any(query.cluster for query in queries),
        show_types=len(resources) > 1,
        queries=tuple(queries),
    )
    return make(shown, env)


class _Clock:
    """The time of the recording, which passes `speed` times as fast as that of the world."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._begun: tuple[float, float] | None = None
        self._at: float | None = None
        self._awaited = 0.0

    def now(self) -> datetime:
        """The time of the record that came last, and what passed since, but not beyond that of the one awaited: however
        late it is printed, it came then. The world's time where none has one."""
        if self._at is None:
            return datetime.now(timezone.utc)
        if self._begun is None:
            return moment(self._at)
        passed = self._begun[1] + (time.monotonic() - self._begun[0]) * self._speed
        return moment(max(self._at, min(passed, self._awaited)))

    def due(self, record: Record) -> float:
        """When, by time.monotonic, the record's moment has come."""
        if self._speed == float("inf") or record.time is None:
            return 0.0
        if self._begun is None:
            self._begun = (time.monotonic(), record.time)
        self._awaited = record.time
        return self._begun[0] + (record.time - self._begun[1]) / self._speed

    def reach(self, record: Record) -> None:
        """It is the record's moment."""
        self._at = record.time if record.time is not None else self._at


class _States:
    """Records as changes: each knows the state that its object had before."""

    def __init__(self, options: Options, wants: Wants) -> None:
        self._form = ObjectForm(managed_fields=options.show_managed_fields, secrets=options.show_secrets)
        self._wants = wants
        self._queries: dict[tuple[str, Any, Any], Query] = {}
        self.known: dict[Query, dict[Key, Change]] = {}

    def change(self, record: Record, now: datetime) -> tuple[Query, Change]:
        """What a live watch would have handed on."""
        identity = (record.cluster, record.object.get("apiVersion"), record.object.get("kind"))
        if identity not in self._queries:
            self._queries[identity] = query_of(record)
        query = self._queries[identity]
        item = self._form.of_frame(Frame(record.type, record.object))[0]
        known = self.known.setdefault(query, {})
        before = known.get(item.key)
        old = before.state if before and before.uid == item.uid else None
        kind: ChangeType = record.type  # type: ignore[assignment]
        change = Change(kind, item.key, item.uid, item.version, self._state(item, now), old, record.synthetic)
        if kind == "DELETED":
            known.pop(item.key, None)
        else:
            known[item.key] = change._replace(old=None)
        return query, change

    def _state(self, item: Item, now: datetime) -> Any:
        if not self._wants & Wants.ROWS:
            return item.state
        return row(item.state.object, now, item.state if self._wants & Wants.OBJECTS else None)


class _Replay:
    """The main thread's part, as the loop is of a live watch."""

    def __init__(self, options: Options, env: Environment, sink: Sink, stages: Sequence[Stage], clock: _Clock) -> None:
        self._options = options
        self._env = env
        self._sink = sink
        self._stages = stages
        self._clock = clock
        self._states = _States(options, _wants(options))
        self._printed = 0
        self._late = 0.0

    def run(self, records: Iterable[Record]) -> ExitCode:
        """Until the records end, the count is reached, or the reader of stdout is gone."""
        for _, together in groupby(records, key=lambda record: record.time):
            for query, run in groupby(self._changes(together), key=lambda pair: pair[0]):
                while changes := [change for _, change in islice(run, PIECE)]:
                    self._hand_on([Batch(query, changes)])
                    if self._is_over():
                        return self._end()
        self._hand_on([batch for stage in self._stages for batch in stage.end()], staged=True)
        return self._end()

    def _changes(self, records: Iterable[Record]) -> Iterator[tuple[Query, Change]]:
        for record in records:
            self._await(record)
            self._clock.reach(record)
            yield self._states.change(record, self._env.now())

    def _await(self, record: Record) -> None:
        while (left := self._clock.due(record) - time.monotonic()) > 0 and not self._env.stdout_closed():
            self._flush()
            time.sleep(min(left, TICK_SECONDS))

    def _hand_on(self, batches: Iterable[Batch], *, staged: bool = False) -> None:
        for batch in batches if staged else _staged(batches, self._stages):
            self._print(batch.query, [signal for signal in batch.signals if isinstance(signal, Change)])
        if time.monotonic() >= self._late:
            self._flush()

    def _print(self, query: Query, changes: list[Change]) -> None:
        count = self._options.count
        if count is None:
            if changes:
                self._sink.change(query, changes)
            return
        for change in changes:
            if self._printed < count:
                self._printed += self._sink.change(query, [change])

    def _flush(self) -> None:
        self._late = time.monotonic() + LATE_SECONDS
        self._sink.tick(time.monotonic())
        self._env.stdout.flush()

    def _is_over(self) -> bool:
        count = self._options.count
        return (count is not None and self._printed >= count) or self._env.stdout_closed()

    def _end(self) -> ExitCode:
        """As grep: a count that the recording doesn't reach is no success."""
        if self._env.stdout_closed():
            return ExitCode.PIPE_CLOSED
        count = self._options.count
        if count is not None and self._printed < count:
            raise TooFew(f"the recording ended after {self._printed} of {count} events")
        return ExitCode.OK


# The state at a moment


def _print_state(
    options: Options, at: float, records: Iterable[Record], env: Environment, say: Callable[[str], None]
) -> ExitCode:
    now, wants = moment(at), _wants(options)
    states = _States(options, Wants.OBJECTS)
    for record in records:
        states.change(record, now)
    state = {query: _as_added(known, wants, now) for query, known in states.known.items() if known}
    if options.sink.sort_by:
        from kwatch.sorting import order, unmatched

        by = order(options.sink.sort_by)
        state = {query: sorted(changes, key=partial(by.key, query)) for query, changes in state.items()}
        if state and not any(by.has(change) for changes in state.values() for change in changes):
            say(unmatched(by))
    stages = _stages(options, list(state), lambda: now)
    found = {query: shown for query, changes in state.items() if (shown := _filtered(query, changes, stages))}
    if states.known and not found:
        say(f"nothing of what was recorded was there at {_told(at)}")
    if options.sink.output in TABLES:
        env.stdout.write(_tables(options, found, now).encode(errors="backslashreplace"))
    else:
        sink = _sink(options, list(found), replace(env, now=lambda: now))
        for query, changes in found.items():
            sink.change(query, changes)
        sink.close()
    env.stdout.flush()
    return ExitCode.OK


def _as_added(known: dict[Key, Change], wants: Wants, now: datetime) -> list[Change]:
    """The objects in the order of their names, in the form that the output prints."""
    changes = [known[key]._replace(type="ADDED") for key in sorted(known)]
    if wants & Wants.ROWS:
        changes = [change._replace(state=row(change.state.object, now, change.state)) for change in changes]
    return changes


def _filtered(query: Query, changes: list[Change], stages: Sequence[Stage]) -> list[Change]:
    batches = _staged([Batch(query, changes)], stages)
    return [signal for batch in batches for signal in batch.signals if isinstance(signal, Change)]


def _tables(options: Options, found: dict[Query, list[Change]], now: datetime) -> str:
    """A table a type, as `kubectl get` prints them."""
    sink = options.sink
    view = View(sink.output == "wide", sink.label_columns, sink.show_labels)
    several = len({(query.resource, query.cluster) for query in found}) > 1
    named = several or sink.show_kind
    return "\n".join(_table(query, changes, view, now, options, named) for query, changes in found.items())


def _table(query: Query, changes: list[Change], view: View, now: datetime, options: Options, named: bool) -> str:
    layout = Layout(changes[0].state.columns, view)
    leading = ["CLUSTER"] * bool(query.cluster) + ["NAMESPACE"] * _has_namespaces(query, options)
    lines = [[*leading, *layout.headings]] if options.sink.headers else []
    for change in changes:
        cells = layout.cells(change.state, now)
        if named:
            cells[0] = f"{query.resource.reference}/{cells[0]}"
        before = [inert(query.cluster)] * bool(query.cluster) + [inert(change.key[0])] * _has_namespaces(query, options)
        lines.append([*before, *cells])
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "   ".join(cell + " " * (room - width(cell)) for cell, room in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def _has_namespaces(query: Query, options: Options) -> bool:
    return query.resource.namespaced and len(options.namespaces) != 1
