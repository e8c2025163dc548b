"""The system calls that an export rests on, in one place, so that a test can fail each, or die at it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS))
"""Errors of a disk that may pass: there may be room again, or somebody puts the volume right."""


class Disk:
    """The calls as the system has them. Each raises OSError, `commit` sqlite3.Error too."""

    def open(self, path: Path, flags: int) -> int:
        """A descriptor of `path`; a file it makes is its owner's alone (0600), a symbolic link isn't followed."""
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """How many bytes of `data` were written."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """What was written is on the disk."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """The file ends after `size` bytes."""
        os.ftruncate(descriptor, size)

    def rename(self, old: Path, new: Path) -> None:
        """Rename, in one step, and have the folder on the disk."""
        os.rename(old, new)
        self.sync_folder(new.parent)

    def unlink(self, path: Path) -> None:
        """Remove the file."""
        os.unlink(path)

    def commit(self, connection: sqlite3.Connection) -> None:
        """End the transaction: it is on the disk."""
        connection.execute("COMMIT")

    def sync_folder(self, folder: Path) -> None:
        """The names in `folder` are on the disk; where the file system can't tell, nothing."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close it in the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)
