"""What programs may give to `kwatch.watch`, `kwatch.Informer` and `kwatch.wait`, and what is refused at once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kwatch
from kwatch.sandbox import Cluster, Server

pytestmark = pytest.mark.usefixtures("at_home")

SECONDS = 20.0


def waited(*words: str, **given: Any) -> object:
    return kwatch.wait(*words, for_="create", all_objects=True, **given)


ALL = {"watch": kwatch.watch, "informer": kwatch.Informer, "wait": waited}


@pytest.fixture
def names(cluster: Cluster, server: Server) -> Callable[..., list[str]]:
    """What a watch with such arguments finds, in order; there are configmaps in two namespaces."""
    cluster.create("namespaces", {"metadata": {"name": "shop"}})
    for namespace, name, app in (("default", "a", "web"), ("default", "b", "db"), ("shop", "c", "web")):
        cluster.create("configmaps", {"metadata": {"name": name, "namespace": namespace, "labels": {"app": app}}})

    def found(count: int, **given: Any) -> list[str]:
        with kwatch.watch("cm", server=server.url, timeout=SECONDS, **given) as events:
            return sorted(next(events).name for _ in range(count))

    return found


def test_namespaces_are_one_or_several_as_a_list_or_with_commas(names: Callable[..., list[str]]) -> None:
    assert names(1, namespace="shop") == ["c"]
    assert names(3, namespace="default,shop") == names(3, namespace=["default", "shop"]) == ["a", "b", "c"]
    assert names(2, namespace=None) == names(2, namespace="") == names(2, namespace=()) == names(2) == ["a", "b"]
    assert names(3, all_namespaces=True, namespace=None) == ["a", "b", "c"]


def test_selectors_are_texts_or_mappings(names: Callable[..., list[str]]) -> None:
    assert names(1, label_selector={"app": "web"}) == names(1, label_selector="app=web") == ["a"]
    assert names(1, field_selector={"metadata.name": "b"}) == names(1, field_selector="metadata.name=b") == ["b"]
    assert names(2, label_selector=None, field_selector=None) == names(2, label_selector={}) == ["a", "b"]


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"namespace": "a,,b"}, "of which none is empty; not 'a,,b'"),
        ({"namespace": ["a", ""]}, "of which none is empty"),
        ({"namespace": [1]}, "namespace is a text"),
        ({"namespace": "shop", "all_namespaces": True}, "all_namespaces and a namespace exclude each other"),
        ({"label_selector": {"app": "a,b"}}, "is no label"),
        ({"label_selector": 5}, "label_selector is a text; not 5"),
        ({"field_selector": {"metadata.name": 5}}, "metadata.name is a text; not 5"),
    ],
)
def test_what_selects_nothing_that_can_be_is_refused(function: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(kwatch.UsageError, match=words):
        ALL[function]("cm", server="http://127.0.0.1:1", **given)


@pytest.mark.parametrize("wrong", [-1, "5", float("nan"), True, "5s"])
@pytest.mark.parametrize(
    ("function", "name", "least"),
    [
        ("watch", "duration", "0 or more"),
        ("watch", "timeout", "0 or more"),
        ("wait", "timeout", "0 or more"),
        ("watch", "relist_interval", "more than 0"),
        ("informer", "relist_interval", "more than 0"),
        ("informer", "idle_timeout", "more than 0"),
    ],
)
def test_a_time_is_a_number_of_seconds(function: str, name: str, least: str, wrong: object) -> None:
    with pytest.raises(kwatch.UsageError, match=f"{name} is a number of seconds, {least}, or None"):
        ALL[function]("cm", server="http://127.0.0.1:1", **{name: wrong})


def test_an_informer_is_awaited_for_a_number_of_seconds(cluster: Cluster, server: Server) -> None:
    with kwatch.Informer("cm", server=server.url) as informer:
        registration = informer.add_handler()
        for wait in (informer.wait_for_sync, informer.join, registration.wait_for_sync):
            with pytest.raises(kwatch.UsageError, match="timeout is a number of seconds"):
                wait("5")
        assert informer.wait_for_sync(float("inf"))
        assert informer.join(0) is False


def test_no_time_at_all_is_no_event(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", {"metadata": {"name": "a"}})
    assert list(kwatch.watch("cm", server=server.url, duration=0)) == []
    with pytest.raises(kwatch.TimedOut):
        next(kwatch.watch("cm", server=server.url, timeout=0))


@pytest.mark.parametrize("function", ALL)
def test_types_and_names_are_texts(function: str) -> None:
    with pytest.raises(kwatch.UsageError, match="a type and names are texts"):
        ALL[function](["pods"], server="http://127.0.0.1:1")


def test_what_is_called_back_is_a_function() -> None:
    async def told(*_: object) -> None:
        pass

    with pytest.raises(kwatch.UsageError, match="on_lifecycle is called in a thread and not awaited"):
        kwatch.watch("cm", on_lifecycle=told)
    with pytest.raises(kwatch.UsageError, match="on_progress is a function to call, or None; not 5"):
        kwatch.wait("cm/a", for_="create", on_progress=5)


def test_files_may_be_paths(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cluster.create("configmaps", {"metadata": {"name": "a"}})
    config = tmp_path / "config"
    config.write_text(
        f"clusters: [{{name: c, cluster: {{server: '{server.url}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
    )
    given = {"kubeconfig": config, "cache_dir": tmp_path / "cache"}
    with kwatch.watch("cm", timeout=SECONDS, **given) as events:
        assert next(events).name == "a"
    with kwatch.Informer("cm", **given) as informer:
        assert informer.wait_for_sync(SECONDS)
    assert kwatch.wait("cm/a", for_="create", timeout=SECONDS, **given)
    assert kwatch.connect(kubeconfig=config).server == server.url
    with pytest.raises(kwatch.ConfigError, match=r"nosuch\.pem"):
        kwatch.connect(server="https://127.0.0.1:1", certificate_authority=tmp_path / "nosuch.pem")


def test_errors_speak_of_arguments_and_not_of_flags(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("contexts: [{name: c, context: {user: u}}]\nclusters: []\n")
    with pytest.raises(kwatch.ConfigError, match=r"no current-context is set; choose one with context= \(known: c\)"):
        kwatch.watch("cm", kubeconfig=config)
    with pytest.raises(kwatch.ConfigError, match=r"pass cluster= of kwatch.connect or server=$"):
        kwatch.connect(kubeconfig=config, context="c")
    with pytest.raises(kwatch.ConfigError, match=r"^server=: nosuch://x isn't an http"):
        kwatch.connect(server="nosuch://x")
    with pytest.raises(kwatch.ConfigError, match=r"impersonated without a user; pass as_user= of kwatch.connect, too"):
        kwatch.connect(server="https://127.0.0.1:1", as_groups=["g"])
    with pytest.raises(kwatch.TransportError, match=r"check the address \(server= or the context; is it https"):
        next(kwatch.watch("cm", server="http://127.0.0.1:1"))
    with pytest.raises(kwatch.UsageError, match="leave out label_selector= and field_selector=, or the name"):
        kwatch.watch("cm", "a", server=server.url, label_selector="app=web")
    with pytest.raises(kwatch.UsageError, match="leave out all_namespaces= or the name"):
        kwatch.watch("cm", "a", server=server.url, all_namespaces=True)
    with pytest.raises(kwatch.UsageError, match="use for_any= for one of them"):
        kwatch.wait("cm/a", for_=["delete", "create"], server=server.url)
    server.forbid("list", "configmaps")
    with pytest.raises(kwatch.Forbidden, match="that you may read, with namespace=, or"):
        next(kwatch.watch("cm", server=server.url, all_namespaces=True))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nosuch"))
    with pytest.raises(
        kwatch.TransportError, match=r"KUBECONFIG names no file that is there \(.*/nosuch\), so this is"
    ):
        next(kwatch.watch("cm"))


def test_what_the_cluster_says_keeps_its_words(cluster: Cluster, server: Server) -> None:
    cluster.create("configmaps", {"metadata": {"name": "a"}, "data": {"say": "unknown flag: --server"}})
    with pytest.raises(kwatch.WaitFailed, match="--server"):
        kwatch.wait("cm/a", for_="delete", fail_on="jsonpath=.data.say=unknown flag: --server", server=server.url)


def test_the_traceback_of_a_refused_connection_is_short_and_ends_with_its_cause() -> None:
    with pytest.raises(kwatch.TransportError) as caught:
        next(kwatch.watch("cm", server="http://127.0.0.1:1"))
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    text = "".join(traceback.format_exception(caught.value))
    assert "ConnectionRefusedError: [Errno 111] Connection refused" in text
    assert "urllib3" not in text
    assert len(text.splitlines()) < 30


def test_a_type_that_is_not_served_has_the_code_and_reason_of_what_is_not_found(server: Server) -> None:
    with pytest.raises(kwatch.NotFound) as caught:
        kwatch.watch("nosuch", server=server.url)
    assert (caught.value.code, caught.value.reason) == (404, "NotFound")
