"""Which proxy a server is reached through: what was asked for, the environment, and NO_PROXY by Go's rules."""

from __future__ import annotations

import pytest
from cluster.kubeconfigs import CANARY, Place, kubeconfig

from kwatch.cluster import proxies
from kwatch.cluster.kubeconfig import ConnectionOptions

PROXY = "http://proxy:3128"


def through(server: str, no_proxy: str) -> bool:
    env = {"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY, "NO_PROXY": no_proxy}
    return bool(proxies.choose(server, [], env)[0])


@pytest.mark.parametrize(
    ("server", "no_proxy"),
    [
        ("https://api.example.com", "*"),
        ("https://api.example.com", "other, * "),
        ("https://api.example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("https://API.Example.com", "EXAMPLE.com"),
        ("https://api.example.com", ".example.com"),
        ("https://api.example.com", "*.example.com"),
        ("https://api.example.com", " a.b ,, example.com"),
        ("https://api.example.com:6443", "example.com:6443"),
        ("https://api.example.com", "example.com:443"),
        ("http://api.example.com", "example.com:80"),
        ("https://10.1.2.3", "10.1.2.3"),
        ("https://10.1.2.3:6443", "10.1.2.3:6443"),
        ("https://10.1.2.3", "10.0.0.0/8"),
        ("https://10.1.2.3", "::ffff:10.1.2.3"),
        ("https://[fd00::1]:6443", "fd00::/8"),
        ("https://[fd00::1]:6443", "fd00:0::1"),
        ("https://[fd00::1]:6443", "[fd00::1]:6443"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://localhost:6443", ""),
        ("https://127.9.9.9:6443", ""),
        ("http://[::1]:8080", ""),
    ],
)
def test_no_proxy_and_this_machine_are_reached_straight(server: str, no_proxy: str) -> None:
    assert not through(server, no_proxy)


@pytest.mark.parametrize(
    ("server", "no_proxy"),
    [
        ("https://api.example.com", ""),
        ("https://api.example.com", "api"),
        ("https://api.example.com", "ple.com"),
        ("https://example.com", ".example.com"),
        ("https://example.com", "*.example.com"),
        ("https://api.example.com", "api.*"),
        ("https://api.example.com:6443", "example.com:443"),
        ("https://api.example.com", ":443"),
        ("https://10.1.2.3", "10.1.2"),
        ("https://10.1.2.3:6443", "10.1.2.3:443"),
        ("https://10.1.2.3", "11.0.0.0/8"),
        ("https://10.1.2.3", "10.0.0.0/255.0.0.0"),
        ("https://10.1.2.3", "fd00::/8"),
        ("https://[fd00::1]", "[fd00::1]"),
        ("https://api.example.com", "10.0.0.0/8"),
        ("https://api.example.com", "https://api.example.com"),
    ],
)
def test_all_else_goes_through_the_proxy(server: str, no_proxy: str) -> None:
    assert through(server, no_proxy)


@pytest.mark.parametrize(
    ("server", "env", "expected"),
    [
        ("https://h", {"HTTPS_PROXY": PROXY}, (PROXY, "HTTPS_PROXY")),
        ("https://h", {"https_proxy": PROXY}, (PROXY, "https_proxy")),
        ("https://h", {"HTTPS_PROXY": PROXY, "https_proxy": "http://no"}, (PROXY, "HTTPS_PROXY")),
        ("https://h", {"HTTPS_PROXY": "", "https_proxy": PROXY}, (PROXY, "https_proxy")),
        ("https://h", {"HTTPS_PROXY": "proxy:3128"}, (PROXY, "HTTPS_PROXY")),
        ("https://h", {"HTTPS_PROXY": PROXY + "/path?query"}, (PROXY, "HTTPS_PROXY")),
        ("https://h", {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}, (PROXY, "HTTPS_PROXY")),
        ("https://h", {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, ("", "")),
        ("https://h", {"HTTPS_PROXY": PROXY, "no_proxy": "h"}, ("", "")),
        ("http://h", {"HTTP_PROXY": PROXY}, (PROXY, "HTTP_PROXY")),
        ("http://h", {"HTTPS_PROXY": PROXY}, ("", "")),
        ("http://h", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, ("", "")),
        ("https://h", {"HTTPS_PROXY": "nonsense://x", "NO_PROXY": "h"}, ("", "")),
    ],
)
def test_the_variable_is_that_of_the_servers_scheme(
    server: str, env: dict[str, str], expected: tuple[str, str]
) -> None:
    assert proxies.choose(server, [], env) == expected


def test_the_flag_wins_over_the_kubeconfig_and_both_over_the_environment(place: Place) -> None:
    env = {"HTTPS_PROXY": "http://variable", "NO_PROXY": "*"}
    place.default(kubeconfig({"proxy-url": "http://file:1"}))
    assert place.resolve(env, proxy_url="https://flag:2").proxy == "https://flag:2"
    connection = place.resolve(env)
    assert connection.proxy == "http://file:1"
    assert connection.proxy_from.endswith('cluster "c": proxy-url')
    place.default(kubeconfig())
    assert place.resolve({"HTTPS_PROXY": "http://variable"}).proxy == "http://variable"
    assert place.resolve(env).proxy == ""


def test_what_was_asked_for_serves_this_machine_too(place: Place) -> None:
    place.default(kubeconfig({"server": "http://127.0.0.1:8080", "proxy-url": PROXY}))
    assert place.resolve().proxy == PROXY


def test_a_bad_variable_is_one_line_that_names_it(place: Place) -> None:
    place.default(kubeconfig())
    expected = "HTTPS_PROXY: proxy:port isn't a valid URL; write it as http://HOST:PORT"
    assert place.failure({"HTTPS_PROXY": f"me:{CANARY}@proxy:port"}) == expected
    expected = "https_proxy: a user name can't hold a colon; the server would take the rest as the password"
    assert place.failure({"https_proxy": f"http://m%3Ae:{CANARY}@proxy"}) == expected


def test_socks_without_pysocks_says_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.default(kubeconfig({"proxy-url": f"socks5://me:{CANARY}@proxy:1080"}))
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)
    assert place.failure().endswith("proxy:1080 is a SOCKS proxy, which needs PySocks; pip install 'kwatch-cli[socks]'")
    monkeypatch.setattr(proxies, "find_spec", lambda name: object())
    assert place.resolve().proxy == f"socks5://me:{CANARY}@proxy:1080"


def test_the_password_is_in_no_repr_and_in_every_form_among_the_secrets(place: Place) -> None:
    proxy = f"http://me:{CANARY}%2F%40@proxy"
    place.default(kubeconfig({"proxy-url": proxy}))
    assert CANARY not in repr(place.resolve()) + repr(ConnectionOptions(proxy_url=proxy)) + proxies.shown(proxy)
    assert {f"{CANARY}/@", f"{CANARY}%2F%40", f"{CANARY}/%40"} < set(proxies.secrets(proxy))
