"""When the table is drawn in place, and when rows are printed."""

from __future__ import annotations

import io

import pytest

from kwatch.model import Environment
from kwatch.sinks import SinkOptions, make


@pytest.mark.parametrize(
    ("terminal", "variables", "live", "drawn"),
    [
        (True, {"TERM": "xterm-256color"}, True, True),
        (True, {"TERM": "xterm-256color"}, False, False),
        (True, {"TERM": "dumb"}, True, False),
        (True, {"TERM": ""}, True, False),
        (True, {}, True, False),
        (False, {"TERM": "xterm-256color"}, True, False),
    ],
)
def test_a_table_is_drawn_where_a_terminal_can(
    terminal: bool, variables: dict[str, str], live: bool, drawn: bool
) -> None:
    env = Environment(io.BytesIO(), io.StringIO(), variables, stdout_is_terminal=terminal)
    sink = make(SinkOptions(live=live), env)
    assert type(sink).__name__ == ("LiveSink" if drawn else "RowSink")
