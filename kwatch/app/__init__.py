"""The composition root: options and an environment in, an exit code out. Only here do errors become exit codes."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kwatch import events
from kwatch.app.exporting import PerFile, exporting
from kwatch.app.judging import Until, ends_of, left
from kwatch.app.loop import TICK_SECONDS, Loop
from kwatch.app.options import EventOptions, Options
from kwatch.app.sources import NODES, Outdated, Sources, connections, sources
from kwatch.app.voice import Voice
from kwatch.app.waiting import WaitOptions, wait
from kwatch.cluster.exec import end_plugins
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ConfigError, ExitCode, KwatchError, NotFound, Terminated, TimeIsUp, UsageError
from kwatch.model import Change, Clock, Environment, Key, Notice, Query
from kwatch.protocol.forms import Document, Form, FullForm, ObjectForm, TableForm
from kwatch.protocol.session import WatchSession
from kwatch.pump import Pump, within
from kwatch.sinks import FORMS, Sink, SinkOptions, Wants, make
from kwatch.stages import Only, Opening, Stage
from kwatch.store import NOTHING, Kept
from kwatch.transport import Transport
from kwatch.vitals import Vitals
from kwatch.watcher import Watcher

if TYPE_CHECKING:
    from kwatch.app.replaying import ReplayOptions
    from kwatch.app.resources import Listing
    from kwatch.export import Export
    from kwatch.sorting import Order

__all__ = [
    "EventOptions",
    "Options",
    "WaitOptions",
    "run",
    "run_demo",
    "run_replay",
    "run_resources",
    "run_sandbox",
    "run_state",
    "run_wait",
]


def run(options: Options, env: Environment) -> ExitCode:
    """Watch until told to stop; the exit code says how it ended."""
    return _ended(lambda voice: _watch(options, connections(options, env, voice), env, voice), env)


def run_wait(options: WaitOptions, env: Environment) -> ExitCode:
    """Wait for conditions; the exit code says how it ended."""

    def work(voice: Voice) -> ExitCode:
        started = time.monotonic()
        try:
            found = within(lambda: connections(options.watch, env, voice), left(options.watch, started))
        except TimeoutError:
            end_plugins()
            voice.say(f"error: timed out after {options.watch.timeout:g}s: the credential plugin gave nothing")
            return ExitCode.TIMED_OUT
        with _opened(found, voice):
            return wait(options, found, env, voice, started)

    return _ended(work, env)


def run_demo(options: Options, scenario: str, env: Environment) -> ExitCode:
    """The same watch against an API server in this process that plays `scenario`."""

    def watch(voice: Voice) -> ExitCode:
        with _sandbox(0, scenario, {}) as url:
            return _watch(replace(options, cache_dir=None), [Connection(server=url)], env, voice)

    return _ended(watch, env)


def run_sandbox(port: int, scenario: str, scenario_options: Mapping[str, float], env: Environment) -> ExitCode:
    """That API server alone, until Ctrl-C; its address goes to stdout."""

    def serve(voice: Voice) -> ExitCode:
        with _sandbox(port, scenario, scenario_options) as url:
            env.stdout.write(f"{url}\n".encode())
            env.stdout.flush()
            voice.say(f"an API server with the scenario {scenario}; try kubectl -s {url} get pods -A; Ctrl-C ends it")
            while not env.stdout_closed():
                time.sleep(TICK_SECONDS)
            return ExitCode.PIPE_CLOSED

    return _ended(serve, env)


def run_resources(listing: Listing, env: Environment) -> ExitCode:
    """What the cluster can watch, as a table or as names."""
    from kwatch.app.resources import list_resources

    return _ended(lambda voice: list_resources(listing, env, voice), env)


def run_replay(options: Options, asked: ReplayOptions, env: Environment) -> ExitCode:
    """What was recorded, again; or the state of the cluster at a moment of it."""

    def again(voice: Voice) -> ExitCode:
        from kwatch.app.replaying import replay

        _check_output(options)
        return replay(_prepared(options, env), asked, env, voice)

    return _ended(again, env)


def run_state(path: str, env: Environment) -> ExitCode:
    """What is in the state of an export, as a table."""

    def show(voice: Voice) -> ExitCode:
        from kwatch.app.exporting import described

        env.stdout.write(described(path).encode(errors="backslashreplace"))
        env.stdout.flush()
        return ExitCode.OK

    return _ended(show, env)


def _ended(work: Callable[[Voice], ExitCode], env: Environment) -> ExitCode:
    """Run `work`; whatever ends it becomes an exit code, and for an error one line on stderr."""
    voice = Voice(env)
    try:
        return work(voice)
    except KwatchError as error:
        voice.error(error)
        return ExitCode(error.exit_code)
    except BrokenPipeError:
        return ExitCode.PIPE_CLOSED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Terminated:
        return ExitCode.TERMINATED
    except OSError as error:
        voice.say(f"error: writing the output: {error.strerror or error}")
        return ExitCode.ERROR
    except Exception as error:
        voice.say(f"error: a bug of kwatch's own, {type(error).__name__}: {error}; please report it")
        return ExitCode.ERROR
    finally:
        voice.progress.clear()


@contextlib.contextmanager
def _sandbox(port: int, scenario: str, options: Mapping[str, float]) -> Iterator[str]:
    from kwatch.sandbox.play import playing
    from kwatch.sandbox.scenarios import SCENARIOS

    if scenario not in SCENARIOS:
        raise UsageError(f'there is no scenario "{scenario}"; choose one of {", ".join(SCENARIOS)}')
    if not all(map(math.isfinite, options.values())):
        raise UsageError("--rate takes a finite number of changes a second")
    if options and scenario != "churn":
        raise UsageError("--objects and --rate are for --scenario churn alone")
    try:
        with playing(scenario, port, **options) as server:
            yield server.url
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise ConfigError(f"port {port}: {error.strerror}; choose another with --port, or leave it out") from error


def _watch(options: Options, connections: Sequence[Connection], env: Environment, voice: Voice) -> ExitCode:
    _check_output(options)
    options = _prepared(options, env)
    started = time.monotonic()
    with _opened(connections, voice):
        return _watch_known(options, connections, env, voice, started)


@contextlib.contextmanager
def _opened(connections: Sequence[Connection], voice: Voice) -> Iterator[None]:
    """Nothing of their credentials is repeated while they are used, and nothing of them runs on afterwards."""
    for connection in connections:
        voice.keep(connection)
    try:
        yield
    finally:
        for connection in connections:
            connection.credentials.close()


def _watch_known(
    options: Options, connections: Sequence[Connection], env: Environment, voice: Voice, started: float
) -> ExitCode:
    """Watch; once more where all that was wrong is what an earlier run kept of the types."""
    ends = started + options.duration if options.duration is not None else float("inf")
    for _ in range(2):
        try:
            wanted = sources(options, connections, env.variables, voice, min(ends, ends_of(options, started)))
        except TimeIsUp:
            if time.monotonic() >= ends:
                return ExitCode.OK
            voice.say(f"error: timed out after {options.timeout:g}s")
            return ExitCode.TIMED_OUT
        outdated = Outdated(wanted.catalogs)
        try:
            return _run(options, wanted, outdated, env, voice, started)
        except NotFound as error:
            if not outdated.found or len(wanted.connections) > 1:  # of several, others have printed something
                raise
            voice.notice(Notice(f"{error}; asking the server anew", detail=True), quiet=False, verbose=options.verbose)
    raise AssertionError("what was asked for anew isn't outdated")


def _run(
    options: Options, wanted: Sources, outdated: Stage, env: Environment, voice: Voice, started: float
) -> ExitCode:
    queries = list(wanted.connections)
    vitals = Vitals(queries, started) if options.heartbeat or options.metrics else None
    until = _until(options, queries, started, voice)
    by_cluster = {query.cluster: connection for query, connection in wanted.connections.items()}

    with exporting(options, wanted.connections, env, voice) as (env, export):

        def watcher(query: Query, clock: Clock) -> Watcher:
            if query in wanted.connections:
                form = _form(query, options, until.wants if until else Wants(0))
                kept, several = export.kept(query) if export else NOTHING, bool(query.cluster)
                return _watcher(query, form, options, wanted.connections[query], clock, kept, patient=several)
            return _watcher(query, ObjectForm(), options, by_cluster[query.cluster], clock, patient=True)

        sink = _sink(options, queries, env, export)
        stages = [*([until] if until else []), outdated, *_stages(options, wanted, sink, export)]
        try:
            with Pump(queries, watcher) as pump, _served(options, vitals, pump, export):
                loop = Loop(options, env, stages, sink, voice, len(queries), export, vitals, until)
                code = loop.until_ended(pump, started)
        finally:
            sink.close()  # what is left to flush is the caller's: a reader that doesn't read must not hold up the end
    for line in until.report() if until and code is not ExitCode.OK else ():
        voice.say(line)
    return code


def _until(options: Options, queries: Sequence[Query], started: float, voice: Voice) -> Until | None:
    if not options.until and not options.fail_on and options.timeout is None:
        return None
    return Until(options, queries, started, lambda text: None if options.quiet else voice.say(text))


def _served(
    options: Options, vitals: Vitals | None, pump: Pump, export: Export | None
) -> contextlib.AbstractContextManager[object]:
    """Metrics, if they are asked for."""
    if not options.metrics or not vitals:
        return contextlib.nullcontext()
    try:
        from kwatch.metrics import Metrics, Readings
    except ImportError as error:
        raise UsageError("--metrics needs prometheus-client: pip install 'kwatch-cli[metrics]'") from error
    size, commits = (lambda: export.size, lambda: export.commits) if export else (lambda: 0, lambda: 0)
    return Metrics(*options.metrics, vitals, Readings(lambda: pump.received, lambda: pump.waiting, size, commits))


def _check_output(options: Options) -> None:
    output, template = options.sink.output, options.sink.template
    if output not in FORMS:
        known = ", ".join(f"{name}=…" if form.takes_template else name for name, form in FORMS.items() if name)
        raise UsageError(f'there is no output "{output}"; -o takes {known}')
    if template and not FORMS[output].takes_template:
        raise UsageError(f"-o {output} takes nothing after it; leave out ={template}")
    if FORMS[output].takes_template and not template:
        raise UsageError(f"-o {output} needs something after it: -o {output}=…")


def _stages(options: Options, wanted: Sources, sink: Sink, export: Export | None) -> list[Stage]:
    """What changes pass first stands first."""
    stages: list[Stage] = []
    queries = list(wanted.connections)
    if options.events is not None:
        rows = bool(_wants(options) & Wants.ROWS)
        if options.events.folded:
            stages.append(events.Folded(_known(queries, export)))
        stages.append(events.EventRows(_now, wanted.subjects, rows=rows))
    if options.wheres or options.name_patterns:
        from kwatch.filters import Filter

        shown = [query for query in queries if options.sink.output != "nodes" or query.resource != NODES]
        stages.append(Only(Filter(shown, options.wheres, options.name_patterns, _now), shown))
    order = _order(options, queries)
    waits = (order or len(queries) > 1) and not sink.shows_notices
    if waits and not options.export.state:  # what is committed as handed on can't be held back
        stages.append(Opening(queries, order))
    if options.types:
        from kwatch.filters import OfTypes

        stages.append(OfTypes(options.types))
    return stages


def _known(queries: Sequence[Query], export: Export | None) -> Iterator[tuple[Query, Key, Document]]:
    """What an earlier run of the export knew, whole."""
    for query in queries if export else ():
        assert export
        yield from ((query, key, Document(entry.packed)) for key, entry in export.kept(query).entries.items())


def _order(options: Options, queries: Sequence[Query]) -> Callable[[Query, Change], Any] | None:
    """How the first screen is sorted: as --sort-by says, else events by time and all else as it comes."""
    if by := _sort_by(options.sink):
        return by.key
    rows = options.events is not None or FORMS[options.sink.output].wants & Wants.ROWS
    return events.order(queries) if rows and any(events.is_events(query.resource) for query in queries) else None


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _prepared(options: Options, env: Environment) -> Options:
    """The output's template read, and tried with --sort-by, so that a bad one is refused before anything is asked of a
    server; and whether there is colour: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    output, template = options.sink.output, options.sink.template
    terminal = env.stdout_is_terminal and env.variables.get("TERM", "dumb") != "dumb"
    color = options.color == "always" or (options.color == "auto" and terminal and not env.variables.get("NO_COLOR"))
    if output.endswith("-file"):
        template = _read(template)
    sink = replace(options.sink, template=template, color=color)
    if FORMS[output].takes_template:
        make(sink, env)
    _sort_by(sink)
    return replace(options, sink=sink)


