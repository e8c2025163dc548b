"""What stands between the watches and the sink."""

from __future__ import annotations

from kwatch.model import Batch, Change, ChangeType, Connected, Listed, Notice, Query, Resource, Synced
from kwatch.stages import Opening, Stage

PODS = Query(Resource("", "v1", "pods", "Pod"), "default")
DEPLOYMENTS = Query(Resource("apps", "v1", "deployments", "Deployment"), "default")
SYNCED = Synced("9", 1, True)


def change(name: str, kind: ChangeType = "ADDED", *, initial: bool = False) -> Change:
    return Change(kind, ("default", name), f"uid-{name}", "5", None, initial=initial)


def shown(stage: Stage, *batches: Batch) -> list[str]:
    """What comes out, each change as its type's initial and its name, other signals by their kind."""
    found = [out for batch in batches for out in stage.take(batch)]
    words = [
        f"{one.type[0]} {one.key[1]}" if isinstance(one, Change) else type(one).__name__
        for batch in found
        for one in batch.signals
    ]
    return words + [f"failed {batch.query.resource.plural}" for batch in found if batch.failure]


def first(name: str) -> Change:
    return change(name, initial=True)


def test_what_is_there_at_the_start_comes_source_by_source_and_what_is_live_after_it() -> None:
    opening = Opening([PODS, DEPLOYMENTS])
    assert shown(opening, Batch(DEPLOYMENTS, [first("web"), SYNCED, change("web", "MODIFIED")])) == []
    assert shown(opening, Batch(PODS, [first("a")])) == ["A a"]
    assert shown(opening, Batch(PODS, [first("b"), SYNCED, change("a", "DELETED")])) == [
        "A b",
        "Synced",
        "A web",
        "Synced",
        "M web",
        "D a",
    ]
    assert shown(opening, Batch(PODS, [change("b", "MODIFIED")])) == ["M b"]


def test_live_events_of_different_sources_keep_their_order_of_arrival() -> None:
    opening = Opening([PODS, DEPLOYMENTS])
    shown(opening, Batch(PODS, [SYNCED]))
    shown(opening, Batch(PODS, [change("1")]), Batch(PODS, [change("2")]))
    assert shown(opening, Batch(DEPLOYMENTS, [SYNCED, change("3")])) == ["Synced", "A 1", "A 2", "A 3"]


def test_notices_and_progress_never_wait() -> None:
    opening = Opening([PODS, DEPLOYMENTS])
    assert shown(opening, Batch(DEPLOYMENTS, [first("web"), Listed(1, 2), Notice("warning")])) == ["Listed", "Notice"]


def test_a_source_in_trouble_is_not_waited_for() -> None:
    opening = Opening([PODS, DEPLOYMENTS])
    shown(opening, Batch(DEPLOYMENTS, [first("web"), SYNCED, change("new")]))
    assert shown(opening, Batch(PODS, [Notice("can't connect", delay=1.5)])) == ["Notice", "A web", "Synced", "A new"]
    assert shown(opening, Batch(PODS, [Connected("3"), first("late"), SYNCED])) == ["Connected", "A late", "Synced"]


def test_a_source_that_failed_is_not_waited_for_and_its_failure_comes_through() -> None:
    opening = Opening([PODS, DEPLOYMENTS])
    shown(opening, Batch(DEPLOYMENTS, [first("web"), SYNCED]))
    assert shown(opening, Batch(PODS, [], RuntimeError())) == ["A web", "Synced", "failed pods"]


def test_at_the_end_of_the_run_what_still_waits_is_handed_on() -> None:
    opening = Opening([PODS, DEPLOYMENTS])
    shown(opening, Batch(DEPLOYMENTS, [first("web"), SYNCED, change("new")]))
    assert [len(batch.signals) for batch in opening.end()] == [2, 1]
    assert list(opening.end()) == []


def test_an_order_sorts_the_first_screen_over_all_sources() -> None:
    opening = Opening([PODS, DEPLOYMENTS], lambda _, change: change.key[1])
    assert shown(opening, Batch(PODS, [first("c"), first("a"), SYNCED])) == []
    assert shown(opening, Batch(DEPLOYMENTS, [first("b"), SYNCED, change("0")])) == [
        "A a",
        "A b",
        "A c",
        "Synced",
        "Synced",
        "A 0",
    ]


def test_an_order_shows_what_a_list_that_started_over_corrected() -> None:
    opening = Opening([PODS], lambda _, change: change.key[1])
    corrected = [first("b"), first("a"), change("b", "DELETED", initial=True), change("a", "MODIFIED", initial=True)]
    assert shown(opening, Batch(PODS, [*corrected, SYNCED])) == ["A a", "Synced"]
