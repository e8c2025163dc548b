"""Each fault, as it is on the wire."""

from __future__ import annotations

import json
import time
import zlib

import pytest
from polling import eventually
from sandbox.wire import pod

from kwatch.sandbox import Fault

PODS = "/api/v1/pods"
WATCH = "/api/v1/pods?watch=1&timeoutSeconds=5"


@pytest.fixture
def whole(cluster, client):
    """The undisturbed bytes of a watch of three pods."""
    for number in range(3):
        cluster.create("pods", pod(f"p{number}", annotations={"greeting": "héllo 漢字 🚀"}))
    answer = client.stream(WATCH)
    answer.read_events(3)
    return answer.body


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 1000, 2047, 2048, 2049])
def test_a_cut_ends_the_connection_after_exactly_so_many_bytes(server, client, whole, cut):
    server.script(Fault(cut=cut))
    answer = client.stream(WATCH).read()
    assert (answer.body, answer.end) == (whole[:cut], "eof")


def test_a_cut_at_every_offset_of_an_event_delivers_that_prefix(server, client, whole):
    server.script(Fault(cut=3, times=None))
    for _ in range(3):
        assert client.stream(WATCH).read().body == whole[:3]
    server.clear_script()
    for cut in range(0, 120, 7):
        server.script(Fault(cut=cut))
        assert client.stream(WATCH).read().body == whole[:cut]


def test_a_reset_is_an_rst(server, client, whole):
    server.script(Fault(cut=50, reset=True))
    answer = client.stream(WATCH).read()
    assert answer.end == "reset"
    assert whole.startswith(answer.body)


def test_a_cut_of_a_list_is_a_short_body(cluster, server, client, whole):
    server.script(Fault("list", cut=20))
    answer = client.open(PODS)
    answer.read_head()
    answer.read()
    assert (len(answer.body), answer.end) == (20, "eof")
    assert client.get(PODS).end == "complete"


@pytest.mark.parametrize("at", [0, 33])
def test_a_stall_sends_nothing_more_and_keeps_the_connection(server, client, whole, at):
    server.script(Fault(stall=True, at=at))
    answer = client.stream(WATCH)
    answer.read(patience=0.4)
    assert (answer.body, answer.end) == (whole[:at], None)
    answer.close()
    eventually(lambda: server.connections == 1)  # that of `whole`


def test_held_headers_come_with_the_first_event(cluster, server, client):
    server.script(Fault(hold_headers=True))
    answer = client.open(WATCH)
    eventually(lambda: server.watches == 1)
    assert not answer.read_head(patience=0.3)
    cluster.create("pods", pod("p"))
    assert answer.read_head()
    assert answer.read_events(1)[0]["type"] == "ADDED"


def test_headers_held_for_ever_never_come(cluster, server, client, whole):
    server.script(Fault(hold_headers=True, stall=True))
    answer = client.open(WATCH)
    assert not answer.read_head(patience=0.4)
    assert answer.end is None


def test_a_status_answers_in_place_of_the_api(server, client):
    server.script(
        Fault("list", status=503, headers={"Retry-After": "7"}), Fault("list", status=429, body="slow down\n")
    )
    first, second, third = (client.get(PODS) for _ in range(3))
    assert (first.status, first.headers["Retry-After"], first.json["reason"]) == (503, "7", "ServiceUnavailable")
    assert (second.status, second.body) == (429, b"slow down\n")
    assert second.headers["Content-Type"].startswith("text/plain")
    assert third.status == 200


def test_a_status_may_have_a_body_of_its_own(server, client):
    server.script(Fault("get", status=418, body={"teapot": True}))
    assert client.get("/api/v1/namespaces/default/pods/x").json == {"teapot": True}


def test_expire_is_an_error_event_under_200(server, client):
    server.script(Fault(expire=True))
    answer = client.stream(WATCH).read()
    event = answer.json
    assert (answer.status, answer.end, event["type"], event["object"]["code"]) == (200, "complete", "ERROR", 410)


def test_gone_is_an_http_status(server, client):
    server.script(Fault(gone=True), Fault("list", expire=True))
    assert (client.get(WATCH).status, client.get(PODS).status) == (410, 410)


def test_replay_sends_the_events_before_the_asked_version_again(cluster, server, client, whole):
    version = cluster.resource_version
    server.script(Fault(replay=2))
    answer = client.stream(f"{WATCH}&resourceVersion={version}")
    cluster.create("pods", pod("p3"))
    names = [event["object"]["metadata"]["name"] for event in answer.read_events(3)]
    assert names == ["p1", "p2", "p3"]


def test_bookmarks_can_be_dropped(cluster, server, client, whole):
    query = "&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    server.bookmark_interval = 0.1
    server.script(Fault(bookmarks=False))
    answer = client.stream(WATCH + query)
    answer.read(patience=0.5)
    assert {event["type"] for event in answer.events} == {"ADDED"}
    second = client.stream(WATCH + query).read(lambda answer: answer.body.count(b"BOOKMARK") >= 3)
    assert [event["type"] for event in second.events].count("BOOKMARK") >= 3


