"""Recorded ndjson read back: files, plain or gzip, as events in the order of their time.

A line is what `-o ndjson` wrote. Files whose events carry a time are merged by it; others are read one after another,
by name. What isn't an event is passed over, and told.
"""

from __future__ import annotations

import gzip
import heapq
import stat
import zlib
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple

from kwatch.cluster.files import config_error, why
from kwatch.columns import parsed_time
from kwatch.errors import MalformedFrame
from kwatch.model import Query, Resource
from kwatch.protocol.jsontext import changed_by_decoding, decode, decode_exactly, encode
from kwatch.protocol.lines import MAX_LINE
from kwatch.text import BRIEF, brief

EVENTS = ("ADDED", "MODIFIED", "DELETED")
_KINDS = {
    stat.S_IFDIR: "a folder; name the files in it",
    stat.S_IFIFO: "a pipe, and files are read more than once; write it to a file first, or give it on stdin, as -",
}
_GZIP = b"\x1f\x8b"


class Record(NamedTuple):
    """One recorded event. `time` is when it was recorded, in seconds since the epoch; None where that wasn't noted."""

    type: str
    object: dict[str, Any]
    cluster: str
    synthetic: bool
    time: float | None


@dataclass(slots=True)
class Progress:
    """How far the reading has got, in bytes of the files as they are on the disk, and in events."""

    total: int
    read: int = 0
    events: int = 0


class Recording:
    """Several files as one stream of records."""

    def __init__(self, paths: Sequence[Path], say: Callable[[str], None], stdin: Path | None = None) -> None:
        """Raises ConfigError for a file that can't be read. `say` takes what is passed over, a line each.

        `stdin` is that of `paths` which holds what came there.
        """
        paths = _once_each(paths)
        self.progress = Progress(total=sum(_size(path) for path in paths))
        self._say = say
        names = {path: "stdin" if path == stdin else str(path) for path in paths}
        self._files = [_File(path, names[path], say, self.progress) for path in paths]

    def records(self) -> Iterator[Record]:
        """All records. Raises ConfigError where there is not one, or a file can't be read any more."""
        begun: list[tuple[float | None, _File]] = []
        empty: list[str] = []
        for file in self._files:
            first = file.begin()
            if first:
                begun.append((first.time, file))
            else:
                empty.append(file.name)
        if not begun:
            raise config_error(f"{', '.join(empty)}: no events in it; give what kwatch -o ndjson wrote")
        for name in empty:
            self._say(f"{name}: no events in it; passed over")
        timed = [(time, file) for time, file in begun if time is not None]
        if len(timed) == len(begun):
            yield from _merged(sorted(timed, key=lambda pair: pair[0]))
            return
        for _, file in sorted(begun, key=lambda pair: pair[1].path.name):
            yield from file.records()


class _File:
    """One file. `begin` looks at its first record and closes it again, so that a thousand may be merged."""

    def __init__(self, path: Path, name: str, say: Callable[[str], None], progress: Progress) -> None:
        self.path = path
        self.name = name
        self._say = say
        self._progress = progress
        self._foreign = 0

    def begin(self) -> Record | None:
        """The first record, if there is one."""
        return next(self._read(told=False), None)

    def records(self) -> Iterator[Record]:
        """All of them."""
        yield from self._read(told=True)
        if self._foreign > 1:
            self._say(f"{self.name}: {self._foreign} lines that are no events were passed over")

    def _read(self, *, told: bool) -> Iterator[Record]:
        with _opened(self.path) as raw:
            is_packed = raw.read(2) == _GZIP
            raw.seek(0)
            lines: IO[bytes] = gzip.GzipFile(fileobj=raw) if is_packed else raw  # type: ignore[assignment]
            number, place = 0, 0
            while line := self._line(lines, number, told=told):
                number += 1
                if record := self._record(line, number, told=told):
                    if told:
                        self._progress.read += raw.tell() - place
                        self._progress.events += 1
                        place = raw.tell()
                    yield record

    def _line(self, lines: IO[bytes], number: int, *, told: bool) -> bytes:
        try:
            return lines.readline(MAX_LINE)
        except (OSError, EOFError, zlib.error) as error:
            if told:
                reason = "it stops short" if isinstance(error, EOFError) else "it is damaged"
                self._say(f"{self.name}: {reason} after line {number}; what follows is lost")
            return b""

    def _record(self, line: bytes, number: int, *, told: bool) -> Record | None:
        if not line.strip():
            return None
        try:
            return _record(line)
        except MalformedFrame as error:
            if told:
                self._foreign += 1
                if self._foreign == 1:
                    what = "an event that stops short" if not line.endswith(b"\n") else "no event"
                    self._say(f"{self.name}: line {number} is {what}, passed over: {brief(str(error))}")
            return None


