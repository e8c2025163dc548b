"""The status line tells the truth about the connection, at any moment, in any width."""

from __future__ import annotations

import re

import pytest
from emulated import DEPLOYMENTS, PODS, Screen, pod

from kwatch.model import Bookmark, Connected, Ended, Listed, Notice, Synced
from kwatch.protocol.decisions import Cause
from kwatch.protocol.forms import TableForm
from kwatch.protocol.session import WatchSession


def watching(columns: int = 120, **options: object) -> Screen:
    screen = Screen(columns, 10, **options)  # type: ignore[arg-type]
    screen.tell(Synced("5", 1, True))
    screen.tell(Connected("5"))
    screen.at_start(pod("a"))
    screen.wait()
    return screen


def state(lines: list[str]) -> str:
    return lines[-1].partition(" events · ")[2]


def fault(cause: Cause, detail: str) -> Notice:
    """The notice that a session gives."""
    session = WatchSession(PODS, TableForm())
    session.receive_page(b'{"kind":"Table","metadata":{"resourceVersion":"5"},"rows":[]}')
    session.next_request(0, 0.5)
    session.receive_end(cause, detail, 9)
    session.next_request(0, 0.5)
    return next(signal for signal in session.signals() if isinstance(signal, Notice) and not signal.detail)


def test_before_anything_is_known_it_says_so() -> None:
    assert Screen(80, 5).wait() == ["0 pods in default · 0 events · connecting"]


def test_a_server_that_does_not_answer_is_waited_for_in_sight() -> None:
    screen = Screen(80, 5)
    screen.wait()
    assert state(screen.wait(4.9)) == "connecting"
    assert state(screen.wait(7.1)) == "connecting for 12s"
    screen.tell(Synced("5", 0, True))
    screen.tell(Connected("5"))
    assert state(screen.wait(0.1)) == "live"


def test_what_is_said_of_the_only_watch_does_not_name_it_again() -> None:
    screen = Screen(80, 5)
    screen.tell(Synced("5", 9, True))
    screen.tell(Connected("5"))
    screen.tell(Notice("pods in default: none of 9 objects passes --where 'A=b'; waiting for one that does"))
    assert state(screen.wait()) == "live (none of 9 objects passes --where 'A=b'; …)"


def test_a_long_list_shows_its_progress() -> None:
    screen = Screen(80, 5)
    screen.tell(Listed(12_500, 37_500))
    assert state(screen.wait()) == "listing pods: 12,500 of about 50,000"
    screen.tell(Listed(13_000, None))
    assert state(screen.wait(0.1)) == "listing pods: 13,000"


def test_a_pause_is_counted_down_with_its_reason() -> None:
    screen = watching()
    assert state(screen.wait(8)) == "live"
    screen.tell(fault(Cause.CUT, "reset by peer"))
    assert state(screen.wait(0.1)) == "reconnecting in 2s · down for 0s (connection lost (reset by peer))"
    assert state(screen.wait(1)) == "reconnecting in 1s · down for 0s (connection lost (reset by peer))"
    assert state(screen.wait(2)) == "reconnecting · down for 2s (connection lost (reset by peer))"
    screen.tell(Connected("5"))
    assert state(screen.wait(0.1)) == "live"


def test_it_is_down_since_the_connection_was_lost_however_often_that_is_tried_again() -> None:
    screen = watching()
    screen.wait(30)
    for _ in range(3):
        screen.tell(fault(Cause.UNREACHABLE, "refused"))
        screen.wait(2.1)
    assert re.search("down for [56]s", screen.seen()[-1])
    screen.tell(Connected("5"))
    screen.tell(Bookmark("6"))
    screen.wait(20)
    screen.tell(fault(Cause.CUT, "x"))
    assert "down for 1s" in screen.wait(2)[-1]


def test_what_fell_silent_is_down_since_its_last_word() -> None:
    screen = watching()
    screen.wait(400)
    screen.tell(fault(Cause.OVERDUE, "x"))
    assert state(screen.wait(1)).startswith("reconnecting in 1s · down for 6m41s (the server fell silent")


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (90, "1 pod · reconnecting in 20s · down for 0s (connection lost (connection reset by peer))"),
        (80, "1 pod · down for 0s, retry in 20s (connection lost (connection reset by peer))"),
        (70, "1 pod · down for 0s, retry in 20s (connection lost (connection rese…)"),
        (60, "1 pod · down for 0s, retry in 20s (connection lost (conne…)"),
        (50, "down for 0s, retry in 20s (connection lost (con…)"),
    ],
)
def test_the_reason_of_a_pause_is_told_where_there_is_little_room(columns: int, line: str) -> None:
    screen = watching(columns)
    screen.tell(Notice("x", 20.0, reason="connection lost (connection reset by peer)"))
    assert screen.wait(0.1)[-1] == line


def test_the_reason_of_a_pause_leaves_room_for_what_is_watched() -> None:
    screen = watching(80)
    screen.wait(37)
    screen.tell(Notice("x", 32.0, reason="the server no longer has the events since then (410)", relist=True))
    line = screen.wait(0.1)[-1]
    assert line.startswith("1 pod · down for 0s, relist in 32s (the server no longer has ")
    assert line.endswith("…)")


