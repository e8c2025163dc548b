"""Which proxy, if any, stands before a server: a proxy-url that was asked for, else what the environment says.

The environment's rules are Go's (golang.org/x/net/http/httpproxy, which client-go uses). A proxy's user and password
stay in its URL, as in the configuration; `shown` is the URL that may be printed. Everything wrong is a ConfigError.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from urllib.parse import quote, unquote, urlsplit

from kwatch.cluster import urls
from kwatch.cluster.credentials import basic
from kwatch.cluster.files import config_error

SOCKS = ("socks5", "socks5h")

_SCHEMES = ("http", "https", *SOCKS)
_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "write it as http://HOST:PORT"
_HOST_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([^:\[\]]*)")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def choose(server: str, asked: Iterable[tuple[str, str]], env: Mapping[str, str]) -> tuple[str, str]:
    """(proxy URL, where it comes from) for `server`, a URL; ("", "") for none.

    `asked` holds pairs (URL or "", where), the first with a URL wins, for any server; `env` counts only after them.
    """
    for url, where in asked:
        if url:
            return _checked(url, where), where
    name, url = _variable(env, urlsplit(server).scheme)
    if not url or _is_direct(server, _first(env, "NO_PROXY", "no_proxy")[1]):
        return "", ""
    return _checked(url if "://" in url else f"http://{url}", name), name


def shown(proxy: str) -> str:
    """The proxy's URL without user and password."""
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def login(proxy: str) -> tuple[str, str]:
    """(user, password) as they were before they were percent-encoded, "" where there is none."""
    parts = urlsplit(proxy)
    return unquote(parts.username or ""), unquote(parts.password or "")


def authorization(proxy: str, where: str = "proxy-url") -> str:
    """The Proxy-Authorization header's value, "" for none. Raises ConfigError naming `where`."""
    user, password = login(proxy)
    return basic(user, password, where).authorization() if user or password else ""


def secrets(proxy: str) -> list[str]:
    """User and password in each form in which a proxy might repeat them."""
    parts = urlsplit(proxy)
    words = login(proxy)
    encoded = [quote(word, safe=safe) for word in words for safe in ("", "/")]
    return [authorization(proxy).partition(" ")[2], parts.username or "", parts.password or "", *words, *encoded]


def _variable(env: Mapping[str, str], scheme: str) -> tuple[str, str]:
    """(name, value) of the variable for servers of this scheme."""
    if scheme == "https":
        return _first(env, "HTTPS_PROXY", "https_proxy")
    if env.get("REQUEST_METHOD"):  # in a CGI HTTP_PROXY is the request's Proxy header (CVE-2016-5385)
        return "", ""
    return _first(env, "HTTP_PROXY", "http_proxy")


def _first(env: Mapping[str, str], *names: str) -> tuple[str, str]:
    return next(((name, env[name].strip()) for name in names if env.get(name)), ("", ""))


def _checked(url: str, where: str) -> str:
    """`url` without path. Raises ConfigError naming `where`; no error shows what stands before an @."""
    text = urls.showable(url, where)
    scheme, _, rest = url.partition("://")
    if not rest or scheme.lower() not in _SCHEMES:
        raise config_error(f"{where}: {text} isn't an http://, https:// or socks5:// URL; {_EXAMPLE}")
    if "@" in rest and "@" not in re.split("[/?#]", rest, maxsplit=1)[0]:
        raise config_error(f"{where}: the password before @{text} holds a / ? or #; write %2F %3F or %23")
    parts, has_host = urls.split(url, where, _EXAMPLE)
    if not has_host:
        raise urls.no_host(text, where, _EXAMPLE)
    if parts.scheme in SOCKS and find_spec("socks") is None:
        raise config_error(f"{where}: {text} is a SOCKS proxy, which needs PySocks; pip install 'kwatch-cli[socks]'")
    proxy = f"{parts.scheme}://{parts.netloc}"
    authorization(proxy, where)
    return proxy


def _is_direct(server: str, no_proxy: str) -> bool:
    """Whether the environment's proxy is not for this server: it is this machine, or NO_PROXY has it."""
    parts = urlsplit(server)
    host = _ascii(parts.hostname or "")
    port = str(parts.port or _PORTS[parts.scheme])
    address = _address(host)
    if host == "localhost" or (address and address.is_loopback):
        return True
    rules = [rule.strip().lower() for rule in no_proxy.split(",")]
    return any(_matches(rule, host, port, address) for rule in rules if rule)


def _matches(rule: str, host: str, port: str, address: _Address | None) -> bool:
    """Whether a rule of NO_PROXY holds: `*`, a network, or a host or address, with or without a port."""
    if rule == "*":
        return True
    if network := _network(rule):
        return address is not None and address in network
    match = _HOST_PORT.fullmatch(rule)
    name, only_port = (match[1] or match[2], match[3]) if match else (rule, "")
    if not name or (only_port and only_port != port):
        return False
    if wanted := _address(name):
        return wanted == address
    return _is_within(host, name.removeprefix("*"))


def _is_within(host: str, domain: str) -> bool:
    """`.example.com` is any host below it; `example.com` is that and itself."""
    bare = _ascii(domain.removeprefix("."))
    return host.endswith(f".{bare}") or (host == bare and not domain.startswith("."))


def _network(rule: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if not rule.rpartition("/")[2].isdecimal() or "/" not in rule:
        return None
    try:
        return ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return None


def _address(host: str) -> _Address | None:
    """The address; ::ffff:10.0.0.1 is 10.0.0.1, as in Go."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:  # as it stands: a label too long, or an empty one
        return host
