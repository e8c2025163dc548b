"""What a person sees after a script of events, on an emulated terminal, line by line."""

from __future__ import annotations

import pytest
from emulated import DEPLOYMENTS, NODES, PODS, Screen, deployment, node, pod
from hypothesis import given, settings
from hypothesis import strategies as st

from kwatch.model import Column, Connected, Ended, Query, Resource, Row, Synced
from kwatch.sinks.live.paint import Painter


def live(screen: Screen, query: Query = PODS) -> None:
    screen.tell(Synced("1", 3, True), query)
    screen.tell(Connected("1"), query)


def three(columns: int = 80, lines: int = 24, **options: object) -> Screen:
    screen = Screen(columns, lines, **options)  # type: ignore[arg-type]
    screen.at_start(pod("db-0"), pod("web-1", age=90), pod("web-0", restarts="2 (30m ago)"))
    live(screen)
    return screen


def test_the_table_and_the_status_line() -> None:
    assert three().wait() == [
        "  NAME    READY   STATUS    RESTARTS      AGE",
        "  db-0    1/1     Running   0             60m",
        "  web-0   1/1     Running   2 (30m ago)   60m",
        "  web-1   1/1     Running   0             90s",
        "3 pods in default · 3 Running · 0 events · live",
    ]


def test_a_change_a_new_row_and_a_deleted_one_are_marked_and_in_time_are_not() -> None:
    screen = three()
    screen.wait()
    screen.event("MODIFIED", pod("web-1", "CrashLoopBackOff", "0/1", age=90))
    screen.event("ADDED", pod("web-2", "Pending", "0/1", age=0))
    screen.event("DELETED", pod("db-0"))
    assert screen.wait(1) == [
        "  NAME    READY   STATUS             RESTARTS      AGE",
        "- db-0    1/1     Running            0             60m",
        "  web-0   1/1     Running            2 (30m ago)   60m",
        "! web-1   0/1     CrashLoopBackOff   0             91s",
        "+ web-2   0/1     Pending            0             1s",
        "3 pods in default · 1 Running · 1 CrashLoopBackOff · 1 Pending · live",
    ]
    assert [line[0] for line in screen.wait(2.5)[1:5]] == ["-", " ", "!", " "]
    assert screen.wait(2)[1:4] == [
        "  web-0   1/1     Running            2 (30m ago)   60m",
        "! web-1   0/1     CrashLoopBackOff   0             95s",
        "  web-2   0/1     Pending            0             5s",
    ]


def test_a_row_deleted_and_made_again_is_a_new_one() -> None:
    screen = three()
    screen.wait()
    screen.event("DELETED", pod("web-0"))
    screen.event("ADDED", pod("web-0", "Pending", "0/1", age=0))
    assert screen.wait(1)[2:4] == [
        "+ web-0   0/1     Pending   0             1s",
        "  web-1   1/1     Running   0             91s",
    ]
    assert screen.wait(6)[2].startswith("  web-0   0/1     Pending")


def test_cells_that_stand_out_longer_than_their_new_row_does_have_a_mark() -> None:
    screen = three(color=True)
    screen.wait()
    screen.event("ADDED", pod("new-0", "Pending", "0/1", age=0))
    screen.wait(2)
    screen.event("MODIFIED", pod("new-0", age=0))
    assert screen.wait(0.5)[2][0] == "+"
    assert screen.wait(1)[2][0] == "~"
    assert screen.style("1/1").fg == "default"
    assert screen.terminal.buffer[2][10].fg == "cyan"
    assert screen.wait(2)[2][0] == " "


def test_colours_say_what_is_wrong_what_is_new_and_what_is_gone() -> None:
    screen = three(color=True)
    screen.wait()
    screen.event("ADDED", pod("new-0", age=0))
    screen.event("MODIFIED", pod("web-1", "Error", "0/1"))
    screen.event("DELETED", pod("db-0"))
    screen.wait(1)
    assert screen.style("new-0").fg == "green"
    assert (screen.style("Error").fg, screen.style("Error").bold, screen.style("Error").reverse) == ("red", True, True)
    assert screen.style("web-0").fg == "default"
    screen.wait(3)
    assert not screen.style("Error").reverse
    assert screen.style("new-0").fg == "default"


