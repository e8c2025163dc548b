"""When an output file is rotated, what it is called then, and which of the rotated files are kept. Pure but for names.

A rotated `events.ndjson` is `events-20261125T131500.000000Z.ndjson`, by the time of its rotation in UTC, compressed
`….ndjson.gz`: the names sort by time, before that of the file being written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

STAMP = "%Y%m%dT%H%M%S.%fZ"
COMPRESSED = ".gz"
PART = ".part"
"""What ends the name of a file that isn't whole yet."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotate at `size` bytes and at each full `every` seconds of UTC (0: never); keep the latest `keep` (0: all)."""

    size: int = 0
    every: float = 0.0
    keep: int = 0
    compress: bool = False

    def is_due(self, size: int, since: float, now: float) -> bool:
        """Whether a file of `size` bytes, begun or last written at `since`, is to be rotated at `now` (epoch)."""
        if not size:
            return False
        if self.size and size >= self.size:
            return True
        return bool(self.every) and now // self.every > since // self.every


class Names:
    """The rotated files of one output file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        stem, suffix = re.escape(path.stem), re.escape(path.suffix)
        self._rotated = re.compile(rf"{stem}-(\d{{8}}T\d{{6}}\.\d{{6}}Z){suffix}")

    def next(self, taken: Iterable[str], now: float) -> Path:
        """The name for a file rotated at `now` (epoch): later than those `taken`, even if the clock was put back."""
        moment = datetime.fromtimestamp(now, timezone.utc)
        stamps = [match[1] for name in taken if (match := self._rotated.match(name))]
        if stamps:
            latest = datetime.strptime(max(stamps), STAMP).replace(tzinfo=timezone.utc)
            moment = max(moment, latest + timedelta(microseconds=1))
        return self._path.with_name(f"{self._path.stem}-{moment.strftime(STAMP)}{self._path.suffix}")

    def rotated(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are rotated files not yet compressed, oldest first."""
        return sorted(name for name in names if self._rotated.fullmatch(name))

    def unfinished(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that a compression left amid its work."""
        return [name for name in names if name.endswith(PART) and self._rotated.match(name)]

    def surplus(self, names: Iterable[str], keep: int) -> list[str]:
        """Those of `names` to remove so that the latest `keep` rotated files stay, compressed or not."""
        found: dict[str, list[str]] = {}
        for name in names:
            if match := self._rotated.match(name):
                found.setdefault(match[1], []).append(name)
        return [name for stamp in sorted(found)[: max(len(found) - keep, 0)] for name in found[stamp]]
