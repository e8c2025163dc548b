"""What kwatch hands to programs, as values: copied, pickled for another process, compared, made for tests."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from watching import CONFIG_MAPS

import kwatch
from kwatch.conditions.verdict import Culprit
from kwatch.sandbox import Cluster, Server

pytestmark = pytest.mark.usefixtures("at_home")

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "shop", "name": "a", "uid": "u1", "resourceVersion": "5"},
}
CULPRIT = Culprit("shop", "web-0", "app", "ImagePullBackOff", "no such image")
RESULT = kwatch.Result("pod/a", "shop", "condition=Ready", kwatch.Outcome.FAILED, 1.5, "it broke", CULPRIT)
ERRORS = [
    kwatch.KwatchError("text"),
    kwatch.UsageError("text"),
    kwatch.ConfigError("text"),
    kwatch.ApiError("text", code=418, reason="Teapot"),
    kwatch.Unauthorized("text", code=401, reason="Unauthorized"),
    kwatch.Forbidden("text", code=403, reason="Forbidden"),
    kwatch.NotFound("text", code=404, reason="NotFound"),
    kwatch.ProtocolError("text"),
    kwatch.TransportError("text", "detail"),
    kwatch.GaveUp("text"),
    kwatch.TimedOut("text"),
    kwatch.WaitFailed("text", RESULT),
    kwatch.WaitTimeout("text", [RESULT]),
    kwatch.WaitStopped("text"),
]
COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]


def test_all_public_errors_are_among_those_that_are_copied() -> None:
    public = {getattr(kwatch, name) for name in kwatch.__all__}
    errors = {one for one in public if isinstance(one, type) and issubclass(one, Exception)}
    assert {type(error) for error in ERRORS} == errors


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_being_copied_with_all_that_it_says(
    error: kwatch.KwatchError, copied: Callable[[Any], Any]
) -> None:
    same = copied(error)
    assert (type(same), str(same), same.exit_code, vars(same)) == (
        type(error),
        str(error),
        error.exit_code,
        vars(error),
    )


@pytest.mark.parametrize("copied", COPIES)
def test_values_survive_being_copied_and_are_equal_then(copied: Callable[[Any], Any]) -> None:
    event = kwatch.Event.of("MODIFIED", POD, old={**POD, "spec": {}})
    step = kwatch.Lifecycle("reconnect", CONFIG_MAPS, cause="CUT", delay=1.5)
    for value in (event, event.resource, RESULT, CULPRIT, kwatch.Outcome.MET, step):
        assert copied(value) == value
        assert hash(copied(value)) == hash(value)
    assert copied(event).object == event.object
    given_up = copied(step._replace(kind="give_up", error=kwatch.GaveUp("text")))
    assert str(given_up.error) == "text"


def test_an_event_of_the_cluster_survives_being_copied(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", {"metadata": {"name": "a"}})
    with kwatch.watch("cm", server=server.url, timeout=20) as events:
        event = next(events)
    for copied in COPIES:
        assert copied(event) == event
    assert copy.deepcopy(event).object is not event.object


def test_events_are_equal_where_all_that_they_say_is() -> None:
    event = kwatch.Event.of("ADDED", POD)
    assert event == kwatch.Event.of("ADDED", copy.deepcopy(POD))
    assert len({event, kwatch.Event.of("ADDED", POD)}) == 1
    others = [
        kwatch.Event.of("DELETED", POD),
        kwatch.Event.of("ADDED", {**POD, "spec": {}}),
        kwatch.Event.of("ADDED", POD, old=POD),
        kwatch.Event.of("ADDED", POD, initial=True),
        kwatch.Event.of("ADDED", POD, synthetic=True),
        kwatch.Event.of("ADDED", {**POD, "apiVersion": "example.com/v1"}),
        "ADDED",
    ]
    assert [other for other in others if event == other] == []


def test_an_event_can_be_made_for_a_programs_own_tests() -> None:
    event = kwatch.Event.of("MODIFIED", POD, old={**POD, "spec": {"nodeName": "n"}}, initial=True)
    assert (event.type, event.key, event.namespace, event.name) == ("MODIFIED", ("shop", "a"), "shop", "a")
    assert (event.uid, event.resource_version, event.initial, event.synthetic) == ("u1", "5", True, False)
    assert (event.object, event.old) == (POD, {**POD, "spec": {"nodeName": "n"}})
    assert (event.resource.plural, event.resource.api_version) == ("pods", "v1")
    event.object["metadata"] = {}
    assert POD["metadata"]["name"] == "a"


def test_such_an_event_has_the_type_that_its_object_says_or_that_is_given() -> None:
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a"}}
    assert kwatch.Event.of("ADDED", ingress).resource.plural == "ingresses"
    widget = {"apiVersion": "example.com/v2", "kind": "Widget", "metadata": {"name": "a"}}
    made_up = kwatch.Event.of("ADDED", widget).resource
    assert (made_up.qualified, made_up.api_version, made_up.kind) == ("widgets.example.com", "example.com/v2", "Widget")
    given = kwatch.Resource("example.com", "v2", "widgetry", "Widget")
    assert kwatch.Event.of("ADDED", widget, resource=given).resource is given


@pytest.mark.parametrize("wrong", [{}, {"metadata": {}}, {"metadata": {"name": ""}}, {"metadata": 5}, "text"])
def test_what_is_no_object_is_no_event(wrong: Any) -> None:
    with pytest.raises(kwatch.UsageError, match="an object has a kind, an apiVersion and a name"):
        kwatch.Event.of("ADDED", wrong)
    with pytest.raises(kwatch.UsageError, match="an event is ADDED, MODIFIED or DELETED; not 'CHANGED'"):
        kwatch.Event.of("CHANGED", POD)
