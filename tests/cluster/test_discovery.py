"""Discovery, in both of its forms, from recordings of a real server and from what none should send."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cluster.documents import LEGACY_API, Server, aggregated, entry, group, resource
from hypothesis import given, settings
from hypothesis import strategies as st

from kwatch.cluster.discovery import AGGREGATED, discover
from kwatch.cluster.resources import find
from kwatch.errors import ApiError, Cut, Forbidden, NotFound, Overdue, ProtocolError, TransportError, Unauthorized


def names(server: Callable[[str, str], bytes]) -> list[str]:
    return [f"{found.plural}.{found.version}.{found.group}" for found in discover(server).resources]


def test_a_server_of_today_is_asked_twice(recording: Callable[[str], bytes]) -> None:
    server = Server(api=recording("api-aggregated"), apis=recording("apis-aggregated"))
    found = discover(server)
    assert server.asked == [("/api", AGGREGATED), ("/apis", AGGREGATED)]
    assert found.skipped == ()
    assert found.resources[0].plural == "configmaps"
    assert {"bindings", "componentstatuses", "tokenreviews"}.isdisjoint(r.plural for r in found.resources)
    hpa = find("hpa", found.resources)
    assert hpa is not None
    assert (hpa.version, hpa.singular, hpa.categories) == ("v2", "horizontalpodautoscaler", ("all",))
    nodes = find("nodes", found.resources)
    assert nodes is not None
    assert not nodes.namespaced
    assert nodes.verbs == ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def test_a_server_of_old_is_asked_group_by_group_and_says_the_same(recording: Callable[[str], bytes]) -> None:
    server = Server(
        api=recording("api"),
        apis=recording("apis"),
        api__v1=recording("api-v1"),
        apis__apps__v1=recording("apis-apps-v1"),
    )
    found = discover(server)
    today = discover(Server(api=recording("api-aggregated"), apis=recording("apis-aggregated"))).resources
    assert found.resources == tuple(known for known in today if known.group in ("", "apps"))
    assert len(found.skipped) == len(server.asked) - 4
    assert "batch/v1: /apis/batch/v1 isn't there" in found.skipped


def test_the_forms_can_be_mixed(recording: Callable[[str], bytes]) -> None:
    server = Server(api=recording("api"), api__v1=recording("api-v1"), apis=recording("apis-aggregated"))
    found = discover(server)
    assert find("pods", found.resources)
    assert find("deployments", found.resources)


def test_the_preferred_version_comes_first_and_the_groups_keep_their_order() -> None:
    versions = [{"version": "v1alpha1"}, {"version": "v1"}, {"version": "v2"}]
    server = Server(
        api={"kind": "APIVersions", "versions": []},
        apis={
            "kind": "APIGroupList",
            "groups": [
                {"name": "z.io", "versions": versions, "preferredVersion": {"version": "v1"}},
                {"name": "a.io", "versions": [{"version": "v1"}]},
            ],
        },
        **{
            f"apis__{path}": {"resources": [resource("things", "Thing"), resource("things/status", "Thing")]}
            for path in ("z.io__v1alpha1", "z.io__v1", "z.io__v2", "a.io__v1")
        },
    )
    assert names(server) == ["things.v1.z.io", "things.v1alpha1.z.io", "things.v2.z.io", "things.v1.a.io"]


def test_what_cannot_be_watched_has_no_kind_or_is_stale_is_left_out() -> None:
    server = Server(
        api=aggregated(),
        apis=aggregated(
            group(
                "a.io",
                v1={
                    "resources": [
                        entry("a", "A"),
                        entry("b", ""),
                        entry("c", "C", verbs=["get"]),
                        entry("d", "D", verbs=None),
                    ]
                },
                v0={"freshness": "Stale", "resources": [entry("a", "A")]},
            )
        ),
    )
    assert names(server) == ["a.v1.a.io"]
    assert discover(server).skipped == ("a.io/v0: the server behind it doesn't answer",)


@pytest.mark.parametrize(
    "broken",
    [ApiError("503", code=503), Unauthorized("401"), b"<html>", {"resources": [1]}, Cut("closed"), Overdue("silent")],
)
def test_a_broken_group_hides_no_other(broken: Any) -> None:
    server = Server(
        api=LEGACY_API,
        api__v1={"resources": [resource("pods", "Pod")]},
        apis={
            "kind": "APIGroupList",
            "groups": [{"name": n, "versions": [{"version": "v1"}]} for n in ("bad", "good")],
        },
        apis__bad__v1=broken,
        apis__good__v1={"resources": [resource("things", "Thing")]},
    )
    assert names(server) == ["pods.v1.", "things.v1.good"]
    assert [line.partition(":")[0] for line in discover(server).skipped] == ["bad/v1"]


def test_an_empty_group_is_no_fault() -> None:
    server = Server(api=LEGACY_API, api__v1={"kind": "APIResourceList", "resources": None}, apis=aggregated())
    assert discover(server).resources == ()
    assert discover(server).skipped == ()


def test_one_root_may_be_missing_and_not_both() -> None:
    server = Server(apis=aggregated(group("a.io", v1={"resources": [entry("a", "A")]})))
    assert names(server) == ["a.v1.a.io"]
    assert discover(server).skipped == ("/api: /api isn't there",)
    with pytest.raises(NotFound, match="/api isn't there"):
        discover(Server())
    with pytest.raises(Forbidden):
        discover(Server(api=Forbidden("no"), apis=Forbidden("no")))


@pytest.mark.parametrize("error", [Unauthorized("401"), ApiError("500"), TransportError("refused")])
def test_other_failures_of_a_root_are_the_callers(error: Exception) -> None:
    with pytest.raises(type(error)):
        discover(Server(api=error, apis=aggregated()))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<html>", "/api: the server's answer isn't JSON; is this a Kubernetes API server?"),
        (b"\xff", "/api: the server's answer isn't JSON; is this a Kubernetes API server?"),
        (b"[" * 100_000, "/api: the server's answer isn't JSON; is this a Kubernetes API server?"),
        (b"[]", "/api: there is a list where an object should be; is this a Kubernetes API server?"),
        (b"{}", "/api: it is no API document, not discovery; is this a Kubernetes API server?"),
        (b'{"kind": "Status"}', "/api: it is a Status, not discovery; is this a Kubernetes API server?"),
        (b'{"kind": 1}', '/api: "kind" is a number; is this a Kubernetes API server?'),
        (
            b'{"kind": "APIVersions", "versions": [1]}',
            '/api: "versions" holds what isn\'t text; is this a Kubernetes API server?',
        ),
        (
            b'{"kind": "APIGroupDiscoveryList", "items": [null]}',
            "/api: there is null where an object should be; is this a Kubernetes API server?",
        ),
    ],
)
def test_a_malformed_answer_is_a_protocol_error_of_one_line(body: bytes, expected: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        discover(Server(api=body))
    assert str(caught.value) == expected


FIELDS = """
    kind items metadata name versions version resources resource responseKind verbs shortNames groups freshness watch
    preferredVersion scope singularName namespaced categories v1 APIGroupList APIVersions
"""
WORDS = st.sampled_from(FIELDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["APIGroupList", "APIVersions", "APIGroupDiscoveryList"]),
    rest=st.dictionaries(WORDS, JSON, max_size=4),
    any_other=JSON,
)
def test_no_answer_raises_anything_but_a_protocol_error(kind: str, rest: dict[str, Any], any_other: Any) -> None:
    def get(path: str, accept: str) -> bytes:
        return json.dumps({**rest, "kind": kind} if accept == AGGREGATED else any_other).encode()

    with contextlib.suppress(ProtocolError):
        discover(get)
