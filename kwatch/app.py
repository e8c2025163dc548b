"""The composition root: options and an environment in, an exit code out. Only here do errors become exit codes."""

from __future__ import annotations

import base64
import contextlib
import errno
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kwatch.cluster import proxies
from kwatch.cluster.discovery import resolve_type
from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.errors import (
    ApiError,
    ConfigError,
    ExitCode,
    KwatchError,
    NotFound,
    ProtocolError,
    Terminated,
    TransportError,
    UsageError,
)
from kwatch.model import Change, Clock, Connected, Environment, Notice, Query, Resource, Signal, Synced
from kwatch.protocol.forms import Form, ObjectForm, TableForm
from kwatch.protocol.session import WatchSession
from kwatch.pump import Batch, Pump
from kwatch.sinks import FORMS, Sink, SinkOptions, Wants, make
from kwatch.text import one_line
from kwatch.transport import Transport
from kwatch.watcher import Watcher

TICK_SECONDS = 0.1
"""How often the main thread looks at the clock, the terminal and whether its reader is still there."""
LATE_SECONDS = 0.05
"""How late a line may reach stdout, for the sake of larger writes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a watch was asked for, of each of `contexts` where several are given.

    `count` and `duration` (seconds) end it; without them it goes on for ever.
    """

    type: str
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    all_namespaces: bool = False
    label_selector: str = ""
    field_selector: str = ""
    watch_only: bool = False
    watch_list: bool = False
    sink: SinkOptions = field(default_factory=SinkOptions)
    show_managed_fields: bool = False
    show_secrets: bool = False
    count: int | None = None
    duration: float | None = None
    quiet: bool = False
    verbose: bool = False
    contexts: tuple[str, ...] = ()
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)


def run(options: Options, env: Environment) -> ExitCode:
    """Watch until told to stop; the exit code says how it ended."""
    return _ended(lambda voice: _watch(options, _connections(options, env, voice), env, voice), env)


def run_demo(options: Options, scenario: str, env: Environment) -> ExitCode:
    """The same watch against an API server in this process that plays `scenario`."""

    def watch(voice: _Voice) -> ExitCode:
        with _sandbox(0, scenario, {}) as url:
            return _watch(options, [Connection(server=url)], env, voice)

    return _ended(watch, env)


def run_sandbox(port: int, scenario: str, scenario_options: Mapping[str, float], env: Environment) -> ExitCode:
    """That API server alone, until Ctrl-C; its address goes to stdout."""

    def serve(voice: _Voice) -> ExitCode:
        with _sandbox(port, scenario, scenario_options) as url:
            env.stdout.write(f"{url}\n".encode())
            env.stdout.flush()
            voice.say(f"an API server with the scenario {scenario}; try kubectl -s {url} get pods -A; Ctrl-C ends it")
            while not env.stdout_closed():
                time.sleep(TICK_SECONDS)
            return ExitCode.PIPE_CLOSED

    return _ended(serve, env)


class _Voice:
    """What is said on stderr: inert, each a line, and never with a credential in it, whoever repeats one."""

    def __init__(self, env: Environment) -> None:
        self._stderr = env.stderr
        self._kept: list[Connection] = []

    def keep(self, connection: Connection) -> None:
        """From now on the connection's credentials are not repeated (protocol.md, Security 3)."""
        self._kept.append(connection)

    def say(self, text: str) -> None:
        """One line; if nobody reads stderr, so be it."""
        with contextlib.suppress(OSError):
            self._stderr.write(f"kwatch: {self.fit(text)}\n")
            self._stderr.flush()

    def fit(self, text: str) -> str:
        """`text` on one line, inert, credentials masked."""
        for secret in (secret for connection in self._kept for secret in _secrets(connection)):
            text = text.replace(secret, "<redacted>")
        return one_line(text)


def _secrets(connection: Connection) -> list[str]:
    """The credentials as they may be repeated by a server or a proxy, longest first; what is too short is left out."""
    found = proxies.secrets(connection.proxy) + [value for _, value in connection.headers]
    found += [
        pair.partition("=")[2] for name, value in connection.headers if name == "Cookie" for pair in value.split("; ")
    ]
    for header in connection.credentials.given():
        scheme, _, value = header.partition(" ")
        found.append(value)
        if scheme == "Basic":
            found.append(base64.b64decode(value).decode(errors="replace").partition(":")[2])
    return sorted({secret for secret in found if len(secret) > 3}, key=len, reverse=True)


