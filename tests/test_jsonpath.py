"""kubectl's JSONPath: what templates print (as kubectl 1.32 does), and where a bad one is wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kwatch import jsonpath
from kwatch.errors import UsageError
from kwatch.jsonpath import relaxed

POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web", "a.b/c": "d"}},
    "spec": {
        "containers": [{"name": "web", "image": "nginx:1.27", "port": 80}, {"name": "log", "image": "fluentd"}],
        "nothing": None,
        "odd": 'a(b) "it\'s"',
        "numbers": [1, -1.5, 1e6, 100000.5, 1e-7, True, None],
    },
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Done", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.metadata.name}", "web-0"),
        ("{ .metadata .name }", "web-0"),
        ("{$.metadata.name} in {@.metadata.namespace}", "web-0 in shop"),
        ('{.metadata.name}{"\\n"}{\'\\t\'}{"\\u00e9\\x41"}.', "web-0\n\téA."),
        ("{.metadata.labels}", '{"a.b/c":"d","app":"web"}'),
        ("{.metadata.labels.a\\.b/c}", "d"),
        ("{.metadata.labels['a\\.b/c']}", "d"),
        ("{.metadata.labels['a.b/c']}", ""),
        ("{['metadata.name','kind']}", "web-0 Pod"),
        ("{.spec.containers[*]['name', 'image']}", "web log nginx:1.27 fluentd"),
        ("{.spec.containers[*].name}", "web log"),
        ("{.spec.containers[-1].name}{.spec.containers[0:1].name}{.spec.containers[::2].name}", "logwebweb"),
        ("{.spec.containers[0,1].name}{.spec.containers[].name}", "web logweb"),
        ("{.spec.containers.name}{.metadata[*]}", ""),
        ("{.metadata.labels.*}", "web d"),
        ("{.spec..image}", "nginx:1.27 fluentd"),
        ('{.status.conditions[?(@.type=="Ready")].status}', "True"),
        ("{.status.conditions[?( @.type != 'Ready' )].type}", "Done"),
        ("{.spec.containers[?(@.port)].name}", "web"),
        ("{.spec.containers[?(@.port>=80)].name}", "web"),
        ("{.spec.containers[?(@.port!=1)].name}", "web"),
        ("{.spec.containers[?(@.absent==@.missing)].name}", ""),
        ("{.spec.containers[?(@['name']==\"log\")]['name','image']}", "log fluentd"),
        ("{range .spec.containers[*]}{.name}={.port}{';'}{end}!", "web=80;log=;!"),
        ("{range .spec.containers[*]}{range @}{.name}{end}{','}{end}", "web,log,"),
        ("{range .spec.absent[*]}{.name}{end}-", "-"),
        ("{range .spec.containers[*]}{.name},{.kind} ", "web, log, ,Pod "),
        ("{.spec.nothing}/{.spec.absent}/{.spec.numbers}", "null//[1,-1.5,1000000,100000.5,1e-7,true,null]"),
        ("{.spec.numbers[*]}", "1 -1.5 1e+06 100000.5 1e-07 true null"),
        ('{1}{-1.5}{true}{"}"}}', "1-1.5true}}"),
        (".metadata.name", "web-0"),
        ("metadata.name", "web-0"),
    ],
)  # fmt: skip
def test_a_template_prints_what_kubectl_prints(template: str, text: str) -> None:
    assert jsonpath.compile(template).render(POD) == text


@pytest.mark.parametrize(
    "template",
    [
        "{.items[*].metadata.name}",
        "{.items[0].metadata.name}",
        "{range .items[*]}{.metadata.name}{end}",
        "{range .items[?(@.kind=='Pod')]}{.metadata['name']}{end}",
        "{.items..name}",
    ],
)
def test_what_is_written_for_a_list_works_on_one_object(template: str) -> None:
    assert jsonpath.compile(template).render(POD).startswith("web-0")


def test_items_that_an_object_has_itself_are_its_items() -> None:
    query = relaxed(".items[*]")
    assert query.values({"items": ["a", "b"]}) == ["a", "b"]
    assert jsonpath.compile("{range .spec[*]}{.items}{end}").render({"spec": [{"items": "own"}, {}]}) == "own"


def test_a_comparison_of_different_types_selects_nothing_where_kubectl_ends() -> None:
    assert jsonpath.compile('{.spec.containers[?(@.port=="80")].name}').render(POD) == ""
    assert jsonpath.compile("{.spec.containers[?(@.port>79.5)].name}").render(POD) == "web"
    assert jsonpath.compile("{.spec.containers[7].name}").render(POD) == ""


def test_values_that_look_like_json_are_text() -> None:
    assert jsonpath.compile("{range .data.*}{@}{.a}{..a}{end}").render({"data": {"x": '{"a": 1}'}}) == '{"a": 1}'


def test_an_object_nested_without_end_selects_nothing() -> None:
    value: dict[str, Any] = {}
    for _ in range(400):
        value = {"a": value}
    assert jsonpath.compile("{..name}").render(value) == ""


def test_a_single_path_may_begin_with_two_dots_or_a_bracket() -> None:
    assert relaxed("..image").values(POD) == relaxed("{..image}").values(POD) == ["nginx:1.27", "fluentd"]
    assert relaxed("['metadata.name']").values(POD) == ["web-0"]
    assert relaxed(".").values(POD) == relaxed("{.}").values(POD) == [POD]


@pytest.mark.parametrize("path", ["metadata.name", ".metadata.name", "{metadata.name}", "{.metadata.name}"])
def test_a_single_path_is_taken_with_and_without_dot_and_braces(path: str) -> None:
    assert relaxed(path).values(POD) == ["web-0"]


@pytest.mark.parametrize(
    ("template", "character", "why"),
    [
        ("{.metadata.name", 1, "this brace is never closed"),
        ("{range .a", 1, "this brace is never closed"),
        ("a{.kind}{end}", 9, "there is no {range} for this {end}"),
        ("{metadata.name}", 2, "a path begins with a dot"),
        ('{.kind "x"}', 8, "text and path each take braces of their own"),
        ("{.kind,.metadata}", 7, "this is no part of a path"),
        ("{.a[x]}", 5, "not an index, a slice or 'a name'"),
        ('{.a["x"]}', 5, "a name in brackets takes single quotes"),
        ("{.a[1}", 4, "this bracket is never closed"),
        ("{.a[::0]}", 5, "not an index, a slice or 'a name'"),
        ('{.a[?(@.b=~"x")]}', 10, "filters compare with == != < > <= >="),
        ('{.a[?(@.b=="x" && @.c)]}', 16, "a filter is a path, or a path compared with a value"),
        ("{.a[?(@.b)}", 10, "a filter ends with )]"),
        ("{.a[?(@.b}", 4, "this filter is never closed"),
        ("{.a[?(b)]}", 7, "a path begins with a dot"),
        ("{.a[?(@['x','y']==1)]}", 7, "several fields at once"),
        ("{.a[?(@.b[*]==1)]}", 1, ""),
        ("{.a..}", 6, "a name or a bracket follows two dots"),
        ("{'a}", 2, "this quote is never closed"),
        ("{'\\q'}", 3, "a backslash before what needs none"),
        ("{.a[99999999999999999999]}", 1, ""),
    ],
)  # fmt: skip
def test_a_bad_template_is_refused_with_the_place(template: str, character: int, why: str) -> None:
    with pytest.raises(UsageError) as error:
        jsonpath.compile(template)
    assert f"character {character}, " in str(error.value)
    assert why in str(error.value)


@pytest.mark.parametrize("path", ["", "{.a}{.b}", "{.a", "a}"])
def test_what_is_not_one_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is not one JSONPath"):
        relaxed(path)


def test_a_chain_of_fields_needs_no_library() -> None:
    script = (
        "import sys, kwatch.jsonpath as j; j.compile('{.a.b}'); j.relaxed('a.b'); assert 'jsonpath' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
