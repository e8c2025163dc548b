"""How a watch becomes an export: its output file and its state, opened once it is known what is watched."""

from __future__ import annotations

import contextlib
import csv
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kwatch.app.options import Options
from kwatch.app.voice import Voice
from kwatch.cluster.documents import Documents
from kwatch.cluster.kubeconfig import Connection
from kwatch.columns import NONE, width
from kwatch.errors import ApiError, Forbidden, MalformedFrame, NotFound, TimeIsUp, TransportError, UsageError
from kwatch.model import Batch, Change, Environment, Notice, Query, Signal
from kwatch.protocol.jsontext import decode
from kwatch.pump import RealClock
from kwatch.retry import Backoff
from kwatch.sinks import SinkOptions, make
from kwatch.text import inert_json, one_line

if TYPE_CHECKING:
    from kwatch.export import Export
    from kwatch.export.forms import FileForm
    from kwatch.export.state import Contents

FORMS = ("ndjson", "jsonl", "json", "yaml", "csv")
"""The outputs that make sense in a file, and that a later run can go on with."""
SEPARATORS = {"yaml": b"---\n"}
"""What stands between the documents of a file that is continued and those that are appended."""
IDENTITY = "/api/v1/namespaces/kube-system"
"""The object whose uid identifies a cluster: it is there from its first moment to its last."""


@contextlib.contextmanager
def exporting(
    options: Options, wanted: Mapping[Query, Connection], env: Environment, voice: Voice, ends: float
) -> Iterator[tuple[Environment, Export | None]]:
    """The environment to write to, and the export if it is one. On leaving, file and state are complete.

    Raises TimeIsUp where a cluster hasn't said by `ends`, a monotonic time, which one it is.
    """
    _check(options, wanted)
    if not options.export.is_asked_for:
        yield env, None
        return
    with contextlib.ExitStack() as opened:
        export = _opened(options, wanted, env, voice, ends)
        opened.callback(export.close)
        env.on_hangup(export.ask_to_reopen)
        yield _into_file(env, export) if options.export.output_file else env, export
        export.commit(time.monotonic())


_REFUSALS: tuple[tuple[Callable[[Options], object], str], ...] = (
    (lambda options: options.export.is_asked_for and options.sink.output not in FORMS,
     f"only {', '.join(FORMS)} can be exported; choose one of them with -o"),
    (lambda options: options.export.state and _is_one_file(options.export.state, options.export.output_file),
     "--state and --output-file are one file; give each a name of its own"),
    (lambda options: options.export.state and options.sink.sort_by,
     "--sort-by waits for all that is there at the start; with --state leave it out"),
    (lambda options: options.export.state and any(where.on_age for where in options.wheres),
     "what enters or leaves by its AGE isn't remembered; with --state leave out --where AGE"),
    (lambda options: options.export.state and options.count is not None,
     "--count could end a run amid what came at once; with --state end it by --duration"),
    (lambda options: options.export.state and options.is_list,
     "--duration 0 ends before it is known what changed meanwhile; with --state give it time: --duration 10s"),
    (lambda options: options.export.state and (options.until or options.fail_on),
     "--until could end a run amid what came at once; with --state end it by --duration"),
    *((lambda options, name=name: getattr(options.export, name) and not options.export.output_file,
       f"--{name.replace('_', '-')} is for an --output-file; name one")
      for name in ("rotate_size", "rotate_every", "rotate_keep", "compress")),
    *((lambda options, name=name: getattr(options.export, name) and not options.export.rotates,
       f"--{name.replace('_', '-')} is for rotated files; give --rotate-size or --rotate-every, too")
      for name in ("rotate_keep", "compress")),
)  # fmt: skip
"""What doesn't go together, and what to do instead."""


def _is_one_file(one: str, other: str) -> bool:
    return bool(other) and Path(one).resolve() == Path(other).resolve()


def _check(options: Options, wanted: Iterable[Query]) -> None:
    if options.sink.output == "csv" and len({query.resource for query in wanted}) > 1:
        raise UsageError("csv has one header: watch one type at a time, or choose -o ndjson")
    for is_wrong, words in _REFUSALS:
        if is_wrong(options):
            raise UsageError(words)


def _opened(
    options: Options, wanted: Mapping[Query, Connection], env: Environment, voice: Voice, ends: float
) -> Export:
    from kwatch.export import Export
    from kwatch.export.disk import Disk
    from kwatch.export.files import OutputFile
    from kwatch.export.rotation import Rotation
    from kwatch.export.state import Source, State

    asked, disk = options.export, Disk()
    path = Path(asked.output_file).absolute()
    state = None
    with contextlib.ExitStack() as undo:
        if asked.state:
            ids = {context: _cluster_id(one, voice, ends) for context, one in _contexts(wanted).items()}
            sources = {query: Source.of(query, ids[query.cluster]) for query in wanted}
            if len(set(sources.values())) < len(sources):
                raise UsageError("several contexts are of one cluster; with --state name each cluster once")
            output = str(path) if asked.output_file else ""
            state = State(Path(asked.state).absolute(), output, _form(options), sources, disk)
            undo.callback(state.close)
        rotation = Rotation(asked.rotate_size, asked.rotate_every, asked.rotate_keep, asked.compress)
        kept = state.position if state else None
        file = OutputFile(path, rotation, disk, kept, _file_form(options)) if asked.output_file else None
        undo.pop_all()
    return Export(file, state, voice.say, stream=env.stdout, disk=disk)


def _form(options: Options) -> str:
    """What the state of objects is kept in: the output's form, and what else decides how the server is asked."""
    more = {
        " with --where": options.wheres,
        " with --timestamps": options.sink.timestamps,
        " by kwatch events": options.events,
        " with --dedup-events": options.events and options.events.folded,
    }
    return options.sink.output + "".join(words for words, is_so in more.items() if is_so)


