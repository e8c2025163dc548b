"""LineDecoder: bytes to lines, whatever pieces they come in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwatch.errors import FrameTooLong
from kwatch.protocol.lines import LineDecoder


def lines_of(pieces: list[bytes]) -> list[str]:
    decoder = LineDecoder()
    return [line.decode() for piece in pieces for line in decoder.feed(piece)]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


odd = st.sampled_from(["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\r", "é", "漢", "🚀", "\\ud800", '"', "{", "\\n"])
text = st.lists(odd | st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30).map("".join)


@given(
    st.lists(text, max_size=8), st.sampled_from(["\n", "\r\n", "\n\n", "\n\r\n"]), st.lists(st.integers(0), max_size=20)
)
def test_lines_do_not_depend_on_where_the_bytes_are_split(contents: list[str], end: str, cuts: list[int]) -> None:
    stream = "".join(content + end for content in contents).encode()
    expected = [line for line in stream.decode().split("\n") if line and line != "\r"]
    assert lines_of(pieces(stream, cuts)) == expected
    assert lines_of([stream[index : index + 1] for index in range(len(stream))]) == expected


def test_next_line_and_line_separator_are_part_of_the_line() -> None:
    assert lines_of(['{"a":"x\x85y\u2028z"}\n'.encode()]) == ['{"a":"x\x85y\u2028z"}']


def test_blank_lines_and_carriage_returns_alone_are_no_lines() -> None:
    assert lines_of([b"\n\r\n", b"{}\r\n\n"]) == ["{}\r"]


def test_what_follows_the_last_line_end_is_no_line_but_is_noticed() -> None:
    decoder = LineDecoder()
    assert decoder.feed(b'{"a":1}\n{"b"') == [b'{"a":1}']
    assert decoder.unfinished
    assert decoder.feed(b":2}\n") == [b'{"b":2}']
    assert not decoder.unfinished


def test_an_unfinished_code_point_at_the_end_is_noticed_with_its_line() -> None:
    decoder = LineDecoder()
    decoder.feed('{"a":"é'.encode()[:-1])
    assert decoder.unfinished


def test_a_line_without_end_is_an_error_before_it_fills_the_memory() -> None:
    decoder = LineDecoder(limit=1000)
    for _ in range(15):
        decoder.feed(b"x" * 64)
    with pytest.raises(FrameTooLong):
        decoder.feed(b"x" * 64)


def test_a_line_within_the_limit_may_follow_another() -> None:
    decoder = LineDecoder(limit=10)
    assert [line for _ in range(5) for line in decoder.feed(b"12345678\n")] == [b"12345678"] * 5