@pytest.mark.parametrize("size", [1, 7, 500])
def test_a_split_sends_pieces_of_that_size_each_a_chunk(server, client, whole, size):
    server.script(Fault(split=size, cut=len(whole)))
    answer = client.stream(WATCH).read()
    assert answer.body == whole
    assert {len(chunk) for chunk in answer.chunks[:-1]} == {size}


def test_every_code_point_can_be_split(server, client, whole):
    server.script(Fault(split="codepoint", cut=len(whole)))
    answer = client.stream(WATCH).read()
    assert answer.body == whole
    broken = sum(chunk[-1] >= 0xC0 for chunk in answer.chunks)
    assert broken == sum(ord(char) > 127 for char in whole.decode())


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_the_framing_can_be_chosen_and_the_body_is_the_same(server, client, whole, framing):
    server.script(Fault(framing=framing, cut=len(whole)))
    answer = client.stream(WATCH).read()
    assert answer.body == whole
    assert ("Transfer-Encoding" in answer.headers, "Content-Length" in answer.headers) == (
        framing == "chunked",
        framing == "length",
    )


def test_a_body_of_known_length_is_what_is_there_and_then_it_ends(cluster, server, client, whole):
    server.script(Fault(framing="length"))
    answer = client.stream(WATCH).read()
    assert (answer.body, answer.end) == (whole, "complete")


def test_a_length_can_claim_more_than_is_sent(server, client, whole):
    server.script(Fault(framing="length", short=10))
    answer = client.stream(WATCH).read()
    assert (int(answer.headers["Content-Length"]), len(answer.body), answer.end) == (len(whole) + 10, len(whole), "eof")


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
@pytest.mark.parametrize("cut", [None, 100])
def test_gzip_can_be_decoded_as_far_as_it_came(server, client, whole, framing, cut):
    server.script(Fault(gzip=True, framing=framing, cut=cut, split=11))
    answer = client.stream(WATCH)
    assert answer.headers["Content-Encoding"] == "gzip"
    answer.read(patience=0.5)
    assert zlib.decompressobj(wbits=31).decompress(answer.body) == whole[:cut]
    if framing == "length" and cut is None:
        assert answer.end == "complete"


def test_empty_is_a_200_that_closes_at_once(server, client, whole):
    server.script(Fault(empty=True))
    answer = client.stream(WATCH).read()
    assert (answer.status, answer.body, answer.end) == (200, b"", "complete")
    assert answer.headers["Connection"] == "close"


def test_garbage_comes_as_a_line_before_the_events(server, client, whole):
    garbage = b"\xff\xfe not json"
    server.script(Fault(garbage=garbage, cut=len(garbage) + len(whole)))
    assert client.stream(WATCH).read().body == garbage + b"\n" + whole[:-1]


def test_a_dribble_of_spaces_never_makes_a_line(server, client, whole):
    server.script(Fault(stall=True, dribble=0.05))
    answer = client.stream(WATCH)
    answer.read(lambda answer: len(answer.body) >= 4)
    assert answer.body.strip() == b""
    assert answer.end is None


def test_a_dribble_goes_on_between_events(cluster, server, client, whole):
    server.script(Fault(dribble=0.02))
    answer = client.stream(f"{WATCH}&resourceVersion={cluster.resource_version}")
    answer.read(lambda answer: len(answer.body) >= 3)
    cluster.create("pods", pod("p3"))
    assert answer.read_events(1)[0]["object"]["metadata"]["name"] == "p3"


def test_faults_are_taken_in_order_by_the_requests_that_they_are_for(cluster, server, client):
    server.script(
        Fault("list", status=500),
        Fault("any", status=502, resource="services"),
        Fault("list", status=503, times=2),
        Fault(status=504),
    )
    assert [client.get(PODS).status for _ in range(4)] == [500, 503, 503, 200]
    assert client.get("/version").status == 200
    assert client.get("/api/v1/services").status == 502
    assert client.get(WATCH).status == 504
    assert server.pending_faults() == 0


def test_a_fault_that_makes_no_sense_is_refused():
    for wrong in ({"framing": "pigeon"}, {"split": "words"}, {"split": 0}):
        with pytest.raises(ValueError, match="is"):
            Fault(**wrong)


def test_faults_combine(server, client, whole):
    server.script(Fault(garbage=b"x", split=3, framing="close", cut=50, hold_headers=True, bookmarks=False))
    answer = client.stream(WATCH).read()
    assert (answer.body, answer.end) == ((b"x\n" + whole)[:50], "eof")


def test_a_watch_under_a_fault_goes_on_where_the_fault_has_no_say(cluster, server, client, whole):
    server.script(Fault(split=5, framing="close"))
    answer = client.stream(WATCH)
    answer.read_events(3)
    started = time.monotonic()
    cluster.create("pods", pod("late"))
    assert answer.read_events(4)[-1]["object"]["metadata"]["name"] == "late"
    assert time.monotonic() - started < 1
    assert json.loads(answer.body.split(b"\n")[3])["type"] == "ADDED"