def test_a_relist_after_410_is_told_for_a_while() -> None:
    screen = watching()
    screen.tell(fault(Cause.GONE, "410 too old resource version"))
    assert state(screen.wait(0.1)).startswith("listing again · down for")
    screen.tell(Synced("90", 1, False))
    screen.tell(Connected("90"))
    assert state(screen.wait(0.1)) == "live · relisted after 410"
    assert state(screen.wait(11)) == "live"


def test_a_connection_that_stood_and_said_nothing_is_no_word() -> None:
    screen = watching()
    screen.tell(Bookmark("6"))
    screen.wait(4)
    screen.tell(fault(Cause.CUT, "x"))
    screen.wait(3)
    screen.tell(Connected("5"))
    screen.tell(fault(Cause.GONE, "410 too old"))
    assert "down for 3s" in screen.wait(0.1)[-1]


def test_silence_for_longer_than_between_two_bookmarks_is_told() -> None:
    screen = watching()
    screen.wait(60)
    screen.tell(Bookmark("9"))
    assert state(screen.wait(75)) == "live"
    assert state(screen.wait(2)) == "stale for 76s (no word from the server)"
    assert state(screen.wait(10)) == "stale for 86s (no word from the server)"
    screen.event("MODIFIED", pod("a", restarts=1))
    assert screen.wait(0.1)[-1].endswith(" · live")


def test_time_that_the_machine_slept_through_is_silence_too() -> None:
    screen = watching()
    screen.wait(3)
    screen.slept += 8 * 3600
    assert state(screen.wait(0.1)) == "stale for 8h (no word from the server)"


def test_every_notice_of_a_fault_says_what_and_when() -> None:
    told = {
        Cause.OVERDUE: "the server fell silent",
        Cause.UNREACHABLE: "can't connect",
        Cause.SERVER_ERROR: "the server failed",
    }
    for cause, words in told.items():
        screen = watching()
        screen.tell(fault(cause, "x"))
        assert re.fullmatch(rf"reconnecting in 2s · down for 0s \({words} \(x\)\)", state(screen.wait(0.1)))


@pytest.mark.parametrize("columns", [120, 60, 45, 30])
def test_the_state_is_never_pushed_away_by_a_long_reason_nor_by_counts(columns: int) -> None:
    screen = watching(columns)
    for index in range(9):
        screen.event("ADDED", pod(f"b{index}", f"Status{index}", age=0))
    screen.tell(Notice("x", 20.0, reason="connection lost (" + "very " * 50 + "long)"))
    line = screen.wait(0.1)[-1]
    assert re.search("(reconnecting|retry) in 20s", line)
    assert len(line) < columns
    assert len(screen.seen()) == 10


def test_a_warning_of_the_server_is_shown_beside_the_state_and_goes() -> None:
    screen = watching()
    screen.tell(Notice("warning: v1 Pods are \x1b[2Jdeprecated"))
    assert state(screen.wait(0.1)) == "live (warning: v1 Pods are [2Jdeprecated)"
    assert state(screen.wait(31)) == "live"


def test_an_object_that_is_not_there_yet_is_told_while_the_watch_of_it_goes_on() -> None:
    screen = watching()
    screen.tell(Ended('pods "x" not found in namespace default'))
    screen.tell(Connected("5"))
    assert state(screen.wait(0.1)) == 'live (pods "x" not found in namespace default)'


def test_details_for_v_are_no_state() -> None:
    screen = watching()
    screen.tell(Notice("GET /api/v1/pods: 200 in 3 ms", detail=True))
    assert state(screen.wait(0.1)) == "live"


def test_of_several_watches_the_worst_is_named() -> None:
    screen = Screen(120, 12, DEPLOYMENTS, PODS)
    for query in (DEPLOYMENTS, PODS):
        screen.tell(Synced("5", 0, True), query)
        screen.tell(Connected("5"), query)
    assert state(screen.wait()) == "live"
    screen.tell(Notice("x", 5.0, reason="connection lost"), DEPLOYMENTS)
    told = " · 1 of 2 live · deployments.apps in default: reconnecting in 5s · down for 0s (connection lost)"
    assert screen.wait(0.1)[-1].endswith(told)
    screen.tell(Ended("deployments.apps in default: 403 forbidden"), DEPLOYMENTS)
    assert " · 1 of 2 live · deployments.apps in default: given up" in screen.wait(0.1)[-1]


def test_events_are_counted_with_their_rate_and_what_was_there_is_no_event() -> None:
    screen = watching()
    for index in range(50):
        screen.event("MODIFIED", pod("a", restarts=index))
        screen.wait(0.1)
    assert " · 50 events · 9.8/s" in screen.seen()[-1]
    assert re.search(r" · 50 events · live$", screen.wait(10)[-1])


def test_the_end_is_told_too() -> None:
    screen = watching()
    assert re.search(r" · ended \d\d:\d\d:\d\d$", screen.close()[-1])


def test_the_end_of_what_was_stale_says_so() -> None:
    screen = watching()
    screen.tell(Notice("x", 20.0, reason="connection lost"))
    screen.wait(3.1)
    assert re.search(r" · ended \d\d:\d\d:\d\d · was reconnecting in 17s · down for 3s$", screen.close()[-1])


def test_a_run_that_never_heard_of_the_server_leaves_nothing_but_its_error() -> None:
    screen = Screen(80, 5, above=["$ kwatch pods"])
    screen.wait(1)
    assert screen.close() == ["$ kwatch pods"]
    assert not screen.terminal.cursor.hidden
    assert screen.terminal.cursor.y == 1