def _record(line: bytes) -> Record:
    event = decode(line)
    if changed_by_decoding(encode(event), line):
        event = decode_exactly(line)
    if not isinstance(event, dict) or event.get("type") not in EVENTS or not _is_object(event.get("object")):
        raise MalformedFrame(f"not of the form of kwatch -o ndjson: {brief(line[:BRIEF].decode(errors='replace'))}")
    synthetic, cluster = event.get("synthetic") is True, str(event.get("cluster") or "")
    return Record(event["type"], event["object"], cluster, synthetic, parse_time(event.get("time")))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("metadata"), dict)


def parse_time(text: Any) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None for anything else."""
    if not isinstance(text, str):
        return None
    found = parsed_time(text)
    if found is None:
        return None
    return (found if found.tzinfo else found.astimezone()).timestamp()


def query_of(record: Record) -> Query:
    """What a live watch of this object's type would be."""
    group, _, version = str(record.object.get("apiVersion") or "v1").rpartition("/")
    kind = str(record.object.get("kind") or "Object")
    namespaced = bool(record.object["metadata"].get("namespace"))
    return Query(Resource(group, version, plural(kind), kind, namespaced), cluster=record.cluster)


def plural(kind: str) -> str:
    """A kind's plural, by the API's own custom."""
    word = kind.lower()
    if word.endswith(("s", "x", "ch")) and word != "endpoints":
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else word.removesuffix("s") + "s"


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def _merged(files: list[tuple[float, _File]]) -> Iterator[Record]:
    """By time; a file is opened when its first record's time has come."""
    waiting = files[::-1]
    heap: list[tuple[float, int, Record, Iterator[Record]]] = []
    while waiting or heap:
        while waiting and (not heap or waiting[-1][0] <= heap[0][0]):
            order = len(files) - len(waiting)
            _, file = waiting.pop()
            _push(heap, file.records(), order, 0.0)
        if heap:
            time, order, record, records = heapq.heappop(heap)
            yield record
            _push(heap, records, order, time)


def _push(heap: list[Any], records: Iterator[Record], order: int, not_before: float) -> None:
    """A file's own order stays, though its clock was put back."""
    if (record := next(records, None)) is not None:
        heapq.heappush(heap, (max(record.time or 0.0, not_before), order, record, records))


def _once_each(paths: Sequence[Path]) -> list[Path]:
    """A rotated file that is there compressed, too, was about to be removed, and what is being compressed, or was left
    of that by a kill, has its original beside it: each counts once."""
    unique = dict.fromkeys(paths)
    return [path for path in unique if path.with_name(f"{path.name}.gz") not in unique and not _is_part(path, unique)]


def _is_part(path: Path, of: Container[Path]) -> bool:
    whole = path.with_name(path.name.removesuffix(".part"))
    return path.name.endswith(".gz.part") and (whole in of or whole.with_suffix("") in of)


def _size(path: Path) -> int:
    with _opened(path) as file:
        return file.seek(0, 2)


def _opened(path: Path) -> IO[bytes]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            found = _KINDS.get(stat.S_IFMT(mode), "no regular file; give files that kwatch -o ndjson wrote")
            raise config_error(f"{path} is no file to replay: it is {found}")
        return open(path, "rb")
    except (OSError, ValueError) as error:
        raise config_error(f"{path} can't be read: {why(error)}; check the path and its permissions") from error
