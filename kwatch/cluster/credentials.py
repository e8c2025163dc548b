"""Who kwatch is to the server: the value of the Authorization header, and how to get a fresh one after a 401.

Client certificates are in `pem`, but for those of an exec plugin. No repr, error or attribute listing shows a secret.
The behaviours are client-go's (`transport/token_source.go`, `clientcmd`), measured against kubectl 1.32.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kwatch.cluster.files import config_error, read
from kwatch.errors import ConfigError

TOKEN_LIFE = 60.0
"""Seconds a token that came of a file is used before the file is read again (client-go's period)."""


class Credentials(Protocol):
    """What a transport asks of credentials. May be shared by the reader threads, who may wait for a plugin together."""

    def authorization(self) -> str:
        """The Authorization header's value, "" for none. ConfigError where there never was one to give."""

    def renew(self) -> None:
        """The server said 401 to the last value (fault 28): look for a newer one at the next `authorization()`."""

    def identity(self) -> tuple[bytes, bytes]:
        """(client certificate, its key) that came with the value this thread got last; both in PEM, or both empty."""

    def given(self) -> tuple[str, ...]:
        """The values in use, and any of late, which nobody may repeat; at once, without looking for a newer one."""

    def close(self) -> None:
        """Nothing is asked for any more: leave nothing running."""


class NoCredentials:
    """Anonymous, or known by a client certificate alone."""

    __slots__ = ()

    def authorization(self) -> str:
        """Nothing to send."""
        return ""

    def renew(self) -> None:
        """Nothing to renew."""

    def identity(self) -> tuple[bytes, bytes]:
        """No certificate."""
        return b"", b""

    def given(self) -> tuple[str, ...]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing runs."""

    def __repr__(self) -> str:
        return "NoCredentials()"


class FixedCredentials:
    """A header that stays the same for the run: an inline token, or a user name and password."""

    __slots__ = ("_header", "_scheme")

    def __init__(self, scheme: str, value: str) -> None:
        self._scheme = scheme
        self._header = f"{scheme} {value}"

    def authorization(self) -> str:
        """The same value each time."""
        return self._header

    def renew(self) -> None:
        """There is no newer one; the 401 stands."""

    def identity(self) -> tuple[bytes, bytes]:
        """No certificate."""
        return b"", b""

    def given(self) -> tuple[str, ...]:
        """The one value."""
        return (self._header,)

    def close(self) -> None:
        """Nothing runs."""

    def __repr__(self) -> str:
        return f"FixedCredentials({self._scheme!r}, …)"


class TokenFile:
    """A token in a file that something else keeps fresh (a projected service account token).

    Read at first use, again after TOKEN_LIFE, and after `renew()`. A file that can't be read any more leaves the last
    good token in use, else `fallback`, as client-go does: the file is often replaced, and the server has the last word.
    """

    __slots__ = ("_current", "_fallback", "_now", "_path")

    def __init__(self, path: Path, fallback: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._fallback = fallback
        self._now = now
        self._current: tuple[str, float] | None = None  # (token, stale from): replaced whole, so threads need no lock

    def authorization(self) -> str:
        """`Bearer TOKEN`. Raises ConfigError where neither the file nor the fallback gives a token."""
        now = self._now()
        if self._current is None or now >= self._current[1]:
            self._current = (self._read(), now + TOKEN_LIFE)
        return f"Bearer {self._current[0]}"

    def renew(self) -> None:
        """Read the file again at the next use."""
        if self._current is not None:
            self._current = (self._current[0], self._now())

    def identity(self) -> tuple[bytes, bytes]:
        """No certificate."""
        return b"", b""

    def given(self) -> tuple[str, ...]:
        """The last one read."""
        current = self._current
        return (f"Bearer {current[0]}",) if current else ()

    def close(self) -> None:
        """Nothing runs."""

    def _read(self) -> str:
        known = self._current[0] if self._current else self._fallback
        if self._current and not self._path.is_file():  # gone, or a pipe, which would block
            return known
        try:
            return file_token(self._path)
        except ConfigError:
            if known:
                return known
            raise

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"


def file_token(path: Path) -> str:
    """The token in the file, white space around it removed. Raises ConfigError where there is none."""
    content = read(path, "token file").strip()
    if not content:
        raise config_error(f"token file {path} is empty; whatever writes it hasn't yet, or wrote elsewhere")
    return sendable(content.decode("utf-8", "replace"), f"token file {path}")


def bearer(token: str, where: str) -> FixedCredentials:
    """Credentials of an inline token. Raises ConfigError, naming `where` it stands, if it can't be a header's value."""
    return FixedCredentials("Bearer", sendable(token, where))


def basic(username: str, password: str, where: str) -> FixedCredentials:
    """Credentials of a user name and password (RFC 7617, UTF-8). Raises ConfigError naming `where` they stand."""
    if ":" in username:
        raise config_error(f"{where}: a user name can't hold a colon; the server would take the rest as the password")
    pair = f"{username}:{password}".encode("utf-8", "replace")
    return FixedCredentials("Basic", base64.b64encode(pair).decode("ascii"))


def sendable(token: str, where: str) -> str:
    """`token`, if HTTP can carry it. Raises ConfigError: a line break would forge a header, and headers are latin-1."""
    if any(_unsendable(character) for character in token):
        raise config_error(
            f"{where}: the token holds a line break or a character that no HTTP header can carry; "
            "copy it again as one line"
        )
    return token


def _unsendable(character: str) -> bool:
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or code > 0xFF
