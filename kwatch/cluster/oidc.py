"""The id-token that `auth-provider: {name: oidc}` keeps in a kubeconfig.

kubectl refreshes it and writes the new one back. kwatch never writes a kubeconfig, and a refresh without that would
end the user's login where the provider gives each refresh token once. So it reads the file again: once kubectl has
refreshed the token, kwatch has it, too.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable, Mapping

from kwatch.cluster.credentials import sendable
from kwatch.cluster.files import config_error
from kwatch.cluster.kubefile import Entry, load
from kwatch.errors import ConfigError

_GONE = {
    "gcp": "use its exec plugin, gke-gcloud-auth-plugin",
    "azure": "use its exec plugin, kubelogin",
}
"""Providers that kubectl has had until 1.25."""


class IdToken:
    """Credentials: the token while it is valid, then what the kubeconfig holds by then. Threads may share it."""

    __slots__ = ("_entry", "_now", "_token")

    def __init__(self, entry: Entry, now: Callable[[], float] = time.time) -> None:
        self._entry = entry
        self._now = now
        self._token = _stored(entry)

    def authorization(self) -> str:
        """`Bearer TOKEN`. Raises ConfigError where it has expired, in the file as well."""
        if self._expired():
            self.renew()
        if self._expired():
            raise self._entry.error(
                "has an OIDC id-token that has expired; any kubectl command with this user refreshes it, "
                "and kwatch reads it from the kubeconfig then"
            )
        return f"Bearer {self._token}"

    def renew(self) -> None:
        """Read the kubeconfig again, if it is a file: a pipe gave its content once."""
        if not self._entry.file.is_file():
            return
        users = load([self._entry.file], required=True).users
        if self._entry.name not in users:
            raise self._entry.error("is no longer there; start kwatch again with another user")
        self._token = _stored(users[self._entry.name])

    def identity(self) -> tuple[bytes, bytes]:
        """No certificate."""
        return b"", b""

    def given(self) -> tuple[str, ...]:
        """The one in use."""
        return (f"Bearer {self._token}",)

    def close(self) -> None:
        """Nothing runs."""

    def _expired(self) -> bool:
        return self._now() >= _expiry(self._token, self._entry)

    def __repr__(self) -> str:
        return f"IdToken({self._entry.name!r})"


def provided(entry: Entry) -> IdToken:
    """The credentials of a user with an auth-provider. Raises ConfigError for any but oidc, the one kubectl has."""
    provider = entry.body["auth-provider"]
    name = provider.get("name") if isinstance(provider, Mapping) else None
    if name != "oidc":
        advice = _GONE.get(str(name), "pass --token, or choose another --user")
        raise entry.error(f'uses the auth-provider "{name}", which neither kubectl nor kwatch has; {advice}')
    found = IdToken(entry)
    found.authorization()
    return found


def _stored(entry: Entry) -> str:
    provider = entry.body.get("auth-provider")
    config = provider.get("config") if isinstance(provider, Mapping) else None
    inner = Entry(entry.section, entry.name, config if isinstance(config, Mapping) else {}, entry.file)
    token = inner.text("id-token")
    if not token:
        raise entry.error("has no OIDC id-token yet; run any kubectl command with this user first, or pass --token")
    return sendable(token, str(entry))


def _expiry(token: str, entry: Entry) -> float:
    """Seconds since the epoch, of the claim `exp`. Raises ConfigError for what isn't a JWT; nothing is verified."""
    found = None
    with contextlib.suppress(ValueError, IndexError, TypeError, AttributeError, RecursionError):
        payload = token.split(".")[1]
        found = float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    if found is None:
        raise _malformed(entry)
    return found


def _malformed(entry: Entry) -> ConfigError:
    return config_error(f"{entry} has an OIDC id-token that isn't a JWT with an exp; log in again")