def test_without_colours_no_colour_is_sent_and_the_marks_remain() -> None:
    screen = three(color=False)
    screen.event("MODIFIED", pod("web-1", "Error", "0/1"))
    assert [line[0] for line in screen.wait(1)[1:4]] == [" ", " ", "!"]
    assert not {b"3%dm" % code for code in range(8)} & {part[-3:] for part in b"".join(screen.out.each).split(b";")}
    cells = [cell for row in screen.terminal.buffer.values() for cell in row.values()]
    assert {cell.fg for cell in cells} == {"default"}


def test_a_modified_that_changes_no_printed_cell_marks_nothing() -> None:
    screen = three()
    screen.wait()
    screen.event("MODIFIED", Row(pod("x").columns, ("web-1", "1/1", "Running", 0, "9s", "10.9.9.9", "n"), "", {}))
    assert [line[0] for line in screen.wait(1)[1:4]] == [" ", " ", " "]


@pytest.mark.parametrize(
    ("kept", "status", "ready"),
    [
        (False, "Pending", "0/1"),
        (False, "ContainerCreating", "0/1"),
        (False, "Running", "0/1"),
        (True, "Running", "1/1"),
    ],
)
def test_what_is_on_its_way_for_too_long_needs_attention(kept: bool, status: str, ready: str) -> None:
    screen = Screen()
    screen.event("ADDED", pod("a", status, ready, age=0))
    assert screen.wait(59)[1][0] == " "
    assert screen.wait(2)[1][0] == (" " if kept else "!")


def test_what_was_pending_for_long_before_the_watch_needs_attention_at_once() -> None:
    screen = Screen()
    screen.at_start(pod("old", "Pending", "0/1", age=600), pod("young", "Pending", "0/1", age=5))
    assert [line[0] for line in screen.wait()[1:3]] == ["!", " "]


def test_what_the_server_said_was_so_long_ago_goes_on_too() -> None:
    screen = three()
    screen.wait()
    assert "2 (30m ago)" in screen.seen()[2]
    assert "2 (31m ago)" in screen.wait(65)[2]
    screen.event("MODIFIED", pod("web-0", restarts="3 (1s ago)"))
    assert "3 (2s ago)" in screen.wait(2)[2]
    assert screen.seen()[3].split()[3] == "0"


# More rows than lines


def many(count: int, lines: int = 10, **options: object) -> Screen:
    screen = Screen(80, lines, **options)  # type: ignore[arg-type]
    screen.at_start(*(pod(f"pod-{index:03}") for index in range(count)))
    live(screen)
    screen.wait()
    return screen


def shown(lines: list[str]) -> list[str]:
    return [line[2:9] for line in lines if line[2:6] == "pod-"]


def test_more_rows_than_lines_are_counted_by_their_status() -> None:
    screen = many(300)
    assert shown(screen.seen()) == [f"pod-{index:03}" for index in range(7)]
    assert screen.seen()[-2:] == ["… 293 more (all Running)", "300 pods in default · 300 Running · 0 events · live"]
    screen.event("MODIFIED", pod("pod-200", "Completed", "0/1"))
    screen.event("MODIFIED", pod("pod-201", "Completed", "0/1"))
    for index in range(10, 20):
        screen.event("MODIFIED", pod(f"pod-{index:03}", restarts=1))
    assert screen.wait(1)[-2] == "… 293 more (291 Running · 2 Completed)"


def test_what_changed_last_comes_into_view_and_the_others_stay_where_they_are() -> None:
    screen = many(300)
    screen.event("MODIFIED", pod("pod-150", restarts=1))
    assert shown(screen.wait(1)) == [*(f"pod-{index:03}" for index in range(6)), "pod-150"]
    screen.event("MODIFIED", pod("pod-100", restarts=1))
    assert shown(screen.wait(1)) == [*(f"pod-{index:03}" for index in range(5)), "pod-100", "pod-150"]


def test_the_unhealthy_stay_in_view_while_others_change() -> None:
    screen = many(300)
    screen.event("MODIFIED", pod("pod-299", "CrashLoopBackOff", "0/1"))
    screen.wait(1)
    for index in range(100, 160):
        screen.event("MODIFIED", pod(f"pod-{index}", restarts=1))
        assert "pod-299" in shown(screen.wait(0.5))


