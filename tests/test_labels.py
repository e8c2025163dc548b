"""Label selectors that are decided here, as the server decides them."""

from __future__ import annotations

import json
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from kwatch.errors import UsageError
from kwatch.labels import selects, text_of
from kwatch.sandbox import Cluster, Server

OBJECTS = {
    "web": {"app": "web", "env": "prod", "size": "10"},
    "db": {"app": "db", "env": "stage", "size": "9"},
    "old": {"app": "web", "example.com/legacy": "", "size": "x"},
    "bare": {},
}
SELECTORS = {
    "": ["web", "db", "old", "bare"],
    "app=web": ["web", "old"],
    "app == web , env=prod": ["web"],
    "app!=web": ["db", "bare"],
    "env in (prod, stage)": ["web", "db"],
    "env in (prod),app": ["web"],
    "env notin (prod)": ["db", "old", "bare"],
    "app": ["web", "db", "old"],
    "!env": ["old", "bare"],
    "! env,app": ["old"],
    "example.com/legacy=": ["old"],
    "size>9": ["web"],
    "size<10": ["db"],
}


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_selector_chooses_what_it_says(selector: str) -> None:
    chosen = selects(selector)
    assert [name for name, labels in OBJECTS.items() if chosen(labels)] == SELECTORS[selector]


@pytest.mark.parametrize("selector", [each for each in SELECTORS if "<" not in each and ">" not in each])
def test_the_server_chooses_the_same(selector: str, cluster: Cluster, server: Server) -> None:
    for name, labels in OBJECTS.items():
        cluster.create("configmaps", {"metadata": {"name": name, "labels": labels}})
    url = f"{server.url}/api/v1/namespaces/default/configmaps?labelSelector={quote(selector)}"
    with urlopen(url, timeout=20) as answer:
        items = json.load(answer)["items"]
    assert {item["metadata"]["name"] for item in items} == set(SELECTORS[selector])


@pytest.mark.parametrize("selector", ["app=web,", ",", "app in web", "app=a b", "=web", "a=b=c", "env in (a", "-x"])
def test_what_is_no_selector_says_from_where_on(selector: str) -> None:
    with pytest.raises(UsageError, match="is no label selector, from"):
        selects(selector)


def test_labels_themselves_are_a_selector_too() -> None:
    assert [name for name, labels in OBJECTS.items() if selects({"app": "web"})(labels)] == ["web", "old"]
    assert text_of({"app": "web", "example.com/legacy": ""}) == "app=web,example.com/legacy="
    for wrong in ({"app": None}, {"app": "a,b"}, {"": "web"}, {"app": "a b"}, {1: "web"}):
        with pytest.raises(UsageError, match="is no label"):
            text_of(wrong)