def _ended(work: Callable[[_Voice], ExitCode], env: Environment) -> ExitCode:
    """Run `work`; whatever ends it becomes an exit code, and for an error one line on stderr."""
    voice = _Voice(env)
    try:
        return work(voice)
    except KwatchError as error:
        voice.say(f"error: {error}")
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


def _connections(options: Options, env: Environment, voice: _Voice) -> list[Connection]:
    """One for each context. Of several, one that can't be used is announced while the others go on."""
    contexts = tuple(dict.fromkeys(options.contexts)) or ("",)
    found: list[Connection] = []
    for index, context in enumerate(contexts):
        try:
            found.append(resolve(replace(options.connection, context=context), env.variables))
        except ConfigError as error:
            if index + 1 == len(contexts) and not found:
                raise
            voice.say(f"error: {error}")
    return found


def _watch(options: Options, connections: Sequence[Connection], env: Environment, voice: _Voice) -> ExitCode:
    if options.sink.output not in FORMS:
        known = ", ".join(name for name in FORMS if name)
        raise UsageError(f'there is no output "{options.sink.output}"; -o takes {known}')
    started = time.monotonic()
    for connection in connections:
        voice.keep(connection)
        if connection.insecure:
            voice.say(f"warning: the certificate of {connection.server} is not verified (insecure-skip-tls-verify)")
    try:
        sources = _sources(options, connections, voice)
        queries = list(sources)
        sink = _sink(options, queries, env)
        try:
            with Pump(queries, lambda query, clock: _watcher(query, options, sources[query], clock)) as pump:
                return _Run(options, env, sink, voice, len(queries)).until_ended(pump, started)
        finally:
            sink.close()  # what is left to flush is the caller's: a reader that doesn't read must not hold up the end
    finally:
        for connection in connections:
            connection.credentials.close()


def _sources(options: Options, connections: Sequence[Connection], voice: _Voice) -> dict[Query, Connection]:
    """What to watch, and where. Of several clusters, one that doesn't say what it serves is announced and left out."""
    several = len(set(options.contexts)) > 1
    sources: dict[Query, Connection] = {}
    for index, connection in enumerate(connections):
        try:
            for query in _queries(options, connection):
                sources[replace(query, cluster=connection.context) if several else query] = connection
        except (ApiError, ProtocolError, TransportError) as error:
            if index + 1 == len(connections) and not sources:
                raise
            voice.say(f"error: {connection.context}: {error}")
    return sources


def _queries(options: Options, connection: Connection) -> list[Query]:
    """One for each name in each namespace, or one for all; of each type."""
    wanted = _what(options, connection)
    if any(name for _, name in wanted) and (options.label_selector or options.field_selector):
        raise UsageError("a selector and a name exclude each other; leave out -l and --field-selector, or the name")
    named = tuple(dict.fromkeys(options.namespaces)) or (connection.namespace or "default",)
    for namespace in named:
        if namespace in (".", "..") or set(namespace) & set("/%"):  # as kubectl: it would be another path
            raise UsageError(f'"{namespace}" can\'t be a namespace: it may not be . or .. nor hold / or %')
    if options.all_namespaces and any(name and resource.namespaced for resource, name in wanted):
        raise UsageError("a resource can't be watched by name across all namespaces; leave out -A or the name")
    return [
        Query(resource, namespace, name, options.label_selector, options.field_selector)
        for resource, name in dict.fromkeys(wanted)
        for namespace in (named if resource.namespaced and not options.all_namespaces else ("",))
    ]


def _what(options: Options, connection: Connection) -> list[tuple[Resource, str]]:
    """The types, each with a name or "", meant by `TYPE[,TYPE...]`, `TYPE[,TYPE...] NAME...` or `TYPE/NAME...`."""
    words = (options.type, *options.names)
    usage = UsageError(f'"{" ".join(words)}": give TYPE, TYPE NAME... or TYPE/NAME...')
    if "/" in options.type:
        pairs = [word.split("/") for word in words]
        if any(len(pair) != 2 or "" in pair or "," in pair[0] for pair in pairs):
            raise usage
    else:
        pairs = [[kind, name] for kind in options.type.split(",") for name in options.names or ("",)]
        if any(not kind or "/" in name for kind, name in pairs) or "" in options.names:
            raise usage
    resources = {kind: _resource(kind, connection) for kind in dict.fromkeys(kind for kind, _ in pairs)}
    return [(resources[kind], name) for kind, name in pairs]


