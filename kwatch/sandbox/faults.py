"""Faults: what a server, a proxy or a network does wrong, as data. A script of them is consumed request by request."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

FRAMINGS = ("chunked", "close", "length")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request. Fields combine; offsets count bytes of the decoded body (before gzip).

    verb      the requests that it is for: watch, list, get, create, update, patch, delete, discovery, any
    resource  only requests for this plural ("" is all)
    times     how many requests; None is for ever (later faults for the same requests are never reached)
    status    answer with this code; `body` (str: text/plain; else JSON; None: a Status) and `headers` are its own
    gone      answer 410 by HTTP status
    expire    a watch is answered by 200 and an ERROR event 410, a list by 410
    empty     200, no body, the connection closes
    cut       close the connection after exactly this many bytes, without the terminating chunk
    reset     the connection ends by RST, not FIN (with `cut`, `empty` and at a stream's end)
    stall     after `at` bytes send nothing more, until the client leaves
    hold_headers  no headers before the first byte of the body (with `stall` at 0: never)
    bookmarks False drops them
    replay    first send this many events from before the asked resourceVersion again
    garbage   these bytes and a newline come before the body
    dribble   a space every so many seconds while there is nothing to send, or while stalled
    split     the body goes in pieces of this many bytes, each its own chunk and send; "codepoint": inside each
              multi-byte code point
    framing   chunked; close: until EOF; length: a Content-Length (a watch then is what is there, and ends),
              which claims `short` bytes more than are sent
    gzip      compressed, whatever the client accepts
    """

    verb: str = "watch"
    resource: str = ""
    times: int | None = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict, hash=False)
    body: Any = field(default=None, hash=False)
    gone: bool = False
    expire: bool = False
    empty: bool = False
    cut: int | None = None
    reset: bool = False
    stall: bool = False
    at: int = 0
    hold_headers: bool = False
    bookmarks: bool = True
    replay: int = 0
    garbage: bytes = b""
    dribble: float | None = None
    split: int | str | None = None
    framing: str | None = None
    short: int = 0
    gzip: bool = False

    def __post_init__(self) -> None:
        if self.framing not in (None, *FRAMINGS):
            raise ValueError(f"framing is one of {', '.join(FRAMINGS)}, not {self.framing!r}")
        if isinstance(self.split, str) and self.split != "codepoint":
            raise ValueError(f"split is a number of bytes or 'codepoint', not {self.split!r}")
        if isinstance(self.split, int) and self.split < 1:
            raise ValueError("split is at least 1")

    def matches(self, verb: str, resource: str) -> bool:
        """Whether it is for such a request."""
        return self.verb in (verb, "any") and self.resource in (resource, "")

    @property
    def limit(self) -> int | None:
        """The bytes that may be sent before the stream is cut or stalls."""
        limits = [] if self.cut is None else [self.cut]
        return min([*limits, self.at] if self.stall else limits, default=None)

    @property
    def stalls(self) -> bool:
        """Whether it stalls, rather than cuts, at the limit."""
        return self.stall and (self.cut is None or self.at < self.cut)


NO_FAULT = Fault()


class Script:
    """Faults in order; each request takes the first that matches it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[list[Any]] = []  # [fault, times left]

    def add(self, *faults: Fault) -> None:
        """Append faults."""
        with self._lock:
            self._entries.extend([fault, fault.times] for fault in faults)

    def clear(self) -> None:
        """Drop what wasn't taken yet."""
        with self._lock:
            self._entries.clear()

    def pending(self) -> int:
        """How many faults are still to be taken (those for ever count too)."""
        with self._lock:
            return len(self._entries)

    def take(self, verb: str, resource: str) -> Fault:
        """The fault for a request; `NO_FAULT` where none matches."""
        with self._lock:
            for entry in self._entries:
                if entry[0].matches(verb, resource):
                    return self._used(entry)
        return NO_FAULT

    def _used(self, entry: list[Any]) -> Fault:
        fault: Fault = entry[0]
        if entry[1] is not None:
            entry[1] -= 1
            if entry[1] <= 0:
                self._entries.remove(entry)
        return fault


def pieces(data: bytes, split: int | str | None) -> list[bytes]:
    """The pieces in which a fault has data sent."""
    if split is None:
        return [data]
    if isinstance(split, int):
        return [data[start : start + split] for start in range(0, len(data), split)]
    starts = [0, *(index + 1 for index, byte in enumerate(data[:-1]) if byte >= 0xC0), len(data)]
    return [data[low:high] for low, high in pairwise(starts) if low < high]
