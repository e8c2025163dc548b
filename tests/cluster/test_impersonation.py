"""As whom requests go: kubectl's rules, and its very headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cluster.kubeconfigs import Place, kubeconfig
from kubectl import kubectl, needs_kubectl
from scripted import Peer, ScriptedServer, answer

from kwatch.transport import Transport

JOE = {
    "as": "joe",
    "as-uid": "7",
    "as-groups": ["system:masters", "two words"],
    "as-user-extra": {"acme.com/Project": ["a", "b"], "Ünï%": ["x"]},
}
EXTRA = (
    ("Impersonate-Extra-acme.com%2fproject", "a"),
    ("Impersonate-Extra-acme.com%2fproject", "b"),
    ("Impersonate-Extra-%c3%9cn%c3%af%25", "x"),
)


@pytest.mark.parametrize(
    ("user", "flags", "expected"),
    [
        ({}, {}, ()),
        ({"as": "joe"}, {}, (("Impersonate-User", "joe"),)),
        ({}, {"as_user": "joe"}, (("Impersonate-User", "joe"),)),
        ({"as": "joe"}, {"as_user": "jim"}, (("Impersonate-User", "jim"),)),
        ({"as": "jö"}, {}, (("Impersonate-User", "jÃ¶"),)),
        (
            {"as": "joe", "as-groups": ["a", "b"], "as-uid": "7"},
            {"as_groups": ("c",)},
            (("Impersonate-User", "joe"), ("Impersonate-Uid", "7"), ("Impersonate-Group", "c")),
        ),
        ({"as": "joe", "as-uid": "7"}, {"as_uid": "8"}, (("Impersonate-User", "joe"), ("Impersonate-Uid", "8"))),
        ({"as": "joe", "as-user-extra": JOE["as-user-extra"]}, {}, (("Impersonate-User", "joe"), *EXTRA)),
    ],
)
def test_each_flag_replaces_its_own_field_of_the_kubeconfigs_user(
    user: dict[str, Any], flags: dict[str, Any], expected: object, place: Place
) -> None:
    place.default(kubeconfig(user=user))
    assert place.resolve(**flags).impersonation == expected


@pytest.mark.parametrize("server", ["https://c.example", "http://c.example"])
def test_it_holds_over_plain_http_and_in_a_pod_too(server: str, place: Place) -> None:
    assert place.resolve(server=server, as_user="joe").impersonation == (("Impersonate-User", "joe"),)


@pytest.mark.parametrize(
    ("user", "flags", "text"),
    [
        ({"as-groups": ["a"]}, {}, 'user "u": a uid, groups or extra are impersonated without a user; pass --as USER'),
        ({"as-uid": "7"}, {}, "without a user"),
        ({"as-user-extra": {"a": ["b"]}}, {}, "without a user"),
        ({}, {"as_uid": "7"}, "without a user"),
        ({}, {"as_groups": ("a",)}, "without a user"),
        ({"as": 7}, {}, "as isn't a string"),
        ({"as": "joe", "as-groups": "a"}, {}, "as-groups isn't a list of strings"),
        ({"as": "joe", "as-groups": [7]}, {}, "as-groups isn't a list of strings"),
        ({"as": "joe", "as-user-extra": ["a"]}, {}, "as-user-extra that isn't a mapping"),
        ({"as": "joe", "as-user-extra": {"a": "b"}}, {}, "a isn't a list of strings"),
        ({"as": "joe\r\nHost: other"}, {}, "a character that no HTTP header can carry"),
    ],
)
def test_what_makes_no_sense_is_refused(user: dict[str, Any], flags: dict[str, Any], text: str, place: Place) -> None:
    place.default(kubeconfig(user=user))
    assert text in place.failure(**flags)


def sent(requests: list[bytes]) -> list[str]:
    """The impersonation's lines of the last request, sorted, names in lower case as the server takes them."""
    lines = [line.partition(b": ") for line in requests[-1].split(b"\r\n") if line.lower().startswith(b"impersonate-")]
    return sorted(f"{name.decode().lower()}: {value.decode()}" for name, _, value in lines)


def served(peer: Peer) -> None:
    peer.send(answer(b'{"kind":"Status"}', Content_Type="application/json"))


def test_each_group_and_each_extra_is_a_line_of_its_own(place: Place) -> None:
    with ScriptedServer(served) as server:
        place.default(kubeconfig({"server": server.url}, JOE))
        transport = Transport(place.resolve(headers=(("X-A", "1"), ("X-A", "2"))))
        transport.get("/version", "application/json")
        transport.close()
        assert sent(server.requests) == [
            "impersonate-extra-%c3%9cn%c3%af%25: x",
            "impersonate-extra-acme.com%2fproject: a",
            "impersonate-extra-acme.com%2fproject: b",
            "impersonate-group: system:masters",
            "impersonate-group: two words",
            "impersonate-uid: 7",
            "impersonate-user: joe",
        ]
        assert b"X-A: 1\r\nX-A: 2\r\n" in server.requests[-1]


@needs_kubectl
@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--as", "jim"],
        ["--as-group", "a,b", "--as-group", "c"],
        ["--as-uid", "8"],
        ["--as", "jö", "--as-uid", "9", "--as-group", "x"],
    ],
)
def test_kubectl_sends_the_same(flags: list[str], place: Place) -> None:
    pairs = list(zip(flags[::2], flags[1::2], strict=True))
    asked = {
        "as_user": dict(pairs).get("--as", ""),
        "as_uid": dict(pairs).get("--as-uid", ""),
        "as_groups": tuple(value for flag, value in pairs if flag == "--as-group"),
    }
    with ScriptedServer(served) as server:
        config = place.default(kubeconfig({"server": server.url}, JOE))
        run = kubectl(place.home, "get", "--raw", "/version", *flags, kubeconfig=str(config))
        assert json.loads(run.stdout) == {"kind": "Status"}, run.stderr
        by_kubectl = sent(server.requests)
        transport = Transport(place.resolve(**asked))
        transport.get("/version", "application/json")
        transport.close()
        assert by_kubectl
        assert sent(server.requests) == by_kubectl
