"""--sort-by: paths as kubectl sorts them, and printed columns."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest

from kwatch.errors import UsageError
from kwatch.model import Change, Column, Query, Resource, Row
from kwatch.protocol.forms import Document
from kwatch.protocol.jsontext import encode
from kwatch.sorting import order

PODS = Query(Resource("", "v1", "pods", "Pod"))


def change(state: Any) -> Change:
    return Change("ADDED", ("default", "x"), "uid", "1", state)


def by_path(values: list[Any]) -> list[Any]:
    sort = order(".spec.value")
    assert not sort.of_rows
    absent = object()
    changes = [change(Document(encode({"spec": {} if value == "absent" else {"value": value}}))) for value in values]
    found = sorted(changes, key=lambda one: sort.key(PODS, one))
    return [one.state.object["spec"].get("value", absent) for one in found if one.state.object["spec"]]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2.5, 10],
        ["100m", "1", "1Ki", "1.5k", "1M", "1Mi"],
        ["a1", "a10", "a2", "b"],
        ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-11-01T00:00:00Z"],
        [None, 1, "a"],
        [False, True, [1], "x", {"a": 1}],
    ],
)
def test_values_of_a_path_are_sorted_as_what_they_are(values: list[Any]) -> None:
    assert by_path(values[::-1]) == sorted(values, key=values.index)


def test_what_is_not_there_comes_first_and_equals_stay_in_order() -> None:
    sort = order("spec.value")
    states = [Document(encode({"n": n, "spec": spec})) for n, spec in enumerate([{"value": 1}, {}, {"value": 1}, {}])]
    found = sorted(map(change, states), key=lambda one: sort.key(PODS, one))
    assert [one.state.object["n"] for one in found] == [1, 3, 0, 2]


@pytest.mark.parametrize("value", ["1e999999999", "9" * 5000, "9" * 5000 + "h", "1" * 400 + "Ei"])
def test_absurd_numbers_are_sorted_too(value: str) -> None:
    assert len(by_path([value, "1"])) == 2
    assert len(by_column("RESTARTS", [value, "1"])) == 2


COLUMNS = (Column("Name", format="name"), Column("Restarts"), Column("Age"))


def by_column(name: str, cells: list[Any], created: str = "") -> list[Any]:
    sort = order(name)
    assert sort.of_rows
    rows = [change(Row(COLUMNS, ("x", cell, ""), created, {})) for cell in cells]
    return [one.state.cells[1] for one in sorted(rows, key=lambda one: sort.key(PODS, one))]


@pytest.mark.parametrize(
    "cells",
    [
        ["0", "2", "10 (3m ago)"],
        [0, 2, 10],
        ["9s", "2m5s", "3h", "2d3h", "1y"],
        ["5%", "50%", "100%"],
        [None, "1"],
        ["Completed", "Running"],
    ],
)
def test_cells_are_sorted_as_counts_ages_and_texts(cells: list[Any]) -> None:
    assert by_column("restarts", cells[::-1]) == cells


def test_by_age_the_youngest_comes_first() -> None:
    sort = order("AGE")
    rows = [change(Row(COLUMNS, (name, 0, ""), created, {})) for name, created in
            (("old", "2020-01-01T00:00:00Z"), ("new", "2026-01-01T00:00:00Z"))]  # fmt: skip
    assert [one.state.cells[0] for one in sorted(rows, key=lambda one: sort.key(PODS, one))] == ["new", "old"]


def test_a_minus_turns_the_order_round_and_leaves_equals_as_they_are() -> None:
    assert by_column("-RESTARTS", [0, 10, None, 2]) == [10, 2, 0, None]
    for path in ("-.spec.value", "-{.spec.value}", "-spec.value"):
        sort = order(path)
        states = [Document(encode({"n": n, "spec": {"value": value}})) for n, value in enumerate([1, 5, 1, 5])]
        found = sorted(map(change, states), key=lambda one: sort.key(PODS, one))
        assert [one.state.object["n"] for one in found] == [1, 3, 0, 2]


def test_turned_round_keys_can_be_found_again_among_others() -> None:
    sort = order("-RESTARTS")
    keys = [sort.key(PODS, change(Row(COLUMNS, ("x", cell, ""), "", {}))) for cell in (3, 2, 2, 1)]
    assert sorted([*keys[2:], *keys[:2]]) == keys
    assert keys[1] == keys[2] != keys[3]
    assert bisect_left(keys, keys[3]) == 3


def test_what_a_path_does_not_find_is_known() -> None:
    there, missing = change(Document(b'{"spec":{"value":1}}')), change(Document(b'{"spec":{}}'))
    assert [order("-{.spec.value}").has(one) for one in (there, missing)] == [True, False]
    assert order("RESTARTS").has(change(Row(COLUMNS, ("x", 1, ""), "", {})))


def test_an_unknown_column_and_a_bad_path_are_refused() -> None:
    with pytest.raises(UsageError, match='no column "NOPE" among NAME, RESTARTS, AGE'):
        by_column("nope", ["1"])
    with pytest.raises(UsageError, match="this bracket is never closed"):
        order(".a[")
