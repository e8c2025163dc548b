"""What is kept as events come is what one would get by looking at all rows anew."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from emulated import PODS, START, change, pod
from hypothesis import given, settings
from hypothesis import strategies as st

from kwatch.columns import View, width
from kwatch.model import Column, Resource
from kwatch.sinks.live.health import PATIENCE_SECONDS, Health, Judge, word_health
from kwatch.sinks.live.model import LINGER_SECONDS, RECENT, Table
from kwatch.sinks.live.nodes import node_of
from kwatch.sinks.live.screen import cut, cut_middle
from kwatch.sorting import order

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ADDED", "MODIFIED", "MODIFIED", "DELETED"]),
        st.integers(0, 12),
        st.sampled_from(["Running", "Pending", "Error", "Completed"]),
        st.integers(0, 3),
        st.sampled_from([0.0, 0.0, 1.0, 6.0, 61.0]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from(["", "restarts", "status"]))
def test_counts_order_health_and_groups_are_as_if_made_anew(script: list, sort_by: str) -> None:
    key = partial(order(sort_by).key, PODS) if sort_by else None
    table, now = Table(PODS.resource, View(wide=True), key, node_of), 0.0
    alive: dict[tuple, tuple] = {}
    gone: dict[tuple, float] = {}
    since: dict[tuple, float] = {}
    for kind, index, status, restarts, pause, initial in script:
        now += pause
        row = pod(
            f"p-{index}", status, "1/1" if status == "Running" else "0/1", restarts, age=0, node=f"n-{restarts % 2}"
        )
        ident = ("c", "default", f"p-{index}")
        table.apply("c", [change(kind, row, initial=initial and kind == "ADDED")], now, START)
        if kind != "DELETED":
            if ident not in alive or alive[ident][0] != status:
                since[ident] = now
            alive[ident] = (status, restarts)
            gone.pop(ident, None)
        elif alive.pop(ident, None):
            gone[ident] = now
        table.expire(now)
        gone = {each: at for each, at in gone.items() if now < at + LINGER_SECONDS}
        assert {key: count for key, count in table.counts.items() if count} == Counter(
            word for word, _ in alive.values()
        )
        assert table.entries.keys() == alive.keys() | gone.keys()
        assert table.places == sorted(entry.place for entry in table.entries.values())
        assert len(table) == len(alive)
        pending = {
            each for each, (word, _) in alive.items() if word == "Pending" and now >= since[each] + PATIENCE_SECONDS
        }
        assert set(table.unhealthy) == {each for each, (word, _) in alive.items() if word == "Error"} | pending
        groups = {each: f"n-{restarts % 2}" for each, (_, restarts) in alive.items()}
        assert {key[1]: count for key, count in table.members.items() if count} == Counter(groups.values())
        assert sum(table.by_health.values()) == len(alive)
        assert set(table.recent) <= table.entries.keys()


def test_what_is_remembered_of_changes_is_bounded() -> None:
    table = Table(PODS.resource, View())
    for index in range(3 * RECENT):
        table.apply("", [change("ADDED", pod(f"p-{index}"))], index / 100, START)
    assert len(table.recent) == RECENT


def test_many_rows_go_at_once() -> None:
    table = Table(PODS.resource, View())
    table.apply("", [change("ADDED", pod(f"p-{index:04}"), initial=True) for index in range(2000)], 0, START)
    table.apply("", [change("DELETED", pod(f"p-{index:04}")) for index in range(1990)], 1, START)
    assert not table.expire(5)
    assert table.expire(6.1)
    assert [ident[2] for ident in table.idents()] == [f"p-{index}" for index in range(1990, 2000)]


@pytest.mark.parametrize(
    ("kind", "word", "health"),
    [
        ("Pod", "Running", Health.GOOD),
        ("Pod", "Completed", Health.DONE),
        ("Pod", "Init:0/2", Health.BUSY),
        ("Pod", "Init:CrashLoopBackOff", Health.BAD),
        ("Pod", "CrashLoopBackOff", Health.BAD),
        ("Pod", "ImagePullBackOff", Health.BAD),
        ("Pod", "Evicted", Health.BAD),
        ("Pod", "NotReady", Health.BAD),
        ("Pod", "SomethingNew", Health.BAD),
        ("Node", "Ready", Health.GOOD),
        ("Node", "NotReady,SchedulingDisabled", Health.BAD),
        ("Node", "Ready,SchedulingDisabled", Health.WARN),
        ("Job", "Failed", Health.BAD),
        ("Event", "Warning", Health.WARN),
        ("PersistentVolumeClaim", "Bound", Health.GOOD),
        ("PersistentVolumeClaim", "Pending", Health.BUSY),
        ("PersistentVolumeClaim", "Lost", Health.BAD),
        ("Application", "Degraded", Health.BAD),
        ("Anything", "SyncFailed", Health.BAD),
        ("Anything", "Whatever", Health.GOOD),
    ],
)
def test_words(kind: str, word: str, health: Health) -> None:
    assert word_health(kind, word) is health


@pytest.mark.parametrize(
    ("kind", "columns", "cells", "word", "health"),
    [
        ("Deployment", "Name Ready Age", ("a", "0/3", ""), "not ready", Health.BUSY),
        ("Deployment", "Name Ready Age", ("a", "3/3", ""), "ready", Health.GOOD),
        ("ReplicaSet", "Name Desired Current Ready", ("a", 4, 4, 2), "not ready", Health.BUSY),
        ("ReplicaSet", "Name Desired Current Ready", ("a", 0, 0, 0), "ready", Health.GOOD),
        ("Certificate", "Name Ready Secret", ("a", "False", "s"), "not ready", Health.BUSY),
        ("Certificate", "Name Ready Secret", ("a", "Unknown", "s"), "not ready", Health.BAD),
        ("Pod", "Name Ready Status", ("a", "0/1", "Completed"), "Completed", Health.DONE),
        ("Pod", "Name Ready Status", ("a", "1/2", "Running"), "Running", Health.BUSY),
        ("Service", "Name Type", ("a", "Failed"), "", Health.GOOD),
        ("Event", "Name Type", ("a", "Warning"), "Warning", Health.WARN),
        ("ConfigMap", "Name Data", ("a", 3), "", Health.GOOD),
        ("Pod", "Name Ready Status", ("a",), "", Health.BAD),
        ("Odd", "Name Status", ("a", ["x"]), "[x]", Health.GOOD),
    ],
)
def test_rows_are_judged_by_their_words_and_numbers(
    kind: str, columns: str, cells: tuple, word: str, health: Health
) -> None:
    judge = Judge(Resource("", "v1", "x", kind), [Column(name) for name in columns.split()])
    verdict = judge(cells)
    assert (verdict.word, verdict.health) == (word, health)
    assert judge(cells) == verdict


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), st.integers(0, 12))
def test_what_is_cut_is_never_wider_than_asked_for(text: str, columns: int) -> None:
    assert width(cut(text, columns)) <= max(columns, 0)
    assert width(cut_middle(text, columns)) <= max(columns, 0)


def test_no_letter_is_cut_from_its_marks_nor_a_family_apart() -> None:
    assert cut("e\u0301e\u0301e\u0301", 2) == "e\u0301…"
    assert cut("👨\u200d👩\u200d👧👨\u200d👩\u200d👧", 3) == "👨\u200d👩\u200d👧…"
    assert cut("🇩🇪🇫🇷🇮🇹", 5) == "🇩🇪🇫🇷…"
    assert cut_middle("漢字漢字漢字", 7) == "漢字…字"
