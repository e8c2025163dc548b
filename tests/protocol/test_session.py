"""WatchSession: what is asked for, what is handed on, and what is done about each way an exchange can end."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from recordings import body, names, recording

from kwatch.errors import ApiError, Forbidden, KwatchError, NotFound, ProtocolError, Unauthorized, Unreachable
from kwatch.model import Bookmark, Change, Checkpoint, Listed, Notice, Query, Resource, Signal, Synced
from kwatch.protocol.decisions import DECISIONS, Cause
from kwatch.protocol.forms import Known, ObjectForm, TableForm
from kwatch.protocol.session import Request, WatchSession
from kwatch.store import Kept

PODS = Query(Resource("", "v1", "pods", "Pod"), "rec")


def thing(name: str, version: int, uid: str = "", **labels: str) -> dict:
    metadata = {"name": name, "namespace": "rec", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata | ({"labels": labels} if labels else {})}


def listing(version: int | str, *things: dict, token: str = "", remaining: int | None = None) -> bytes:
    metadata = {"resourceVersion": str(version), "continue": token, "remainingItemCount": remaining}
    return json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": things}).encode()


def event(kind: str, value: dict) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}})


def error(code: int, message: str = "", reason: str = "") -> bytes:
    return event("ERROR", {"kind": "Status", "code": code, "message": message, "reason": reason})


class Driver:
    """A session with a clock that the test turns, and what came out of it."""

    def __init__(self, form: ObjectForm | TableForm | None = None, *first: dict, version: int | str = 10) -> None:
        self.session = WatchSession(PODS, form or ObjectForm())
        self.now = 0.0
        self.signals: list[Signal] = []
        if first or version:
            assert self.ask().verb == "list"
            self.page(listing(version, *first))

    def ask(self) -> Request:
        self.request = self.session.next_request(self.now, 0.5)
        self.now += self.request.delay
        self._collect()
        return self.request

    def data(self, *pieces: bytes) -> bool:
        self.session.receive_accepted()
        going_on = all(self.session.receive_data(piece) for piece in pieces)
        self._collect()
        return going_on

    def end(self, cause: Cause = Cause.ENDED, seconds: float = 60.0, error: KwatchError | None = None) -> Request:
        self.session.receive_end(cause, "why", seconds, error)
        return self.ask()

    def status(self, code: int, answer: bytes = b"", wait: float | None = None) -> Request:
        self.session.receive_status(code, answer, wait)
        return self.end(seconds=0.1)

    def page(self, answer: bytes) -> Request:
        self.session.receive_page(answer)
        return self.end(seconds=0.1)

    def _collect(self) -> None:
        self.signals += self.session.signals()

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        return [(one.type, one.key[1], one.version) for one in self.signals if isinstance(one, Change)]

    @property
    def notices(self) -> list[str]:
        return [one.text for one in self.signals if isinstance(one, Notice) and not one.detail]


# What is asked for


def test_the_first_request_is_a_list_in_pages_without_a_resource_version() -> None:
    request = WatchSession(PODS, ObjectForm()).next_request(0, 0)
    assert (request.verb, request.path) == ("list", "/api/v1/namespaces/rec/pods")
    assert request.parameters == {"limit": "500"}


def test_pages_are_asked_for_by_their_token_alone_and_the_last_one_has_none() -> None:
    driver = Driver(version="")
    driver.ask()
    page = driver.page(body("list-page-1"))
    assert page.parameters == {"limit": "500", "continue": json.loads(body("list-page-1"))["metadata"]["continue"]}
    page = driver.page(body("list-page-2"))
    assert page.parameters["continue"] == json.loads(body("list-page-2"))["metadata"]["continue"]
    watch = driver.page(body("list-page-3"))
    assert (watch.verb, watch.parameters["resourceVersion"]) == ("watch", "343")
    assert [change[1] for change in driver.changes] == ["p0", "p1", "p2", "p3", "p4"]
    assert [one for one in driver.signals if isinstance(one, Listed)] == [Listed(2, 3), Listed(4, 1)]
    assert [one for one in driver.signals if isinstance(one, Synced)] == [Synced("343", 5, True)]


def test_the_watch_starts_at_the_lists_version_with_bookmarks_and_a_random_end() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    assert driver.request.parameters == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "10",
        "timeoutSeconds": "450",
    }
    assert driver.request.deadline == 480


def test_selectors_and_a_name_go_to_the_server_in_lists_and_watches() -> None:
    query = Query(PODS.resource, "rec", "p/0", "app=a", "status.phase=Running")
    session = WatchSession(query, ObjectForm())
    expected = {"labelSelector": "app=a", "fieldSelector": "metadata.name=p/0,status.phase=Running"}
    assert expected.items() <= session.next_request(0, 0).parameters.items()
    session.receive_page(listing(10))
    assert expected.items() <= session.next_request(0, 0).parameters.items()


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (Query(Resource("", "v1", "nodes", "Node", namespaced=False)), "/api/v1/nodes"),
        (Query(Resource("apps", "v1", "deployments", "Deployment"), "a"), "/apis/apps/v1/namespaces/a/deployments"),
        (Query(Resource("x.io", "v1", "things", "Thing"), "a/b?ü"), "/apis/x.io/v1/namespaces/a%2Fb%3F%C3%BC/things"),
    ],
)
def test_paths_are_quoted(query: Query, path: str) -> None:
    assert query.path == path


# What is handed on


def test_events_are_handed_on_once_each_and_move_the_resume_point() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    driver.data(event("ADDED", thing("b", 11)), event("MODIFIED", thing("a", 12)), event("DELETED", thing("b", 13)))
    assert driver.changes == [
        ("ADDED", "a", "7"),
        ("ADDED", "b", "11"),
        ("MODIFIED", "a", "12"),
        ("DELETED", "b", "13"),
    ]
    assert driver.end().parameters["resourceVersion"] == "13"
    assert driver.notices == []


def test_a_bookmark_moves_the_resume_point_and_is_no_change() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    driver.data(bookmark(40))
    assert driver.end().parameters["resourceVersion"] == "40"
    assert driver.changes == [("ADDED", "a", "7")]
    assert Bookmark("40") in driver.signals


def test_only_the_first_list_is_initial() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    driver.data(event("ADDED", thing("b", 11)))
    driver.data(error(410))
    driver.ask()
    driver.page(listing(20, thing("a", 7), thing("b", 11), thing("c", 19)))
    initial = {one.key[1]: one.initial for one in driver.signals if isinstance(one, Change)}
    assert initial == {"a": True, "b": False, "c": False}


def test_replayed_events_are_dropped_even_of_what_is_long_deleted() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    lived = [event("ADDED", thing("b", 11)), event("MODIFIED", thing("b", 12)), event("DELETED", thing("b", 13))]
    driver.data(*lived, event("MODIFIED", thing("a", 14)))
    before = list(driver.changes)
    driver.end(Cause.CUT)
    driver.data(event("ADDED", thing("gone", 3)), event("DELETED", thing("gone", 4)), *lived)
    driver.data(event("MODIFIED", thing("a", 14)))
    assert driver.changes == before
    driver.data(event("MODIFIED", thing("a", 15)))
    assert driver.changes == [*before, ("MODIFIED", "a", "15")]


def test_versions_that_are_no_numbers_are_compared_for_equality_alone() -> None:
    driver = Driver(None, version="x1")
    first, second = thing("a", 0), thing("a", 0)
    first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"] = "zz", "aa"
    driver.data(event("ADDED", first), event("ADDED", first), event("MODIFIED", second))
    assert driver.changes == [("ADDED", "a", "zz"), ("MODIFIED", "a", "aa")]
    assert driver.end().parameters["resourceVersion"] == "aa"


def test_a_new_life_under_the_same_name_is_deleted_then_added() -> None:
    driver = Driver(None, thing("a", 7, uid="old"), version=10)
    driver.data(error(410))
    driver.ask()
    driver.page(listing(20, thing("a", 19, uid="new")))
    life = [(one.type, one.uid, one.synthetic) for one in driver.signals if isinstance(one, Change)]
    assert life == [("ADDED", "old", False), ("DELETED", "old", True), ("ADDED", "new", False)]


def test_what_leaves_the_selector_is_deleted_and_may_come_back() -> None:
    driver = Driver(None, thing("a", 7, app="a"), version=10)
    driver.data(event("DELETED", thing("a", 11, app="a")), event("ADDED", thing("a", 12, app="a")))
    assert driver.changes == [("ADDED", "a", "7"), ("DELETED", "a", "11"), ("ADDED", "a", "12")]


def test_a_relist_after_410_is_diffed_and_announced() -> None:
    driver = Driver(None, thing("same", 5), thing("changed", 6), thing("gone", 7), version=10)
    assert driver.data(event("MODIFIED", thing("gone", 11)), body("watch-410-event")) is False
    assert driver.ask().parameters == {"limit": "500"}
    driver.page(listing(30, thing("same", 5), thing("changed", 25), thing("new", 26)))
    relisted = [one for one in driver.signals if isinstance(one, Change)][4:]
    assert [(one.type, one.key[1], one.synthetic) for one in relisted] == [
        ("MODIFIED", "changed", False),
        ("ADDED", "new", False),
        ("DELETED", "gone", True),
    ]
    assert relisted[2].state.object == thing("gone", 11)
    [notice] = driver.notices
    assert "11" in notice
    assert "too old resource version: 1 (968)" in notice
    assert driver.request.parameters["resourceVersion"] == "30"


def test_a_list_that_fails_midway_gives_no_deleted() -> None:
    driver = Driver(None, thing("a", 5), thing("b", 6), version=10)
    driver.data(error(410))
    driver.ask()
    driver.page(listing(20, thing("a", 5), token="next"))
    assert driver.status(500, b"oh").parameters["continue"] == "next"
    driver.end(Cause.CUT)
    assert ("DELETED", "b", "6") not in driver.changes
    driver.page(listing(20, thing("b", 6)))
    assert driver.changes == [("ADDED", "a", "5"), ("ADDED", "b", "6")]


# Cut anywhere


ORDERED = ["watch-objects", "watch-table", "watch-timeout-bookmark", "watch-timeout-bookmark-table", "watch-partial"]


def run(driver: Driver, pieces: Iterable[bytes]) -> list[tuple[str, str, str]]:
    driver.data(*pieces)
    return driver.changes


@pytest.mark.parametrize("name", names("watch"))
def test_a_body_split_at_any_byte_gives_the_same_events(name: str) -> None:
    whole = body(name)
    table = "as=Table" in recording(name)["accept"]

    def handed_on(*pieces: bytes) -> list[Signal]:
        session = WatchSession(PODS, TableForm() if table else ObjectForm())
        session.next_request(0, 0.5)
        session.receive_page(listing(1))
        session.next_request(0, 0.5)
        for piece in pieces:
            session.receive_data(piece)
        return [
            one._replace(state=getattr(one.state, "encoded", one.state), old=None) if isinstance(one, Change) else one
            for one in session.signals()
        ]

    unsplit = handed_on(whole)
    for offset in range(1, len(whole)):
        assert handed_on(whole[:offset], whole[offset:]) == unsplit, offset


@pytest.mark.parametrize("name", ORDERED)
def test_a_stream_cut_at_any_byte_and_resumed_gives_the_same_events(name: str) -> None:
    whole = body(name)
    table = "as=Table" in recording(name)["accept"]
    start = int(recording(name)["request"].split("resourceVersion=")[1])
    lines = whole.splitlines(keepends=True)
    versions = [int(json.loads(line)["object"]["metadata"]["resourceVersion"]) for line in lines]
    header = lines[0] if table else b""

    def driver() -> Driver:
        return Driver(TableForm() if table else None, version=start)

    uncut = run(driver(), [whole])
    assert uncut
    for offset in range(len(whole)):
        cut = driver()
        cut.data(whole[:offset])
        resumed = int(cut.end(Cause.CUT).parameters["resourceVersion"])
        rest = [line for line, version in zip(lines, versions, strict=True) if version > resumed]
        first = [header] if rest and rest[0] != header else []  # a new stream's first frame carries the columns
        assert run(cut, [*first, *rest]) == uncut, offset


# What is done about each end


def test_every_cause_has_a_row_in_the_decision_table() -> None:
    assert set(DECISIONS) == set(Cause)


def test_a_clean_close_is_resumed_at_once_and_without_a_word() -> None:
    driver = Driver(None, version=10)
    driver.data(event("ADDED", thing("a", 11)))
    request = driver.end(Cause.ENDED, 300)
    assert (request.verb, request.parameters["resourceVersion"], request.delay) == ("watch", "11", 0)
    assert driver.notices == []


def test_a_clean_close_amid_a_line_is_a_cut() -> None:
    driver = Driver(None, version=10)
    driver.data(event("ADDED", thing("a", 11)) + b'{"type":"ADD')
    request = driver.end(Cause.ENDED)
    assert request.parameters["resourceVersion"] == "11"
    assert request.delay >= 0.8
    assert "connection lost (amid an event)" in driver.notices[0]


def test_after_a_restart_of_the_server_its_lost_history_is_listed_again_at_once_but_not_twice() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    for _ in range(3):
        assert driver.end(Cause.UNREACHABLE).delay > 0
    request = driver.status(410)
    assert (request.verb, request.delay) == ("list", 0)
    driver.page(listing(11, thing("a", 7)))
    again = driver.status(410)
    assert (again.verb, again.delay > 5) == ("list", True)


@pytest.mark.parametrize("cause", [Cause.CUT, Cause.UNREACHABLE, Cause.UNTRUSTED, Cause.OVERDUE])
def test_a_broken_connection_is_resumed_after_a_growing_pause(cause: Cause) -> None:
    driver = Driver(None, thing("a", 7), version=10)
    delays = []
    for _ in range(8):
        request = driver.end(cause)
        assert (request.verb, request.parameters["resourceVersion"]) == ("watch", "10")
        delays.append(round(request.delay, 2))
    assert delays == [1.2, 2.4, 4.8, 9.6, 19.2, 38.4, 45, 45]
    assert len(driver.notices) == 8
    driver.now += 121
    assert round(driver.end(cause).delay, 2) == 1.2


def test_an_unreachable_server_at_the_start_is_an_error() -> None:
    driver = Driver(version="")
    driver.ask()
    with pytest.raises(Unreachable, match="no way"):
        driver.end(Cause.UNREACHABLE, error=Unreachable("no way"))


@pytest.mark.parametrize(
    ("case", "code", "kind"),
    [("unauthorized-401", 401, Unauthorized), ("forbidden-403", 403, Forbidden),
     ("no-such-resource-404", 404, NotFound), ("bad-label-selector-400", 400, ApiError)],
)  # fmt: skip
def test_a_refusal_at_the_start_is_an_error_that_says_what_and_where(case: str, code: int, kind: type) -> None:
    driver = Driver(version="")
    driver.ask()
    if code == 401:
        assert driver.status(code, body(case)).renew
    with pytest.raises(kind, match=r"^pods in rec: ") as raised:
        driver.status(code, body(case))
    assert raised.value.code == code


def test_credentials_are_renewed_once_then_it_is_an_error() -> None:
    driver = Driver(None, version=10)
    for _ in range(3):
        assert driver.status(401, body("unauthorized-401")).renew
        driver.data(event("ADDED", thing("a", 11)))
        driver.end(Cause.ENDED)
    assert driver.status(401).renew
    with pytest.raises(Unauthorized):
        driver.status(401)


def test_forbidden_later_is_an_error_too() -> None:
    driver = Driver(None, version=10)
    with pytest.raises(Forbidden, match='User "reader" cannot list'):
        driver.status(403, body("forbidden-403"))


def test_not_found_later_backs_off_and_deletes_nothing() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    for _ in range(3):
        request = driver.status(404, body("no-such-resource-404"))
        assert (request.verb, request.delay > 0) == ("list", True)
    driver.page(listing(20, thing("a", 7)))
    assert driver.changes == [("ADDED", "a", "7")]


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured_up_to_a_minute(code: int) -> None:
    driver = Driver(None, version=10)
    assert driver.status(code, b"slow down", wait=7.0).delay == 7
    assert driver.status(code, b"slow down", wait=9999.0).delay == 60
    assert driver.status(code, b"slow down").delay > 0
    assert driver.request.verb == "watch"


@pytest.mark.parametrize("code", [500, 502, 504])
def test_server_errors_are_resumed_after_a_pause(code: int) -> None:
    driver = Driver(None, version=10)
    request = driver.status(code, b"<html>\nbad gateway")
    assert (request.verb, request.delay > 0) == ("watch", True)
    assert f"({code} an HTML page)" in driver.notices[0]


def test_410_again_and_again_is_never_a_tight_loop() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    forms = [body("watch-410-event"), body("watch-410-event-uncached"), body("watch-410-event-table")]
    delays = []
    for form in forms:
        assert driver.data(form) is False
        request = driver.ask()
        assert (request.verb, "resourceVersion" in request.parameters) == ("list", False)
        delays.append(request.delay)
        driver.page(listing(20, thing("a", 7)))
    delays.append(driver.status(410, body("list-410-exact")).delay)
    delays.append(driver.status(410, body("list-410-exact")).delay)
    assert delays[0] == 0
    assert delays[1:] == sorted(delays[1:])
    assert min(delays[1:]) >= 1.6
    assert driver.changes == [("ADDED", "a", "7")]
    assert len(driver.notices) == 5


def test_an_expired_token_starts_the_list_over_in_one_piece() -> None:
    driver = Driver(version="")
    driver.ask()
    driver.page(body("list-page-1"))
    request = driver.status(410, body("list-continue-expired-410"))
    assert request.parameters == {}
    driver.page(listing(20, json.loads(body("list-page-2"))["items"][0]))
    kinds = [(one.type, one.key[1]) for one in driver.signals if isinstance(one, Change)]
    assert kinds == [("ADDED", "p0"), ("ADDED", "p1"), ("ADDED", "p2"), ("DELETED", "p0"), ("DELETED", "p1")]


def test_pages_of_different_versions_are_no_list() -> None:
    driver = Driver(None, thing("a", 5), version=10)
    driver.data(error(410))
    driver.ask()
    driver.page(listing(30, thing("a", 5), token="next"))
    assert driver.page(listing(29, thing("b", 6))).parameters == {}
    assert driver.changes == [("ADDED", "a", "5")]


def test_three_empty_watches_that_close_at_once_make_a_relist() -> None:
    driver = Driver(None, version=10)
    verbs = []
    for _ in range(3):
        driver.session.receive_accepted()
        verbs.append(driver.end(Cause.ENDED, 0.1).verb)
    assert verbs == ["watch", "watch", "list"]


def test_an_empty_watch_that_closes_at_once_is_resumed_after_a_pause() -> None:
    assert Driver(None, version=10).end(Cause.ENDED, 0.1).delay >= 0.8


def test_a_watch_that_stays_silent_to_its_end_makes_a_relist() -> None:
    driver = Driver(None, version=10)
    assert driver.end(Cause.ENDED, 450).verb == "list"


def test_a_version_of_the_future_waits_as_told_and_lists_anew() -> None:
    driver = Driver(None, version=10)
    request = driver.status(504, body("list-rv-too-large-504"))
    assert (request.verb, request.delay) == ("list", 1.0)


def test_a_lower_bookmark_makes_a_full_resync_with_a_warning() -> None:
    driver = Driver(None, thing("a", 7), thing("b", 90), version=100)
    assert driver.data(bookmark(50)) is False
    assert driver.ask().verb == "list"
    driver.page(listing(50, thing("a", 6)))
    assert driver.changes[2:] == [("MODIFIED", "a", "6"), ("DELETED", "b", "90")]
    driver.data(event("ADDED", thing("b", 51, uid="uid-b2")))
    assert driver.changes[-1] == ("ADDED", "b", "51")
    assert len([notice for notice in driver.notices if "went back" in notice]) == 1


def test_a_lower_list_is_a_full_resync_with_a_warning() -> None:
    driver = Driver(None, thing("a", 90), version=100)
    driver.data(error(410))
    driver.ask()
    driver.page(listing(50, thing("a", 40)))
    assert driver.changes[1:] == [("MODIFIED", "a", "40")]
    assert any("went back" in notice for notice in driver.notices)
    assert driver.request.parameters["resourceVersion"] == "50"


@pytest.mark.parametrize(
    "line", [error(500, "etcd", "StorageReadError"), event("PATCHED", thing("a", 11)), b"garbage\n"]
)
def test_what_makes_no_sense_is_resumed_and_relisted_where_it_repeats(line: bytes) -> None:
    driver = Driver(None, version=10)
    assert driver.data(line) is False
    first = driver.ask()
    assert (first.verb, first.parameters["resourceVersion"], first.delay > 0) == ("watch", "10", True)
    assert driver.data(line) is False
    assert driver.ask().verb == "list"
    assert len(driver.notices) == 2


def test_a_page_that_is_no_list_at_the_start_is_an_error() -> None:
    driver = Driver(version="")
    driver.ask()
    with pytest.raises(ProtocolError, match="Kubernetes API server"):
        driver.page(b"<html>log in</html>")


def test_a_list_whose_tokens_repeat_is_started_over_at_a_slowing_pace() -> None:
    driver = Driver(None, thing("a", 7), version=10)
    driver.data(error(410))
    driver.ask()
    following = {"": "t", "t": "u", "u": "t"}
    delays = []
    for _ in range(20):
        driver.page(listing(20, token=following[driver.request.parameters.get("continue", "")]))
        delays.append(driver.request.delay)
    pauses = [delay for delay in delays if delay]
    assert len(pauses) >= len(delays) / 4
    assert max(pauses) >= 30
    assert driver.changes == [("ADDED", "a", "7")]


def test_a_list_without_a_version_can_only_be_listed_again() -> None:
    driver = Driver(version="")
    driver.ask()
    driver.page(listing("", thing("a", 7)))
    assert driver.end(Cause.ENDED, 60).verb == "list"


# A list as a stream (sendInitialEvents)


def streamed() -> Driver:
    driver = Driver(version="")
    driver.session = WatchSession(PODS, ObjectForm(), stream_list=True)
    assert driver.ask().parameters["sendInitialEvents"] == "true"
    return driver


def end_of_initial_events(version: int) -> bytes:
    metadata = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return event("BOOKMARK", {"kind": "Pod", "metadata": metadata})


def test_a_streamed_list_is_a_state_at_its_bookmark_and_not_before() -> None:
    driver = streamed()
    assert driver.request.parameters == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "timeoutSeconds": "600",
    }
    driver.data(event("ADDED", thing("b", 9)), event("ADDED", thing("a", 3)))
    assert driver.session.resume_version == ""
    assert driver.end(Cause.CUT).parameters["sendInitialEvents"] == "true"
    driver.data(event("ADDED", thing("a", 3)))
    assert driver.data(end_of_initial_events(20) + event("MODIFIED", thing("a", 21))) is False
    watch = driver.end()
    assert (watch.verb, watch.parameters["resourceVersion"], watch.delay) == ("watch", "21", 0)
    assert driver.changes == [("ADDED", "b", "9"), ("ADDED", "a", "3"), ("DELETED", "b", "9"), ("MODIFIED", "a", "21")]
    assert [one.objects for one in driver.signals if isinstance(one, Synced)] == [1]


@pytest.mark.parametrize("name", ["watch-initial-events", "watch-initial-events-table"])
def test_a_recorded_streamed_list_is_read(name: str) -> None:
    driver = Driver(version="")
    driver.session = WatchSession(PODS, TableForm() if "table" in name else ObjectForm(), stream_list=True)
    driver.ask()
    driver.data(body(name))
    expected = [line for line in body(name).splitlines() if b'"ADDED"' in line[:20]]
    assert [change[0] for change in driver.changes] == ["ADDED"] * len(expected)
    assert driver.session.resume_version == "381"


def test_a_server_that_refuses_to_stream_a_list_is_asked_for_pages() -> None:
    driver = streamed()
    request = driver.status(422, body("watch-initial-events-bad-422"))
    assert (request.verb, request.parameters, request.delay) == ("list", {"limit": "500"}, 0)
    assert "gave no list as a stream (422 ListOptions" in driver.notices[0]


@pytest.mark.parametrize("cause", [Cause.OVERDUE, Cause.ENDED])
def test_a_server_that_ignores_the_wish_for_a_stream_is_asked_for_pages(cause: Cause) -> None:
    driver = streamed()
    assert driver.request.silence == 30
    driver.data(event("ADDED", thing("a", 3)))
    assert driver.end(cause).verb == "list"
    driver.page(listing(20, thing("a", 3)))
    assert driver.changes == [("ADDED", "a", "3")]


def test_a_relist_is_streamed_too_and_its_versions_are_no_place_to_resume_from() -> None:
    driver = streamed()
    driver.data(event("ADDED", thing("a", 3)) + end_of_initial_events(20))
    driver.end()
    driver.data(error(410))
    assert driver.ask().parameters["sendInitialEvents"] == "true"
    driver.data(event("ADDED", thing("b", 29)))
    assert driver.session.resume_version == "20"
    driver.data(end_of_initial_events(30))
    assert driver.changes == [("ADDED", "a", "3"), ("ADDED", "b", "29"), ("DELETED", "a", "3")]


# Taking over from an earlier watch


def kept(driver: Driver) -> Kept:
    """What the driver's session leaves: its checkpoint, and the objects that its changes add up to."""
    objects = {}
    for one in driver.signals:
        if isinstance(one, Change) and one.type == "DELETED":
            objects.pop(one.key, None)
        elif isinstance(one, Change):
            objects[one.key] = Known(one.uid, one.version, one.state)
    return Kept(driver.session.checkpoint, objects)