def test_rows_come_into_view_for_three_seconds_at_the_least() -> None:
    screen = many(300)
    first, since = shown(screen.seen()), dict[str, float]()
    for index in range(150):
        screen.event("MODIFIED", pod(f"pod-{index * 7 % 300:03}", restarts=index + 1))
        now = shown(screen.wait(0.1))
        for name in [name for name in since if name not in now]:
            assert name in first or screen.now - since[name] > 2.95
            del since[name]
        for name in now:
            since.setdefault(name, screen.now)


def test_sort_by_puts_the_first_rows_in_view_whatever_changes() -> None:
    screen = Screen(80, 8, sort_by="restarts")
    screen.at_start(*(pod(f"pod-{index:03}", restarts=count) for index, count in enumerate([10, 9, 100, 0, 3, 7, 8])))
    assert shown(screen.wait()) == ["pod-003", "pod-004", "pod-005", "pod-006", "pod-001"]
    screen.event("MODIFIED", pod("pod-003", restarts=200))
    assert shown(screen.wait(1)) == ["pod-004", "pod-005", "pod-006", "pod-001", "pod-000"]


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 6, 12])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 10, 50])
def test_the_table_stays_in_place_at_any_height(height: int, count: int) -> None:
    screen = Screen(80, height)
    names = [f"pod-{index:02}" for index in range(count)]
    screen.at_start(*map(pod, names))
    first = screen.wait()
    for status in ("Failed", "Running", "Failed"):
        for name in names:
            screen.event("MODIFIED", pod(name, status))
        screen.wait(1)
    last = screen.seen()
    assert len(last) == len(first) <= height
    assert last[-1].startswith(f"{count} pod")
    assert sum("pods" in line or "pod in" in line for line in last) == 1
    if count and height > 3:
        assert last[0].startswith("  NAME")


def test_what_needs_attention_is_counted_even_where_not_all_counts_fit() -> None:
    screen = Screen(80, 24)
    screen.at_start(*(pod(f"ok-{index}") for index in range(8)), pod("x", "CrashLoopBackOff"))
    screen.at_start(*(pod(f"done-{index}", "Completed") for index in range(3)))
    screen.at_start(*(pod(f"busy-{index}", "ContainerCreating", age=1) for index in range(2)))
    live(screen)
    assert screen.wait()[-1] == "14 pods in default · 8 Running · 1 CrashLoopBackOff · 5 other · live"
    screen.resize(50, 24)
    assert screen.wait(0.2)[-1] == "14 pods in default · 1 CrashLoopBackOff · live"
    screen.resize(40, 24)
    assert screen.wait(0.2)[-1] == "14 pods · 1 CrashLoopBackOff · live"
    screen.resize(30, 24)
    assert screen.wait(0.2)[-1] == "14 pods in default · live"


def test_counts_are_told_whole_or_not_at_all() -> None:
    screen = Screen(38, 6)
    screen.at_start(*(pod(f"pod-{index:03}", "ImagePullBackOff") for index in range(3)))
    screen.at_start(*(pod(f"{name}-{index:03}", "Completed") for name in "xyz" for index in range(10)), pod("q"))
    assert screen.wait()[-2] == "… 31 more (30 Completed · 1 Running)"
    screen.resize(36, 6)
    assert screen.wait(0.2)[-2] == "… 31 more (30 Completed · 1 other)"
    screen.resize(30, 6)
    assert screen.wait(0.2)[-2] == "… 31 more (30 Completed)"
    screen.resize(20, 6)
    assert screen.wait(0.2)[-2] == "… 31 more"


def test_the_title_of_one_type_among_several_counts_what_needs_attention_first() -> None:
    screen = Screen(60, 20, PODS, DEPLOYMENTS)
    screen.at_start(*(pod(f"a-{index}") for index in range(9)), *(pod(f"b-{index}", "Completed") for index in range(4)))
    screen.at_start(pod("c", "CrashLoopBackOff"), pod("d", "Pending", age=1))
    assert screen.wait()[0] == "PODS · 15 · 9 Running · 1 CrashLoopBackOff · 5 other"
    screen.resize(40, 20)
    assert screen.wait(0.2)[0] == "PODS · 15 · 1 CrashLoopBackOff"