def _sort_by(sink: SinkOptions) -> Order | None:
    """The order of the first screen, if --sort-by asks for one; else what it takes isn't imported."""
    if not sink.sort_by:
        return None
    from kwatch.sorting import order

    return order(sink.sort_by)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is not text'}") from error


def _sink(options: Options, queries: Sequence[Query], env: Environment, export: Export | None) -> Sink:
    """The sink, showing what tells one query's objects from another's."""
    namespaced = any(query.resource.namespaced for query in queries)
    several = options.all_namespaces or len({query.namespace for query in queries if query.resource.namespaced}) > 1
    types = {query.resource for query in queries}
    if len(types) > 1 and options.sink.output == "csv":
        raise UsageError("csv has one header: watch one type at a time, or choose -o ndjson")
    shown = replace(
        options.sink,
        show_namespace=namespaced and several,
        show_cluster=any(query.cluster for query in queries),
        show_types=len(types) > 1,
        show_event=options.events is None,
        live=options.sink.live and not options.types and options.events is None,
        queries=tuple(queries),
    )
    return PerFile(shown, env, export) if export else make(shown, env)


def _watcher(
    query: Query,
    form: Form,
    options: Options,
    connection: Connection,
    clock: Clock,
    kept: Kept = NOTHING,
    *,
    patient: bool,
) -> Watcher:
    session = WatchSession(
        query, form, page_size=options.chunk_size, stream_list=options.watch_list, patient=patient, kept=kept
    )
    return Watcher(session, Transport(connection), clock)


def _form(query: Query, options: Options, also: Wants) -> Form:
    """The smallest form that gives what the output and the stages need, and `also`."""
    wants = _wants(options) | also
    if options.events is not None:
        wants = wants & ~Wants.ROWS | Wants.OBJECTS  # their rows are made here
    elif wants & Wants.ROWS and events.is_events(query.resource):
        wants |= Wants.OBJECTS  # their table doesn't say when
    if not wants & Wants.OBJECTS:
        return TableForm()
    trace = os.urandom(16) if wants & Wants.TRACES else b""
    make = partial(FullForm, query.resource) if wants & Wants.ROWS else ObjectForm
    managed_fields = options.show_managed_fields or (options.sink.diff_all and options.sink.output == "diff")
    return make(managed_fields=managed_fields, secrets=options.show_secrets, trace=trace)


def _wants(options: Options) -> Wants:
    """What the output needs, the conditions on printed cells, and the order of the first screen."""
    wants = FORMS[options.sink.output].wants | (Wants.ROWS if options.wheres else Wants(0))
    if order := _sort_by(options.sink):
        wants |= Wants.ROWS if order.of_rows else Wants.OBJECTS
    return wants
