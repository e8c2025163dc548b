"""URLs as a configuration gives them. What is wrong with one is a ConfigError that shows nothing secret of it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from kwatch.cluster.files import config_error
from kwatch.errors import ConfigError

_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?/?")
_EXAMPLE = "write it as https://HOST:PORT"


def base_url(url: str, where: str) -> str:
    """`url` without trailing slash, query and fragment, its path prefix kept; HOST:PORT alone is http, as in kubectl.

    Raises ConfigError naming `where`.
    """
    if _HOST_PORT.fullmatch(url):
        url = f"http://{url}"
    text = showable(url, where)
    parts, has_host = split(url, where, _EXAMPLE)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise config_error(f"{where}: {text} isn't an http:// or https:// URL; {_EXAMPLE}")
    if "@" in parts.netloc:
        raise config_error(f"{where}: the URL holds a user name; put it and the password into the kubeconfig's user")
    if not has_host:
        raise no_host(text, where, _EXAMPLE)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def showable(url: str, where: str) -> str:
    """What an error may show of `url`: what stands before an @ is a password, and behind a ? there may be one.

    Raises ConfigError naming `where` if it holds what no URL does.
    """
    text = url.rpartition("@")[2].partition("?")[0]
    if not url.isprintable() or any(character in url for character in " \\"):
        raise config_error(f"{where}: a URL can't hold blanks, backslashes or control characters; check {text}")
    return text


def split(url: str, where: str, example: str) -> tuple[SplitResult, bool]:
    """(its parts, whether they name a host and a port that can be). Raises ConfigError naming `where`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port  # both may raise
    except ValueError:
        raise config_error(f"{where}: {showable(url, where)} isn't a valid URL; {example}") from None
    return parts, bool(host) and port != 0


def no_host(text: str, where: str, example: str) -> ConfigError:
    """The error for a URL without a host, or with a port that can't be; `text` is what may be shown of it."""
    return config_error(f"{where}: {text} names no host or an impossible port; {example}")
