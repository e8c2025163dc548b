"""Chunked bodies read in bulk: all that one read of the socket gave, not one HTTP chunk of it at a time.

An API server sends each event as a chunk of its own, so that what a chunk costs, an event costs. RFC 9112, section 7.1.
"""

from __future__ import annotations

from http.client import HTTPResponse, IncompleteRead

READ_SIZE = 524288
SHORT_LINE = 18
"""Bytes that a chunk's size with its line end takes, where nothing else is in the line."""
MAX_LINE = 65536
"""Bytes that a chunk's size with its extensions, or a trailer, may have, as in http.client."""


class ChunkDecoder:
    """Bytes of a chunked body to its content. `ended` once the last chunk and its trailer are through."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0
        self._line = b""
        self._next = self._size

    def feed(self, data: bytes) -> bytes:
        """The content in `data`. Raises ValueError from where the chunking is broken on; what precedes it is lost."""
        content: list[bytes | memoryview] = []
        place, end = 0, len(data)
        while place < end and not self.ended:
            if self._next == self._size and not self._line:
                place = _whole_chunks(data, place, content)
            if self._left:
                piece = data[place : place + self._left]
                content.append(piece)
                place += len(piece)
                self._left -= len(piece)
            else:
                place = self._take_line(data, place)
        return b"".join(content)

    def _take_line(self, data: bytes, place: int) -> int:
        """Read on in a line between two chunks; where what follows it starts."""
        stop = data.find(b"\n", place) + 1
        self._line += data[place : stop or len(data)]
        if len(self._line) > MAX_LINE:
            raise ValueError("a line of more than 64 KiB between two chunks")
        if stop:
            line, self._line = self._line.rstrip(b"\r\n"), b""
            self._next(line)
        return stop or len(data)

    def _size(self, line: bytes) -> None:
        """The line before a chunk: its size, perhaps with extensions; 0 is the last."""
        self._left = int(line.partition(b";")[0], 16)
        if self._left < 0:
            raise ValueError("a chunk of negative size")
        self._next = self._gap if self._left else self._trailer

    def _gap(self, line: bytes) -> None:
        """What follows a chunk's content: an empty line."""
        if line:
            raise ValueError("a chunk longer than its size")
        self._next = self._size

    def _trailer(self, line: bytes) -> None:
        """Fields after the last chunk, which say nothing to us, up to an empty line."""
        self.ended = not line


def _whole_chunks(data: bytes, place: int, content: list[bytes | memoryview]) -> int:
    """Add to `content` what the chunks from `place` on hold that are here as a whole; where the first other starts.

    Most are here, and taken in one go a chunk costs a third.
    """
    view = memoryview(data)
    while (stop := data.find(b"\r\n", place, place + SHORT_LINE)) > 0:
        try:
            end = stop + 2 + int(data[place:stop], 16)
        except ValueError:  # with an extension, or broken
            return place
        if end <= stop + 2 or data[end : end + 2] != b"\r\n":  # the last one, or not all of it
            return place
        content.append(view[stop + 2 : end])
        place = end + 2
    return place


class BulkResponse(HTTPResponse):
    """http.client's, but for `read1` of a chunked body; what is wrong with one is IncompleteRead, as there."""

    _chunks: ChunkDecoder | None = None

    def read1(self, n: int = -1) -> bytes:
        """What has arrived, at most `n` bytes of it, blocking until there is something; b"" at the end."""
        if not self.chunked or self.fp is None:
            return super().read1(n)
        if self._chunks is None:
            self._chunks = ChunkDecoder()
        while not self._chunks.ended:
            data = self.fp.read1(n if n > 0 else READ_SIZE)
            if not data:
                raise IncompleteRead(b"")
            try:
                content = self._chunks.feed(data)
            except ValueError:
                self.close()
                raise IncompleteRead(b"") from None
            if content:
                return content
        self.close()
        return b""
