"""What `--where` and `--name` let through: how cells are compared, and what enters and leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwatch.errors import UsageError
from kwatch.filters import Filter, OfTypes, Where, parse_where
from kwatch.model import Batch, Change, Column, Notice, Query, Resource, Row, Signal, Synced

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=timezone.utc)
PODS = Query(Resource("", "v1", "pods", "Pod"), "default", cluster="prod")
COLUMNS = (
    Column("Name", format="name"),
    Column("Ready"),
    Column("Status"),
    Column("Restarts"),
    Column("Age"),
    Column("Nominated Node", priority=1),
    Column("Port(s)"),
)


def created(ago: float) -> str:
    return (NOW - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(name: str = "web-0", status: str = "Running", ready: str = "1/1", restarts: object = 0, ago: float = 60) -> Row:
    return Row(COLUMNS, (name, ready, status, restarts, "stale", "<none>", "80/TCP"), created(ago), {})


def holds(text: str, state: Row | None = None, now: datetime = NOW) -> bool:
    state = state or row()
    return parse_where(text).test(PODS, ("default", state.cells[0]), state, now)


def cell_holds(cell: object, condition: str) -> bool:
    """Whether a condition on a column of the server's own making holds for its cell."""
    state = Row((Column("Name"), Column("X")), ("a", cell), "", {})
    return parse_where(f"X{condition}").test(PODS, ("default", "a"), state, NOW)


