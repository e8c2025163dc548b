"""How a file that kwatch writes looks where an event begins: what looks otherwise is somebody else's, and left alone.

A file is gone on with where it begins as its form does. Bytes after the last line's end are cut off only where a line
is an event, and they begin like one: all else may be text that nobody else has.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD = 64
"""Bytes that tell."""
_KINDS = (b"ADDED", b"MODIFIED", b"DELETED")
_DIGITS = bytes.maketrans(b"0123456789", b"0" * 10)


class FileForm(NamedTuple):
    """What a file `begins` with, and how an event's line may `start`, with 0 for each digit.

    Without `starts`, an event has several lines; `each`: no line is anything else.
    """

    name: str
    begins: re.Pattern[bytes]
    starts: tuple[bytes, ...] = ()
    each: bool = False

    def is_begun(self, text: bytes) -> bool:
        """Whether `text` is the beginning of a file, or of a line that is an event, of this form."""
        return self.begins.match(text) is not None

    def is_torn(self, rest: bytes, *, follows: bool) -> bool:
        """Whether `rest`, which has no line's end, is an event that was cut short; of a few bytes only where it
        `follows` others. Zeros are what a power failure leaves."""
        if not self.starts or (not follows and not self.is_begun(rest)):
            return False
        shape = rest.translate(_DIGITS)
        return not rest.strip(b"\0") or any(shape[: len(start)] == start[: len(shape)] for start in self.starts)


ANY = FileForm("anything", re.compile(b""), (b"",))
"""Lines of any kind."""
_LINE = FileForm(
    "-o ndjson",
    re.compile(rb'\{"type":"(?:ADDED|MODIFIED|DELETED)","object":\{'),
    tuple(b'{"type":"' + kind + b'","object":{' for kind in _KINDS),
    each=True,
)
FORMS = {
    "ndjson": _LINE,
    "jsonl": _LINE,
    "json": FileForm("-o json", re.compile(rb'\{\n    "')),
    "yaml": FileForm("-o yaml", re.compile(rb"[A-Za-z]+:[ \n]")),
    "csv": FileForm(
        "-o csv",
        re.compile(rb"time,event,|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z,(?:ADDED|MODIFIED|DELETED),"),
        (b"time,event,", *(b"0000-00-00T00:00:00.000Z," + kind + b"," for kind in _KINDS)),
    ),
}
"""By the output; `json` with --output-watch-events is that of ndjson."""
