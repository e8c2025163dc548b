"""An output file: whole events are appended, by one writer, and taken back where they can't be written whole.

`write` keeps bytes in memory; `put` brings them to the file, after which `settle` says that this holds, or
`take_back` that it doesn't. So the file ends with a whole event whenever nothing is amid `put`, and whoever was killed
there finds the place to cut it back to in the `Position` of the last time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from kwatch.cluster.files import config_error, why
from kwatch.errors import ConfigError
from kwatch.export.disk import FULL, Disk, closing
from kwatch.export.forms import ANY, HEAD, FileForm
from kwatch.export.rotation import Names, Rotation

TAIL = 4096
"""Bytes before a position that tell whether a file is the one it was noted of."""
MAX_HEADER = 1 << 20
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
LINK = "it is a symbolic link; name the file it points to"
_REASONS = {
    errno.ELOOP: LINK,
    errno.ENOENT: "its folder doesn't exist; make it first",
    errno.EISDIR: "it is a folder; name a file in it",
}


class Position(NamedTuple):
    """The end of the last whole event: which file (`inode`), after how many bytes, and a digest of those before it."""

    inode: int
    offset: int
    tail: str


class OutputFile:
    """What a sink writes to in place of stdout. Not for several threads."""

    def __init__(
        self, path: Path, rotation: Rotation, disk: Disk, kept: Position | None = None, form: FileForm = ANY
    ) -> None:
        """Open, lock and mend `path`: it is cut back to `kept`, or, without that, to its last line that has an end.

        Raises ConfigError where it isn't a regular file, another process writes it, or it isn't the file of `kept`,
        and, without that, where it isn't of the `form` that is to be appended.
        """
        self.path = path
        self._form = form
        self.rotation = rotation
        self.mended = 0
        """Bytes of an unfinished event that were cut off at the start."""
        self.follows = ""
        """The name that the file of the last time has by now, where this one is another."""
        self._disk = disk
        self._names = Names(path)
        self._pending: list[bytes] = []
        self.pending = 0
        """Bytes kept for the next `put`."""
        self._written = 0
        self._torn = False
        is_new = not os.path.lexists(path)
        self._adopt(self._open(), kept, is_new=is_new)

    # A sink's stream

    def write(self, data: bytes) -> int:
        """Keep `data`, whole events, for the next `put`."""
        self._pending.append(data)
        self.pending += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing: `put` does it."""

    def precede(self, data: bytes) -> None:
        """Keep `data` for the next `put`, before all else that is kept."""
        self._pending.insert(0, data)
        self.pending += len(data)

    # The file

    @property
    def first_line(self) -> bytes:
        """The first line there is, with its end; empty where there is none."""
        line, end, _ = os.pread(self._descriptor, min(self.size, MAX_HEADER), 0).partition(b"\n")
        return line + end if end else b""

    @property
    def position(self) -> Position:
        """The end of what is settled."""
        return Position(self.inode, self.size, _digest(self._tail))

    def put(self, *, sync: bool) -> Position:
        """Write what is kept, with `sync` to the disk itself; where the file ends then. Raises OSError.

        Neither is final before `settle`; until then another `put` finds it done.
        """
        data = b"".join(self._pending)
        if data and not self._written:
            self._append(data)
            if sync:
                self._disk.sync(self._descriptor)
            self._written = len(data)
        return Position(self.inode, self.size + len(data), _digest(self._after(data)))

    def settle(self, now: float) -> None:
        """What was put at `now` (epoch) stays."""
        if self._written:
            self.since = now
        self._tail = self._after(b"".join(self._pending))
        self.size += self._written
        self._pending, self.pending, self._written, self._torn = [], 0, 0, False

    def take_back(self) -> None:
        """What was put, perhaps in part, is cut off again, and kept for the next `put`, where need be before it."""
        self._written = 0
        with contextlib.suppress(OSError):
            self._cut(self.size)

    def end_at(self, offset: int) -> None:
        """Cut off what comes after `offset`, settled or not. Raises OSError."""
        self._cut(offset)

    @property
    def is_full(self) -> bool:
        """Whether the file, with what is kept in memory, has the size at which it is rotated."""
        return bool(self.rotation.size) and self.size + self.pending >= self.rotation.size

    def is_due(self, now: float) -> bool:
        """Whether the file is to be rotated at `now` (epoch)."""
        return self.rotation.is_due(self.size, self.since, now)

    def rotate(self, now: float) -> Path:
        """Give the file, all settled, its lasting name, and begin a new one; that name. Raises OSError.

        On an error the file is as it was.
        """
        lasting = self._names.next(os.listdir(self.path.parent), now)
        self._disk.rename(self.path, lasting)
        try:
            descriptor = self._open()
        except OSError:
            self._disk.rename(lasting, self.path)
            raise
        self._let_go()
        self._adopt(descriptor)
        self.since = now
        return lasting

    def reopen(self) -> bool:
        """Open the path again, if it is another file by now (logrotate); whether it was. Raises OSError, ConfigError.

        All that was written has to be settled.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path, follow_symlinks=False).st_ino == self.inode:
                self._follow_truncation()
                return False
        descriptor = self._open()
        self._let_go()
        self._adopt(descriptor)
        return True

    def close(self) -> None:
        """Let the file go as it is."""
        self._let_go()

    def _open(self) -> int:
        while True:
            try:
                descriptor = self._disk.open(self.path, _FLAGS)
            except (OSError, ValueError) as error:
                raise _unusable(self.path, error) from error
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise ConfigError(f"output file {self.path}: it isn't a regular file; name one")
                _lock(descriptor, self.path)
                if os.stat(self.path, follow_symlinks=False).st_ino == found.st_ino:
                    if not found.st_size:
                        self._disk.sync_folder(self.path.parent)  # a new one: its name has to outlive what is noted
                    return descriptor
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # renamed since it was opened

    def _append(self, data: bytes) -> None:
        if self._torn:
            self._cut(self.size)
        self._torn = True
        rest = memoryview(data)
        while rest:
            rest = rest[self._disk.write(self._descriptor, rest) :]

    def _let_go(self) -> None:
        os.close(self._descriptor)

    def _adopt(self, descriptor: int, kept: Position | None = None, *, is_new: bool = False) -> None:
        """Go on with this file, mended. One that is new and refused leaves no trace."""
        found = os.fstat(descriptor)
        self._descriptor, self.inode, self.size, self.since = descriptor, found.st_ino, found.st_size, found.st_mtime
        try:
            self._mend(kept)
        except BaseException:
            if is_new and not found.st_size:
                self._disk.unlink(self.path)
            self._let_go()
            raise

    def _follow_truncation(self) -> None:
        """Somebody emptied the file (logrotate's copytruncate)."""
        size = os.fstat(self._descriptor).st_size
        if size < self.size:
            self.size = size
            self._tail = _tail(self._descriptor, size)

    def _mend(self, kept: Position | None) -> None:
        size = self.size
        if kept is None:
            self._cut(self._whole(size))
        elif _is_at(self._descriptor, kept):
            self._cut(kept.offset)
        else:
            self.follows = self._mend_moved(kept)
            if not self.follows:
                raise ConfigError(
                    f"output file {self.path}: it isn't as the state has it: {_difference(size, kept.offset)}; bring "
                    "it back, or begin anew with another file and another state"
                )
            self._cut(self._whole(size))
        self.mended = size - self.size
        self._tail = _tail(self._descriptor, self.size)

    def _whole(self, size: int) -> int:
        """The size without an event that was cut short. Raises ConfigError for a file that isn't kwatch's to change."""
        whole = _line_start(self._descriptor, size)
        last = _line_start(self._descriptor, whole - 1) if whole and self._form.each else 0
        is_kwatchs = all(self._form.is_begun(self._read(place)) for place in {0, last} if whole)
        if not is_kwatchs or (whole < size and not self._form.is_torn(self._read(whole), follows=whole > 0)):
            raise ConfigError(
                f"output file {self.path}: it holds what kwatch {self._form.name} didn't write, and is left as it is; "
                "name another"
            )
        return whole

    def _read(self, place: int) -> bytes:
        return os.pread(self._descriptor, HEAD, place)

    def _mend_moved(self, kept: Position) -> str:
        """The file's name among its neighbours: it was renamed after the last time, by us or by logrotate."""
        for name in os.listdir(self.path.parent):
            place = self.path.with_name(name)
            with contextlib.suppress(OSError):
                if os.stat(place, follow_symlinks=False).st_ino != kept.inode:
                    continue
                with closing(self._disk.open(place, os.O_RDWR)) as descriptor:
                    if _is_at(descriptor, kept):
                        self._disk.truncate(descriptor, kept.offset)
                        return name
        return ""

    def _cut(self, size: int) -> None:
        if os.fstat(self._descriptor).st_size > size:
            self._disk.truncate(self._descriptor, size)
        self.size = size
        self._torn = False

    def _after(self, data: bytes) -> bytes:
        return (self._tail + data[-TAIL:])[-TAIL:]


def fits_later(error: OSError) -> bool:
    """Whether to try again later: the disk is full, or broken."""
    return error.errno in FULL


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"output file {path}: another kwatch writes it; give each a file of its own") from None