def test_texts_that_differ_from_row_to_row_are_not_counted() -> None:
    screen = Screen(80, 8)
    screen.at_start(*(pod(f"pod-{index:03}", f"took {index}s") for index in range(100)))
    assert screen.wait()[-2:] == ["… 95 more", "100 pods in default · 0 events · connecting"]


# Sizes


@pytest.mark.parametrize(
    ("columns", "header"),
    [
        (80, "  NAME                       READY   STATUS             RESTARTS   AGE"),
        (69, "  NAME                      READY  STATUS            RESTARTS  AGE"),
        (60, "  NAME                      READY  STATUS            AGE"),
        (52, "  NAME                     READY  STATUS"),
        (46, "  NAME                      STATUS"),
        (20, "  NAME       STATUS"),
    ],
)
def test_narrow_terminals_drop_the_least_important_columns(columns: int, header: str) -> None:
    screen = Screen(columns)
    screen.at_start(pod("frontend-5f6c49c5db-zhnb7", "CrashLoopBackOff"))
    lines = screen.wait()
    assert lines[0].split() == header.split()
    assert len(lines) == 3
    assert all(len(line) < columns for line in lines)


def test_long_names_are_cut_in_their_middle() -> None:
    screen = Screen(30)
    screen.at_start(pod("frontend-5f6c49c5db-zhnb7"), pod("frontend-5f6c49c5db-abcde"))
    assert [line.split()[0] for line in screen.wait()[1:3]] == ["frontend…5db-abcde", "frontend…5db-zhnb7"]


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 13])
def test_the_narrowest_terminals_don_t_wrap(columns: int) -> None:
    screen = three(columns, 12)
    assert len(screen.wait(2)) <= 5


def test_a_wider_window_shows_more_and_a_narrower_one_less() -> None:
    screen = three(80, 24, above=["$ kwatch pods"])
    screen.wait()
    screen.resize(34, 24)
    assert screen.wait(0.1) == [
        "$ kwatch pods",
        "  NAME   READY  STATUS   AGE",
        "  db-0   1/1    Running  60m",
        "  web-0  1/1    Running  60m",
        "  web-1  1/1    Running  90s",
        "3 pods · 3 Running · live",
    ]
    screen.resize(80, 24)
    assert screen.wait(0.1)[1] == "  NAME    READY   STATUS    RESTARTS      AGE"


def test_wide_characters_emoji_and_marks_align() -> None:
    columns = (Column("Name", format="name"), Column("Owner"), Column("State"))
    screen = Screen(60, 10, Query(Resource("acme.io", "v1", "apps", "App", singular="app"), "default"))
    names = ["plain", "漢字", "e\u0301te\u0301", "rocket🚀", "family👨\u200d👩\u200d👧", "ok\ufe0f", "نص"]
    rows = [Row(columns, (f"{index}{name}", name, "Up"), "", {}) for index, name in enumerate(names)]
    screen.at_start(*rows, query=Query(Resource("acme.io", "v1", "apps", "App", singular="app"), "default"))
    screen.wait()
    buffer = screen.terminal.buffer
    state = screen.terminal.display[0].index("STATE")
    for line in range(1, len(names) + 1):
        assert buffer[line][state].data + buffer[line][state + 1].data == "Up", screen.terminal.display[line]


def test_hostile_names_and_headers_reach_no_terminal_as_they_are() -> None:
    columns = (Column("Na\x1b[2Jme", format="name"), Column("\x9b31mStatus"))
    screen = Screen()
    screen.at_start(Row(columns, ("a\x1b]0;x\x07\u202e", "x\x1b[31m"), "", {}))
    screen.wait(1)
    sent = b"".join(screen.out.each)
    assert b"\x1b[2J" not in sent
    assert b"\x1b]" not in sent
    assert "\u202e".encode() not in sent
    assert "\x9b".encode() not in sent


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ADDED", "MODIFIED", "DELETED"]),
            st.integers(0, 30),
            st.sampled_from(["Running", "Pending", "Error", "漢字", "👨\u200d👩\u200d👧", ""]),
            st.sampled_from([0.1, 0.4, 3.0, 6.0]),
        ),
        max_size=25,
    ),
    st.tuples(st.integers(4, 90), st.integers(1, 20)),
)
def test_what_was_painted_in_steps_is_what_would_have_been_painted_at_once(script: list, size: tuple) -> None:
    screen = Screen(*size, color=True)
    screen.wait()
    for kind, index, status, seconds in script:
        screen.event(kind, pod(f"pod-{index}", status, node="n"))
        screen.wait(seconds)
    in_steps, cursor = screen.seen(), (screen.terminal.cursor.x, screen.terminal.cursor.y)
    styles = [dict(screen.terminal.buffer[line]) for line in range(size[1])]
    screen.terminal.reset()
    screen.out.write(Painter(color=True).paint(screen.sink._painter.lines).encode())
    assert in_steps == screen.seen()
    assert cursor == (screen.terminal.cursor.x, screen.terminal.cursor.y)
    assert [drawn(line) for line in styles] == [drawn(screen.terminal.buffer[line]) for line in range(size[1])]


