"""What an export remembers between its runs: an SQLite file, one transaction a commit.

For each source the checkpoint to go on from, for each of its objects the last state handed on, and the place in the
output up to which all of that is written. Schema changes raise VERSION; an older file is refused, not guessed at.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kwatch.cluster.files import config_error, why
from kwatch.errors import ConfigError
from kwatch.export.disk import Disk
from kwatch.export.files import LINK, Position
from kwatch.model import Change, Checkpoint, Column, Key, Query, Row
from kwatch.protocol.forms import Document, Known
from kwatch.protocol.jsontext import decode, encode
from kwatch.store import Kept

ADVICE = {
    "database or disk is full": "make room and start again",
    "attempt to write a readonly database": "check its permissions",
    "unable to open database file": "check the permissions of its folder",
}
VERSION = 1
APPLICATION = 0x6B776174  # "kwat"
_SCHEMA = """
CREATE TABLE run (output TEXT NOT NULL, form TEXT NOT NULL, inode INTEGER, offset INTEGER, tail TEXT);
CREATE TABLE source (
    id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, path TEXT NOT NULL, selectors TEXT NOT NULL,
    resume TEXT NOT NULL DEFAULT '', listing INTEGER NOT NULL DEFAULT 1, synced INTEGER NOT NULL DEFAULT 0,
    UNIQUE (cluster, path, selectors)
);
CREATE TABLE object (
    source INTEGER NOT NULL REFERENCES source, namespace TEXT NOT NULL, name TEXT NOT NULL,
    uid TEXT NOT NULL, version TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (source, namespace, name)
) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?)"
_DROP = "DELETE FROM object WHERE source = ? AND namespace = ? AND name = ?"


class Source(NamedTuple):
    """What identifies a query from run to run: the cluster by its own id, the collection, what narrows it."""

    cluster: str
    path: str
    selectors: str

    @classmethod
    def of(cls, query: Query, cluster: str) -> Source:
        """That of a query to the cluster with this id."""
        return cls(cluster, query.path, "&".join(f"{name}={value}" for name, value in query.selectors.items()))

    def __str__(self) -> str:
        selectors = f" with {self.selectors}" if self.selectors else ""
        return f"{self.path}{selectors} of cluster {self.cluster}"


class State:
    """The state of one export, open. For the thread that made it."""

    def __init__(self, path: Path, output: str, form: str, sources: dict[Query, Source], disk: Disk) -> None:
        """Open or begin the state at `path` of an export of `sources` to the file `output` ("" for stdout) as `form`.

        Raises ConfigError where it is in use, no state of kwatch's, or that of another export.
        """
        self._path = path
        self._disk = disk
        self._queries = sources
        self._objects: dict[tuple[int, Key], Change | None] = {}
        self._checkpoints: dict[int, Checkpoint] = {}
        self.commits = 0
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, _lock(path))
            disk.sync_folder(path.parent)
            self._connection = undo.enter_context(contextlib.closing(_connect(path)))
            with _readable(path):
                if not self._is_used():
                    self._begin(output, form)
                self._check(output, form)
                self._ids = {query: self._id(source) for query, source in sources.items()}
            self._close = undo.pop_all()

    def kept(self, query: Query) -> Kept:
        """What the last run left of a query, to go on from."""
        source = self._ids[query]
        with _readable(self._path):
            checkpoint = self._connection.execute("SELECT resume, listing, synced FROM source WHERE id = ?", (source,))
            resume, listing, synced = checkpoint.fetchone()
            shared: dict[Any, Any] = {}
            rows = self._connection.execute(
                "SELECT namespace, name, uid, version, state FROM object WHERE source = ?", (source,)
            )
            objects = {
                (namespace, name): Known(uid, version, thawed(state, shared))
                for namespace, name, uid, version, state in rows
            }
        return Kept(Checkpoint(resume, bool(listing), bool(synced)), objects)

    def check_cluster(self, query: Query, cluster: str) -> None:
        """Raises ConfigError, as at the start, where what answers a query is another cluster, one with this id."""
        wanted, found = self._queries[query], Source.of(query, cluster)
        if found != wanted:
            raise self._other(f"{wanted}, not {found}")

    @property
    def position(self) -> Position | None:
        """The place in the output up to which all is committed; None where nothing ever was, and for stdout."""
        inode, offset, tail = self._connection.execute("SELECT inode, offset, tail FROM run").fetchone()
        return None if inode is None else Position(inode, offset, tail)

    def note(self, query: Query, changes: Iterable[Change], checkpoint: Checkpoint) -> None:
        """To be in the next commit: what came, and from where to go on after it."""
        source = self._ids.get(query)
        if source is None:  # watched for a condition alone, and never written
            return
        for change in changes:
            self._objects[source, change.key] = None if change.type == "DELETED" else change
        self._checkpoints[source] = checkpoint

    @property
    def has_news(self) -> bool:
        """Whether anything was noted since the last commit."""
        return bool(self._checkpoints)

    def commit(self, position: Position | None) -> None:
        """All noted, and that the output has it up to `position`, in one transaction. Raises sqlite3.Error, OSError.

        On an error nothing of it is committed, and all stays noted.
        """
        put = [_row(source, change) for (source, _), change in self._objects.items() if change]
        drop = [(source, *key) for (source, key), change in self._objects.items() if not change]
        checkpoints = [(*checkpoint, source) for source, checkpoint in self._checkpoints.items()]
        with self._transaction():
            self._connection.executemany(_DROP, drop)
            self._connection.executemany(_PUT, put)
            self._connection.executemany(
                "UPDATE source SET resume = ?, listing = ?, synced = ? WHERE id = ?", checkpoints
            )
            self._place(position)
        self._objects, self._checkpoints = {}, {}
        self.commits += 1

    def place(self, position: Position | None) -> None:
        """Commit where the output goes on, and nothing else. Raises as `commit`."""
        with self._transaction():
            self._place(position)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def close(self) -> None:
        """What was noted and not committed is forgotten."""
        self._close.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._disk.commit(self._connection)
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _place(self, position: Position | None) -> None:
        self._connection.execute("UPDATE run SET inode = ?, offset = ?, tail = ?", position or (None, None, None))

    def _is_used(self) -> bool:
        """Whether anything was ever handed on, or may have been: else the export may as well be another."""
        if not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return False
        _check_version(self._connection, self._path)
        marks = ("object", "source WHERE resume != ''", "run WHERE inode IS NOT NULL")
        used = f"SELECT {' OR '.join(f'exists(SELECT 1 FROM {mark})' for mark in marks)}"
        return bool(self._connection.execute(used).fetchone()[0])

    def _begin(self, output: str, form: str) -> None:
        with self._transaction():
            for table in ("object", "source", "run"):
                self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
            self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute("INSERT INTO run VALUES (?, ?, NULL, NULL, NULL)", (output, form))
            names = [tuple(source) for source in self._queries.values()]
            self._connection.executemany("INSERT INTO source (cluster, path, selectors) VALUES (?, ?, ?)", names)

    def _check(self, output: str, form: str) -> None:
        before, wanted = set(_sources(self._connection)), set(self._queries.values())
        told = self._connection.execute("SELECT output, form FROM run").fetchone()
        for name, old, new in (("output", told[0], output), ("form", told[1], form)):
            if old != new:
                raise self._other(f"{name} {old or 'stdout'}, not {new or 'stdout'}")
        gone, added = sorted(before - wanted), sorted(wanted - before)
        if gone and added:
            raise self._other(f"{gone[0]}, not {added[0]}")
        for source in gone:
            raise self._other(f"{source}, which isn't watched now")
        for source in added:
            raise self._other(f"what was watched then, not {source}")

    def _other(self, what: str) -> ConfigError:
        return config_error(f"state {self._path} is of {what}; give each export a state of its own, see kwatch state")

    def _id(self, source: Source) -> int:
        found = "SELECT id FROM source WHERE cluster = ? AND path = ? AND selectors = ?"
        return int(self._connection.execute(found, source).fetchone()[0])


