"""What `-o diff` prints: a block an event."""

from __future__ import annotations

import io
import os
import re
from typing import Any

import orjson
import pytest

from kwatch.model import Change, Environment, Query, Resource
from kwatch.protocol.forms import Document, FullForm, Item, ObjectForm
from kwatch.protocol.frames import Frame
from kwatch.sinks import FORMS, Sink, SinkOptions, Wants, make

DEPLOYMENTS = Query(Resource("apps", "v1", "deployments", "Deployment"), "default")
SECRETS = Query(Resource("", "v1", "secrets", "Secret"), "default")
NODES = Query(Resource("", "v1", "nodes", "Node", namespaced=False), cluster="prod")


class Output:
    """The sink and what it wrote, on a terminal of so many columns, or in a pipe."""

    def __init__(self, columns: int | None = None, **more: Any) -> None:
        self.stream = io.BytesIO()
        env = Environment(
            stdout=self.stream,
            stderr=io.StringIO(),
            stdout_is_terminal=columns is not None,
            size=lambda: os.terminal_size((columns or 80, 24)),
        )
        self.sink: Sink = make(SinkOptions(output="diff", **more), env)

    def print(self, kind: str, new: Any, old: Any = None, query: Query = DEPLOYMENTS, name: str = "web") -> str:
        start = len(self.stream.getvalue())
        states = [Document(orjson.dumps(value)) if value is not None else None for value in (new, old)]
        key = (query.namespace, name)
        self.sink.change(query, [Change(kind, key, "uid", "1", *states)])  # type: ignore[arg-type]
        return self.stream.getvalue()[start:].decode()


def test_a_modified_is_a_block_of_fields_with_old_and_new() -> None:
    old = {"spec": {"image": "a:1", "gone": {"x": 1}}, "status": {"conditions": [{"type": "Ok", "status": "True"}]}}
    new = {"spec": {"image": "a:2"}, "status": {"conditions": [{"type": "Ok", "status": "False"}], "more": "text"}}
    assert Output().print("MODIFIED", new, old) == (
        "MODIFIED deployment.apps/web in default\n"
        "    spec.image: a:1 → a:2\n"
        "  - spec.gone: {x: 1}\n"
        "    status.conditions[Ok].status: True → False\n"
        "  + status.more: text\n"
    )


def test_an_item_that_is_nothing_but_its_key_is_told_by_its_path() -> None:
    old, new = (
        {"status": {"podIPs": ips, "e": e}} for ips, e in (([{"ip": "10.0.0.1"}], 1), ([{"ip": "10.0.0.2"}], {}))
    )
    assert Output().print("MODIFIED", new, old).splitlines()[1:] == [
        "  - status.podIPs[10.0.0.1]",
        "  + status.podIPs[10.0.0.2]",
        "    status.e: 1 → {}",
    ]
    assert "  + a: {}\n" in Output().print("MODIFIED", {"a": {}}, {})


def test_added_and_deleted_are_a_line_each_with_the_cluster_where_there_are_several() -> None:
    out = Output(show_cluster=True)
    assert out.print("ADDED", {}, query=NODES, name="n1") == "ADDED [prod] node/n1\n"
    assert out.print("DELETED", {}, {"a": 1}, query=NODES, name="n1") == "DELETED [prod] node/n1\n"


def test_timestamps_stand_before_each_event() -> None:
    text = Output(timestamps=True, utc=True).print("MODIFIED", {"a": 1}, {"a": 2})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z MODIFIED deployment.apps/web in default\n    a: 2 → 1\n", text)


def test_an_event_that_is_all_folded_prints_nothing_or_says_what_was_folded() -> None:
    old, new = ({"metadata": {"resourceVersion": version, "generation": 1}} for version in "12")
    assert Output().print("MODIFIED", new, old) == ""
    assert Output(show_unchanged=True).print("MODIFIED", new, old) == (
        "MODIFIED deployment.apps/web in default\n    (only metadata.resourceVersion)\n"
    )
    assert '    metadata.resourceVersion: "1" → "2"\n' in Output(diff_all=True).print("MODIFIED", new, old)


def test_what_printed_nothing_is_not_counted() -> None:
    out = Output()
    states = [Document(b'{"metadata":{"resourceVersion":"%d"}}' % version) for version in (1, 2)]
    silent = Change("MODIFIED", ("", "a"), "uid", "2", states[1], states[0])
    assert out.sink.change(DEPLOYMENTS, [silent, silent._replace(type="ADDED", old=None)]) == 1


def test_texts_of_several_lines_come_as_a_small_unified_diff() -> None:
    text = Output().print("MODIFIED", {"data": {"a.conf": "x\nY\nz", "b": "1\n2"}}, {"data": {"a.conf": "x\ny\nz"}})
    assert text.splitlines()[1:] == [
        '    data["a.conf"]:', "        x", "      - y", "      + Y", "        z", "  + data.b:",
        "      + 1", "      + 2",
    ]  # fmt: skip