def drawn(line: dict) -> dict:
    """What of a line isn't plain and blank."""
    return {column: char for column, char in line.items() if char.data.strip()}


# Several types, clusters and namespaces


def test_several_types_are_stacked_with_a_title_each_in_the_order_asked_for() -> None:
    screen = Screen(70, 20, DEPLOYMENTS, PODS)
    screen.at_start(pod("web-0"), pod("web-1", "Pending", "0/1", age=5))
    screen.at_start(deployment("web", "1/2"), query=DEPLOYMENTS)
    live(screen, DEPLOYMENTS)
    live(screen, PODS)
    assert screen.wait() == [
        "DEPLOYMENTS.APPS · 1 · 1 not ready",
        "  NAME   READY   AGE",
        "! web    1/2     60m",
        "",
        "PODS · 2 · 1 Running · 1 Pending",
        "  NAME    READY   STATUS    RESTARTS   AGE",
        "  web-0   1/1     Running   0          60m",
        "  web-1   0/1     Pending   0          5s",
        "1 deployment, 2 pods in default · 0 events · live",
    ]


def test_several_types_share_a_small_terminal() -> None:
    screen = Screen(60, 12, DEPLOYMENTS, PODS)
    screen.at_start(*(pod(f"pod-{index:02}") for index in range(40)))
    screen.at_start(*(deployment(f"web-{index}") for index in range(3)), query=DEPLOYMENTS)
    lines = screen.wait()
    assert len(lines) == 12
    assert [line for line in lines if line.isupper()] == ["DEPLOYMENTS.APPS · 3 · 3 READY"] or lines[0].startswith(
        "DEP"
    )
    assert any(line.startswith("PODS · 40") for line in lines)
    assert any(line.endswith("more (all Running)") for line in lines)


def test_several_clusters_and_namespaces_have_their_columns() -> None:
    prod = Query(PODS.resource, cluster="prod")
    stage = Query(PODS.resource, cluster="stage")
    screen = Screen(80, 10, prod, stage, show_cluster=True, show_namespace=True)
    screen.at_start(pod("a"), query=stage, namespace="shop")
    screen.at_start(pod("a"), query=prod)
    live(screen, prod)
    assert screen.wait() == [
        "  CLUSTER   NAMESPACE   NAME   READY   STATUS    RESTARTS   AGE",
        "  prod      default     a      1/1     Running   0          60m",
        "  stage     shop        a      1/1     Running   0          60m",
        "2 pods · 2 Running · 0 events · 1 of 2 live · pods of stage: connecting",
    ]


def test_labels_and_kinds_are_shown_when_asked_for() -> None:
    screen = Screen(80, 10, show_kind=True, show_labels=True, label_columns=("app.kubernetes.io/name",))
    screen.at_start(pod("a")._replace(labels={"app.kubernetes.io/name": "web"}))
    assert screen.wait()[:2] == [
        "  NAME   READY  STATUS   RESTARTS  AGE    NAME   LABELS",
        "  pod/a  1/1    Running  0         60m    web    app.kubernetes.io/name=web",
    ]


def test_a_changed_label_is_marked_where_labels_are_shown() -> None:
    for shown, marked in ((("app",), "~"), (("tier",), " "), ((), " ")):
        screen = Screen(80, 10, label_columns=shown)
        screen.at_start(pod("a")._replace(labels={"app": "x"}))
        screen.wait()
        screen.event("MODIFIED", pod("a")._replace(labels={"app": "y"}))
        assert screen.wait(1)[1][0] == marked


def test_no_headers() -> None:
    assert three(headers=False).wait()[0].startswith("  db-0")


