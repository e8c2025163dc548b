"""Bytes to lines, whatever pieces they come in (faults 1, 2, 3, 5, 11).

A line ends at `\\n` and at nothing else: U+0085 and U+2028 are legal inside a JSON string, where `str.splitlines`
would break. What follows the last `\\n` is kept for the next piece, and is never a line by itself. Lines are split as
bytes, for in UTF-8 `\n` is part of no other character; whoever reads one decodes it.
"""

from __future__ import annotations

from kwatch.errors import FrameTooLong

MAX_LINE = 16 * 1024 * 1024
"""Bytes a line may have, as client-go allows a frame 16 MiB."""


class LineDecoder:
    """One stream's decoder. Make a new one for each connection: what was cut off is not continued by the next."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their line ends; blank ones are left out.

        Raises FrameTooLong where a line passes the limit; the lines completed before that point are lost with it, so
        the caller resumes from before this call.
        """
        if b"\n" not in data:
            self._keep(data)
            return []
        head, *lines, tail = data.split(b"\n")
        self._keep(head)
        lines.insert(0, b"".join(self._parts))
        self._parts, self._length = [], 0
        self._keep(tail)
        return [line for line in lines if line and line != b"\r"]

    @property
    def unfinished(self) -> bool:
        """Whether the stream, if it ended here, would end amid a line (a cut)."""
        return any(part.strip(b"\r") for part in self._parts)

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._length += len(part)
            if self._length > self._limit:
                raise FrameTooLong(f"a line of more than {self._limit // (1024 * 1024)} MiB without an end")
