"""Cells and ages as kubectl prints them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from kwatch.columns import age, cell, human_duration, shown
from kwatch.model import Column

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE, "10m"), (3 * HOUR - 1, "179m"), (3 * HOUR, "3h"), (3 * HOUR + MINUTE, "3h1m"),
        (8 * HOUR - 1, "7h59m"), (8 * HOUR, "8h"), (48 * HOUR - 1, "47h"), (48 * HOUR, "2d"), (49 * HOUR, "2d1h"),
        (8 * DAY - 1, "7d23h"), (8 * DAY, "8d"), (2 * YEAR - 1, "729d"), (2 * YEAR, "2y"), (2 * YEAR + DAY, "2y1d"),
        (8 * YEAR, "8y"), (20 * YEAR, "20y"),
    ],
)  # fmt: skip
def test_durations_have_kubectls_form(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_an_age_counts_from_the_creation_and_is_unknown_without_one() -> None:
    now = datetime(2026, 11, 22, 10, 0, 42, tzinfo=timezone.utc)
    assert age("2026-11-22T09:57:00Z", now) == "3m42s"
    assert [age(odd, now) for odd in ("", "2026-11-22", "2026-11-22T09:57:00", "soon")] == ["<unknown>"] * 4


@pytest.mark.parametrize("fraction", [".5", ".512", ".512345", ".512345678"])
def test_a_fraction_of_a_second_may_have_any_number_of_digits(fraction: str) -> None:
    assert age(f"2026-11-22T09:57:00{fraction}Z", datetime(2026, 11, 22, 10, 0, 42, tzinfo=timezone.utc)) == "3m41s"


@pytest.mark.parametrize(
    ("value", "text"),
    [("Running", "Running"), (4, "4"), (4.0, "4"), (0.5, "0.5"), (1.5e6, "1.5e+06"),
     (True, "true"), (None, ""), ("<none>", "<none>"),
     ("first\nsecond", "first..."), ("\x1b[31mred\x9b0m", "[31mred0m"), ("a\u202eb", "ab"), ("漢字 🚀", "漢字 🚀")],
)  # fmt: skip
def test_cells_are_printed_as_kubectl_does_and_inert(value: object, text: str) -> None:
    assert cell(value) == text


def test_columns_of_other_priorities_are_for_wide_alone() -> None:
    columns = [Column("Name"), Column("IP", priority=1), Column("Age")]
    assert shown(columns, wide=False) == (0, 2)
    assert shown(columns, wide=True) == (0, 1, 2)
