"""Frames, pages and statuses, against what a real API server sent."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from recordings import body, names, recording

from kwatch.errors import MalformedFrame
from kwatch.model import Column, Resource
from kwatch.protocol.forms import Document, FullForm, Item, ObjectForm, TableForm
from kwatch.protocol.frames import parse_error_body, parse_frame, parse_page
from kwatch.protocol.lines import LineDecoder

POD_COLUMNS = ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"]


def frames(name: str) -> list[dict]:
    return [json.loads(line) for line in body(name).decode().split("\n") if line]


def form_for(name: str) -> ObjectForm | TableForm:
    return TableForm() if "as=Table" in recording(name)["accept"] else ObjectForm()


def metadata(sent: dict) -> dict:
    return sent["rows"][0]["object"]["metadata"] if sent["kind"] == "Table" else sent["metadata"]


@pytest.mark.parametrize("name", names("watch"))
def test_every_recorded_watch_event_is_understood(name: str) -> None:
    form = form_for(name)
    decoded = [parse_frame(line) for line in LineDecoder().feed(body(name))]
    assert [frame.type for frame in decoded] == [sent["type"] for sent in frames(name)]
    for frame, sent in zip(decoded, frames(name), strict=True):
        if sent["type"] == "ERROR":
            continue
        known = metadata(sent["object"])
        assert frame.version == known["resourceVersion"]
        if sent["type"] == "BOOKMARK":
            continue
        [item] = form.of_frame(frame)
        assert item[:3] == ((known["namespace"], known["name"]), known["uid"], known["resourceVersion"])
        assert_state(item, sent["object"])


@pytest.mark.parametrize("name", names("list"))
def test_every_recorded_list_is_understood(name: str) -> None:
    sent = json.loads(body(name))
    page = parse_page(body(name))
    assert page.version == sent["metadata"]["resourceVersion"]
    assert page.token == sent["metadata"].get("continue", "")
    assert page.remaining == sent["metadata"].get("remainingItemCount")
    items = list(form_for(name).of_page(page))
    if sent["kind"] == "Table":
        for item, row in zip(items, sent["rows"], strict=True):
            assert_state(item, sent | {"rows": [row]})
        return
    for item, original in zip(items, sent["items"], strict=True):
        kind = {"kind": sent["kind"].removesuffix("List"), "apiVersion": sent["apiVersion"]}
        assert_state(item, kind | original)
        assert list(item.state.object)[:2] == ["kind", "apiVersion"]


def assert_state(item: Item, sent: dict) -> None:
    if sent["kind"] == "Table":
        row = sent["rows"][0]
        assert list(item.state.cells) == row["cells"]
        assert item.state.created == row["object"]["metadata"]["creationTimestamp"]
        assert item.state.labels == row["object"]["metadata"].get("labels", {})
        expected = POD_COLUMNS if len(row["cells"]) == 9 else [column["name"] for column in sent["columnDefinitions"]]
        assert [column.name for column in item.state.columns] == expected
        return
    trimmed = sent | {"metadata": {key: value for key, value in sent["metadata"].items() if key != "managedFields"}}
    assert item.state.object == trimmed
    assert json.loads(item.state.encoded) == trimmed


def test_columns_of_the_first_table_frame_serve_the_later_ones() -> None:
    form = TableForm()
    first, second = (form.of_frame(parse_frame(line))[0] for line in LineDecoder().feed(body("watch-table"))[:2])
    assert second.state.columns is first.state.columns
    assert first.state.columns[0] == Column("Name", "string", "name", 0)


def test_managed_fields_stay_when_asked_for() -> None:
    [item, *_] = ObjectForm(managed_fields=True).of_page(parse_page(body("list-objects")))
    assert item.state.object["metadata"]["managedFields"][0]["manager"] == "kubectl-create"


def test_an_object_where_a_table_was_asked_for_becomes_a_row_of_name_and_age() -> None:
    [item, *_] = TableForm().of_page(parse_page(body("list-objects")))
    assert [column.name for column in item.state.columns] == ["Name", "Age"]
    assert item.state.cells == ("p0", "")


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", "1", '"ADDED"', "{}", '{"type":"ADDED"}', '{"type":1,"object":{}}',
     '{"type":"ADDED","object":[]}', '{"type":"ADDED","object":{"a":NaN}}', "[" * 100_000, '{"a":' * 100_000],
)  # fmt: skip
def test_a_line_that_is_no_event_is_malformed_and_nothing_worse(line: str) -> None:
    with pytest.raises(MalformedFrame):
        parse_frame(line.encode())


def test_a_line_that_is_not_utf8_is_malformed() -> None:
    with pytest.raises(MalformedFrame, match="not UTF-8"):
        parse_frame(b'{"type":"ADDED","object":{"a":"\xff"}}')


@pytest.mark.parametrize("name", ["unauthorized-401", "no-such-resource-404", "version"])
def test_a_body_that_is_no_list_is_malformed(name: str) -> None:
    with pytest.raises(MalformedFrame):
        parse_page(body(name))


def test_a_bare_status_is_an_error_event() -> None:
    frame = parse_frame(body("unauthorized-401"))
    assert (frame.type, frame.object["code"]) == ("ERROR", 401)


def test_error_bodies_are_read_on_one_line_on_many_and_as_plain_text() -> None:
    assert parse_error_body(body("forbidden-403"), 403).reason == "Forbidden"
    assert parse_error_body(body("not-acceptable-406"), 406).message.startswith("406: Not Acceptable Available")
    assert parse_error_body(body("no-such-resource-404"), 404)[:3] == (404, "", "404 page not found")
    assert parse_error_body(b"\xff\x1b[31m<html>", 502).message == "�[31m<html>"
    assert parse_error_body(body("list-rv-too-large-504"), 504).retry_after == 1.0


def one(value: str) -> Document:
    line = f'{{"type":"ADDED","object":{{"metadata":{{"name":"x"}},"value":{value}}}}}'
    [item] = ObjectForm().of_frame(parse_frame(line.encode()))
    return item.state


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"])
def test_integers_over_64_bits_keep_their_digits(number: str) -> None:
    assert one(number).encoded.decode().endswith(f'"value":{number}}}')
    assert one(f"[1,{number}]").object["value"] == [1, int(number)]


def test_escaped_lone_surrogates_pass_through() -> None:
    assert one('"a\\ud800b"').encoded.endswith(b'"value":"a\\ud800b"}')


def test_ordinary_numbers_and_text_come_out_as_they_went_in() -> None:
    document = one('[1,2.5,-3,18446744073709551615,"e+ 12345678901234567890,"]')
    assert document.object["value"] == [1, 2.5, -3, 18446744073709551615, "e+ 12345678901234567890,"]
    assert orjson.loads(document.encoded) == document.object


def secret(**parts: object) -> dict:
    metadata = {"name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "CANARY", "a": "b"}}
    frame = {"type": "ADDED", "object": {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, **parts}}
    [item] = ObjectForm().of_frame(parse_frame(json.dumps(frame).encode()))
    return item.state.object


def test_secrets_are_redacted_in_data_string_data_and_the_last_applied_annotation() -> None:
    shown = secret(data={"password": "Q0FOQVJZ"}, stringData={"token": "CANARY!"})
    assert shown["data"] == {"password": "<redacted, 6 bytes>"}
    assert shown["stringData"] == {"token": "<redacted, 7 bytes>"}
    assert shown["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/last-applied-configuration": "<redacted, 6 bytes>",
        "a": "b",
    }


@pytest.mark.parametrize("form", [ObjectForm(), FullForm(Resource("", "v1", "pods", "Pod"))])
def test_an_object_nested_deeper_than_the_stack_is_kept_as_it_was_sent(form: Any) -> None:
    deep = '{"a":[' * 480 + '{"b":1,"c":[],"d":{},"e":[true,null,1.5,"x"]}' + "]}" * 480
    sent = f'{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"deep"}},"spec":{deep}}}'
    shown = sent
    if isinstance(form, FullForm):
        columns = '[{"name":"Name","type":"string"}]'
        sent = f'{{"kind":"Table","columnDefinitions":{columns},"rows":[{{"cells":["deep"],"object":{sent}}}]}}'
    [item] = form.of_frame(parse_frame(f'{{"type":"ADDED","object":{sent}}}'.encode()))
    assert item.state.encoded.decode() == shown
