"""What is written: little, seldom, in one piece, and the terminal is as it was in the end."""

from __future__ import annotations

import pytest
from emulated import Screen, pod

from kwatch.model import Connected
from kwatch.sinks.live.paint import BEGIN_UPDATE, END_UPDATE, HIDE_CURSOR, SHOW_CURSOR


def with_pods(count: int, columns: int = 80, lines: int = 24, **options: object) -> Screen:
    screen = Screen(columns, lines, **options)  # type: ignore[arg-type]
    screen.at_start(*(pod(f"pod-{index:03}", age=90_000 * 3) for index in range(count)))
    screen.tell(Connected("1"))
    screen.wait()
    return screen


def test_nothing_new_writes_nothing() -> None:
    assert with_pods(20).bytes_of(30) == []


def test_a_changed_cell_costs_its_own_bytes_and_little_more() -> None:
    screen = with_pods(20, color=True)
    screen.event("MODIFIED", pod("pod-007", "Error", age=90_000 * 3))
    (written,) = screen.bytes_of(0.1)
    assert b"Error" in written
    assert b"pod-00" not in written
    assert len(written) < 200  # the mark, the cell, and the status line's counts


def test_an_age_costs_a_dozen_bytes_a_second_and_touches_nothing_else() -> None:
    screen = Screen()
    screen.at_start(pod("old", age=90_000 * 3), pod("young", age=20))
    screen.tell(Connected("1"))
    screen.wait()
    for written in screen.bytes_of(10):
        assert len(written) <= 24
        assert b"old" not in written
        assert b"young" not in written


def test_fifty_rows_whose_ages_tick_take_less_than_a_kilobyte_a_second() -> None:
    screen = Screen(200, 55)
    screen.at_start(*(pod(f"a-long-name-of-a-pod-{index:03}", age=20) for index in range(50)))
    screen.wait()
    assert sum(map(len, screen.bytes_of(10))) / 10 < 1000


def test_at_most_ten_redraws_a_second_however_much_happens() -> None:
    screen = with_pods(20)
    writes = 0
    for index in range(400):
        screen.event("MODIFIED", pod(f"pod-{index % 20:03}", restarts=index))
        screen.now = index * 0.0025
        before = len(screen.out.each)
        screen.sink.tick(screen.now)
        writes += len(screen.out.each) - before
    assert 5 <= writes <= 10


def test_a_redraw_is_one_write_and_a_large_one_is_shown_at_once() -> None:
    screen = with_pods(20)
    first = screen.out.each[0].decode()
    assert len(screen.out.each) == 1
    assert first.startswith(HIDE_CURSOR)
    assert first.endswith(END_UPDATE)
    assert BEGIN_UPDATE in first


def test_what_stood_above_stays_there_to_the_end() -> None:
    above = [f"$ line {index}" for index in range(30)]
    screen = Screen(80, 12, above=above)
    screen.at_start(*(pod(f"pod-{index:03}") for index in range(40)))
    screen.wait()
    for index in range(40):
        screen.event("DELETED" if index % 3 else "MODIFIED", pod(f"pod-{index:03}", "Error"))
        screen.wait(0.7)
    last = screen.close()
    history = ["".join(line[column].data for column in range(80)).rstrip() for line in screen.terminal.history.top]
    assert [*history, *last][:30] == above
    assert sum(line.startswith("  NAME") for line in [*history, *last]) == 1


def test_the_last_table_stays_with_the_cursor_below_it_and_to_be_seen() -> None:
    screen = with_pods(3)
    assert screen.terminal.cursor.hidden
    last = screen.close()
    assert [line[2:9] for line in last[1:4]] == ["pod-000", "pod-001", "pod-002"]
    assert last[4].startswith("3 pods in default")
    assert (screen.terminal.cursor.y, screen.terminal.cursor.x) == (5, 0)
    assert not screen.terminal.cursor.hidden
    assert screen.state.restore == b""


def test_a_run_that_drew_nothing_leaves_nothing() -> None:
    screen = Screen()
    screen.sink.close()
    assert screen.out.each == []


def test_while_it_draws_it_is_known_how_to_give_the_terminal_back() -> None:
    screen = with_pods(3)
    assert SHOW_CURSOR.encode() in screen.state.restore


def test_once_continued_the_table_is_drawn_anew_below() -> None:
    screen = with_pods(3)
    screen.seen()
    screen.terminal.reset()
    screen.state.resumed += 1
    assert len(screen.wait(0.1)) == 5
    assert screen.terminal.cursor.hidden


def test_an_end_amid_a_write_writes_no_more() -> None:
    screen = with_pods(3)

    def interrupted(data: bytes) -> int:
        raise KeyboardInterrupt

    screen.out.write = interrupted  # type: ignore[method-assign,assignment]
    screen.event("DELETED", pod("pod-001"))
    try:
        screen.wait(0.1)
    except KeyboardInterrupt:
        screen.sink.close()
    assert screen.state.restore  # for the process to write


@pytest.mark.parametrize("variables", [{"TMUX": "x"}, {"TERM_PROGRAM": "vscode"}, {"TERM": "foot"}])
def test_a_narrower_window_that_reflows_is_cleared_of_what_was_wrapped(variables: dict[str, str]) -> None:
    screen = Screen(100, 24, variables=variables)
    screen.at_start(*(pod(f"a-name-that-is-quite-long-for-a-pod-{index}") for index in range(3)))
    screen.wait()
    widths = [sum(part.width for part in line) for line in screen.sink._painter.lines[:-1]]
    screen.size = (40, 24)
    (written,) = screen.bytes_of(0.1)
    climbed = sum(-(-width // 40) for width in widths)
    assert f"\x1b[{climbed}A".encode() in written
    assert climbed > len(widths)