class Successor(Driver):
    """A session that goes on from what another one left."""

    def __init__(self, left: Kept) -> None:
        super().__init__(version="")
        self.session = WatchSession(PODS, ObjectForm(), kept=left)


def test_a_watch_that_takes_over_resumes_after_the_last_event_and_knows_the_old_states() -> None:
    first = Driver(None, thing("a", 1), thing("b", 2))
    first.data(event("MODIFIED", thing("a", 11)), event("DELETED", thing("b", 12)))
    second = Successor(kept(first))
    request = second.ask()
    assert (request.verb, request.parameters["resourceVersion"]) == ("watch", "12")
    second.data(event("MODIFIED", thing("a", 11)), event("MODIFIED", thing("a", 13)))
    assert second.changes == [("MODIFIED", "a", "13")]
    [change] = [one for one in second.signals if isinstance(one, Change)]
    assert change.old.object == thing("a", 11)
    assert not change.initial
    assert [one for one in second.signals if isinstance(one, Synced)] == [Synced("12", 1, False)]


def test_where_its_version_is_gone_it_lists_and_hands_on_the_difference_as_no_first_list() -> None:
    first = Driver(None, thing("a", 1), thing("b", 2), thing("c", 3))
    second = Successor(kept(first))
    second.ask()
    assert second.status(410).verb == "list"
    second.page(listing(20, thing("a", 1), thing("b", 15, uid="other"), thing("d", 16)))
    assert second.changes == [("DELETED", "b", "2"), ("ADDED", "b", "15"), ("ADDED", "d", "16"), ("DELETED", "c", "3")]
    assert not any(one.initial for one in second.signals if isinstance(one, Change))


