"""kubectl's own forms, byte for byte: json, yaml, name, jsonpath, custom-columns. What is expected is what kubectl 1.32
printed of the same objects."""

from __future__ import annotations

import io
import json
import os
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kwatch.errors import UsageError
from kwatch.model import Change, Environment, Query, Resource
from kwatch.protocol.forms import Document
from kwatch.protocol.jsontext import encode
from kwatch.sinks import SinkOptions, make
from kwatch.sinks.yamlsink import encoded

DEPLOYMENTS = Query(Resource("apps", "v1", "deployments", "Deployment"), "shop")


def change(value: dict[str, Any], kind: Any = "ADDED") -> Change:
    name = value.get("metadata", {}).get("name", "web")
    return Change(kind, ("shop", name), "uid", "1", Document(encode(value)))


def output(form: str, *changes: Change, terminal: bool = False, **more: Any) -> str:
    name, _, template = form.partition("=")
    stream = io.BytesIO()
    size = os.terminal_size((80, 24))
    env = Environment(stream, io.StringIO(), {"TERM": "xterm"}, stdout_is_terminal=terminal, size=lambda: size)
    sink = make(SinkOptions(output=name, template=template, **more), env)
    for one in changes:
        assert sink.change(DEPLOYMENTS, [one]) == 1
    sink.close()
    return stream.getvalue().decode()


WEB = {"kind": "Deployment", "metadata": {"name": "web", "labels": {"b": "<&>", "a": "x"}}, "spec": {"replicas": 2}}
LOG = {"kind": "Deployment", "metadata": {"name": "log"}, "spec": {}}


def test_json_is_indented_by_four_with_sorted_keys_and_gos_escapes() -> None:
    assert output("json", change(WEB), change(LOG, "DELETED")) == (
        '{\n    "kind": "Deployment",\n    "metadata": {\n        "labels": {\n            "a": "x",\n'
        '            "b": "\\u003c\\u0026\\u003e"\n        },\n        "name": "web"\n    },\n    "spec": {\n'
        '        "replicas": 2\n    }\n}\n'
        '{\n    "kind": "Deployment",\n    "metadata": {\n        "name": "log"\n    },\n    "spec": {}\n}\n'
    )


def test_numbers_in_json_are_written_as_go_writes_them_and_big_integers_keep_their_digits() -> None:
    numbers = [1.0, 1e20, 1e21, 1e-6, 1e-7, -0.0, 0.1, 2**53 + 1, 2**70, 1.5e300]
    texts = "1,100000000000000000000,1e+21,0.000001,1e-7,-0,0.1,9007199254740993,1180591620717411303424,1.5e+300"
    text = output("json", change({"numbers": numbers, "text": ":1.0,"}))
    assert "".join(text.split()) == f'{{"numbers":[{texts}],"text":":1.0,"}}'


def test_what_json_cannot_hold_in_utf8_does_not_end_the_output() -> None:
    deep: Any = "\ud83d"
    for _ in range(300):
        deep = [deep]
    assert json.loads(output("json", change({"deep": deep})))["deep"]


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize(
    "form", ["json", "yaml", "jsonpath={.spec}{.object.spec}", "custom-columns=S:.spec,O:.object.spec"]
)
def test_an_object_nested_deeper_than_the_stack_does_not_end_the_output(form: str, events: bool) -> None:
    deep = b'{"metadata":{"name":"deep"},"spec":' + b'{"a":' * 800 + b"1.5" + b"}" * 800 + b"}"
    one = Change("ADDED", ("shop", "deep"), "uid", "1", Document(deep))
    text = output(form, one, change(LOG), output_watch_events=events)
    assert len(re.findall(r'\ba"?:', text)) == 800 or "<nested too deep>" in text
    assert "ADDED" in text or not events or form not in ("json", "yaml")


def test_yaml_documents_stand_between_dashes_in_kubectls_order() -> None:
    assert output("yaml", change(WEB), change(LOG)) == (
        "kind: Deployment\nmetadata:\n  labels:\n    a: x\n    b: <&>\n  name: web\nspec:\n  replicas: 2\n"
        "---\n"
        "kind: Deployment\nmetadata:\n  name: log\nspec: {}\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("yes", '"yes"'), ("N", '"N"'), ("", '""'), ("~", '"~"'), ("plain", "plain"), ("1e3", '"1e3"'), ("1e", "1e"),
        ("0x10", '"0x10"'), ("0x", "0x"), ("017", '"017"'), ("08", '"08"'), ("1_000", '"1_000"'), ("12:30", '"12:30"'),
        ("12:90", "12:90"), (".5", '".5"'), (".x", ".x"), (".nan", '".nan"'), ("NaN", "NaN"), ("1e400", "1e400"),
        ("2001-01-01", '"2001-01-01"'), ("2001-13-01", "2001-13-01"), ("2001-01-01T25:00:00Z", "2001-01-01T25:00:00Z"),
        ("2001-01-01 1:2:3", '"2001-01-01 1:2:3"'), ("1.0.0", "1.0.0"), (" a", "' a'"), ("a: b", "'a: b'"),
        ("!a", "'!a'"), ("*a", "'*a'"), ("a\tb", '"a\\tb"'), ("a\nb", "|-\n  a\n  b"), ("a\n", "|\n  a"),
        ("a \nb", '"a \\nb"'), ("漢字", "漢字"), ("🚀", '"\\U0001F680"'), ("<<", "<<"), ("=", "="),
        ("x" * 200, "x" * 200),
        (1.5, "1.5"), (1e6, "1000000"), (1e20, "1e+20"), (1e-7, "1e-07"), (-0.0, "0"), (True, "true"), (None, "null"),
        ([], "[]"), ({}, "{}"), ([{"b": 1, "a10": 2, "a9": 3}], "\n- a9: 3\n  a10: 2\n  b: 1"),
    ],
)  # fmt: skip
def test_a_value_in_yaml_looks_as_kubectl_prints_it(value: Any, text: str) -> None:
    gap = "" if text.startswith("\n") else " "
    assert output("yaml", change({"k": value})) == f"k:{gap}{text}\n"