# The nodes


def grid(columns: int = 60, lines: int = 14) -> Screen:
    screen = Screen(columns, lines, PODS, NODES, output="nodes", color=True)
    screen.at_start(node("node-0"), node("node-1", "NotReady"), query=NODES)
    screen.at_start(
        *(pod(f"a-{index}") for index in range(3)),
        pod("b-0", "CrashLoopBackOff", "0/1", node="node-1"),
        pod("c-0", "Pending", "0/1", age=5, node="<none>"),
        pod("d-0", "Completed", "0/1", node="node-1"),
    )
    live(screen)
    live(screen, NODES)
    return screen


def test_nodes_are_boxes_with_a_block_for_each_pod() -> None:
    screen = grid()
    assert screen.wait() == [
        "╭ node-0 Ready · 3 ────────╮  ╭ node-1 ! NotReady · 2 ───╮",
        "│ ■ ■ ■                    │  │ ✖ □                      │",
        "╰──────────────────────────╯  ╰──────────────────────────╯",
        "no node yet 1  ◧",
        "",
        "✖ default/b-0  CrashLoopBackOff  on node-1",
        "■ 3 running  ◧ 1 under way  ✖ 1 in trouble  □ 1 completed",
        "6 pods, 2 nodes in default · 0 events · live",
    ]
    assert screen.style("■").fg == "green"
    assert screen.style("✖").fg == "red"


def test_a_pod_keeps_its_place_among_the_blocks_while_others_go_and_come() -> None:
    screen = grid()
    screen.wait()
    screen.event("DELETED", pod("a-1"))
    assert screen.wait(1)[1].startswith("│ ■ · ■ ")
    assert screen.wait(5)[1].startswith("│ ■   ■ ")
    screen.event("ADDED", pod("a-9", "Pending", "0/1", age=0))
    assert screen.wait(1)[1].startswith("│ ■ ◧ ■ ")


def test_a_pod_that_gets_its_node_moves_there() -> None:
    screen = grid()
    screen.wait()
    screen.event("MODIFIED", pod("c-0", "Running", age=5, node="node-1"))
    assert "│ ✖ □ ■ " in screen.wait(1)[1]
    assert "no node" not in "".join(screen.seen())


def test_nodes_that_nobody_may_list_are_known_by_their_pods() -> None:
    screen = Screen(80, 12, PODS, NODES, output="nodes")
    screen.at_start(pod("a"), pod("b", node="node-7"))
    live(screen)
    screen.tell(Ended("nodes: 403 forbidden; ask for the right to list and watch it"), NODES)
    lines = screen.wait()
    assert lines[0].split("╮")[0].startswith("╭ node-0 · 1 ─")
    assert "node-7 · 1" in lines[0]
    assert "1 of 2 live · nodes: given up (403 fo" in lines[-1]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50), (40, 10), (20, 5), (9, 3), (80, 1)])
def test_the_grid_fits_any_terminal(columns: int, lines: int) -> None:
    screen = Screen(columns, lines, PODS, NODES, output="nodes")
    screen.at_start(*(node(f"node-{index:03}") for index in range(120)), query=NODES)
    screen.at_start(*(pod(f"p-{index}", node=f"node-{index % 120:03}") for index in range(1200)))
    screen.event("MODIFIED", pod("p-77", "Error", "0/1", node="node-077"))
    seen = screen.wait(1)
    assert len(seen) <= lines
    if lines >= 24:
        assert any("node-077" in line for line in seen)
        assert any(line.startswith("… ") and line.endswith("more nodes") for line in seen)


def crowd(columns: int, lines: int, pods: int, nodes: int = 3) -> Screen:
    screen = Screen(columns, lines, PODS, NODES, output="nodes")
    screen.at_start(*(node(f"node-{index}") for index in range(nodes)), query=NODES)
    screen.at_start(*(pod(f"p-{index:04}", node=f"node-{index % nodes}") for index in range(pods)))
    live(screen)
    live(screen, NODES)
    return screen


