"""A watch, from options and connections to its end: sources, watchers, stages, sink and the loop put together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kwatch.app import output
from kwatch.app.absence import ALWAYS_THERE, NamespaceWatcher, is_missing
from kwatch.app.exporting import SameCluster, exporting
from kwatch.app.loop import Loop
from kwatch.app.options import Options
from kwatch.app.sources import Outdated, Sources, sources
from kwatch.app.voice import Voice
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ConfigError, ExitCode, NotFound, TimeIsUp
from kwatch.model import Clock, Environment, Notice, Query
from kwatch.protocol.forms import Form, ObjectForm
from kwatch.protocol.session import WatchSession
from kwatch.pump import Pump
from kwatch.sinks import Wants
from kwatch.stages import Stage
from kwatch.store import NOTHING, Kept
from kwatch.transport import Transport
from kwatch.watcher import Watcher

if TYPE_CHECKING:
    from kwatch.app.judging import Until
    from kwatch.export import Export
    from kwatch.vitals import Vitals


def watch(options: Options, connections: Sequence[Connection], env: Environment, voice: Voice) -> ExitCode:
    """Watch until something ends it; the exit code says what."""
    options = output.prepared(options, env)
    if options.metrics:
        _check_metrics()
    started = time.monotonic()
    with opened(connections, voice):
        return _watch_known(options, connections, env, voice, started)


@contextlib.contextmanager
def opened(connections: Sequence[Connection], voice: Voice) -> Iterator[None]:
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
    """Watch; what time alone ended before there was anything to watch is no success."""
    try:
        return _asked_twice(options, connections, env, voice, started)
    except TimeIsUp:
        if time.monotonic() >= options.ends(started):
            voice.say(f"error: {options.type}: never listed within {options.duration:g}s: no answer")
            return ExitCode.ERROR
        voice.say(f"error: timed out after {options.patience:g}s")
        return ExitCode.TIMED_OUT


def _asked_twice(
    options: Options, connections: Sequence[Connection], env: Environment, voice: Voice, started: float
) -> ExitCode:
    """Watch; once more where all that was wrong is what an earlier run kept of the types."""
    limit = min(options.ends(started), options.times_out(started))
    for _ in range(2):
        wanted = sources(options, connections, env.variables, voice, limit)
        outdated = Outdated(wanted)
        try:
            return _run(options, wanted, outdated, env, voice, started)
        except NotFound as error:
            if not outdated.found or len(wanted.connections) > 1:  # of several, others have printed something
                raise outdated.explained(error, options.type) from error
            voice.notice(Notice(f"{error}; asking the server anew", detail=True), quiet=False, verbose=options.verbose)
    raise AssertionError("what was asked for anew isn't outdated")


def _vitals(queries: Sequence[Query], started: float) -> Vitals:
    from kwatch.vitals import Vitals

    return Vitals(queries, started)


def _run(
    options: Options, wanted: Sources, outdated: Stage, env: Environment, voice: Voice, started: float
) -> ExitCode:
    queries = list(wanted.connections)
    vitals = _vitals(queries, started) if options.heartbeat or options.metrics else None
    until = _until(options, queries, started, voice)
    by_cluster = {query.cluster: connection for query, connection in wanted.connections.items()}

    limit = min(options.ends(started), options.times_out(started))
    with exporting(options, wanted.connections, env, voice, limit) as (env, export):

        def watcher(query: Query, clock: Clock) -> Watcher:
            if query in wanted.connections:
                form = output.form(query, options, until.wants if until else Wants(0))
                kept, several = export.kept(query) if export else NOTHING, bool(query.cluster)
                return _watcher(query, form, options, wanted.connections[query], clock, kept, patient=several)
            return _watcher(query, ObjectForm(), options, by_cluster[query.cluster], clock, patient=True)

        def advise(query: Query) -> str:
            from kwatch.app.advice import missing

            return missing(query, wanted.connections[query])

        sink = output.sink(options, queries, env, export)
        stages: list[Stage] = [*([until] if until else []), outdated, *output.stages(options, wanted, sink, export)]
        if export and export.has_state:
            stages.insert(0, SameCluster(wanted.connections, export, voice, limit))
        try:
            with Pump(queries, watcher) as pump, _served(options, vitals, pump, export, voice):
                loop = Loop(options, env, stages, sink, voice, queries, export, vitals, until, advise)
                code = loop.until_ended(pump, started)
        finally:
            sink.close()  # what is left to flush is the caller's: a reader that doesn't read must not hold up the end
    for line in loop.report:
        voice.say(line)
    return code


def _until(options: Options, queries: Sequence[Query], started: float, voice: Voice) -> Until | None:
    if not options.until and not options.fail_on and options.timeout is None:
        return None
    from kwatch.app.judging import Until

    return Until(options, queries, started, lambda text: None if options.quiet else voice.say(text))


def _check_metrics() -> None:
    try:
        import kwatch.metrics  # noqa: F401
    except ImportError as error:
        raise ConfigError("--metrics needs prometheus-client: pip install 'kwatch-cli[metrics]'") from error


def _served(
    options: Options, vitals: Vitals | None, pump: Pump, export: Export | None, voice: Voice
) -> contextlib.AbstractContextManager[object]:
    """Metrics, if they are asked for."""
    if not options.metrics or not vitals:
        return contextlib.nullcontext()
    from kwatch.metrics import Metrics, Readings

    size, commits = (lambda: export.size, lambda: export.commits) if export else (lambda: 0, lambda: 0)
    readings = Readings(lambda: pump.received, lambda: pump.waiting, size, commits)
    metrics = Metrics(*options.metrics, vitals, readings)
    if not options.metrics[1]:  # nobody knows which port is free before it is taken
        host = options.metrics[0] or "this machine"
        voice.notice(Notice(f"metrics are served on port {metrics.port} of {host}"), quiet=options.quiet, verbose=False)
    return metrics


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
    if query.namespace in ALWAYS_THERE:
        return Watcher(session, Transport(connection), clock)
    return NamespaceWatcher(session, Transport(connection), clock, partial(is_missing, query.namespace, connection))