class Summary(NamedTuple):
    """What a state has of one source."""

    source: Source
    checkpoint: Checkpoint
    objects: int
    size: int


class Contents(NamedTuple):
    """What is in a state."""

    output: str
    form: str
    position: Position | None
    summaries: Sequence[Summary]


def contents(path: Path) -> Contents:
    """What is in the state at `path`, which may be in use. Raises ConfigError where it can't be read."""
    _check_file(path)
    with _readable(path), contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found:
        _check_version(found, path)
        output, form, *place = found.execute("SELECT output, form, inode, offset, tail FROM run").fetchone()
        rows = found.execute(
            "SELECT cluster, path, selectors, resume, listing, synced, count(name), coalesce(sum(length(state)), 0)"
            " FROM source LEFT JOIN object ON source.id = object.source GROUP BY source.id ORDER BY source.id"
        )
        summaries = [
            Summary(Source(*row[:3]), Checkpoint(row[3], bool(row[4]), bool(row[5])), row[6], row[7]) for row in rows
        ]
    return Contents(output, form, None if place[0] is None else Position(*place), summaries)


def frozen(state: Any) -> bytes:
    """A change's state as bytes: a whole object as it is, a row as a JSON array, with its object after a line."""
    if not isinstance(state, Row):
        encoded: bytes = state.encoded
        return encoded
    row = encode([[list(column) for column in state.columns], list(state.cells), state.created, dict(state.labels)])
    return row if state.document is None else row + b"\n" + state.encoded


def thawed(state: bytes, shared: dict[Any, Any]) -> Any:
    """A frozen state as it was; equal columns become the same (`shared` has those met so far)."""
    if not state.startswith(b"["):
        return Document(state)
    encoded, line, document = state.partition(b"\n")
    columns, cells, created, labels = decode(encoded)
    header = tuple(Column(*column) for column in columns)
    header = shared.setdefault(header, header)
    return Row(header, tuple(cells), created, labels, Document(document) if line else None)


def _row(source: int, change: Change) -> tuple[Any, ...]:
    return source, *change.key, change.uid, change.version, frozen(change.state)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    with _readable(path):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def _lock(path: Path) -> int:
    """A descriptor of the file that holds a lock of its own: two runs must not share a state."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except (OSError, ValueError) as error:
        is_link = isinstance(error, OSError) and error.errno == errno.ELOOP
        reason = LINK if is_link else f"{why(error)}; check the path"
        raise config_error(f"state {path} can't be opened: {reason}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise config_error(f"state {path} isn't a regular file; name one")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise config_error(f"state {path} is in use by another kwatch; give each a state of its own") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(path: Path) -> None:
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return
    except (OSError, ValueError) as error:
        raise config_error(f"state {path} can't be read: {why(error)}; check the path") from error
    raise config_error(f"state {path} isn't a regular file; name one")


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise config_error(f"state {path} is no state of kwatch's; name another file")
    if version != VERSION:
        raise config_error(
            f"state {path} is of another version of kwatch (format {version}, this one has {VERSION}); begin a new one"
        )


def _sources(connection: sqlite3.Connection) -> list[Source]:
    return [Source(*row) for row in connection.execute("SELECT cluster, path, selectors FROM source")]


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        advice = ADVICE.get(str(error), "bring back a copy, or begin a new one")
        raise config_error(f"state {path} can't be used: {error}; {advice}") from error
