"""Threads and queues: each watch reads in a thread of its own, the main thread takes what they found.

The queue is bounded: while nobody takes, nobody reads, and TCP pushes back on the server (fault 31).
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from kwatch.model import Batch, Clock, Query
from kwatch.watcher import Watcher

CAPACITY = 16
"""Batches that may wait, each at most what one read (64 KiB) or one list page gave."""
JOIN_SECONDS = 0.5
LOOK_SECONDS = 0.1
"""How often who waits for work looks whether to wait on."""


class RealClock:
    """The machine's time; `wait` ends early once `stopped` is set."""

    def __init__(self, stopped: threading.Event | None = None) -> None:
        self._stopped = stopped or threading.Event()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Sleep; True at once if stopped meanwhile."""
        return self._stopped.wait(seconds)

    def chance(self) -> float:
        """Uniform in [0, 1)."""
        return random.random()


_Found = TypeVar("_Found")


def within(work: Callable[[], _Found], left: Callable[[], float]) -> _Found:
    """What `work` returns or raises, done in a thread of its own, while `left` says that there are seconds left; what
    that raises ends the waiting, too. Raises TimeoutError where the work takes longer.

    The thread is then left to die with the process: what blocks in a connect can't be woken.
    """
    done: queue.Queue[tuple[_Found | None, BaseException | None]] = queue.Queue(1)

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # the caller's to handle
            done.put((None, error))

    seconds = left()
    threading.Thread(target=run, name="within", daemon=True).start()
    while seconds > 0:
        with contextlib.suppress(queue.Empty):
            found, error = done.get(timeout=min(seconds, LOOK_SECONDS))
            if error is not None:
                raise error
            return cast(_Found, found)
        seconds = left()
    raise TimeoutError


class _Queue:
    """A bounded queue that an exception out of a signal handler can't leave locked.

    `queue.Queue` takes its lock in Python code, amid which Ctrl-C may raise: nobody gives it back, and the end of
    the run would wait for it. A SimpleQueue has no such moment; the second one holds the free places. But once a
    signal took longer than the timeout of its `get` (Ctrl-Z, and `fg` later), that waits without end. A lock doesn't:
    it is free if something was put since the last wait.
    """

    def __init__(self, capacity: int) -> None:
        self._batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(capacity):
            self._places.put(None)
        self._news = threading.Lock()
        self._news.acquire()

    def put(self, batch: Batch) -> None:
        """Add it, once there is room."""
        self._places.get()
        self._batches.put(batch)
        with contextlib.suppress(RuntimeError):  # it is free already
            self._news.release()

    def get(self, seconds: float = 0.0) -> Batch:
        """The oldest one, waiting for it at most so long. Raises queue.Empty where none came."""
        ends = time.monotonic() + seconds if seconds > 0 else 0.0
        while ends and self._batches.empty() and (left := ends - time.monotonic()) > 0:
            self._news.acquire(timeout=left)  # it may have been free for a batch that was taken meanwhile
        batch = self._batches.get_nowait()
        self._places.put(None)
        return batch

    def size(self) -> int:
        """How many wait to be taken."""
        return self._batches.qsize()


class Pump:
    """Runs a watcher for each query. Use as a context manager: leaving it stops the threads and awaits their end."""

    def __init__(
        self,
        queries: Sequence[Query],
        make_watcher: Callable[[Query, Clock], Watcher],
        make_clock: Callable[[threading.Event], Clock] = RealClock,
    ) -> None:
        self._stopped = threading.Event()
        self._queue = _Queue(CAPACITY)
        self._make_watcher = make_watcher
        self._clock = make_clock(self._stopped)
        self._watchers: dict[Query, Watcher] = {}
        self._threads: list[threading.Thread] = []
        for query in queries:
            self._prepare(query)

    def __enter__(self) -> Pump:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def received(self) -> int:
        """Bytes of lists and watches so far."""
        return sum(watcher.received for watcher in list(self._watchers.values()))

    @property
    def waiting(self) -> int:
        """Batches that wait to be taken."""
        return self._queue.size()

    def add(self, query: Query) -> None:
        """Watch one more, from now on."""
        self._prepare(query).start()

    def drop(self, query: Query) -> None:
        """Watch it no longer; what it found and wasn't taken yet is never handed on."""
        self._watchers.pop(query).stop()

    def take(self, seconds: float) -> Batch | None:
        """The next batch, waiting for it at most so long; None where none came. Ends exchanges that are overdue."""
        with contextlib.suppress(queue.Empty):
            return self._kept(self._queue.get())
        if seconds <= 0:
            return None
        now = time.monotonic()
        for watcher in self._watchers.values():
            watcher.expire(now)
        with contextlib.suppress(queue.Empty):
            return self._kept(self._queue.get(seconds))
        return None

    def stop(self) -> None:
        """End all watches: blocked reads and pauses return at once. A thread amid a connect is left to die with us."""
        self._stopped.set()
        for watcher in self._watchers.values():
            watcher.stop()
        deadline = time.monotonic() + JOIN_SECONDS
        while (alive := [thread for thread in self._threads if thread.is_alive()]) and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):  # a reader may be blocked on the full queue
                self._queue.get()
            alive[0].join(0.005)

    def _prepare(self, query: Query) -> threading.Thread:
        watcher = self._watchers[query] = self._make_watcher(query, self._clock)
        thread = threading.Thread(target=self._read, args=(query, watcher), name=f"watch {query}", daemon=True)
        self._threads.append(thread)
        return thread

    def _kept(self, batch: Batch) -> Batch:
        return batch if batch.query in self._watchers else Batch(batch.query, ())

    def _read(self, query: Query, watcher: Watcher) -> None:
        try:
            for signals in watcher.batches():
                self._queue.put(Batch(query, signals, checkpoint=watcher.checkpoint))
                if self._stopped.is_set():
                    return
        except Exception as error:  # the main thread decides what it means
            self._queue.put(Batch(query, [], error))