class Loader(yaml.CSafeLoader):
    """`=` is text to go-yaml, which PyYAML takes for a tag that it can't construct."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":value")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


@settings(deadline=None)
@example("=")
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029\ufeff")))
def test_any_text_survives_yaml(text: str) -> None:
    assert yaml.load(encoded({"a": [text], text: text}), Loader=Loader) == {"a": [text]} | {text: text}


def test_names_have_the_kind_and_group_before_them() -> None:
    assert output("name", change(WEB), change(LOG, "DELETED")) == "deployment.apps/web\ndeployment.apps/log\n"


def test_a_template_is_printed_once_an_object_with_nothing_after_it() -> None:
    assert output("jsonpath={.metadata.name}", change(WEB), change(LOG)) == "weblog"
    assert output("jsonpath={range .items[*]}{.metadata.labels.b}{'\\n'}{end}", change(WEB), change(LOG)) == "<&>\n\n"


def test_custom_columns_have_a_header_once_and_widths_that_only_grow() -> None:
    columns = "custom-columns=NAME:.metadata.name,LABELS:metadata.labels,REPLICAS:{.spec.replicas},L:.x['a','b'],"
    text = output(f"{columns}NIL:.nil", change(WEB), change({**LOG, "x": {"a": [1.5, None], "b": True}, "nil": None}))
    assert text == (
        "NAME   LABELS           REPLICAS   L        NIL\n"
        "web    map[a:x b:<&>]   2          <none>   <none>\n"
        "log    <none>           <none>     [1.5 <nil>],true   <nil>\n"
    )


def test_custom_columns_of_a_file_are_a_line_of_headings_and_one_of_paths() -> None:
    text = output("custom-columns-file=NAME   KIND\nmetadata.name  {.kind}\n", change(WEB), headers=False)
    assert text == "web   Deployment\n"


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("custom-columns=NAME", '"NAME" is no column'),
        ("custom-columns=NAME:", '"NAME" is no column'),
        ("custom-columns=A:.a,B", '"B" is no column'),
        ("custom-columns=A:{.a}{.b}", "is not one JSONPath"),
        ("custom-columns=A:.a[", "this bracket is never closed"),
        ("custom-columns-file=A B\n.a", "2 headings and 1 paths"),
        ("custom-columns-file=\n", "0 headings and 0 paths"),
        ("jsonpath={.a", "this brace is never closed"),
    ],
)
def test_a_bad_template_is_refused(form: str, why: str) -> None:
    with pytest.raises(UsageError, match=why.replace("{", r"\{")):
        output(form)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '{"type":"DELETED","object":{"kind":"Deployment","metadata":{"name":"log"},"spec":{}}}\n'),
        ("yaml", "object:\n  kind: Deployment\n  metadata:\n    name: log\n  spec: {}\ntype: DELETED\n"),
        ("jsonpath={.type} {.object.metadata.name}{'\\n'}", "DELETED log\n"),
        ("custom-columns=T:.type,N:.object.metadata.name", "T         N\nDELETED   log\n"),
    ],
)
def test_with_output_watch_events_the_type_of_the_event_is_told(form: str, text: str) -> None:
    assert output(form, change(LOG, "DELETED"), output_watch_events=True) == text


HOSTILE = {"metadata": {"name": "x\x1b[31my\x9bz\u202e"}}


@pytest.mark.parametrize(
    "form", ["json", "yaml", "name", "jsonpath={.metadata.name}{'\\n'}", "custom-columns=N:.metadata.name"]
)
def test_on_a_terminal_no_control_character_is_written(form: str) -> None:
    text = output(form, change(HOSTILE), terminal=True)
    assert text.replace("\n", "").isprintable()


def test_in_a_pipe_json_and_yaml_keep_every_character() -> None:
    assert json.loads(output("json", change(HOSTILE))) == HOSTILE
    assert yaml.load(output("yaml", change(HOSTILE)), Loader=yaml.CSafeLoader) == HOSTILE
