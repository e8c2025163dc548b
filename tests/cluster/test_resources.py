"""The words for a type, as kubectl understands them."""

from __future__ import annotations

import pytest

from kwatch.cluster.discovery import discover
from kwatch.cluster.resources import BUILT_IN, SETTLED, find, nearest, unknown
from kwatch.model import Resource

WIDGETS = Resource("example.com", "v1", "widgets", "Widget", True, "widget", ("wd", "po"))
GADGETS = Resource("example.com", "v1beta1", "gadgets", "GadgetKind", True, "gadget")
KNATIVE = Resource("serving.knative.dev", "v1", "services", "Service", True, "service", ("kservice", "ksvc"))
SHORT = Resource("short.example.com", "v1", "deploy", "Deploy", True, "deploy")


def named(resource: Resource | None) -> str:
    return f"{resource.plural}.{resource.version}.{resource.group}" if resource else ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pods", "pods.v1."),
        ("pod", "pods.v1."),
        ("po", "pods.v1."),
        ("Pod", "pods.v1."),
        ("PODS", "pods.v1."),
        ("pods.", "pods.v1."),
        ("pods.v1.", "pods.v1."),
        ("Pod.v1.", "pods.v1."),
        ("deploy", "deployments.v1.apps"),
        ("Deployment", "deployments.v1.apps"),
        ("deployments.apps", "deployments.v1.apps"),
        ("deploy.apps", "deployments.v1.apps"),
        ("deployments.v1.apps", "deployments.v1.apps"),
        ("Deployment.v1.apps", "deployments.v1.apps"),
        ("deployments.v1beta1.apps", ""),
        ("deployments.v1.", "deployments.v1.apps"),
        ("events", "events.v1."),
        ("ev", "events.v1."),
        ("events.events.k8s.io", "events.v1.events.k8s.io"),
        ("hpa", "horizontalpodautoscalers.v2.autoscaling"),
        ("hpa.v1.autoscaling", "horizontalpodautoscalers.v1.autoscaling"),
        ("horizontalpodautoscalers.v1.autoscaling", "horizontalpodautoscalers.v1.autoscaling"),
        ("storageclass.storage", "storageclasses.v1.storage.k8s.io"),
        ("ing.networking.k8s.io", "ingresses.v1.networking.k8s.io"),
        ("crds", "customresourcedefinitions.v1.apiextensions.k8s.io"),
        ("endpoints", "endpoints.v1."),
        ("svc", "services.v1."),
        ("services.serving.knative.dev", "services.v1.serving.knative.dev"),
        ("services.v1.serving.knative.dev", "services.v1.serving.knative.dev"),
        ("ksvc", "services.v1.serving.knative.dev"),
        ("widgets.example.com", "widgets.v1.example.com"),
        ("gadgetkind", "gadgets.v1beta1.example.com"),
        ("GadgetKind.v1beta1.example.com", "gadgets.v1beta1.example.com"),
        ("pods.apps", ""),
        ("pods.v1", ""),
        ("nosuch", ""),
        ("", ""),
        (".", ""),
        (".apps", ""),
        ("..", ""),
        ("pods/web", ""),
    ],
)
def test_a_name_means(name: str, expected: str) -> None:
    assert named(find(name, [KNATIVE, *BUILT_IN, WIDGETS, GADGETS])) == expected


def test_a_whole_name_wins_over_another_types_short_name() -> None:
    assert named(find("deploy", [*BUILT_IN, SHORT])) == "deploy.v1.short.example.com"
    assert named(find("po", [WIDGETS, *BUILT_IN])) == "pods.v1."


def test_the_version_that_comes_first_is_the_one() -> None:
    old = Resource("example.com", "v1alpha1", "widgets", "Widget")
    assert find("widgets", [WIDGETS, old]) == WIDGETS
    assert find("widgets", [old, WIDGETS]) == old


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("podz", ["pods"]),
        ("deploymnet", ["deployments"]),
        ("Deploymnets.apps", ["deployments"]),
        ("evnts.events.k8s.io", ["events"]),
        ("qqqqqq", []),
        ("", []),
    ],
)
def test_the_nearest_names_can_be_typed(name: str, expected: list[str]) -> None:
    assert nearest(name, BUILT_IN)[:1] == expected
    assert all(find(near, BUILT_IN) for near in nearest(name, BUILT_IN))


def test_a_nearest_name_carries_its_group_where_the_plural_alone_means_another_type() -> None:
    assert nearest("kservise", [*BUILT_IN, KNATIVE])[:1] == ["services.serving.knative.dev"]


def test_an_unknown_type_is_kubectls_error_with_the_nearest_names() -> None:
    assert (
        str(unknown("nosuch", BUILT_IN)) == 'the server doesn\'t have a resource type "nosuch"; see `kwatch resources`'
    )
    assert str(unknown("deploymnt", BUILT_IN)) == (
        'the server doesn\'t have a resource type "deploymnt"; did you mean deployments?'
    )
    assert "\x1b" not in str(unknown("\x1b[2J", BUILT_IN))
    assert unknown("nosuch", BUILT_IN).exit_code == 1


def test_the_table_is_what_a_real_server_answers(recording) -> None:  # type: ignore[no-untyped-def]
    answers = {"/api": "api-aggregated", "/apis": "apis-aggregated"}
    found = discover(lambda path, accept: recording(answers[path]))
    assert found.resources == BUILT_IN


def test_only_what_every_cluster_serves_needs_no_question() -> None:
    assert set(SETTLED) < set(BUILT_IN)
    assert find("resourceclaims", SETTLED) is None  # resource.k8s.io/v1 came with 1.34
    assert find("cronjobs", SETTLED) is not None