@pytest.mark.parametrize(
    ("cell", "condition", "expected"),
    [
        ("Running", "=Running", True), ("Running", "==Running", True), ("Running", "= Running ", True),
        ("Running", "=running", False), ("Running", "!=Running", False), ("Pending", "!=Running", True),
        ("CrashLoopBackOff", "=~Back", True), ("CrashLoopBackOff", "!~Back", False),
        ("Running", "=~(?i)^run", True), ("", "=''", True), ("x", "!=''", True),
        (3, ">2", True), (3, ">=3", True), (3, "<3", False), (10, ">9", True), ("10", ">9", True), (3, "=3.0", True),
        ("3 (5m ago)", ">2", True), ("3 (5m ago)", "=3", True), ("12 (5m ago)", "<9", False), (-1, "<0", True),
        ("500m", "<1", True), ("2", ">500m", True), ("1Gi", ">1000Mi", True), ("1G", ">1Gi", False),
        ("1e3", "=1k", True),
        ("10Gi", ">9Gi", True), ("128974848", "=123Mi", True), ("0.5", "=500m", True),
        ("1/3", "<1", True), ("1/3", "<50%", True), ("2/3", "<50%", False), ("3/3", "<1", False),
        ("1/2", ">=50%", True),
        ("1/1", "=1/1", True), ("2/2", "=1/1", False), ("2/2", "!=1/1", True), ("2/2", "=1", False),
        ("1/3", ">1/4", True),
        ("10/10", ">=1", True), ("9/10", "<10/10", True), ("0/0", "<1", False), ("2/0", ">1", True),
        ("73%", ">50", True), ("73%", ">50%", True), ("7%", ">50%", False), ("50%", ">1/3", True),
        ("50%", "=50%", True),
        ("5m", ">300s", False), ("5m1s", ">5m", True), ("3m42s", ">3m", True), ("5h", ">90m", True),
        ("12d", ">1w", True),
        ("1y3d", ">365d", True), ("2d1h", "<50h", True), ("90s", "=1m30s", True), ("7m", ">5m", True),
        ("300ms", "<1s", True),
        ("v1.29.4+k3s1", "<v1.30", True), ("v1.30.0", "<v1.30", False), ("4.14.8", "<4.15", True),
        ("4.9.1", "<4.15", True),
        ("web-10", ">web-9", True), ("b", ">a", True),
        ("<none>", "=<none>", True), ("<none>", "!=<none>", False), ("10.0.0.1", "!=<none>", True),
        ("<none>", ">1", False), ("<none>", "<1", False), ("<unknown>", "<5m", False), ("<unknown>", ">5m", False),
        (None, "=''", True), (None, "=0", False), (None, ">0", False), ("", "<1", False), ("<none>", ">a", False),
        ("<none>", "<a", False),
        (True, "=true", True), ("Running", ">3", False), ("Running", "<3", False), ("1e999999", ">1", False),
        ("9" * 400, ">1", False), ("漢字", "=漢字", True), ("a b", "='a b'", True), ("a b", "=a b", True),
        ("'a'", '="\'a\'"', True), ("x=y", "=x=y", True), ("~a", "= ~a", True),
    ],
)  # fmt: skip
def test_a_cell_is_compared_as_what_it_is(cell: object, condition: str, expected: bool) -> None:
    assert cell_holds(cell, condition) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status=Running", True), ("Status = Running", True), ("NOMINATED NODE=<none>", True),
        ("'NOMINATED NODE'=<none>", True), ("nominated_node=<none>", True), ("Nominated-Node = <none>", True),
        ("PORT(S)=80/TCP", True), ("ports=80/TCP", True), ('"PORT(S)"=~80', True),
        ("NAMESPACE=default", True), ("namespace!=default", False), ("NAME=~^web-", True), ("KIND=Pod", True),
        ("CLUSTER=prod", True), ("cluster!=prod", False), ("NAME=web-00", False),
    ],
)  # fmt: skip
def test_columns_are_named_in_any_case_and_objects_by_what_identifies_them(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_names_are_text_even_where_they_are_numbers() -> None:
    assert not holds("NAME=1", row("01"))
    assert holds("NAME!=1", row("01"))
    assert holds("NAME>9", row("10"))


@pytest.mark.parametrize(
    ("text", "ago", "expected"),
    [
        ("AGE>1h", 3601, True), ("AGE>1h", 3600, False), ("AGE>=1h", 3600, True), ("age<1h", 3599, True),
        ("AGE<=1h", 3600, True), ("AGE>60", 61, True), ("AGE<2d", 86400, True), ("AGE=5m", 300, True),
        ("AGE=5m0s", 300, True), ("AGE=10m", 630, True), ("AGE=~^10m$", 630, True), ("AGE!=10m", 630, False),
    ],
)  # fmt: skip
def test_an_age_is_the_time_since_the_creation_not_the_servers_cell(text: str, ago: float, expected: bool) -> None:
    assert holds(text, row(ago=ago)) is expected


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", 1, "a column's name is missing"),
        ("  =x", 3, "a column's name is missing"),
        ("STATUS", 7, "one of = == != =~ !~ > >= < <= after STATUS"),
        ("STATUS~Running", 7, "one of ="),
        ("STATUS!Running", 7, "one of ="),
        ("'STATUS=x", 1, "a column's name is missing"),
        ("STATUS=", 8, "a value is missing; write ''"),
        ("STATUS= ", 9, "a value is missing"),
        ("RESTARTS=>3", 9, '"=>" is no operator; write ">="'),
        ("RESTARTS=<3", 9, '"=<" is no operator; write "<="'),
        ("STATUS<>Running", 7, '"<>" is no operator; write "!="'),
        ("RESTARTS>>3", 9, '">>" is no operator; write one of '),
        ("STATUS =! Running", 8, '"=!" is no operator; write "!="'),
        ("AGE>5x", 5, "'5x' is no age; write it as 30s, 5m, 2h30m or 7d"),
        ("age <= 'soon'", 9, "'soon' is no age"),
        ("RESTARTS>3 && STATUS=Error", 12, "another --where for what else must hold; a value with && needs quotes"),
        ("STATUS=Failed || STATUS=Error", 15, "=~ takes alternatives, as 'STATUS=~Failed|Error'"),
        ("STATUS='x", 8, "the quote ' isn't closed"),
        ("NAME=~web-(", 11, "not a regular expression: missing )"),
        ("NAME=~ [", 8, "not a regular expression: unterminated character set"),
        ("NAME=~'x('", 9, "not a regular expression: missing )"),
        ("NAME=~*", 7, "not a regular expression: nothing to repeat"),
    ],
)  # fmt: skip
def test_a_bad_condition_is_a_usage_error_that_points_at_the_place(text: str, place: int, reason: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_where(text)
    assert f"at character {place}: " in str(error.value)
    assert reason in str(error.value)


def test_an_unknown_column_names_those_there_are() -> None:
    where = parse_where("STATSU=Running")
    assert not where.known_to(COLUMNS)
    assert not where.test(PODS, ("default", "web-0"), row(), NOW)
    with pytest.raises(UsageError) as error:
        where.check(COLUMNS, "pods")
    assert str(error.value) == (
        "'STATSU=Running': pods have no column \"STATSU\"; did you mean STATUS? "
        "They have NAME, READY, STATUS, RESTARTS, AGE, NOMINATED NODE, PORT(S), NAMESPACE, KIND, CLUSTER"
    )
    parse_where("kind=Pod").check(COLUMNS, "pods")


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        where = parse_where(text)
    except UsageError:
        return
    assert str(where) == text
    assert where.test(PODS, ("default", "web-0"), row(), NOW) in (True, False)


@given(st.text(max_size=20), st.sampled_from(("=", "!=", ">", ">=", "<", "<=")), st.text(max_size=20))
def test_any_cell_can_be_compared_with_any_value(cell: str, sign: str, value: str) -> None:
    try:
        parse_where(f"X{sign}{value}")
    except UsageError:
        return
    assert cell_holds(cell, f"{sign}{value}") in (True, False)


# What enters and leaves


def change(kind: str, state: Row, old: Row | None = None, **more: bool) -> Change:
    return Change(kind, ("default", str(state.cells[0])), "uid", "1", state, old, **more)  # type: ignore[arg-type]


class Filtered:
    """A filter over pods, its clock turned by hand, and what it hands on."""

    def __init__(self, *wheres: str, names: Sequence[str] = ()) -> None:
        self.now = NOW
        self.stage = Filter([PODS], [parse_where(text) for text in wheres], names, lambda: self.now)

    def take(self, *signals: Signal) -> list[Change]:
        return [one for one in self.signals(*signals) if isinstance(one, Change)]

    def signals(self, *signals: Signal) -> list[Signal]:
        return [one for batch in self.stage.take(Batch(PODS, signals)) for one in batch.signals]

    def after(self, seconds: float) -> list[Change]:
        """What passes because it is so many seconds after the start."""
        self.now = NOW + timedelta(seconds=seconds)
        return [one for batch in self.stage.tick() for one in batch.signals if isinstance(one, Change)]


BAD, GOOD = row(status="CrashLoopBackOff"), row(status="Running")


@pytest.mark.parametrize(
    ("given_change", "expected"),
    [
        (change("ADDED", GOOD), None),
        (change("ADDED", BAD, initial=True), ("ADDED", BAD, None, False)),
        (change("MODIFIED", BAD, GOOD), ("ADDED", BAD, None, False)),
        (change("MODIFIED", BAD, BAD), ("MODIFIED", BAD, BAD, False)),
        (change("MODIFIED", GOOD, BAD), ("DELETED", GOOD, BAD, True)),
        (change("MODIFIED", GOOD, GOOD), None),
        (change("DELETED", BAD, BAD), ("DELETED", BAD, BAD, False)),
        (change("DELETED", GOOD, BAD), ("DELETED", GOOD, BAD, False)),
        (change("DELETED", BAD, GOOD), None),
        (change("DELETED", GOOD, GOOD), None),
        (change("DELETED", BAD), ("DELETED", BAD, None, False)),
    ],
)
@pytest.mark.parametrize("also", [(), ("AGE>=0s",)], ids=["stateless", "remembering"])
def test_entering_is_an_added_and_leaving_a_deleted(
    given_change: Change, expected: tuple[str, Row, Row | None, bool] | None, also: tuple[str, ...]
) -> None:
    filtered = Filtered("STATUS!=Running", *also)
    if given_change.old is not None:
        filtered.take(change("ADDED", given_change.old))
    elif given_change.type == "DELETED" and also:
        expected = None  # what was never added can't be remembered
    found = filtered.take(given_change)
    assert [(one.type, one.state, one.old, one.synthetic) for one in found] == ([expected] if expected else [])


def test_all_conditions_must_hold_and_one_of_the_names() -> None:
    changes = [change("ADDED", row(name, restarts=count)) for name, count in (("web-0", 5), ("db-0", 5), ("web-1", 0))]
    found = Filtered("STATUS=Running", "RESTARTS>3", names=["web-*", "cache-?"]).take(*changes)
    assert [one.key[1] for one in found] == ["web-0"]
    assert [one.key[1] for one in Filtered(names=["*-0"]).take(*changes)] == ["web-0", "db-0"]


def test_time_alone_brings_an_object_in() -> None:
    filtered = Filtered("AGE>1h")
    old = row(ago=3590)
    assert filtered.take(change("ADDED", old, initial=True)) == []
    assert filtered.after(9) == []
    [entered] = filtered.after(11)
    assert (entered.type, entered.key, entered.state, entered.initial) == ("ADDED", ("default", "web-0"), old, False)
    assert filtered.after(86400) == []
    assert [one.type for one in filtered.take(change("DELETED", old, old))] == ["DELETED"]


def test_time_alone_takes_an_object_out() -> None:
    filtered = Filtered("AGE<=1m", "STATUS=Running")
    state = row(ago=50)
    assert [one.type for one in filtered.take(change("ADDED", state))] == ["ADDED"]
    [left] = filtered.after(10.02)
    assert (left.type, left.synthetic) == ("DELETED", True)
    assert filtered.after(11) == []
    assert filtered.take(change("MODIFIED", state, state)) == []
    assert filtered.take(change("DELETED", state, state)) == []


def test_an_age_as_printed_is_looked_at_each_second_and_once_however_often_the_object_changed() -> None:
    filtered = Filtered("AGE=~^2m")
    assert filtered.take(*[change("MODIFIED", row(ago=117), row(ago=117))] * 50) == []
    found = [(second, one.type) for second in range(1, 90) for one in filtered.after(second + 0.1)]
    assert found == [(3, "ADDED"), (63, "DELETED")]


def test_what_turns_old_at_this_very_moment_is_seen_to_leave() -> None:
    filtered = Filtered("AGE<=1m")
    assert [one.type for one in filtered.take(change("ADDED", row(ago=60)))] == ["ADDED"]
    assert [one.type for one in filtered.after(0.1)] == ["DELETED"]


def test_the_past_changes_of_an_object_cost_nothing_as_time_passes() -> None:
    class Counting:
        on_age, tests = True, 0

        def test(self, *_: object) -> bool:
            self.tests += 1
            return False

        def due(self, *_: object) -> float:
            return 1.0

        def known_to(self, _: object) -> bool:
            return True

    counting, now = Counting(), NOW
    filter = Filter([PODS], [counting], (), lambda: now)  # type: ignore[list-item]
    filter.take(Batch(PODS, [change("MODIFIED", row(), row())] * 50))
    for second in range(1, 4):
        now = NOW + timedelta(seconds=2 * second)
        filter.tick()
    assert counting.tests == 50 + 3


def test_a_column_that_no_type_has_is_an_error_as_soon_as_the_columns_are_known() -> None:
    with pytest.raises(UsageError, match="pods have no column"):
        Filtered("STATSU=x").take(change("ADDED", row()))
    with pytest.raises(UsageError, match="pods have no column"):
        Filtered("STATSU=x").take(Synced("1", 0, True, COLUMNS))
    assert Filtered("STATUS=x").take(Synced("1", 0, True, COLUMNS)) == []


def test_of_several_types_one_must_have_the_column_and_the_others_never_pass() -> None:
    nodes = Query(Resource("", "v1", "nodes", "Node", namespaced=False))
    node = Row((Column("Name"), Column("Version")), ("a", "v1.30"), "", {})
    filter = Filter([PODS, nodes], [parse_where("VERSION!=v1.29")], (), lambda: NOW)
    [first] = filter.take(Batch(PODS, [change("ADDED", row())]))
    [second] = filter.take(Batch(nodes, [change("ADDED", node)]))
    assert (list(first.signals), [one.type for one in second.signals]) == ([], ["ADDED"])
    filter = Filter([PODS, nodes], [parse_where("FOO=1")], (), lambda: NOW)
    filter.take(Batch(PODS, [Synced("1", 0, True, COLUMNS)]))
    with pytest.raises(UsageError, match="nodes have no column"):
        filter.take(Batch(nodes, [Synced("1", 0, True, node.columns)]))


def test_who_sees_nothing_is_told_why() -> None:
    filtered = Filtered("STATUS=Failed", names=["web-*"])
    signals = filtered.signals(change("ADDED", row()), change("ADDED", row("web-1")), Synced("1", 2, True, COLUMNS))
    [notice] = [one.text for one in signals if isinstance(one, Notice)]
    assert notice.endswith(
        ": none of 2 objects passes --name 'web-*' --where 'STATUS=Failed'; waiting for one that does"
    )
    assert not any(isinstance(one, Notice) for one in Filtered().signals(change("ADDED", row()), Synced("1", 1, True)))
    assert not any(isinstance(one, Notice) for one in Filtered().signals(Synced("1", 0, True, COLUMNS)))


def test_of_several_watches_one_notice_says_so_once_all_have_listed() -> None:
    others = [Query(PODS.resource, namespace) for namespace in ("a", "b")]
    filter = Filter(others, [parse_where("STATUS=Failed")], (), lambda: NOW)
    said = []
    for query in others:
        [batch] = filter.take(Batch(query, [change("ADDED", row()), Synced("1", 1, True, COLUMNS)]))
        said.append([one.text for one in batch.signals if isinstance(one, Notice)])
    assert said == [[], ["2 watches: none of 2 objects passes --where 'STATUS=Failed'; waiting for one that does"]]


def test_types_leave_out_the_other_events_and_no_signal() -> None:
    synced = Synced("1", 1, True)
    signals = [change("ADDED", GOOD), synced, change("MODIFIED", BAD, GOOD), change("DELETED", BAD, BAD)]
    [batch] = OfTypes(["DELETED", "ADDED"]).take(Batch(PODS, signals))
    assert list(batch.signals) == [signals[0], synced, signals[3]]


HISTORY = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["Running", "Failed", "gone"]), st.integers(0, 100)),
    max_size=30,
)


