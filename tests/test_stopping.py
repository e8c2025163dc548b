"""Ctrl-C, SIGTERM and a reader that goes away end the command within a second, wherever it is blocked (promise 15)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import variables
from polling import eventually
from scripted import Peer, ScriptedServer, answer, chunk, head

LIST = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'
EVENT = b'{"type":"ADDED","object":{"metadata":{"name":"a","uid":"u","resourceVersion":"6"}}}\n'


def listed(peer: Peer) -> None:
    peer.send(answer(LIST, Connection="close"))


def silent_watch(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked"))
    peer.hold()


def half_a_list(peer: Peer) -> None:
    peer.send(head(Content_Length="1000") + LIST[:20])
    peer.hold()


def failing(peer: Peer) -> None:
    peer.send(answer(b"no", "500 Internal Server Error", Connection="close"))


@contextlib.contextmanager
def playing(*scripts: Callable[[Peer], None]) -> Iterator[tuple[str, Callable[[], bool]]]:
    """A server, and whether the last of its scripts is being played."""
    with ScriptedServer(*scripts) as server:
        yield server.url, lambda: len(server.requests) >= len(scripts)


@contextlib.contextmanager
def a_full_backlog() -> Iterator[tuple[str, Callable[[], bool]]]:
    """A port to which connecting takes for ever: nobody accepts, and the queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        started = time.monotonic()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: time.monotonic() - started > 2


BLOCKED = {
    "in a read": lambda: playing(listed, silent_watch),
    "waiting for headers": lambda: playing(listed, Peer.hold),
    "amid a list": lambda: playing(half_a_list),
    "in a backoff": lambda: playing(listed, failing),
    "in a connect": a_full_backlog,
}
ENDS = {"Ctrl-C": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143), "a closed pipe": (None, 141)}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("where", BLOCKED)
def test_promise_15_it_ends_within_a_second(where: str, end: str, tmp_path: Path) -> None:
    number, code = ENDS[end]
    with BLOCKED[where]() as (url, is_blocked):
        command = [sys.executable, "-m", "kwatch", "pods", "-o", "ndjson", "-s", url]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables(tmp_path))
        with run:
            assert run.stdout is not None
            assert run.stderr is not None
            eventually(is_blocked)
            if where == "in a backoff":
                assert b"resuming in" in read_until(run.stderr.fileno(), b"resuming in")
            time.sleep(0.2)
            started = time.monotonic()
            if number is None:
                run.stdout.close()
            else:
                run.send_signal(number)
            assert run.wait(20) == code
            assert time.monotonic() - started < 1
            assert b"Traceback" not in run.stderr.read()


def read_until(descriptor: int, text: bytes) -> bytes:
    """What comes from it, up to and with `text`."""
    found, deadline = b"", time.monotonic() + 20
    while text not in found and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 1)[0]:
            found += os.read(descriptor, 4096)
    return found


def test_ctrl_c_ends_it_though_nobody_reads_its_output(tmp_path: Path) -> None:
    flowing = threading.Event()

    def flood(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked"))
        for version in range(6, 1_000_000):
            flowing.set()
            peer.send(chunk(EVENT.replace(b'"6"', b'"%d"' % version).replace(b"}}}", b"},%s}}" % padding)))

    padding = b'"data":"' + b"x" * 2000 + b'"'
    with playing(listed, flood) as (url, _):
        command = [sys.executable, "-m", "kwatch", "pods", "-o", "ndjson", "-s", url]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables(tmp_path))
        with run:
            eventually(flowing.is_set)
            time.sleep(1)
            started = time.monotonic()
            run.send_signal(signal.SIGINT)
            assert run.wait(20) == 130
            assert time.monotonic() - started < 1.5


INTERRUPTED = """
import faulthandler, signal
from kwatch.model import Bookmark, Query, Resource
from kwatch.pump import Pump

class Interrupt(Exception):
    pass

class Endless:
    checkpoint, stopped = None, False
    def batches(self):
        while not self.stopped:
            yield [Bookmark("1")]
    def stop(self):
        self.stopped = True
    def expire(self, now):
        pass

def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise Interrupt

armed, interrupted = False, 0
faulthandler.dump_traceback_later(30, exit=True)
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
while interrupted < 1500:
    with Pump([Query(Resource("", "v1", "pods", "Pod"))], lambda query, clock: Endless()) as pump:
        try:
            armed = True
            while True:
                pump.take(0.01)
        except Interrupt:
            interrupted += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(interrupted)
"""


def test_wherever_ctrl_c_comes_the_end_is_not_held_up() -> None:
    """It may come amid any line of Python, those that take a lock included; as often as it takes to meet each."""
    run = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "1500\n"), run.stderr
