"""A 403 names who may not do what, and suggests what can help there: a namespace only to who asked for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import kwatch
from recordings import body

from kwatch.errors import Forbidden
from kwatch.model import Query, Resource
from kwatch.protocol.session import api_error
from kwatch.sandbox import Cluster, Server

PODS = Resource("", "v1", "pods", "Pod")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        (
            Query(DEPLOYMENTS),
            "watch a namespace that you may read, with -n NAMESPACE, or ask for the right to list and watch "
            "deployments.apps in all of them",
        ),
        (
            Query(PODS, "rec"),
            "ask for the right to list and watch pods there; `kubectl auth can-i --list --namespace=rec` shows the "
            "rights you have",
        ),
        (
            Query(NODES),
            "nodes are in no namespace: ask for a ClusterRole with the right to list and watch them; "
            "`kubectl auth can-i --list` shows the rights you have",
        ),
        ("https://c/apis", "ask for the ClusterRole system:discovery, which lets users see what the server serves"),
    ],
)
def test_each_scope_has_its_own_way_out(what: object, hint: str) -> None:
    error = api_error(what, 403, body("forbidden-403"))
    assert isinstance(error, Forbidden)
    assert str(error) == (
        f'{what}: 403 pods is forbidden: User "reader" cannot list resource "pods" in API group "" in the namespace '
        f'"rec"; {hint}'
    )


@pytest.mark.parametrize(
    ("arguments", "refusal", "suggests"),
    [
        (["-A"], 'User "reader" cannot list resource "pods" in API group "" at the cluster scope', True),
        (["-n", "default"], 'User "reader" cannot list resource "pods" in API group "" in the namespace', False),
        (["-n", "a,b"], 'User "reader" cannot list resource "pods" in API group "" in the namespace "b"', False),
    ],
)
def test_forbidden_falls_back_to_nothing_by_itself(
    arguments: list[str], refusal: str, suggests: bool, tmp_path: Path
) -> None:
    with Server(Cluster()) as server:
        server.forbid("list", "pods")
        run = kwatch(["pods", *arguments, "-s", server.url], tmp_path)
        assert (run.returncode, run.stdout) == (1, "")
        assert refusal in run.stderr
        assert ("-n " in run.stderr) is suggests
        assert {request.verb for request in server.requests} == {"list"}
