"""What the sinks print, byte for byte."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwatch.model import Change, Column, Environment, Query, Resource, Row
from kwatch.protocol.forms import Document
from kwatch.sinks import Sink, SinkOptions, make

PODS = Query(Resource("", "v1", "pods", "Pod"), "default")
COLUMNS = (Column("Name", format="name"), Column("Status"), Column("Age"), Column("Node", priority=1))


def row(name: str, status: object = "Running", age: str = "5s", node: str = "node-1", created: str = "") -> Row:
    return Row(COLUMNS, (name, status, age, node), created, {})


def change(kind: str, state: object, old: object = None, namespace: str = "default", **more: bool) -> Change:
    name = state.cells[0] if isinstance(state, Row) else "x"
    return Change(kind, (namespace, str(name)), f"uid-{name}", "1", state, old, **more)  # type: ignore[arg-type]


class Output:
    """A sink and what it wrote."""

    def __init__(self, output: str = "", *, terminal: bool = False, size: tuple[int, int] = (80, 24), **more: Any):
        self.stream = io.BytesIO()
        self.size = size
        env = Environment(
            stdout=self.stream,
            stderr=io.StringIO(),
            variables={"TERM": "xterm"},
            stdout_is_terminal=terminal,
            size=lambda: os.terminal_size(self.size),
        )
        self.sink: Sink = make(SinkOptions(output=output, **more), env)  # type: ignore[arg-type]

    def print(self, *changes: Change) -> str:
        start = len(self.stream.getvalue())
        self.sink.change(PODS, changes)
        return self.stream.getvalue()[start:].decode()


def test_rows_have_the_event_first_and_kubectls_gaps() -> None:
    out = Output()
    assert out.print(change("ADDED", row("web-0")), change("ADDED", row("a-longer-name", "Pending"))) == (
        "EVENT      NAME            STATUS    AGE\n"
        "ADDED      web-0           Running   5s\n"
        "ADDED      a-longer-name   Pending   5s\n"
    )


def test_widths_only_grow_and_the_header_comes_once() -> None:
    out = Output()
    out.print(change("ADDED", row("a-longer-name")))
    assert out.print(change("DELETED", row("b"))) == "DELETED    b               Running   5s\n"
    assert out.print(change("ADDED", row("b"))) == "ADDED      b               Running   5s\n"


def test_the_namespace_column_is_for_several_namespaces() -> None:
    out = Output(show_namespace=True)
    assert out.print(change("ADDED", row("a"), namespace="kube-system")).splitlines() == [
        "EVENT      NAMESPACE     NAME   STATUS    AGE",
        "ADDED      kube-system   a      Running   5s",
    ]


def test_wide_shows_all_columns() -> None:
    assert "node-1" in Output("wide").print(change("ADDED", row("a")))
    assert "node-1" not in Output().print(change("ADDED", row("a")))


def test_wide_characters_align() -> None:
    lines = Output().print(change("ADDED", row("漢字")), change("ADDED", row("abcd"))).splitlines()
    assert lines[1:] == ["ADDED      漢字   Running   5s", "ADDED      abcd   Running   5s"]


def test_a_modified_that_changes_no_printed_cell_but_the_age_prints_nothing() -> None:
    quiet, loud = Output(), Output(show_unchanged=True)
    same = change("MODIFIED", row("a", age="9s", node="node-2"), old=row("a"))
    assert quiet.print(same) == ""
    assert "MODIFIED" in loud.print(same)
    assert "MODIFIED" in Output("wide").print(same)
    assert "MODIFIED" in quiet.print(change("MODIFIED", row("a", "Failed"), old=row("a")))


def test_new_columns_bring_a_new_header() -> None:
    out = Output()
    out.print(change("ADDED", row("a")))
    other = Row((Column("Name"), Column("Phase")), ("b", "Up"), "", {})
    assert out.print(change("ADDED", other)) == "EVENT      NAME   PHASE\nADDED      b      Up\n"


def test_a_row_may_have_more_or_fewer_cells_than_columns() -> None:
    out = Output()
    assert out.print(change("ADDED", Row(COLUMNS, ("a", "b", "c", "d", "e"), "", {}))).endswith(
        "ADDED      a      b        c\n"
    )
    assert out.print(change("ADDED", Row(COLUMNS, ("a",), "", {}))) == "ADDED      a               <unknown>\n"


def test_rows_are_whole_on_a_terminal_as_in_a_pipe_for_it_wraps_them_itself() -> None:
    long = [change("ADDED", row("n" * 61, "s" * 100)), change("ADDED", row("漢字" * 40))]
    assert Output(live=False, terminal=True, size=(60, 24)).print(*long) == Output(live=False).print(*long)


def test_with_colour_the_event_alone_has_one() -> None:
    out = Output(color=True, timestamps=True, utc=True)
    header, line = out.print(change("DELETED", row("ADDED"))).splitlines()
    assert re.match("TIME +EVENT +NAME", header)
    assert re.fullmatch(r"\S+Z   \x1b\[31mDELETED\x1b\[0m    ADDED   Running   5s", line)
    assert "\x1b" not in Output().print(change("DELETED", row("a")))


def test_the_kind_stands_before_the_name_wherever_the_name_is() -> None:
    columns = (Column("Last Seen"), Column("Name", format="name"))
    state = Row(columns, ("5m", "web"), "", {})
    assert Output(show_kind=True).print(change("ADDED", state)).endswith("ADDED      5m          pod/web\n")
    hidden = Row((Column("Last Seen"), Column("Name", format="name", priority=1)), ("5m", "web"), "", {})
    assert Output(show_kind=True).print(change("ADDED", hidden)).endswith("ADDED      5m\n")


def test_no_headers() -> None:
    assert Output(headers=False).print(change("ADDED", row("a"))) == "ADDED      a     Running   5s\n"


def test_ndjson_is_the_apis_watch_form_and_marks_what_kwatch_concluded() -> None:
    out = Output("ndjson")
    text = out.print(
        change("ADDED", Document('{"kind":"Pod","é":1}'.encode())), change("DELETED", Document(b"{}"), synthetic=True)
    )
    assert text == '{"type":"ADDED","object":{"kind":"Pod","é":1}}\n{"type":"DELETED","object":{},"synthetic":true}\n'


def test_ndjson_on_a_terminal_has_no_raw_control_characters_and_the_same_values() -> None:
    hostile = Document(json.dumps({"a": "x\x9b31m\u202ey\x7f\x1b"}, ensure_ascii=False).encode())
    text = Output("ndjson", terminal=True).print(change("ADDED", hostile))
    assert text.rstrip("\n").isprintable()
    assert json.loads(text)["object"] == hostile.object


def records(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv_has_one_header_and_all_columns() -> None:
    out = Output("csv", show_namespace=True)
    first = records(out.print(change("ADDED", row('a"b,c'))))
    assert first[0] == ["time", "event", "namespace", "NAME", "STATUS", "AGE", "NODE"]
    assert first[1][1:] == ["ADDED", "default", 'a"b,c', "Running", "5s", "node-1"]
    assert [record[1] for record in records(out.print(change("DELETED", row("a"))))] == ["DELETED"]


def test_csv_columns_that_change_later_are_matched_by_name() -> None:
    out = Output("csv")
    out.print(change("ADDED", row("a")))
    other = Row((Column("Node"), Column("New"), Column("Name")), ("n", "?", "b"), "", {})
    assert records(out.print(change("ADDED", other)))[0][2:] == ["b", "", "", "n"]


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_cells_that_a_spreadsheet_would_run_are_guarded(text: str) -> None:
    guarded = records(Output("csv").print(change("ADDED", row("a", text))))[1][3]
    assert guarded == "'" + text.replace("\t", " ").replace("\r", " ")


@pytest.mark.parametrize("text", ["-5", "+1.5", "-1e3", "5s", "<none>"])
def test_csv_numbers_and_plain_text_stay(text: str) -> None:
    assert records(Output("csv").print(change("ADDED", row("a", text))))[1][3] == text


def test_csv_raw_leaves_cells_alone() -> None:
    assert records(Output("csv", csv_raw=True).print(change("ADDED", row("a", "=1"))))[1][3] == "=1"


def test_csv_has_the_labels_asked_for_under_their_whole_keys_and_all_of_them() -> None:
    out = Output("csv", label_columns=("x/name", "name"), show_labels=True)  # type: ignore[arg-type]
    state = row("a")._replace(labels={"name": "", "x/name": "=1", "b": "2"})
    header, first, second = records(out.print(change("ADDED", state), change("ADDED", row("c"))))
    assert header[2:] == ["NAME", "STATUS", "AGE", "NODE", "x/name", "name", "LABELS"]
    assert first[-3:] == ["'=1", "", "b=2,name=,x/name==1"]
    assert second[-3:] == ["", "", ""]


def test_csv_counts_ages_anew_as_rows_do() -> None:
    old = row("a", age="5s", created="2001-01-01T00:00:00Z")
    cells = records(Output("csv").print(change("DELETED", old)))[1]
    assert cells[4] == Output(headers=False).print(change("DELETED", old)).split()[-1] != "5s"


def test_csv_has_the_kind_before_the_name_if_asked_for() -> None:
    out = Output("csv", show_kind=True)
    assert records(out.print(change("ADDED", row("a"))))[1][2:4] == ["pod/a", "Running"]
    other = Row((Column("Node"), Column("Status"), Column("Name", format="name")), ("n", "?", "b"), "", {})
    assert records(out.print(change("ADDED", other)))[0][2:4] == ["pod/b", "?"]


hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None)
@given(hostile, hostile, hostile)
def test_promise_13_no_cell_nor_header_carries_a_control_byte_or_a_formula(name: str, cell: str, header: str) -> None:
    state = Row((Column(header), Column("Status")), (name, cell), "", {})
    for output in ("", "csv"):
        text = Output(output).print(change("ADDED", state))
        kept = text.replace("\r\n", "") if output else text.replace("\n", "")
        assert not set(kept) & {chr(code) for code in [*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066]}
    for record in records(Output("csv").print(change("ADDED", state))):
        for value in record[2:]:
            assert not value.startswith(("=", "@", "\t", "\r"))


DEPLOYMENTS = Query(Resource("apps", "v1", "deployments", "Deployment"), "default")
DEPLOYMENT_COLUMNS = (Column("Name", format="name"), Column("Ready"))


def test_rows_of_several_types_share_the_columns_before_their_own() -> None:
    out = Output(show_types=True)
    out.print(change("ADDED", row("a-long-name")))
    deployment = change("ADDED", Row(DEPLOYMENT_COLUMNS, ("web", "1/1"), "", {}))
    out.sink.change(DEPLOYMENTS, [deployment])
    out.print(change("DELETED", row("b")))
    assert out.stream.getvalue().decode() == (
        "EVENT      KIND   NAME          STATUS    AGE\n"
        "ADDED      Pod    a-long-name   Running   5s\n"
        "EVENT      KIND         NAME          READY\n"
        "ADDED      Deployment   web           1/1\n"
        "DELETED    Pod          b             Running   5s\n"
    )


def test_the_columns_before_a_types_own_are_as_wide_from_the_first_row_on_as_they_will_be() -> None:
    out = Output(show_types=True, show_cluster=True, queries=(PODS, replace(DEPLOYMENTS, cluster="production")))
    first = out.print(change("ADDED", row("a"))).splitlines()
    assert first == [
        "EVENT      CLUSTER      KIND         NAME   STATUS    AGE",
        "ADDED                   Pod          a      Running   5s",
    ]
    deployment = change("MODIFIED", Row(DEPLOYMENT_COLUMNS, ("a", "1/1"), "", {}))
    out.sink.change(replace(DEPLOYMENTS, cluster="production"), [deployment])
    assert out.stream.getvalue().decode().splitlines()[2:] == [
        "EVENT      CLUSTER      KIND         NAME   READY",
        "MODIFIED   production   Deployment   a      1/1",
    ]


def test_the_header_of_a_type_comes_again_once_it_is_out_of_sight() -> None:
    out = Output(show_types=True)
    out.print(*(change("ADDED", row(f"web-{index}")) for index in range(25)))
    out.sink.change(DEPLOYMENTS, [change("ADDED", Row(DEPLOYMENT_COLUMNS, ("web", "1/1"), "", {}))])
    assert out.print(change("DELETED", row("web-0"))).startswith("EVENT")
    assert out.print(change("DELETED", row("web-1"))).startswith("DELETED")


def test_the_cluster_has_a_column_where_there_are_several() -> None:
    query = Query(PODS.resource, "default", cluster="prod")
    out, lines, csvs = Output(show_cluster=True), Output("ndjson", show_cluster=True), Output("csv", show_cluster=True)
    out.sink.change(query, [change("ADDED", row("a"))])
    assert out.stream.getvalue().decode().splitlines()[1].split() == ["ADDED", "prod", "a", "Running", "5s"]
    lines.sink.change(query, [change("ADDED", Document(b"{}"))])
    assert json.loads(lines.stream.getvalue()) == {"type": "ADDED", "object": {}, "cluster": "prod"}
    csvs.sink.change(query, [change("ADDED", row("a"))])
    header, record = csv.reader(io.StringIO(csvs.stream.getvalue().decode()))
    assert (header[:4], record[1:4]) == (["time", "event", "cluster", "NAME"], ["ADDED", "prod", "a"])


def test_labels_as_columns_as_kubectl_prints_them() -> None:
    state = row("a")._replace(labels={"tier": "db", "app.kubernetes.io/name": "web"})
    out = Output(show_labels=True, label_columns=("app.kubernetes.io/name", "zone"))
    assert out.print(change("ADDED", state)).splitlines() == [
        "EVENT      NAME   STATUS    AGE   NAME   ZONE   LABELS",
        "ADDED      a      Running   5s    web           app.kubernetes.io/name=web,tier=db",
    ]
    relabelled = change("MODIFIED", state._replace(labels={"tier": "db"}), old=state)
    assert out.print(relabelled) == "MODIFIED   a      Running   5s                  tier=db\n"


def test_show_kind_names_the_type_before_the_name() -> None:
    out = Output(show_kind=True)
    out.sink.change(DEPLOYMENTS, [change("ADDED", Row(DEPLOYMENT_COLUMNS, ("web", "1/1"), "", {}))])
    assert "deployment.apps/web" in out.stream.getvalue().decode()


def test_timestamps_are_rfc_3339() -> None:
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    header, line = Output(timestamps=True, utc=True).print(change("ADDED", row("a"))).splitlines()
    assert header.startswith("TIME ")
    assert re.match(pattern + "   ADDED      a ", line)
    event = json.loads(Output("ndjson", timestamps=True).print(change("ADDED", Document(b"{}"))))
    assert re.fullmatch(pattern, event["time"])


def test_an_age_is_counted_from_the_creation() -> None:
    long_ago = row("a", created="2001-01-01T00:00:00Z")
    assert re.search(r" \d\dy\n$", Output().print(change("ADDED", long_ago)))
