"""When a watch has failed too often: failures in a row, and what begins the count anew."""

from __future__ import annotations

import inspect
import re
from typing import get_args

from kwatch.lifecycle import HELD_SECONDS, Failures, Lifecycle, LifecycleCause
from kwatch.model import Bookmark, Change, Connected, Listed, Notice, Synced
from kwatch.protocol.decisions import DECISIONS, Move


def failure(cause: str) -> Notice:
    return Notice("", cause=cause)


def test_failures_in_a_row_are_counted_and_orderly_ends_are_not() -> None:
    failures = Failures(3)
    causes = ["CUT", "ENDED", "SERVER_ERROR", "DUE", "UNAUTHORIZED", "UNREACHABLE"]
    assert [failures.take(failure(cause), 0) for cause in causes] == [False, False, False, False, False, True]


def test_whatever_comes_of_the_server_begins_the_count_anew() -> None:
    for news in (Change("ADDED", ("", "a"), "u", "1", None), Bookmark("1"), Listed(1, None), Synced("1", 0, True)):
        failures = Failures(2)
        failures.take(failure("CUT"), 0)
        failures.take(news, 0)
        assert not failures.take(failure("CUT"), 0)
        assert failures.take(failure("CUT"), 0)


def test_a_watch_that_is_accepted_and_breaks_at_once_has_failed_but_not_one_that_held() -> None:
    failures = Failures(2)
    assert not failures.take(failure("CUT"), 0)
    failures.take(Connected("1"), 0)
    assert failures.take(failure("CUT"), HELD_SECONDS - 1)
    failures.take(Connected("1"), 20)
    assert not failures.take(failure("CUT"), 20 + HELD_SECONDS)


def test_a_watch_that_held_in_silence_has_failed() -> None:
    failures = Failures(2)
    for now in (0, 100):
        failures.take(Connected("1"), now)
        enough = failures.take(failure("OVERDUE"), now + 90)
    assert enough


def test_without_a_limit_there_is_no_end() -> None:
    failures = Failures(None)
    assert not any(failures.take(failure("CUT"), 0) for _ in range(100))


def test_the_causes_that_a_type_checker_knows_are_those_that_a_watch_goes_on_after() -> None:
    lasting = {cause.name for cause, rule in DECISIONS.items() if {rule.first, rule.then} != {Move.FAIL}}
    assert set(get_args(LifecycleCause)) == lasting | {""}
    told = re.findall(r"^([A-Z_]+)  ", inspect.getdoc(Lifecycle) or "", re.MULTILINE)
    assert sorted(told) == sorted(lasting)