@pytest.mark.parametrize(("columns", "lines", "nodes", "seen"), [(80, 24, 3, 3), (200, 50, 6, 6), (40, 10, 3, 1)])
def test_a_node_with_more_pods_than_lines_shows_those_that_fit(columns: int, lines: int, nodes: int, seen: int) -> None:
    shown = crowd(columns, lines, 5000, nodes).wait()
    blocks = sum(line.count("■") for line in shown) - 1  # the legend's
    hidden = [int(part.split()[0].replace(",", "")) for line in shown for part in line.split("… ")[1:] if "│" in line]
    assert len(hidden) == sum(line.count("╭") for line in shown) == sum(line.count("╰") for line in shown) == seen
    assert blocks > 20
    if seen == nodes:
        assert blocks + sum(hidden) == 5000
    assert len(shown) <= lines


def test_pods_of_two_rows_of_nodes_share_the_lines_before_a_node_is_left_out() -> None:
    shown = crowd(80, 24, 1200, 6).wait()
    assert sum(line.count("╭") for line in shown) == 6
    assert shown[-1].startswith("1,200 pods, 6 nodes in default")


def test_one_node_left_out_is_one_node() -> None:
    assert "… 1 more node" in crowd(40, 10, 12).wait()


def test_pods_beyond_the_last_line_move_up_once_there_is_room() -> None:
    screen = crowd(80, 24, 90)
    screen.wait()
    for index in range(87):
        screen.event("DELETED", pod(f"p-{index:04}", node=f"node-{index % 3}"))
    lines = screen.wait(6)
    assert [line.count("■") for line in lines[:3]] == [0, 3, 0]
    assert lines[2].startswith("╰")


def test_a_title_without_room_is_not_cut_amid_what_it_says() -> None:
    assert crowd(20, 6, 6).wait()[0] == "╭ node-0 · 2 ─────╮"
    screen = crowd(20, 6, 6)
    screen.event("MODIFIED", node("node-1", "NotReady"), query=NODES)
    assert screen.wait(1)[0].startswith("╭ node-1")


def test_the_legend_names_the_dots_and_in_little_room_keeps_all_numbers() -> None:
    screen = crowd(60, 14, 9)
    screen.wait()
    screen.event("DELETED", pod("p-0000"))
    assert screen.wait(1)[-2] == "■ 8 running   · 1 gone"
    screen.resize(20, 14)
    assert screen.wait(0.2)[-2] == "■ 8  · 1"
    assert screen.wait(6)[-2] == "■ 8 running"


def test_a_pod_in_trouble_gives_up_its_node_before_its_name_and_its_name_before_what_is_wrong() -> None:
    screen = Screen(68, 14, PODS, NODES, output="nodes")
    screen.at_start(pod("report-6b55dccb4f-hbc6t", "ImagePullBackOff", "0/1"))

    def told() -> str:
        return next(line for line in screen.wait(0.2) if line.startswith("✖ default"))

    assert told() == "✖ default/report-6b55dccb4f-hbc6t  ImagePullBackOff  on node-0"
    screen.resize(58, 14)
    assert told() == "✖ default/report-6b55dccb4f-hbc6t  ImagePullBackOff"
    screen.resize(45, 14)
    assert told() == "✖ default/rep…dccb4f-hbc6t  ImagePullBackOff"


def test_of_several_namespaces_the_one_of_a_name_is_told_before_whether_it_is_ready() -> None:
    screen = Screen(45, 6, show_namespace=True)
    for namespace in ("kube-system", "shop"):
        screen.at_start(pod("web-85545d867f-8vg4w"), namespace=namespace)
    assert screen.wait()[:3] == [
        "  NAMESPACE    NAME                  STATUS",
        "  kube-system  web-85545d867f-8vg4w  Running",
        "  shop         web-85545d867f-8vg4w  Running",
    ]


@pytest.mark.parametrize("lines", [9, 8])
def test_a_table_in_few_lines_has_its_header_before_a_row(lines: int) -> None:
    screen = Screen(80, lines, PODS, DEPLOYMENTS)
    screen.at_start(*(pod(f"p-{index}") for index in range(5)))
    screen.at_start(*(deployment(f"d-{index}") for index in range(5)), query=DEPLOYMENTS)
    shown = screen.wait()
    assert len(shown) == lines
    for title in ("PODS · 5", "DEPLOYMENTS.APPS · 5"):
        place = next(place for place, line in enumerate(shown) if line.startswith(title))
        assert shown[place + 1].startswith("  NAME ")
        assert shown[place + 2][2:].startswith(("p-", "d-"))
