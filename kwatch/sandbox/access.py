"""Who may ask: the credentials that a server takes, and the headers that a proxy before it wants to see."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie

from .connection import Request


class Access:
    """A small rule set. Without tokens, logins and subjects anybody may ask; any of them, if there are some, is enough.

    `tokens` are bearer tokens, `logins` are `user:password`, `subjects` the common names of client certificates that
    TLS has verified. `headers` and `cookies` must all be there besides, with these values. May be changed meanwhile.
    """

    def __init__(
        self,
        *,
        tokens: Iterable[str] = (),
        logins: Iterable[str] = (),
        subjects: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
    ) -> None:
        self._tokens = dict.fromkeys(tokens, math.inf)
        self._logins = {base64.b64encode(login.encode()).decode() for login in logins}
        self._subjects = frozenset(subjects)
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._cookies = dict(cookies or {})

    def grant(self, token: str, seconds: float = math.inf) -> None:
        """Take the token from now on, for so long."""
        self._tokens[token] = time.monotonic() + seconds

    def revoke(self, token: str) -> None:
        """Take the token no more; watches that run go on, as with an API server."""
        self._tokens[token] = -math.inf

    def admits(self, request: Request) -> bool:
        """Whether the request is to be answered; else it is a 401."""
        if any(request.headers.get(name) != value for name, value in self._headers.items()):
            return False
        if self._cookies.items() - _cookies(request).items():
            return False
        if not (self._tokens or self._logins or self._subjects):
            return True
        return request.subject in self._subjects or self._authorizes(request.headers.get("authorization", ""))

    def _authorizes(self, header: str) -> bool:
        scheme, _, value = header.partition(" ")
        if scheme == "Basic":
            return value in self._logins
        return scheme == "Bearer" and time.monotonic() < self._tokens.get(value, -math.inf)


def _cookies(request: Request) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(request.headers.get("cookie", "")).items()}
    except CookieError:
        return {}
