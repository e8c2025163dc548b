"""A watch on its way out: initial events, changes as they happen, bookmarks, the deadline, and the faults between."""

from __future__ import annotations

import time

from .api import JSON, Watching
from .cluster import Change, Cluster, Watcher
from .connection import Connection
from .faults import Fault
from .representations import event
from .responses import Response, body_length

BATCH = 500  # events written at once
STREAM_CHUNK = 2048  # several events at once leave the server in chunks of this size
BEFORE_DEADLINE = 2.0  # a bookmark comes so long before the end of a watch
HEADERS = {"Cache-Control": "no-cache, private", "Content-Type": JSON}


class WatchStream:
    """One subscribed watch and the connection that it goes to. `run` returns when the watch has ended."""

    def __init__(
        self,
        cluster: Cluster,
        connection: Connection,
        watching: Watching,
        watcher: Watcher,
        fault: Fault,
        bookmark_interval: float,
    ) -> None:
        self._cluster = cluster
        self._connection = connection
        self._watching = watching
        self._watcher = watcher
        self._fault = fault
        self._interval = bookmark_interval
        self._bookmarks = watching.bookmarks and fault.bookmarks
        self._first = True
        self._deadline = time.monotonic() + watching.timeout

    def run(self, keep_alive: bool, chunked: bool) -> bool:
        """Stream until the deadline; whether the connection may be kept. Gone where it ends before."""
        if self._fault.framing == "length":
            return self._run_as_body(keep_alive)
        response = Response(self._connection, 200, HEADERS, self._fault, keep_alive=keep_alive, chunked=chunked)
        response.write(self._opening(), STREAM_CHUNK)
        self._follow(response)
        response.end()
        return response.keeps_alive

    def _run_as_body(self, keep_alive: bool) -> bool:
        """All that is there now, as a body of a known length."""
        changes, _ = self._watcher.take(len(self._watcher))
        body = self._opening() + self._frames(changes)
        length = body_length(body, self._fault)
        response = Response(self._connection, 200, HEADERS, self._fault, length=length, keep_alive=keep_alive)
        response.write(body)
        response.end()
        return response.keeps_alive

    # -------------------------------------------------------------- frames

    def _opening(self) -> bytes:
        garbage = self._fault.garbage + b"\n" if self._fault.garbage else b""
        frames = self._frames(self._watcher.initial)
        self._watcher.initial = []
        end = self._watching.initial_end and self._fault.bookmarks
        return garbage + frames + (self._bookmark(self._watcher.started_at, initial_end=True) if end else b"")

    def _frames(self, changes: list[Change]) -> bytes:
        now, frames = self._cluster.now(), []
        for change in changes:
            seen = change.seen_by(self._watching.selection)
            if seen:
                kind, record = seen
                frames.append(event(kind, self._watching.representation.frame(record, self._first, now)))
                self._first = False
        return b"".join(frames)

    def _bookmark(self, version: int, initial_end: bool = False) -> bytes:
        frame = event("BOOKMARK", self._watching.representation.bookmark(version, self._first, initial_end))
        self._first = False
        return frame

    # -------------------------------------------------------------- time

    def _follow(self, response: Response) -> None:
        """Send what happens. A bookmark carries a version only when nothing older is left to send."""
        bookmark_at = self._next_bookmark(time.monotonic())
        dribble_at = self._next_dribble(time.monotonic())
        while True:
            ended = self._watcher.closed  # seen before the queue is: what came before the end is still sent
            changes, version = self._watcher.take(BATCH)
            if changes:
                response.write(self._frames(changes), STREAM_CHUNK if len(changes) > 1 else None)
            if version is None:
                continue
            now = time.monotonic()
            if ended or now >= self._deadline:
                return
            if now >= bookmark_at:
                response.write(self._bookmark(version))
                bookmark_at = self._next_bookmark(now)
            if now >= dribble_at:
                response.write(b" ")
                dribble_at = self._next_dribble(now)
            self._connection.pause(max(0.0, min(self._deadline, bookmark_at, dribble_at) - time.monotonic()))

    def _next_bookmark(self, now: float) -> float:
        if not self._bookmarks:
            return float("inf")
        before_end = self._deadline - BEFORE_DEADLINE
        regular = now + self._interval
        return min(before_end, regular) if before_end > now else regular

    def _next_dribble(self, now: float) -> float:
        return float("inf") if self._fault.dribble is None else now + self._fault.dribble