def _resource(kind: str, connection: Connection) -> Resource:
    def get(path: str, accept: str) -> bytes:
        transport = Transport(connection)
        try:
            return transport.get(path, accept)
        finally:
            transport.close()

    return resolve_type(kind, get)


def _sink(options: Options, queries: Sequence[Query], env: Environment) -> Sink:
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
        live=options.sink.live and len(types) == 1,
    )
    return make(shown, env)


def _watcher(query: Query, options: Options, connection: Connection, clock: Clock) -> Watcher:
    form: Form = TableForm()
    if FORMS[options.sink.output].wants is Wants.OBJECTS:
        form = ObjectForm(managed_fields=options.show_managed_fields, secrets=options.show_secrets)
    return Watcher(WatchSession(query, form, stream_list=options.watch_list), Transport(connection), clock)


class _Run:
    """The main thread's part: takes what the watches found to the sink until something ends it."""

    def __init__(self, options: Options, env: Environment, sink: Sink, voice: _Voice, watches: int) -> None:
        self._options = options
        self._env = env
        self._sink = sink
        self._voice = voice
        self._watches = watches
        self._printed = 0

    def until_ended(self, pump: Pump, started: float) -> ExitCode:
        """The exit code once count, or duration since `started`, is reached, or the reader of stdout is gone."""
        ends = started + self._options.duration if self._options.duration is not None else float("inf")
        while not self._counted():
            now = time.monotonic()
            if now >= ends:
                return ExitCode.OK
            self._take_all(pump, min(TICK_SECONDS, ends - now))
            self._sink.tick(time.monotonic())
            self._env.stdout.flush()
            if self._env.stdout_closed():
                return ExitCode.PIPE_CLOSED
        return ExitCode.OK

    def _take_all(self, pump: Pump, seconds: float) -> None:
        """Wait so long for something; then all that is there, but no longer than output may be late."""
        batch = pump.take(seconds)
        late = time.monotonic() + LATE_SECONDS
        while batch:
            self._handle(batch)
            batch = pump.take(0) if not self._counted() and time.monotonic() < late else None

    def _handle(self, batch: Batch) -> None:
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
            self._fail(batch.failure)

    def _print(self, query: Query, changes: list[Change]) -> None:
        if self._options.watch_only:
            changes = [change for change in changes if not change.initial]
        if self._options.count is None:
            if changes:
                self._sink.change(query, changes)
            return
        for change in changes:
            if self._counted():
                return
            self._printed += self._sink.change(query, [change])

    def _counted(self) -> bool:
        return self._options.count is not None and self._printed >= self._options.count

    def _signal(self, query: Query, signal: Signal) -> None:
        if isinstance(signal, Synced):
            self._synced(query, signal)
        if isinstance(signal, Notice):
            signal = signal._replace(text=self._voice.fit(signal.text))
            if not self._sink.shows_notices:
                self._notice(signal.text, detail=signal.detail)
        if isinstance(signal, Connected):
            self._notice(f"{query}: watching from resourceVersion {signal.version}", detail=True)
        self._sink.signal(query, signal)

    def _synced(self, query: Query, signal: Synced) -> None:
        self._notice(f"{query}: listed {signal.objects} at resourceVersion {signal.version}", detail=True)
        if signal.objects or not signal.first:
            return
        if query.name:
            where = f" in namespace {query.namespace}; check the name, or -n" if query.namespace else "; check the name"
            self._fail(NotFound(f'{query.resource.qualified} "{query.name}" not found{where}'))
            return
        where = f" in {query.namespace} namespace" if query.namespace else ""
        self._notice(f"No resources found{where}; waiting for {query.resource.plural} to appear")

    def _notice(self, text: str, *, detail: bool = False) -> None:
        if not self._options.quiet and (self._options.verbose or not detail):
            self._voice.say(text)

    def _fail(self, failure: Exception) -> None:
        """One watch can't go on: with others still running it is announced, the last one ends the run."""
        self._watches -= 1
        if not self._watches or not isinstance(failure, KwatchError):
            raise failure
        self._voice.say(f"error: {failure}")
