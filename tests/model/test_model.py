"""Random histories against random faults: replaying what was handed on gives the server's state (promises 1 to 10).

Each example is one watch of a few objects in virtual time. `make soak` runs it for longer.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import FAULTS, NAMES, Exchange, Step, World

HISTORIES = int(os.environ.get("KWATCH_TEST_HISTORIES", "2000"))

steps = st.builds(
    Step,
    st.sampled_from(["create", "create", "label", "label", "touch", "delete", "recreate", "compact"]),
    st.sampled_from(NAMES),
    st.booleans(),
)
exchanges = st.builds(
    Exchange,
    before=st.lists(steps, max_size=3).map(tuple),
    during=st.lists(steps, max_size=3).map(tuple),
    fault=st.sampled_from(FAULTS),
    at=st.integers(0, 5000),
    split=st.sampled_from([1, 7, 1000, 100_000]),
    bookmark=st.booleans(),
    replay=st.integers(0, 4),
    restart=st.sampled_from([False, False, False, True]),
)
restores = st.integers(1, 10)


@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(exchanges | restores, max_size=12),
    st.sampled_from(["", "shown=yes"]),
    st.booleans(),
    st.integers(1, 3),
    st.booleans(),
)
def test_replaying_the_output_gives_the_servers_state_under_any_faults(
    plan: list[Exchange | int], selector: str, table: bool, page_size: int, stream_list: bool
) -> None:
    world = World(selector, table, page_size, stream_list)
    world.exchange(Exchange())
    for part in plan:
        if isinstance(part, Exchange):
            world.exchange(part)
        elif world.synced and world.rewind(part):
            world.settle()  # kwatch meets the restored server before that has caught up with its old version
    world.settle()
    assert world.problems == []
    assert world.state == world.expected()