def test_long_values_are_cut_on_a_terminal_where_they_differ_and_whole_in_a_pipe() -> None:
    images = [f"registry.example.com/{'team/' * 20}web:{tag}-{'0' * 99}" for tag in ("1.2", "1.3")]
    old, new = ({"spec": {"image": image}} for image in images)
    assert Output().print("MODIFIED", new, old).splitlines()[1] == f"    spec.image: {images[0]} → {images[1]}"
    line = Output(60).print("MODIFIED", new, old).splitlines()[1]
    assert line == "    spec.image: …m/web:1.2-00000000… → …m/web:1.3-00000000…"
    added = Output(60).print("MODIFIED", {"list": list(range(99))}, {}).splitlines()[1]
    assert (len(added), added[:20], added[-1]) == (59, "  + list: [0, 1, 2, ", "…")


def test_many_changed_lines_are_cut_on_a_terminal_and_counted() -> None:
    old, new = ({"data": {"a": "\n".join(f"{side}{index}" for index in range(100))}} for side in "ab")
    assert len(Output().print("MODIFIED", new, old).splitlines()) == 202
    lines = Output(80).print("MODIFIED", new, old).splitlines()
    assert (len(lines), lines[-1]) == (43, "      … 160 more lines")


def test_colors_only_where_asked_for() -> None:
    assert "\x1b" not in Output(80).print("MODIFIED", {"a": 1}, {"a": 2})
    text = Output(color=True).print("MODIFIED", {"a": 1, "c": 1}, {"a": 2, "b": "x"})
    assert text == (
        "\x1b[1;33mMODIFIED\x1b[0m \x1b[1mdeployment.apps/web\x1b[0m\x1b[2m in default\x1b[0m\n"
        "    a: \x1b[31m2\x1b[0m → \x1b[32m1\x1b[0m\n"
        "  \x1b[31m-\x1b[0m b: \x1b[31mx\x1b[0m\n"
        "  \x1b[32m+\x1b[0m c: \x1b[32m1\x1b[0m\n"
    )


EVIL = "\x1b]0;t\x07\x9b31m\u202e\r"


@pytest.mark.parametrize("columns", [None, 80])
def test_hostile_text_is_inert_wherever_it_stands(columns: int | None) -> None:
    old = {"data": {EVIL: f"a{EVIL}\nb", "v": f"{EVIL}1", "l": [{"name": EVIL, "x": 1}]}}
    new = {"data": {EVIL: f"c{EVIL}\nb", "v": f"{EVIL}2", "l": [{"name": EVIL, "x": 2}], "n": {EVIL: EVIL}}}
    text = Output(columns, show_cluster=True).print(
        "MODIFIED", new, old, Query(NODES.resource, EVIL, cluster=EVIL), EVIL
    )
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text.splitlines()) == len(text.split("\n")) - 1


def test_what_is_nested_too_deeply_is_said_to_have_changed() -> None:
    class Deep:
        def __init__(self, leaf: int) -> None:
            self.object: Any = leaf
            for _ in range(5000):
                self.object = {"a": self.object}

    out = Output()
    out.sink.change(DEPLOYMENTS, [Change("MODIFIED", ("", "web"), "uid", "1", Deep(1), Deep(2))])
    assert out.stream.getvalue().decode().splitlines()[1] == "    (nested too deeply to be compared)"


# Secrets


def secret(value: str, **more: Any) -> Frame:
    body = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s", **more}, "data": {"p": value}}
    return Frame("MODIFIED", body, orjson.dumps({"type": "MODIFIED", "object": body}).decode())


def redacted(form: ObjectForm, value: str) -> Item:
    [item] = form.of_frame(secret(value))
    return item


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("aGVsbG8=", "aHVsbG9vbw==", "    data.p: <redacted, 5 bytes> → <redacted, 7 bytes>"),
        ("aGVsbG8=", "aHVsbG8=", "    data.p: <redacted, 5 bytes> → <redacted, 5 bytes, another value>"),
        ("aGVsbG8=", "aGVsbG8=", None),
    ],
)
def test_a_secrets_change_is_seen_and_its_value_is_not(old: str, new: str, line: str | None) -> None:
    out, form = Output(), ObjectForm(trace=b"a random key")
    states = [redacted(form, value).state for value in (new, old)]
    out.sink.change(SECRETS, [Change("MODIFIED", ("default", "s"), "uid", "2", *states)])
    text = out.stream.getvalue().decode()
    assert text.splitlines()[1:] == ([line] if line else [])
    assert "aGVs" not in text


def test_an_added_secret_value_shows_no_trace() -> None:
    out, form = Output(), ObjectForm(trace=b"a random key")
    new = redacted(form, "aGVsbG8=").state
    out.sink.change(SECRETS, [Change("MODIFIED", ("", "s"), "uid", "2", new, Document(b'{"kind":"Secret"}'))])
    assert '  + data: {p: "<redacted, 5 bytes>"}' in out.stream.getvalue().decode()


def test_traces_differ_between_keys_and_only_the_diff_asks_for_them() -> None:
    one, other, none = (redacted(ObjectForm(trace=key), "aGVsbG8=").state.encoded for key in (b"1", b"2", b""))
    assert one != other
    assert b'"<redacted, 5 bytes>"' in none
    assert [name for name, form in FORMS.items() if form.wants & Wants.TRACES] == ["diff"]
    assert FullForm(SECRETS.resource, trace=b"1").parameters == {"includeObject": "Object"}
