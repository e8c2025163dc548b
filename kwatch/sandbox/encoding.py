"""JSON as Go's encoding/json writes it, and copies of JSON values.

Compact, UTF-8, with <, >, &, U+2028 and U+2029 escaped; every body ends with a newline, which callers add.
"""

from __future__ import annotations

import json
import re
from typing import Any

Object = dict[str, Any]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
)
_dumps = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8; a lone surrogate becomes U+FFFD, as in Go."""
    text = _dumps(value)
    for char, escape in _ESCAPES:  # these occur inside strings only
        if char in text:
            text = text.replace(char, escape)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode()


def pretty(value: Any) -> bytes:
    """Indented JSON, for the few bodies that the server writes so."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def copied(value: Any) -> Any:
    """A deep copy of a JSON value (several times quicker than copy.deepcopy)."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(item) for item in value]
    return value


def lookup(value: Any, path: tuple[str, ...], default: Any = None) -> Any:
    """The value at a path of keys, or `default` where any of them is missing or null."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return default
    return value
