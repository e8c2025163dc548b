"""A Wait fed by hand: what order and company of signals may not change."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from kwatch.conditions.predicates import parse_condition
from kwatch.conditions.verdict import Moment
from kwatch.conditions.wait import Plan, Wait
from kwatch.model import Change, Query, Resource, Synced

PODS = Query(Resource("", "v1", "pods", "Pod"), "default", label_selector="app=web")
NOON = Moment(0.0, datetime(2026, 1, 1, 12, tzinfo=timezone.utc))


def change(kind: Any, version: str) -> Change:
    value = {"kind": "Pod", "metadata": {"name": "web-0", "namespace": "default", "uid": "1"}}
    return Change(kind, ("default", "web-0"), "1", version, SimpleNamespace(object=value))


def test_an_answer_that_nobody_waits_for_any_more_is_no_object_of_its_own() -> None:
    waiting = Wait(Plan((parse_condition("condition=Ready"),)), [PODS], 0.0)
    waiting.take(PODS, [change("ADDED", "1"), Synced("1", 1, True)], NOON)
    waiting.take(PODS, [change("DELETED", "2")], NOON)
    (reading,), _ = waiting.wanted()
    waiting.take(PODS, [change("ADDED", "3")], NOON)  # it entered the selector again
    waiting.take(reading, [change("ADDED", "3"), Synced("3", 1, True)], NOON)
    assert len(waiting.results(NOON)) == 1


def test_a_question_that_was_taken_back_before_it_was_asked_is_not_asked() -> None:
    waiting = Wait(Plan((parse_condition("condition=Ready"),)), [PODS], 0.0)
    waiting.take(PODS, [change("ADDED", "1"), Synced("1", 1, True)], NOON)
    waiting.take(PODS, [change("DELETED", "2"), change("ADDED", "3")], NOON)
    assert waiting.wanted() == ([], [])