@given(HISTORY, st.sampled_from([("STATUS=Failed",), ("AGE>1m",), ("AGE<2m", "STATUS=Failed"), ("STATUS!=Failed",)]))
def test_replaying_what_passed_gives_the_filtered_state(
    history: list[tuple[str, str, int]], texts: tuple[str, ...]
) -> None:
    wheres, filtered = [parse_where(text) for text in texts], Filtered(*texts)
    after = 0.5  # ages are looked at between two seconds: at a limit itself the filter waits a hundredth to be sure
    server: dict[str, Row] = {}
    replayed: dict[str, Row] = {}
    for name, status, pause in history:
        after += pause
        replay(replayed, filtered.after(after))
        old = server.pop(name, None)
        if status != "gone":
            server[name] = row(name, status)._replace(created=old.created if old else row(ago=-after).created)
            replay(replayed, filtered.take(change("MODIFIED" if old else "ADDED", server[name], old)))
        elif old:
            replay(replayed, filtered.take(change("DELETED", old, old)))
        assert replayed == expected(server, wheres, filtered.now)


def expected(server: dict[str, Row], wheres: Sequence[Where], now: datetime) -> dict[str, Row]:
    return {
        name: state
        for name, state in server.items()
        if all(where.test(PODS, ("default", name), state, now) for where in wheres)
    }


def replay(state: dict[str, Row], changes: Sequence[Change]) -> None:
    for one in changes:
        name = one.key[1]
        assert (name in state) is (one.type != "ADDED"), one
        if one.type == "DELETED":
            del state[name]
        else:
            state[name] = one.state
