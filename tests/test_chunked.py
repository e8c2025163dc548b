"""Chunked bodies: the content is the same whatever the reads give, and what is broken is noticed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Peer, ScriptedServer, chunk, head

from kwatch.chunked import ChunkDecoder
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import Cut
from kwatch.protocol.session import Request
from kwatch.transport import Transport

END = b"0\r\n\r\n"
ends = st.sampled_from([END, b"0;last\r\n\r\n", b"000\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"])


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), ends, st.lists(st.integers(0), max_size=12))
def test_the_content_does_not_depend_on_where_the_reads_end(parts: list[bytes], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(map(chunk, parts)) + end
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    decoder = ChunkDecoder()
    assert b"".join(decoder.feed(stream[start:stop]) for start, stop in pairwise(edges)) == b"".join(parts)
    assert decoder.ended
    one_by_one = ChunkDecoder()
    assert b"".join(one_by_one.feed(stream[index : index + 1]) for index in range(len(stream))) == b"".join(parts)


@pytest.mark.parametrize(
    "stream",
    [b"x\r\n", b"-5\r\nhello\r\n", b"\r\n", b"5\r\nhelloo\r\n", b"5\r\nhello5\r\n", b"1;" + b"x" * 70_000, b"0x\r\n"],
)
def test_broken_chunking_is_an_error(stream: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ChunkDecoder().feed(stream)


def read(script: bytes) -> list[bytes]:
    def play(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked") + script)

    with ScriptedServer(play) as server:
        transport = Transport(Connection(server=server.url))
        try:
            with transport.send(Request("watch", "/", "application/json")) as response:
                return list(response.chunks())
        finally:
            transport.close()


def test_all_that_came_at_once_is_one_piece() -> None:
    assert b"".join(read(b"".join(chunk(b"x" * 9) for _ in range(100)) + END)) == b"x" * 900


@pytest.mark.parametrize("script", [chunk(b"abc"), b"3\r\nab", b"3\r\nabc\r\nzz\r\n", b"3\r\nabcd\r\n", b""])
def test_a_body_without_its_last_chunk_is_cut(script: bytes) -> None:
    with pytest.raises(Cut, match="closed amid an answer"):
        read(script)


def test_a_connection_whose_body_was_read_to_its_end_serves_the_next_request() -> None:
    def play(peer: Peer) -> None:
        for _ in range(2):
            peer.send(head(Transfer_Encoding="chunked") + chunk(b"abc") + END)
            peer.read_request()

    with ScriptedServer(play) as server:
        transport = Transport(Connection(server=server.url))
        try:
            for _ in range(2):
                with transport.send(Request("list", "/", "application/json")) as response:
                    assert response.read() == b"abc"
        finally:
            transport.close()
        assert len(server.requests) == 1
