"""An HTTP/1.1 response on its way out: framing, compression, and whatever a `Fault` does to the body.

A body passes, in this order: the limit of the fault (cut or stall), gzip, the split, the framing.
"""

from __future__ import annotations

import time
import zlib
from http import HTTPStatus

from .connection import Connection, Gone
from .faults import Fault, pieces

_GZIP = 31  # zlib's window bits for the gzip format


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Response:
    """A response to one request. `write` as often as there is something, then `end`.

    `length` is what Content-Length says (framing "length"), None for a stream. Gone is raised by whatever cuts it.
    """

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: dict[str, str],
        fault: Fault,
        *,
        length: int | None = None,
        keep_alive: bool = True,
        chunked: bool = True,
    ) -> None:
        self._connection = connection
        self._fault = fault
        self._sent = 0
        self._compressor = zlib.compressobj(wbits=_GZIP) if fault.gzip else None
        self._framing = _framing(fault, length, chunked)
        self.keeps_alive = keep_alive and self._framing != "close" and not (fault.short or fault.empty or fault.reset)
        self._head: bytes | None = self._headers(status, headers, length)
        if not fault.hold_headers:
            self._emit(b"")
        if fault.limit == 0 and not fault.hold_headers:
            self._interrupt()

    def _headers(self, status: int, headers: dict[str, str], length: int | None) -> bytes:
        shown = {**headers, "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())}
        if self._compressor:
            shown["Content-Encoding"] = "gzip"
        if self._framing == "chunked":
            shown["Transfer-Encoding"] = "chunked"
        elif self._framing == "length":
            shown["Content-Length"] = str((length or 0) + self._fault.short)
        if not self.keeps_alive:
            shown["Connection"] = "close"
        lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{name}: {value}" for name, value in shown.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def write(self, data: bytes, chunk: int | None = None) -> None:
        """Send a part of the body; `chunk` is the size of its chunks where the fault has no say."""
        limit = self._fault.limit
        if limit is not None:
            data = data[: max(limit - self._sent, 0)]
        self._sent += len(data)
        if data:
            self._send_body(self._compressed(data), chunk)
        if limit is not None and self._sent >= limit:
            self._interrupt()

    def _compressed(self, data: bytes) -> bytes:
        if not self._compressor:
            return data
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def _send_body(self, data: bytes, chunk: int | None = None) -> None:
        if self._fault.split is not None:
            for piece in pieces(data, self._fault.split):
                self._emit(self._framed(piece))
        elif chunk and self._framing == "chunked":
            self._emit(b"".join(map(self._framed, pieces(data, chunk))))
        else:
            self._emit(self._framed(data))

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._framing == "chunked" else data

    def _emit(self, data: bytes) -> None:
        head, self._head = self._head or b"", None
        if head or data:
            self._connection.send(head + data)

    def _interrupt(self) -> None:
        if self._fault.stalls:
            space = self._framed(b" ")
            self._connection.wait_for_end(self._fault.dribble, space)
        if self._fault.reset:
            self._connection.reset()
        raise Gone

    def end(self) -> None:
        """The end of the body; Gone where the connection ends with it."""
        if self._fault.stall:
            self._interrupt()  # the body was shorter than `at`
        if self._compressor:
            self._send_body(self._compressor.flush())
        if self._fault.reset:
            self._interrupt()
        self._emit(b"0\r\n\r\n" if self._framing == "chunked" else b"")
        if not self.keeps_alive:
            self._connection.finish()
            raise Gone


def _framing(fault: Fault, length: int | None, chunked: bool) -> str:
    if fault.framing:
        return fault.framing
    if length is not None and not fault.split:
        return "length"
    return "chunked" if chunked else "close"


def body_length(body: bytes, fault: Fault) -> int:
    """The Content-Length of a body that is written at once."""
    if not fault.gzip:
        return len(body)
    compressor = zlib.compressobj(wbits=_GZIP)
    packed = compressor.compress(body) + compressor.flush(zlib.Z_SYNC_FLUSH) if body else b""
    return len(packed + compressor.flush())
