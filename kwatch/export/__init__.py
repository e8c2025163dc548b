"""An export: events into a file that is rotated, with a state beside it, exactly once across crashes.

A commit brings what the sinks wrote to the disk and then, in one transaction, what of it is known now and where the
output ends. Whoever starts after a crash cuts the file back to that end and goes on from that knowledge. Where the
disk is full a commit waits, and with it all reading, until there is room; nothing of it shows in the file meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kwatch.cluster.files import why
from kwatch.errors import ConfigError, KwatchError
from kwatch.export.compress import Compressor, put_right
from kwatch.export.disk import FULL, Disk
from kwatch.export.files import OutputFile, Position
from kwatch.export.rotation import Names
from kwatch.export.state import State
from kwatch.model import Batch, Change, Query
from kwatch.retry import Backoff
from kwatch.store import NOTHING, Kept

_SQLITE_FULL = frozenset(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN"))


class DiskFull(KwatchError):
    """The run had to end while its output could not be written."""


class Export:
    """What is written, and what is remembered of it: a file, a state, or both. For the main thread."""

    def __init__(
        self,
        file: OutputFile | None,
        state: State | None,
        say: Callable[[str], None],
        *,
        stream: Any = None,
        disk: Disk | None = None,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], Any] = time.sleep,
    ) -> None:
        """Without a file, `stream` is where the sink writes. `say` takes notices; `now` is seconds since the epoch."""
        self.stream = file or stream
        self.generation = 0
        """How often the file was begun anew: a sink starts over with each, for a header say."""
        self.has_header = False
        """Whether each file begins with a line that says what follows."""
        self._file = file
        self._state = state
        self._say = say
        self._disk = disk or Disk()
        self._now = now
        self._wait = wait
        self._moved = state is not None
        self._reopen = False
        self._rotate_at = 0.0
        self._compressor: Compressor | None = None
        self._rotated: list[Path] = []
        """To be compressed once the state has gone on from them: until then it may end in one."""
        if file:
            self._start(file)

    def kept(self, query: Query) -> Kept:
        """What the last run left of the query."""
        return self._state.kept(query) if self._state else NOTHING

    def check_cluster(self, query: Query, cluster: str) -> None:
        """Raises ConfigError where the state is of another cluster than this one, which answers the query now."""
        if self._state:
            self._state.check_cluster(query, cluster)

    @property
    def has_state(self) -> bool:
        """Whether what is written is remembered."""
        return self._state is not None

    def note(self, batch: Batch) -> None:
        """The batch has been through the sink."""
        if self._state and batch.checkpoint:
            changes = [signal for signal in batch.signals if isinstance(signal, Change)]
            self._state.note(batch.query, changes, batch.checkpoint)

    def ask_to_reopen(self) -> None:
        """From a signal handler: open the file by its name again at the next commit (SIGHUP, as logrotate does it)."""
        self._reopen = True

    @property
    def is_full(self) -> bool:
        """Whether a commit is due before more is taken."""
        return self._file is not None and self._file.is_full

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return self._file.size if self._file else 0

    @property
    def commits(self) -> int:
        """Transactions of the state so far."""
        return self._state.commits if self._state else 0

    def commit(self, ends: float = float("inf")) -> None:
        """All that was written and noted is final. Waits while the disk is full, until `ends` (monotonic) at most.

        Raises DiskFull then, OSError for what no waiting helps.
        """
        backoff, blocked = Backoff(), False
        while error := self._attempt():
            blocked = True
            left = ends - time.monotonic()
            if left <= 0:
                raise DiskFull(f"{error}; not all could be written: make room and start again")
            if self._file and self._reopen:  # it may have been moved to make room, which its descriptor still holds
                self._reopen_amid(self._file)
                continue
            delay, backoff = backoff.step(0.0, 0.0)
            self._say(f"{error}; nothing is lost, trying again in {delay:.1f}s")
            self._wait(min(delay, left))
        if blocked:
            self._say(f"{self._place}: writing goes on")
        if self._file:
            self._compress_rotated()
            self._turn(self._file)

    def close(self) -> None:
        """Leave file and state complete: what isn't committed is cut off again, or, without a state, written."""
        if self._compressor:
            self._compressor.close()
        try:
            if self._file:
                self._complete(self._file)
        finally:
            if self._file:
                self._file.close()
            if self._state:
                self._state.close()

    @property
    def _place(self) -> str:
        return f"output file {self._file.path}" if self._file else "stdout"

    def _place_of(self, error: OSError | sqlite3.Error) -> str:
        """What there was no room for."""
        return f"state {self._state.path}" if self._state and isinstance(error, sqlite3.Error) else self._place

    def _start(self, file: OutputFile) -> None:
        if file.mended:
            self._say(f"output file {file.path}: cut off {file.mended} bytes after its last whole event")
        if file.follows:
            self._say(
                f"output file {file.path}: this is another file; what was written before is in {file.follows} now"
            )
        if file.rotation.compress:
            self._compressor = Compressor(self._disk)
            self._rotated = put_right(file.path, self._disk)

    def _attempt(self) -> str:
        """Commit; why it must be tried again, or ""."""
        if not self._has_news():
            return ""
        position = None
        try:
            if self._moved and self._state:  # before anything is written to a file that the state doesn't know of
                self._state.place(self._file.position if self._file else None)
                self._moved = False
            position = self._written()
            if self._state:
                self._state.commit(position)
        except (OSError, sqlite3.Error) as error:
            if self._file and not position:  # what was put whole may stay: nobody takes it for committed
                self._file.take_back()
            return f"{self._place_of(error)}: {_passing(error)}"
        if self._file:
            self._file.settle(self._now())
        return ""

    def _has_news(self) -> bool:
        pending = self._file.pending if self._file else 0
        return bool(self._moved or pending or (self._state and self._state.has_news))

    def _written(self) -> Position | None:
        if self._file:
            return self._file.put(sync=self._state is not None)
        self.stream.flush()
        return None

    def _complete(self, file: OutputFile) -> None:
        if self._state:
            with contextlib.suppress(sqlite3.Error, OSError):
                committed = self._state.position
                if committed and committed.inode == file.inode:
                    file.end_at(committed.offset)
            return
        file.take_back()
        try:
            file.put(sync=True)
            file.settle(self._now())
        except OSError as error:
            file.take_back()
            self._say(f"output file {file.path}: {file.pending} bytes of events couldn't be written: {why(error)}")

    # A file after the other

    def _turn(self, file: OutputFile) -> None:
        """Go over to another file where that is due. All is settled."""
        if self._reopen:
            self.generation += self._reopened(file)
        now = self._now()
        if file.is_due(now) and now >= self._rotate_at:
            self._rotate(file, now)
        while self._compressor and not self._compressor.problems.empty():
            self._say(self._compressor.problems.get())

    def _reopened(self, file: OutputFile) -> bool:
        """Whether it is another file now."""
        self._reopen = False
        try:
            is_another = file.reopen()
        except (OSError, ConfigError) as error:
            self._say(f"output file {file.path}: can't be opened again, writing goes on where it was: {error}")
            return False
        self._moved = self._moved or (is_another and self._state is not None)
        return is_another

    def _reopen_amid(self, file: OutputFile) -> None:
        """The same while events are kept, which were made to follow the header of the file there was."""
        file.take_back()
        header = file.first_line if self.has_header else b""
        if self._reopened(file) and not file.size:
            file.precede(header)

    def _rotate(self, file: OutputFile, now: float) -> None:
        try:
            lasting = file.rotate(now)
        except OSError as error:
            self._rotate_at = now + Backoff().step(0.0, 0.0)[0]
            self._say(f"output file {file.path}: can't be rotated now: {why(error)}")
            return
        self.generation += 1
        self._moved = self._state is not None
        if self._compressor:
            self._rotated.append(lasting)
            self._compress_rotated()
        if file.rotation.keep:
            self._prune(file)

    def _compress_rotated(self) -> None:
        if self._compressor and not self._moved:
            for path in self._rotated:
                self._compressor.add(path)
            self._rotated = []

    def _prune(self, file: OutputFile) -> None:
        for name in Names(file.path).surplus(os.listdir(file.path.parent), file.rotation.keep):
            with contextlib.suppress(OSError):
                self._disk.unlink(file.path.with_name(name))


def _passing(error: OSError | sqlite3.Error) -> str:
    """Why, where waiting helps; else the error itself, raised."""
    if isinstance(error, OSError) and error.errno in FULL:
        return why(error)
    name = getattr(error, "sqlite_errorname", "") or _named(str(error))
    if isinstance(error, sqlite3.Error) and any(name.startswith(full) for full in _SQLITE_FULL):
        return str(error)
    raise error


def _named(text: str) -> str:
    """Python before 3.11 tells SQLite's errors by their text alone."""
    return {"database or disk is full": "SQLITE_FULL", "disk I/O error": "SQLITE_IOERR"}.get(text, "")
