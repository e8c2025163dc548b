"""As whom requests go: the Impersonate- headers, from a kubeconfig's user and the flags over it.

The rules are kubectl's, measured with 1.32: each flag replaces its own field and leaves the others, all need a user,
and the headers go over plain http, too. Their form is client-go's (`transport/round_trippers.go`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kwatch.cluster.files import config_error
from kwatch.cluster.kubefile import Entry

Headers = tuple[tuple[str, str], ...]

_LEGAL = frozenset(b"!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Bytes that stay as they are in a header's name; `%` would be one, but it begins an escape here."""


def headers(entry: Entry, user: str, groups: tuple[str, ...], uid: str) -> Headers:
    """(name, value) for each line to send, () for nobody else; `user`, `groups` and `uid` are the flags'.

    A value is UTF-8 in Latin-1 disguise, as http.client wants it. Raises ConfigError.
    """
    user, uid = user or entry.text("as"), uid or entry.text("as-uid")
    groups = groups or entry.strings("as-groups")
    extra = _extra(entry)
    if not user and (uid or groups or extra):
        whose = str(entry) if entry.name else "--as-group or --as-uid"
        raise config_error(f"{whose}: a uid, groups or extra are impersonated without a user; pass --as USER, too")
    named = [("User", user), ("Uid", uid), *(("Group", group) for group in groups), *extra]
    return tuple((f"Impersonate-{name}", _value(name, value)) for name, value in named if value or name == "Group")


def _extra(entry: Entry) -> list[tuple[str, str]]:
    mapping = entry.body.get("as-user-extra")
    if mapping is None:
        return []
    if not isinstance(mapping, Mapping) or not all(isinstance(key, str) for key in mapping):
        raise entry.error("has an as-user-extra that isn't a mapping of keys to lists of strings; correct it")
    inner = Entry(entry.section, entry.name, mapping, entry.file)
    return [(f"Extra-{_escaped(key)}", value) for key in mapping for value in inner.strings(key)]


def _escaped(key: str) -> str:
    """A key as part of a header's name; the server takes it in lower case, whatever it was."""
    return "".join(_escapes(key.encode("utf-8", "replace"))).lower()


def _escapes(key: bytes) -> Iterator[str]:
    for byte in key:
        yield chr(byte) if byte in _LEGAL else f"%{byte:02x}"


def _value(name: str, value: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise config_error(f"Impersonate-{name}: the value holds a character that no HTTP header can carry; correct it")
    return value.encode("utf-8", "replace").decode("latin-1")
