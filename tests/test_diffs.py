"""What changed between two states of an object: paths, lists matched by key, folded noise, values as text."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwatch.diffs import MISSING, diff, line_changes, path_text, summary, value_text


def changed(old: Any, new: Any, **more: Any) -> list[tuple[str, Any, Any]]:
    found = diff(old, new, **more).shown
    return [(path_text(one.path), one.old, one.new) for one in found]


def folded(old: Any, new: Any) -> list[str]:
    return [path_text(one.path) for one in diff(old, new).folded]


def test_an_image_is_found_by_its_containers_name() -> None:
    old = {"spec": {"containers": [{"name": "web", "image": "a:1"}, {"name": "log", "image": "l:1"}]}}
    new = {"spec": {"containers": [{"name": "log", "image": "l:1"}, {"name": "web", "image": "a:2"}]}}
    assert changed(old, new) == [
        ("spec.containers[web].image", "a:1", "a:2"),
        ("spec.containers (order)", ["web", "log"], ["log", "web"]),
    ]


def lists(field: str, old: list[Any], new: list[Any]) -> list[tuple[str, Any, Any]]:
    return changed({"x": {field: old}}, {"x": {field: new}})


@pytest.mark.parametrize(
    ("field", "old", "new", "expected"),
    [
        ("conditions", [{"type": "Ready", "status": "False"}], [{"type": "Ok"}, {"type": "Ready", "status": "True"}],
         [("x.conditions[Ready].status", "False", "True"), ("x.conditions[Ok]", MISSING, {"type": "Ok"})]),
        ("env", [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], [{"name": "B", "value": "3"}],
         [("x.env[A]", {"name": "A", "value": "1"}, MISSING), ("x.env[B].value", "2", "3")]),
        ("ports", [{"containerPort": 80, "name": "a"}], [{"containerPort": 80, "name": "b"}],
         [("x.ports[80].name", "a", "b")]),
        ("ports", [{"port": 53, "protocol": "TCP", "n": 1}, {"port": 53, "protocol": "UDP", "n": 1}],
         [{"port": 53, "protocol": "TCP", "n": 1}, {"port": 53, "protocol": "UDP", "n": 2}],
         [("x.ports[53/UDP].n", 1, 2)]),
        ("ownerReferences", [{"uid": "1", "kind": "Job", "name": "j", "controller": True}],
         [{"uid": "1", "kind": "Job", "name": "j", "controller": False}],
         [("x.ownerReferences[Job/j].controller", True, False)]),
        ("volumeMounts", [{"mountPath": "/a", "name": "v"}], [{"mountPath": "/a", "name": "w"}],
         [("x.volumeMounts[/a].name", "v", "w")]),
        ("tolerations", [{"key": "k", "effect": "NoExecute", "tolerationSeconds": 1}, {"operator": "Exists"}],
         [{"key": "k", "effect": "NoExecute", "tolerationSeconds": 2}, {"operator": "Exists"}],
         [("x.tolerations[0].tolerationSeconds", 1, 2)]),
        ("taints", [{"key": "a", "effect": "NoSchedule"}], [],
         [("x.taints[a]", {"key": "a", "effect": "NoSchedule"}, MISSING)]),
        ("volumeClaimTemplates", [{"metadata": {"name": "data"}, "size": 1}],
         [{"metadata": {"name": "data"}, "size": 2}],
         [("x.volumeClaimTemplates[data].size", 1, 2)]),
        ("args", ["a", "b", "c"], ["a", "x", "b", "c"], [("x.args[1]", MISSING, "x")]),
        ("args", ["a", "b", "c"], ["a", "B", "c", "d"], [("x.args[1]", "b", "B"), ("x.args[3]", MISSING, "d")]),
        ("args", ["a", "b"], ["b"], [("x.args[0]", "a", MISSING)]),
        ("envFrom", [{"configMapRef": {"name": "a"}}], [{"configMapRef": {"name": "b"}}],
         [("x.envFrom[0].configMapRef.name", "a", "b")]),
        ("mine", [{"name": "a", "v": 1}, {"name": "a", "v": 2}], [{"name": "a", "v": 1}, {"name": "a", "v": 3}],
         [("x.mine[1].v", 2, 3)]),
        ("mixed", [1, {"name": "a"}], [1, {"name": "b"}], [("x.mixed[1].name", "a", "b")]),
    ],
)  # fmt: skip
def test_lists_are_matched_by_what_tells_their_items_apart(
    field: str, old: list[Any], new: list[Any], expected: list[tuple[str, Any, Any]]
) -> None:
    assert lists(field, old, new) == expected


def test_a_long_list_without_keys_is_compared_by_index() -> None:
    old = list(range(1000))
    assert lists("n", old, [*old[:500], -1, *old[501:]]) == [("x.n[500]", 500, -1)]


def test_added_removed_and_retyped_fields() -> None:
    old = {"a": 1, "b": {"c": 1}, "t": 1, "n": None}
    new = {"a": 1, "t": True, "n": 0, "d": {"e": 1}}
    assert changed(old, new) == [
        ("b", {"c": 1}, MISSING), ("t", 1, True), ("n", None, 0), ("d", MISSING, {"e": 1}),
    ]  # fmt: skip


def test_what_every_change_brings_is_folded_and_shown_with_everything() -> None:
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "1", "lastTransitionTime": "1"}
    old = {
        "metadata": {"resourceVersion": "1", "generation": 1, "managedFields": [{"manager": "a", "time": "1"}]},
        "status": {"observedGeneration": 1, "conditions": [ready]},
    }
    new = copy.deepcopy(old)
    new["metadata"].update(resourceVersion="2", generation=2, managedFields=[{"manager": "a", "time": "2"}])
    new["status"].update(observedGeneration=2, conditions=[{**ready, "lastHeartbeatTime": "2"}])
    paths = [
        "metadata.resourceVersion", "metadata.generation", "metadata.managedFields[a].time",
        "status.observedGeneration", "status.conditions[Ready].lastHeartbeatTime",
    ]  # fmt: skip
    assert changed(old, new) == []
    assert folded(old, new) == paths
    assert [path for path, _, _ in changed(old, new, everything=True)] == paths


def test_a_transition_time_is_shown_only_where_nothing_else_of_its_condition_is() -> None:
    def pod(status: str, time: str) -> dict[str, Any]:
        return {"status": {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": time}]}}

    assert changed(pod("True", "1"), pod("False", "2")) == [("status.conditions[Ready].status", "True", "False")]
    assert changed(pod("True", "1"), pod("True", "2")) == [("status.conditions[Ready].lastTransitionTime", "1", "2")]


def test_a_leases_renewal_is_a_heartbeat_and_its_holder_is_not() -> None:
    old = {"kind": "Lease", "spec": {"renewTime": "1", "holderIdentity": "a"}}
    assert changed(old, {"kind": "Lease", "spec": {"renewTime": "2", "holderIdentity": "a"}}) == []
    assert changed(old, {"kind": "Lease", "spec": {"renewTime": "2", "holderIdentity": "b"}}) == [
        ("spec.holderIdentity", "a", "b")
    ]
    assert changed({"spec": {"renewTime": "1"}}, {"spec": {"renewTime": "2"}}) == [("spec.renewTime", "1", "2")]


def test_a_data_key_or_a_label_named_like_noise_in_the_wrong_place_is_no_noise() -> None:
    assert changed({"data": {"resourceVersion": "1"}}, {"data": {"resourceVersion": "2"}}) != []
    assert changed({"spec": {"generation": 1}}, {"spec": {"generation": 2}}) != []


@pytest.mark.parametrize(
    ("old", "path"),
    [
        ({"metadata": {"labels": {"app": "a"}}}, "metadata.labels.app"),
        ({"metadata": {"labels": {"app.kubernetes.io/name": "a"}}}, 'metadata.labels["app.kubernetes.io/name"]'),
        ({"data": {"a b": 1}}, 'data["a b"]'),
        ({"data": {"": 1}}, 'data[""]'),
        ({"x": {"e\x1b[31m\u202e\x9b": 1}}, 'x["e\\u001b[31m\\u202e\\u009b"]'),
        ({"$ref": 1}, "$ref"),
    ],
)
def test_paths_are_written_as_one_would_and_inert(old: dict[str, Any], path: str) -> None:
    def other(value: Any) -> Any:
        return {key: other(item) for key, item in value.items()} if isinstance(value, dict) else 2

    assert [found for found, _, _ in changed(old, other(old))] == [path]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("nginx:1", "nginx:1"), ("a b", "a b"), ("", '""'), (" a", '" a"'), ("1", '"1"'), (1, "1"), ("true", '"true"'),
        (True, "true"), (None, "null"), ("null", '"null"'), (1.5, "1.5"), ('say "hi"', 'say "hi"'),
        ('"q"', '"\\"q\\""'),
        ("a\nb", '"a\\nb"'), ("\x1b[31m", '"\\u001b[31m"'), ("a\u202eb", '"a\\u202eb"'), ("\x9b", '"\\u009b"'),
        ({"a": "x", "b": [1, "2"]}, '{a: x, b: [1, "2"]}'), ({}, "{}"), ([], "[]"), ({"a": "x, y"}, '{a: "x, y"}'),
        ({"a,b": "c: d"}, '{"a,b": "c: d"}'), ("漢字", "漢字"), ("10.0.0.1", "10.0.0.1"), ("[x", '"[x"'),
    ],
)  # fmt: skip
def test_values_are_one_inert_line_that_cannot_be_mistaken(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_what_is_added_is_told_without_noise_nulls_and_what_the_path_says() -> None:
    condition = {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": "1", "reason": "Up"}
    [one] = diff({"conditions": []}, {"conditions": [condition]}).shown
    assert (str(one), summary(one)) == ("conditions[Ready]", {"status": "True", "reason": "Up"})


def signs(old: Any, new: Any) -> list[str] | None:
    lines = line_changes(old, new)
    return None if lines is None else [f"{line.sign}{line.text}" for line in lines]


def test_texts_of_several_lines_are_compared_line_by_line() -> None:
    old = "".join(f"line {index}\n" for index in range(9))
    assert signs(old, old.replace("line 4", "LINE 4")) == ["…", " line 3", "-line 4", "+LINE 4", " line 5"]
    assert signs("a\nb\n", "a\nb") == ["…", " b", "-"]
    assert signs(MISSING, "a\nb") == ["+a", "+b"]
    assert signs("a\nb", MISSING) == ["-a", "-b"]
    assert signs("a", "b") is None
    assert signs("a\nb", 1) is None
    assert signs("a\tb\n", "a\tc\n") == ["-a   b", "+a   c", " "]
    assert signs("a\tb\n", "a   b\n") == ["-a\\tb", "+a   b", " "]
    assert signs("a\n\x1b[2J", "b\n\x1b[2J") == ["-a", "+b", " \\u001b[2J"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab\n", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "type", "a", "b"]), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["conditions", "ports", "args", "spec", "name"]), JSON)


@given(OBJECTS, OBJECTS)
def test_there_is_a_difference_exactly_where_the_objects_differ(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = diff(old, new, everything=True)
    assert (found.shown == []) is (repr_of(old) == repr_of(new))
    assert found.folded == []
    for one in found.shown:
        assert value_text(one.new).isprintable() if one.new is not MISSING else value_text(one.old).isprintable()
        assert path_text(one.path).isprintable()


def repr_of(value: Any) -> Any:
    """Equal where JSON is: True is not 1, and the order of fields doesn't count."""
    if isinstance(value, dict):
        return ("object", sorted((name, repr_of(item)) for name, item in value.items()))
    return ("list", list(map(repr_of, value))) if isinstance(value, list) else (type(value).__name__, repr(value))