def _unusable(path: Path, error: Exception) -> Exception:
    if isinstance(error, OSError) and fits_later(error):
        return error
    number = error.errno if isinstance(error, OSError) else None
    reason = _REASONS.get(number or 0) or why(error)
    return config_error(f"output file {path} can't be written: {reason}")


def _is_at(descriptor: int, kept: Position) -> bool:
    """Whether the file is that of `kept`. An empty one has no content to know it by, only its inode."""
    found = os.fstat(descriptor)
    if found.st_size < kept.offset:
        return False
    if not kept.offset:
        return found.st_ino == kept.inode or not found.st_size
    return _digest(_tail(descriptor, kept.offset)) == kept.tail


def _difference(size: int, kept: int) -> str:
    if size < kept:
        return f"{size} bytes long, of which {kept} are committed"
    return f"its first {kept} bytes, of {size}, are others" if kept else f"{size} bytes long, and to be empty"


def _tail(descriptor: int, size: int) -> bytes:
    return os.pread(descriptor, min(size, TAIL), max(size - TAIL, 0))


def _digest(tail: bytes) -> str:
    return hashlib.sha256(tail).hexdigest()


def _line_start(descriptor: int, end: int) -> int:
    """Where the line begins that ends before `end`, or stops there."""
    while end > 0:
        start = max(end - 65536, 0)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
