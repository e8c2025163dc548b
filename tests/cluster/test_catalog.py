"""Which types a word means, and what it costs to find out: nothing, the cache, or two requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster.documents import Server, aggregated, entry, group

from kwatch.cluster.cache import Cache
from kwatch.cluster.catalog import Catalog, resolve_types
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ApiError, Forbidden, NotFound
from kwatch.model import Notice, Resource

HERE = Connection("https://here")


class Setting:
    """One server, one cache folder, any number of runs."""

    def __init__(self, folder: Path | None, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.told: list[str] = []
        self.new_run()

    def new_run(self) -> None:
        self.catalog = Catalog(self.server, Cache(self.folder, HERE, self._tell), self._tell)

    def _tell(self, notice: Notice) -> None:
        self.told.append(notice.text)

    def __call__(self, name: str) -> list[str]:
        return [f"{found.plural}.{found.version}.{found.group}" for found in resolve_types(name, self.catalog)]

    def asked(self) -> int:
        count = len(self.server.asked)
        self.server.asked.clear()
        return count


def serving(*groups: dict[str, Any]) -> Server:
    return Server(api=aggregated(group("", v1={"resources": [entry("pods", "Pod", categories=["all"])]})),
                  apis=aggregated(*groups))  # fmt: skip


def types(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resources": list(resources), **more}


WIDGETS = group("z.example.com", v1=types(entry("widgets", "Widget", shortNames=["wd"], categories=["all", "gear"])))
OTHER_WIDGETS = group("a.example.com", v1=types(entry("widgets", "Widget", shortNames=["wd"], categories=["gear"])))
GADGETS = group(
    "b.example.com",
    v1beta1=types(entry("gadgets", "Gadget", shortNames=["gg", "gear"], categories=["gear", "pods"])),
    v1=types(entry("gadgets", "Gadget", shortNames=["gg", "gear"], categories=["gear", "pods"])),
)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path / "kwatch", serving(WIDGETS, OTHER_WIDGETS, GADGETS))


# What it costs


def test_a_settled_type_costs_no_request_and_touches_no_disk(setting: Setting) -> None:
    assert [setting(name) for name in ("deploy", "Pod", "events.events.k8s.io", "hpa")] == [
        ["deployments.v1.apps"], ["pods.v1."], ["events.v1.events.k8s.io"], ["horizontalpodautoscalers.v2.autoscaling"]
    ]  # fmt: skip
    assert setting.asked() == 0
    assert not setting.folder.exists()


def test_a_custom_type_is_asked_for_once_and_then_known_to_later_runs(setting: Setting) -> None:
    assert setting("Gadget") == ["gadgets.v1beta1.b.example.com"]
    assert setting("gadgets.v1.b.example.com") == ["gadgets.v1.b.example.com"]
    assert setting.asked() == 2
    setting.new_run()
    assert setting("gg") == ["gadgets.v1beta1.b.example.com"]
    assert setting.asked() == 0


def test_a_type_installed_after_the_cache_was_written_is_found(setting: Setting) -> None:
    setting("gg")
    setting.server.answers["/apis"] = aggregated(WIDGETS, group("new.io", v1=types(entry("things", "Thing"))))
    setting.new_run()
    assert setting("things") == ["things.v1.new.io"]
    setting.new_run()
    setting.asked()
    assert setting("thing") == ["things.v1.new.io"]
    assert setting.asked() == 0


def test_a_run_asks_once_however_many_words_are_unknown(setting: Setting) -> None:
    for name in ("nosuch", "nothing"):
        with pytest.raises(NotFound):
            setting(name)
    assert setting.asked() == 2


def test_a_category_always_asks_for_what_is_new_would_be_left_out_in_silence(setting: Setting) -> None:
    assert setting("all") == ["pods.v1.", "widgets.v1.z.example.com"]
    setting.server.answers["/apis"] = aggregated(
        WIDGETS, group("new.io", v1=types(entry("things", "Thing", categories=["all"])))
    )
    setting.new_run()
    assert setting("all") == ["pods.v1.", "widgets.v1.z.example.com", "things.v1.new.io"]


def test_without_a_folder_each_run_asks(tmp_path: Path) -> None:
    setting = Setting(None, serving(WIDGETS))
    for _ in range(2):
        setting.new_run()
        setting("wd")
        assert setting.asked() == 2


def test_what_is_gone_is_forgotten_if_the_cache_is_to_blame(setting: Setting) -> None:
    setting("gg")
    assert not setting.catalog.distrust()  # this run asked the server itself
    setting.new_run()
    with pytest.raises(NotFound):
        setting("nosuch")
    assert not setting.catalog.distrust()  # nor is it now, though there was one
    setting.new_run()
    setting("gg")
    assert setting.catalog.distrust()
    setting.new_run()
    setting.asked()
    setting("gg")
    assert setting.asked() == 2


def test_built_in_types_put_no_blame_on_the_cache(setting: Setting) -> None:
    setting("pods")
    assert not setting.catalog.distrust()


# What it means (measured: kubectl 1.32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wd", ["widgets.v1.z.example.com"]),
        ("widget", ["widgets.v1.z.example.com"]),
        ("widgets.a.example.com", ["widgets.v1.a.example.com"]),
        ("widgets.a", ["widgets.v1.a.example.com"]),
        ("wd.a.example.com", ["widgets.v1.a.example.com"]),
        ("gear", ["widgets.v1.z.example.com", "widgets.v1.a.example.com", "gadgets.v1beta1.b.example.com"]),
        ("GEAR", ["widgets.v1.z.example.com", "widgets.v1.a.example.com", "gadgets.v1beta1.b.example.com"]),
        ("pods", ["pods.v1."]),
    ],
)
def test_ambiguity_is_resolved_in_the_servers_order(name: str, expected: list[str], setting: Setting) -> None:
    assert setting(name) == expected
    setting.new_run()
    assert setting(name) == expected


def test_a_short_name_with_two_meanings_says_so_whoever_is_asked(setting: Setting) -> None:
    said = 'widgets.z.example.com is watched; the short name "wd" could also mean widgets.a.example.com'
    setting("wd")
    setting.new_run()
    setting("wd")
    assert setting.told == [said, said]
    setting("gg")
    setting("widgets")
    assert len(setting.told) == 2


def test_a_category_says_what_it_may_lack(tmp_path: Path) -> None:
    setting = Setting(tmp_path, serving(WIDGETS, group("down.io", v1={"freshness": "Stale"})))
    assert setting("all") == ["pods.v1.", "widgets.v1.z.example.com"]
    assert setting.told == [
        "all may be more than what is watched: not asked, for it is unavailable: down.io/v1: the server behind it "
        "doesn't answer"
    ]


def test_a_young_type_is_asked_for_in_the_version_the_server_has() -> None:
    setting = Setting(None, serving(group("resource.k8s.io", v1beta1=types(entry("resourceclaims", "ResourceClaim")))))
    assert setting("resourceclaims") == ["resourceclaims.v1beta1.resource.k8s.io"]


def test_a_group_cut_short_never_hides_the_servers_own_group() -> None:
    setting = Setting(None, serving(group("net", v1=types(entry("ingresses", "Ingress")))))
    assert setting("ingresses.net") == ["ingresses.v1.net"]


# What can go wrong


def test_where_discovery_is_forbidden_the_built_in_types_still_work() -> None:
    setting = Setting(None, Server(api=Forbidden("no"), apis=Forbidden("no")))
    assert setting("resourceclaims") == ["resourceclaims.v1.resource.k8s.io"]
    assert setting("all")[:3] == ["pods.v1.", "replicationcontrollers.v1.", "services.v1."]
    assert setting.told == ["all means its built-in types alone: no"]
    with pytest.raises(Forbidden):
        setting("widgets")


def test_a_discovery_that_fails_is_not_kept(setting: Setting) -> None:
    setting.server.answers["/apis"] = ApiError("500", code=500)
    with pytest.raises(ApiError):
        setting("gg")
    assert not setting.folder.exists()


def test_an_unknown_type_is_kubectls_error(recording: Callable[[str], bytes]) -> None:
    setting = Setting(None, Server(api=recording("api-aggregated"), apis=recording("apis-aggregated")))
    with pytest.raises(NotFound) as caught:
        setting("nosuch")
    assert str(caught.value) == 'the server doesn\'t have a resource type "nosuch"; see `kwatch resources`'
    with pytest.raises(NotFound, match='type "podz"; did you mean pods'):
        setting("podz")
    with pytest.raises(NotFound, match="did you mean api-extensions"):
        setting("api-extension")


def test_an_unknown_type_tells_which_groups_could_not_be_asked() -> None:
    setting = Setting(None, serving(group("metrics.k8s.io", v1beta1={"freshness": "Stale"})))
    with pytest.raises(NotFound) as caught:
        setting("podmetrics")
    assert str(caught.value) == (
        'the server doesn\'t have a resource type "podmetrics" (not asked, for it is unavailable: '
        "metrics.k8s.io/v1beta1: the server behind it doesn't answer)"
    )


def test_of_many_groups_that_could_not_be_asked_the_first_are_told() -> None:
    setting = Setting(None, serving(*(group(f"g{n}.io", v1={"freshness": "Stale"}) for n in range(5))))
    with pytest.raises(NotFound) as caught:
        setting("x")
    assert str(caught.value).count("the server behind it doesn't answer") == 3
    assert str(caught.value).endswith("; and 2 more)")


def test_the_types_of_a_category_come_once_and_in_the_preferred_version(setting: Setting) -> None:
    found = resolve_types("gear", setting.catalog)
    assert [(type(each), each.version) for each in found] == [(Resource, "v1"), (Resource, "v1"), (Resource, "v1beta1")]
