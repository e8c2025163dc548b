"""Rotated files are compressed in a thread of their own, at low priority, so that events never wait for it.

A compressed file is written beside (`….gz.part`), brought to the disk and renamed; only then the original goes. What
a crash leaves is put right at the next start: a part is removed, an original whose compressed form is whole as well.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import queue
import threading
from collections.abc import Iterable
from pathlib import Path

from kwatch.cluster.files import why
from kwatch.export.disk import Disk, closing
from kwatch.export.rotation import COMPRESSED, PART, Names

PIECE = 1 << 20
LEVEL = 6
NICE = 10
JOIN_SECONDS = 1.0


class Compressor:
    """Compresses the files that `add` names, one after another, until `close`."""

    def __init__(self, disk: Disk) -> None:
        self.problems: queue.SimpleQueue[str] = queue.SimpleQueue()
        """What went wrong, a line each, for the main thread to say."""
        self._disk = disk
        self._files: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compress rotated files", daemon=True)
        self._thread.start()

    def add(self, path: Path) -> None:
        """Compress it when its turn comes."""
        self._files.put(path)

    def close(self) -> None:
        """Stop, amid a file too: it is begun anew another time."""
        self._stopped.set()
        self._files.put(None)
        self._thread.join(JOIN_SECONDS)

    def finish(self) -> None:
        """Await the end of all that was added."""
        self._files.put(None)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while (path := self._files.get()) and not self._stopped.is_set():
            try:
                self._compress(path)
            except OSError as error:
                self.problems.put(f"{path} stays uncompressed: {why(error)}")

    def _compress(self, path: Path) -> None:
        whole = path.with_name(path.name + COMPRESSED)
        part = whole.with_name(whole.name + PART)
        try:
            if self._write(path, part):
                self._disk.rename(part, whole)
                self._disk.unlink(path)
        except FileNotFoundError:  # removed, for there are enough newer ones
            return
        finally:
            with contextlib.suppress(OSError):
                self._disk.unlink(part)

    def _write(self, path: Path, part: Path) -> bool:
        """Whether it was finished."""
        with open(path, "rb") as source:
            descriptor = self._disk.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with closing(descriptor), os.fdopen(descriptor, "wb", closefd=False) as raw:
                with gzip.GzipFile(path.name, "wb", LEVEL, raw, os.fstat(source.fileno()).st_mtime) as packed:
                    while piece := source.read(PIECE):
                        if self._stopped.is_set():
                            return False
                        packed.write(piece)
                raw.flush()
                self._disk.sync(descriptor)
        return path.exists()


def put_right(path: Path, disk: Disk) -> list[Path]:
    """Remove what a crash left of the compression of the rotated files of `path`; those to compress yet."""
    names = os.listdir(path.parent)
    found = Names(path)
    for name in found.unfinished(names):
        disk.unlink(path.with_name(name))
    return [path.with_name(name) for name in found.rotated(names) if not _is_done(path.with_name(name), names, disk)]


def _is_done(rotated: Path, names: Iterable[str], disk: Disk) -> bool:
    if rotated.name + COMPRESSED not in names:
        return False
    disk.unlink(rotated)
    return True