def _file_form(options: Options) -> FileForm:
    """How a file is to look that is gone on with."""
    from kwatch.export.forms import FORMS as FILE_FORMS

    is_lines = options.sink.output == "json" and options.sink.output_watch_events
    return FILE_FORMS["ndjson" if is_lines else options.sink.output]


def _contexts(wanted: Mapping[Query, Connection]) -> dict[str, Connection]:
    return {query.cluster: connection for query, connection in wanted.items()}


def _cluster_id(connection: Connection, voice: Voice, ends: float) -> str:
    """The uid of its kube-system; its address where that may not be read."""
    try:
        with Documents(connection, RealClock(), ends) as documents:
            return str(decode(documents.get(IDENTITY, "application/json"))["metadata"]["uid"])
    except (Forbidden, NotFound, MalformedFrame, KeyError, TypeError) as error:
        voice.say(f"warning: {connection.server} is known by its address alone, for kube-system can't be read: {error}")
        return connection.server


class SameCluster:
    """A stage that changes nothing: before what follows an interruption is taken for news of the state's cluster, it
    asks which one answers by now. Another at the same address would have deleted all there was."""

    def __init__(self, wanted: Mapping[Query, Connection], export: Export, voice: Voice, ends: float) -> None:
        """`ends` is the monotonic time by which a question must be answered."""
        self._wanted = wanted
        self._export = export
        self._voice = voice
        self._ends = ends
        self._suspect: set[Query] = set()

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch. Raises ConfigError, as at the start, where it is another cluster's."""
        for signal in batch.signals:
            if isinstance(signal, Notice):
                self._suspect.update([batch.query] if signal.reason else [])
            elif batch.query in self._suspect:
                self._suspect.discard(batch.query)
                self._export.check_cluster(batch.query, self._asked(self._wanted[batch.query]))
        return (batch,)

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()

    def _asked(self, connection: Connection) -> str:
        clock, backoff = RealClock(), Backoff()
        while True:
            try:
                return _cluster_id(connection, self._voice, self._ends)
            except TimeIsUp:
                raise TimeIsUp(f"{connection.server} did not say in time which cluster it is") from None
            except (TransportError, ApiError) as error:
                if isinstance(error, ApiError) and error.code < 500 and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                    raise
                delay, backoff = backoff.step(clock.monotonic(), clock.chance())
                self._voice.say(f"{error}; asking again in {delay:.1f}s whether it is the same cluster")
                clock.wait(max(min(delay, self._ends - clock.monotonic()), 0))


def _into_file(env: Environment, export: Export) -> Environment:
    return replace(env, stdout=cast(BinaryIO, export.stream), stdout_is_terminal=False, stdout_closed=lambda: False)


def described(path: str, form: str) -> str:
    """What is in the state at `path`: the output, then a line a source; or, of the form `json`, a document.

    Raises ConfigError.
    """
    from kwatch.export.state import contents

    found = contents(Path(path))
    if form == "json":
        return inert_json(json.dumps(_document(found), ensure_ascii=False, indent=4)) + "\n"
    place = f", {found.position.offset} bytes are committed" if found.position else ""
    lines = [["CLUSTER", "PATH", "SELECTORS", "RESUME", "OBJECTS", "BYTES"]]
    for source, checkpoint, objects, size in found.summaries:
        resume = "to be listed" if checkpoint.listing else checkpoint.resume
        cells = (source.cluster, source.path, source.selectors or NONE, resume, str(objects), str(size))
        lines.append([one_line(cell) for cell in cells])
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    table = ["   ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join([f"{found.form} to {one_line(found.output) or 'stdout'}{place}", *table, ""])


def _document(found: Contents) -> dict[str, Any]:
    """For scripts: `committedBytes` is null where nothing was committed to a file yet, and of stdout."""
    sources = [
        source._asdict()
        | {"resume": checkpoint.resume, "isListed": not checkpoint.listing, "objects": objects, "bytes": size}
        for source, checkpoint, objects, size in found.summaries
    ]
    place = found.position
    return {
        "output": found.output,
        "form": found.form,
        "committedBytes": place.offset if place else None,
        "sources": sources,
    }


def _csv_header(options: SinkOptions, export: Export) -> tuple[str, ...]:
    """The header that the file to be continued begins with."""
    if options.output != "csv" or not options.headers or not export.size:
        return ()
    with open(export.stream.path, encoding="utf-8", errors="replace", newline="") as file:
        return tuple(next(csv.reader(file), ()))


class PerFile:
    """A sink for each output file: it begins anew with each, so that a csv has its header in each, say."""

    shows_notices = False

    def __init__(self, options: SinkOptions, env: Environment, export: Export) -> None:
        self._options = options
        self._env = env
        self._export = export
        self._generation = export.generation
        self._continues = export.size > 0
        export.has_header = options.output == "csv" and options.headers
        self._sink = make(options._replace(csv_header=_csv_header(options, export)), env)

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """Print them to the file there is now."""
        if self._generation != self._export.generation:
            self._generation = self._export.generation
            self._sink = make(self._options, self._env)
            self._continues = False
        if self._continues:
            self._continues = False
            self._env.stdout.write(SEPARATORS.get(self._options.output, b""))
        return self._sink.change(query, changes)

    def signal(self, query: Query, signal: Signal) -> None:
        """As the sink itself."""
        self._sink.signal(query, signal)

    def tick(self, now: float) -> None:
        """As the sink itself."""
        self._sink.tick(now)

    def close(self) -> None:
        """As the sink itself."""
        self._sink.close()
