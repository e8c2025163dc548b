"""Lists, object watches and table watches cut at every byte, in every framing, over real sockets (promises 2 and 5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from watching import changes, notices, watched

from kwatch.cluster.kubeconfig import Connection
from kwatch.sandbox import Cluster, Fault, Server

FRAMINGS = {
    "chunked": {},
    "close-delimited": {"framing": "close"},
    "Content-Length": {"framing": "length"},
    "gzip": {"gzip": True},
}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Past:
    """A sandbox whose list is answered as it was before two further changes, so that a watch has them to send."""

    def __init__(self, server: Server, cluster: Cluster) -> None:
        self.server = server
        address = f"{server.url}/api/v1/namespaces/default/configmaps"
        for name in ("a", "ö"):
            cluster.create("configmaps", {"metadata": {"name": name}, "data": {"k": "é\u2028🚀"}})
        answers = [requests.get(address, headers={"Accept": accept}, timeout=5) for accept in ("*/*", TABLE)]
        self.objects, self.table = (answer.json() for answer in answers)
        self.version = cluster.resource_version
        cluster.delete("configmaps", "default", "ö")
        cluster.create("configmaps", {"metadata": {"name": "ö"}, "data": {"🚀": "漢\x85"}})

    def script(self, table: bool, *faults: Fault) -> None:
        """The faults to come; the list is that of the past unless one of them is for it."""
        self.server.clear_script()
        past = Fault(verb="list", status=200, body=self.table if table else self.objects, times=None)
        self.server.script(*faults, past)

    def length(self, table: bool) -> int:
        """Bytes of the watch's body."""
        query = {"watch": "1", "resourceVersion": str(self.version), "timeoutSeconds": "1"}
        accept = {"Accept": TABLE if table else "application/json"}
        address = f"{self.server.url}/api/v1/namespaces/default/configmaps"
        return len(requests.get(address, params=query, headers=accept, timeout=10).content)

    def run(self, table: bool, count: int) -> tuple[list, list[str]]:
        """The first `count` changes, and the notices."""
        signals = watched(Connection(self.server.url), lambda found: len(changes(found)) >= count, table=table)
        return without_ages(changes(signals)), notices(signals)


def without_ages(found: list) -> list:
    """A table's AGE cell is of the moment."""
    return [(*one[:3], one[3] if isinstance(one[3], bytes) else one[3].cells[:-1]) for one in found]


@pytest.fixture(scope="module")
def past() -> Iterator[Past]:
    cluster = Cluster()
    with Server(cluster) as server:
        yield Past(server, cluster)


@pytest.mark.parametrize("table", [False, True], ids=["objects", "table"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_watch_cut_at_any_byte_hands_on_the_same(framing: str, table: bool, past: Past) -> None:
    past.script(table)
    uncut, _ = past.run(table, 4)
    assert [change[0] for change in uncut] == ["ADDED", "ADDED", "DELETED", "ADDED"]
    for offset in range(past.length(table)):
        past.script(table, Fault(cut=offset, **FRAMINGS[framing]))
        seen, told = past.run(table, 4)
        assert seen == uncut, offset
        assert len(told) <= 1, offset


@pytest.mark.parametrize("table", [False, True], ids=["objects", "table"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_list_cut_at_any_byte_hands_on_the_same(framing: str, table: bool, past: Past) -> None:
    past.script(table)
    uncut, _ = past.run(table, 2)
    body = past.table if table else past.objects
    address = f"{past.server.url}/api/v1/namespaces/default/configmaps"
    length = len(requests.get(address, headers={"Accept": TABLE if table else "*/*"}, timeout=5).content)
    for offset in range(length):
        past.script(table, Fault(verb="list", status=200, body=body, cut=offset, **FRAMINGS[framing]))
        seen, told = past.run(table, 2)
        assert seen == uncut, offset
        whole = framing == "close-delimited" and offset == length - 1  # but for the line break
        assert len(told) == (0 if whole else 1), offset


@pytest.mark.parametrize("table", [False, True], ids=["objects", "table"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("split", [1, 2, 7, "codepoint"])
def test_a_body_in_any_pieces_hands_on_the_same_without_a_word(
    framing: str, table: bool, split: int | str, past: Past
) -> None:
    past.script(table)
    whole, _ = past.run(table, 4)
    body = past.table if table else past.objects
    pieces = FRAMINGS[framing] | {"split": split}
    past.script(table, Fault(verb="list", status=200, body=body, **pieces), Fault(**pieces))
    assert past.run(table, 4) == (whole, [])