@pytest.mark.parametrize("listed_before", [True, False])
def test_what_was_left_amid_a_list_begins_with_a_list(listed_before: bool) -> None:
    first = Driver(None, *([thing("a", 1)] if listed_before else []), version=10 if listed_before else "")
    if listed_before:
        first.status(410)
    else:
        first.ask()
    first.page(listing(20, thing("a", 15), token="more"))
    left = kept(first)
    assert left.checkpoint == Checkpoint("10" if listed_before else "", True, listed_before)
    second = Successor(left)
    assert second.ask().verb == "list"
    second.page(listing(30, thing("a", 15), thing("b", 21)))
    assert second.changes == [("ADDED", "b", "21")]
    [change] = [one for one in second.signals if isinstance(one, Change)]
    assert change.initial is not listed_before


# What a program may ask for


def driven(**options: float) -> Driver:
    """A driver of a session with these options, after its first list."""
    driver = Driver(None, version="")
    driver.session = WatchSession(PODS, ObjectForm(), **options)
    driver.ask()
    driver.page(listing(10))
    return driver


def test_a_list_is_made_again_when_it_is_due_and_nothing_is_said_of_it() -> None:
    driver = driven(relist_interval=700)
    assert driver.request.parameters["timeoutSeconds"] == "450"
    driver.data(event("ADDED", thing("a", 11)))
    driver.now += 450
    watch = driver.end(Cause.ENDED, 450)
    assert (watch.verb, watch.parameters["timeoutSeconds"]) == ("watch", "250")
    driver.now += 250
    relist = driver.end(Cause.ENDED, 250)
    assert (relist.verb, relist.delay, driver.notices) == ("list", 0, [])
    watch = driver.page(listing(12, thing("a", 11)))
    assert watch.parameters["timeoutSeconds"] == "450"


