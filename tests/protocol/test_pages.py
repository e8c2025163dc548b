"""A page's items are decoded one by one where the page is written as the server writes it, and mean the same always."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import body, names

from kwatch.errors import MalformedFrame, TruncatedJson
from kwatch.model import Row
from kwatch.protocol.forms import ObjectForm, TableForm
from kwatch.protocol.frames import Items, parse_page

METADATA = {"resourceVersion": "5"}
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just('},{"metadata":{'))
inner = st.recursive(
    leaves,
    lambda deeper: st.one_of(
        st.lists(deeper, max_size=3),
        st.dictionaries(st.sampled_from(["metadata", "items", "cells", "rows", 'a"items', "spec"]), deeper, max_size=3),
        st.lists(st.fixed_dictionaries({"metadata": st.dictionaries(st.text(max_size=3), deeper)}), max_size=3),
    ),
    max_leaves=12,
)
items = st.lists(
    st.fixed_dictionaries({"metadata": st.fixed_dictionaries({"name": st.text(max_size=5)}), "spec": inner}), max_size=5
)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


@settings(deadline=None)
@given(items, inner)
def test_items_decoded_one_by_one_are_those_of_the_page_decoded_as_a_whole(listed: list[Any], more: Any) -> None:
    for value in (
        {"kind": "PodList", "apiVersion": "v1", "metadata": METADATA, "items": listed},
        {"kind": "PodList", "metadata": METADATA, "items": listed, "more": more},
        {"kind": "PodList", "metadata": {"items": listed, **METADATA}, "items": listed},
        {"kind": "PodList", "more": more, "metadata": METADATA, "items": listed},
        {"kind": "Table", "metadata": METADATA, "rows": [{"cells": [1], "object": item} for item in listed]},
    ):
        name = "rows" if "rows" in value else "items"
        text = compact(value)
        assert list(parse_page(text).body[name]) == json.loads(text)[name]
        assert parse_page(text).version == "5"


@pytest.mark.parametrize("name", names("list"))
def test_the_recorded_lists_with_objects_are_decoded_one_by_one(name: str) -> None:
    sent = json.loads(body(name))
    for array in {"items", "rows"} & sent.keys():
        found = parse_page(body(name)).body[array]
        assert isinstance(found, Items) == (bool(sent[array]) and "Partial" not in sent["kind"])
        assert list(found) == sent[array]


PAGE = compact(
    {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": METADATA,
        "items": [{"metadata": {"name": name, "uid": name}, "n": 1} for name in "abc"],
    }
)


@pytest.mark.parametrize("end", [*range(1, len(PAGE) - 1, 7), len(PAGE) - 1])
def test_a_page_that_is_cut_anywhere_is_cut_and_gives_nothing(end: int) -> None:
    with pytest.raises(TruncatedJson):
        list(ObjectForm().of_page(parse_page(PAGE[:end])))


@pytest.mark.parametrize(
    ("old", "new"), [(b'"n":1}]', b'"n":1},]'), (b'"n":1}]', b'"n":}]'), (b'"b"', b"b"), (b'"b"', b'"\xff"')]
)
def test_a_page_with_one_item_that_is_no_json_is_malformed(old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedFrame):
        list(ObjectForm().of_page(parse_page(PAGE.replace(old, new, 1))))


def test_big_integers_and_lone_surrogates_of_an_item_keep_their_digits() -> None:
    page = PAGE.replace(b'"n":1', b'"n":123456789012345678901,"s":"\\ud800"', 1)
    [first, *_] = ObjectForm().of_page(parse_page(page))
    assert first.state.object["n"] == 123456789012345678901
    assert b'"s":"\\ud800"' in first.state.encoded


cells = st.lists(
    st.one_of(inner, st.floats(), st.integers(-(2**70), 2**70), st.just("\ud800"), st.just([float("inf")])), max_size=4
)


@settings(deadline=None)
@given(cells, st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
def test_a_row_that_was_kept_is_the_row_again(values: list[Any], labels: dict[str, str]) -> None:
    form = TableForm()
    [[item], [other]] = [
        list(form.of_page(parse_page(compact({"kind": "Table", "metadata": METADATA, "columnDefinitions": [column],
                                              "rows": [{"cells": ["x"], "object": {"metadata": {"name": "x"}}}]}))))
        for column in ({"name": "Name"}, {"name": "Other"})
    ]  # fmt: skip
    for one in (item, other):
        row = Row(one.state.columns, tuple(values), "2026-01-01T00:00:00Z", labels)
        uid, version, kept = form.unpack(form.pack("u-1", "17", row))
        assert (uid, version, repr(kept)) == ("u-1", "17", repr(row))
        assert kept.columns is row.columns
