"""Memory stays bounded whatever a server sends (promise 11): the peak of each run is under LIMIT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import variables
from scripted import Peer, Script, ScriptedServer, answer, chunk, head

LIMIT = 200
"""MiB of resident memory; an idle watch takes about 45."""

LIST = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'


class Run:
    """The command until it ends or is told to; its peak memory."""

    def __init__(self, url: str, home: Path, *arguments: str, stdout: int = subprocess.DEVNULL) -> None:
        command = [sys.executable, "-m", "kwatch", "pods", "-s", url, "-o", "ndjson", *arguments]
        with (home / "stderr").open("wb") as err:
            self.process = subprocess.Popen(command, stdout=stdout, stderr=err, env=variables(home))
        self._home = home

    @property
    def stderr(self) -> str:
        """What it said so far."""
        return (self._home / "stderr").read_text()

    def peak(self) -> float:
        """MiB of resident memory at the most, so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for it, watching the memory."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.stderr
            assert self.process.poll() is None, self.stderr
            assert self.peak() < LIMIT, f"{self.peak():.0f} MiB"
            time.sleep(0.02)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()


pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


def listed(peer: Peer) -> None:
    peer.send(answer(LIST, Connection="close"))


def endless_line(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked") + chunk(b'{"type":"ADDED","object":{"x":"'))
    for _ in range(4000):
        peer.send(chunk(b"x" * 65536))


def huge_chunk(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked") + b"80000000\r\n")
    for _ in range(4000):
        peer.send(b"x" * 65536)


def gzip_bomb(peer: Peer, content: bytes = b"x", times: int = 400) -> None:
    packer = zlib.compressobj(9, wbits=31)
    peer.send(head(Transfer_Encoding="chunked", Content_Encoding="gzip"))
    for _ in range(times):
        if data := packer.compress(content * 10_000_000):
            peer.send(chunk(data))


def deep_nesting(peer: Peer) -> None:
    peer.send(head(Transfer_Encoding="chunked") + chunk(b'{"type":"ADDED","object":' + b'{"a":' * 100_000 + b"\n"))


def huge_error(peer: Peer) -> None:
    peer.send(head("500 Internal Server Error", Transfer_Encoding="chunked"))
    for _ in range(4000):
        peer.send(chunk(b"x" * 65536))


def endless_headers(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n")
    for index in range(1_000_000):
        peer.send(b"X-%d: %s\r\n" % (index, b"x" * 1000))


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (endless_line, "sent too much (a line of more than 16 MiB without an end)"),
        (huge_chunk, "sent too much (a line of more than 16 MiB without an end)"),
        (gzip_bomb, "sent too much (a line of more than 16 MiB without an end)"),
        (deep_nesting, "sent something unreadable"),
        (huge_error, "the server failed (500 xxx"),
        (endless_headers, "can't connect"),
    ],
)
def test_promise_11_a_watch_that_is_too_much_is_dropped_and_resumed(script: Script, text: str, tmp_path: Path) -> None:
    with ScriptedServer(listed, script, Peer.hold) as server, Run(server.url, tmp_path) as run:
        run.until(lambda: text in run.stderr)
        run.until(lambda: len(server.requests) >= 3)


def pages() -> Iterator[bytes]:
    """A list that never ends: its tokens repeat."""
    while True:
        for token in ("t1", "t2", "t3"):
            metadata = {"resourceVersion": "5", "continue": token}
            yield json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": []}).encode()


def test_promise_11_pages_whose_tokens_repeat_are_not_followed_for_ever(tmp_path: Path) -> None:
    endless = pages()

    def next_page(peer: Peer) -> None:
        peer.send(answer(next(endless), Connection="close"))

    with ScriptedServer(next_page) as server, Run(server.url, tmp_path) as run:
        run.until(lambda: "pages don't move on" in run.stderr)
        asked = len(server.requests)
        time.sleep(0.5)
        assert len(server.requests) < asked + 5


def test_promise_11_a_list_body_over_its_cap_is_one_error(tmp_path: Path) -> None:
    with ScriptedServer(lambda peer: gzip_bomb(peer, b" ", 4000)) as server:
        code = (
            "import sys, resource; import kwatch.transport as t; t.Response.read.__defaults__ = (50_000_000,)\n"
            f"sys.argv = ['kwatch', 'pods', '-s', {server.url!r}]\nfrom kwatch.cli import main; main()"
        )
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env=variables(tmp_path),
            check=False,
        )
    assert run.returncode == 1
    assert "sent too much: an answer of more than 47 MiB; narrow the watch" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_promise_11_a_stdout_that_nobody_reads_stops_the_reading_and_nothing_is_lost(tmp_path: Path) -> None:
    count, padding = 60_000, b"x" * 3000
    sent = threading.Event()

    def flood(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked"))
        for version in range(6, 6 + count):
            name = f"pod-{version % 100}"
            metadata = b'{"name":"%s","uid":"%s","resourceVersion":"%d"}' % (name.encode(), name.encode(), version)
            peer.send(chunk(b'{"type":"MODIFIED","object":{"metadata":%s,"x":"%s"}}\n' % (metadata, padding)))
        sent.set()
        peer.hold()

    with ScriptedServer(listed, flood) as server, Run(server.url, tmp_path, "-q", stdout=subprocess.PIPE) as run:
        deadline = time.monotonic() + float(os.environ.get("KWATCH_TEST_STALL", "5"))
        while time.monotonic() < deadline:
            assert run.peak() < LIMIT
            time.sleep(0.05)
        assert not sent.is_set()
        assert run.process.stdout is not None
        lines = [run.process.stdout.readline() for _ in range(count)]
        assert [json.loads(line)["object"]["metadata"]["resourceVersion"] for line in lines[::999]] == [
            str(version) for version in range(6, 6 + count, 999)
        ]
        assert run.peak() < LIMIT
        assert run.stderr == ""