@pytest.mark.parametrize("cause", [Cause.ENDED, Cause.OVERDUE])
def test_a_list_is_due_though_the_last_watch_before_it_brought_nothing_or_never_ended(cause: Cause) -> None:
    driver = driven(relist_interval=0.5)
    assert driver.request.parameters["timeoutSeconds"] == "1"
    assert driver.end(cause, 31 if cause is Cause.OVERDUE else 1).verb == "list"
    assert driver.notices == []


def test_a_watch_that_breaks_before_the_list_is_due_is_resumed() -> None:
    driver = driven(relist_interval=100)
    assert driver.end(Cause.OVERDUE, 60).verb == "watch"
    assert "the server fell silent" in driver.notices[0]


def test_an_idle_timeout_bounds_the_silence_of_a_watch_and_not_its_length() -> None:
    driver = driven(idle_timeout=90)
    assert (driver.request.silence, driver.request.deadline) == (90, 480)


def test_each_end_of_an_exchange_has_one_notice_that_names_its_cause() -> None:
    driver = Driver(None, version=10)
    driver.data(event("ADDED", thing("a", 11)))
    driver.end(Cause.ENDED, 300)
    driver.end(Cause.CUT)
    driver.status(410)
    told = [one for one in driver.signals if isinstance(one, Notice) and one.cause]
    assert [(one.cause, one.relist) for one in told] == [("ENDED", False), ("CUT", False), ("GONE", True)]
