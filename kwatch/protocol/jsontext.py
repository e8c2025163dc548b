"""JSON as the API server writes it, by orjson, with the standard library for what orjson refuses or changes.

orjson refuses an escaped lone surrogate and turns integers over 64 bits into floats; both are legal JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from kwatch.errors import MalformedFrame, TruncatedJson

_BIG_INTEGER = re.compile(rb"[:\[,]\s*-?[0-9]{19,}\s*[,\]}]")


def decode(encoded: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises MalformedFrame for anything else, however deep or odd."""
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError:
        return decode_exactly(encoded)


def decode_exactly(encoded: bytes) -> Any:
    """As `decode`, by the standard library: slower, integers of any size, lone surrogates kept."""
    try:
        text = encoded.decode()
    except UnicodeDecodeError as error:
        kind = TruncatedJson if error.end >= len(encoded) else MalformedFrame
        raise kind(f"not UTF-8 ({error.reason})") from error
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        kind = TruncatedJson if _stops_short(error, text) else MalformedFrame
        raise kind(f"not JSON ({error})") from error


def encode(value: Any) -> bytes:
    """Compact JSON, however deep; characters as UTF-8, a lone surrogate as its escape."""
    try:
        return orjson.dumps(value)
    except TypeError:
        pass
    try:
        return json.dumps(value, separators=(",", ":")).encode()
    except RecursionError:
        return _encode_deep(value)


def _encode_deep(value: Any) -> bytes:
    """The same without recursion, and slower: values wait with the text before and after them, the next one last."""
    texts: list[str] = []
    waiting = [("", value, "")]
    while waiting:
        before, value, after = waiting.pop()
        if not value or not isinstance(value, (dict, list)):
            texts += (before, json.dumps(value), after)
            continue
        if isinstance(value, dict):
            brackets, names, members = "{}", [f"{json.dumps(name)}:" for name in value], [*value.values()]
        else:
            brackets, names, members = "[]", [""] * len(value), value
        inner = [(f",{name}", member, "") for name, member in zip(names, members, strict=True)]
        inner[0] = (names[0], *inner[0][1:])
        inner[-1] = (*inner[-1][:2], brackets[1] + after)
        texts += (before, brackets[0])
        waiting += reversed(inner)
    return "".join(texts).encode()


def packed(value: Any) -> bytes | None:
    """`value` as JSON that `unpacked` turns into the same again; None where orjson has no such JSON: for big integers,
    lone surrogates and what it writes as null (a number that is too large for a float)."""
    try:
        encoded = orjson.dumps(value)
    except TypeError:
        return None
    if b"null" in encoded and orjson.loads(encoded) != value:
        return None
    return bytes(memoryview(encoded))  # copied: orjson's own bytes carry the room that it worked in


def unpacked(packed: bytes) -> Any:
    """What `packed` was made of."""
    return orjson.loads(packed)


def changed_by_decoding(encoded: bytes, source: bytes) -> bool:
    """Whether `encoded`, made from `source` by `decode` and `encode`, may have lost the digits of a big integer."""
    return suspicious(encoded) and has_big_integer(source)


def suspicious(encoded: bytes) -> bool:
    """Whether there is a float beyond 2**53, which orjson (from 3.11.7 on) writes as `1e+19`: rarely.

    That there is no `+` at all is found out thirty times as fast as that there is no `e+`.
    """
    return b"+" in encoded and b"e+" in encoded


def has_big_integer(source: bytes) -> bool:
    """Whether an integer of 19 digits or more seems to stand in the text."""
    return _BIG_INTEGER.search(source) is not None


def _stops_short(error: Exception, text: str) -> bool:
    """Whether the text went wrong at its end: amid a string, or within the length of a literal or escape of it."""
    if not isinstance(error, json.JSONDecodeError) or text.lstrip()[:1] not in ("{", ""):
        return False
    return error.pos >= len(text.rstrip()) - len("\\ud83d") or error.msg.startswith("Unterminated string")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
