"""Bytes to lines, whatever pieces they come in (faults 1, 2, 3, 5, 11).

A line ends at `\\n` and at nothing else: U+0085 and U+2028 are legal inside a JSON string, where `str.splitlines`
would break. What follows the last `\\n` is kept for the next piece, and is never a line by itself.
"""

from __future__ import annotations

import codecs

from kwatch.errors import FrameTooLong, MalformedFrame

MAX_LINE = 16 * 1024 * 1024
"""Characters a line may have, as client-go allows a frame 16 MiB."""

_new_decoder = codecs.getincrementaldecoder("utf-8")


class LineDecoder:
    """One stream's decoder. Make a new one for each connection: what was cut off is not continued by the next."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._decode = _new_decoder().decode
        self._limit = limit
        self._parts: list[str] = []
        self._length = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their line ends; blank ones are left out.

        Raises MalformedFrame where the bytes are not UTF-8 and FrameTooLong where a line passes the limit; the lines
        completed before that point are lost with it, so the caller resumes from before this call.
        """
        try:
            text = self._decode(data)
        except UnicodeDecodeError as error:
            raise MalformedFrame(f"the stream is not UTF-8 ({error.reason})") from error
        if "\n" not in text:
            self._keep(text)
            return []
        head, *lines, tail = text.split("\n")
        self._keep(head)
        lines.insert(0, "".join(self._parts))
        self._parts, self._length = [], 0
        self._keep(tail)
        return [line for line in lines if line and line != "\r"]

    @property
    def unfinished(self) -> bool:
        """Whether the stream, if it ended here, would end amid a line (a cut)."""
        return any(part.strip("\r") for part in self._parts)

    def _keep(self, part: str) -> None:
        if part:
            self._parts.append(part)
            self._length += len(part)
            if self._length > self._limit:
                raise FrameTooLong(f"a line of more than {self._limit // (1024 * 1024)} MiB without an end")
