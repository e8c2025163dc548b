"""Values of JSON as kubectl's printers write them, which are Go's: encoding/json, and fmt's `%v`.

Integers that Go's int64 can't hold are floats to kubectl and lose digits there; here they keep them.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_ODD_NUMBER = re.compile(rb"[:,\[]-?(\d+[.eE][\d.eE+-]*|\d{19,})[,}\]]")
"""In compact JSON, numbers that orjson may write otherwise than Go. What is in a string may look so, too."""
_ESCAPED = tuple((character.encode(), f"\\u{ord(character):04x}".encode()) for character in "<>&\u2028\u2029")
TOO_DEEP = "<nested too deep>"
"""What stands for a value that has more levels than Python's stack."""
_SORTED = orjson.OPT_SORT_KEYS
_INDENTED = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2


def json_line(value: Any) -> str:
    """Compact JSON, keys sorted, `<`, `>` and `&` escaped: json.Marshal."""
    return _escaped(_encoded(value, _SORTED)).decode()


def json_lines(value: Any, compact: bytes | None = None) -> str:
    """The same, indented by four blanks: json.MarshalIndent. `compact` is the value's JSON where there is one already:
    if no odd number is in it, the value need not be looked through."""
    text = _encoded(value, _INDENTED, exactly=compact is None or _ODD_NUMBER.search(compact) is not None)
    return _escaped(_deepened(text)).decode()


def selected(value: Any) -> str:
    """What a JSONPath template prints of a value: text as it is, JSON where it has parts."""
    try:
        return json_line(value) if isinstance(value, (dict, list)) else _scalar(value, "null")
    except RecursionError:
        return TOO_DEEP


def printed(value: Any) -> str:
    """What a custom column prints of a value, fmt.Sprint: `map[a:1 b:x]`, `[1 2]`, `<nil>`."""
    try:
        return _sprint(value)
    except RecursionError:
        return TOO_DEEP


def general(value: float) -> str:
    """A float in the shortest form of strconv's format g: 1000000.0 is `1e+06`, 100000.5 is itself."""
    return _decimal(value, lowest=-4, highest=5)


def json_number(value: float) -> str:
    """A float as encoding/json has it: 1e+20 is written out, 1e-07 is `1e-7`."""
    return _decimal(value, lowest=-6, highest=20).replace("e-0", "e-")


def _sprint(value: Any) -> str:
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_sprint(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_sprint, value))}]"
    return _scalar(value, "<nil>")


def _scalar(value: Any, nothing: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return nothing
    if isinstance(value, bool):
        return "true" if value else "false"
    return general(value) if isinstance(value, float) else str(value)


def _decimal(value: float, *, lowest: int, highest: int) -> str:
    """The fewest digits that tell `value`, with an exponent where it is below `lowest` or above `highest`."""
    from decimal import Decimal

    sign, digits, shift = Decimal(repr(value)).normalize().as_tuple()
    exponent = len(digits) - 1 + int(shift)
    if lowest <= exponent <= highest or value == 0:
        return f"{Decimal(repr(value)).normalize():f}"
    head, *rest = map(str, digits)
    fraction = "." + "".join(rest) if rest else ""
    return f"{'-' * sign}{head}{fraction}e{exponent:+03d}"


def _encoded(value: Any, option: int, *, exactly: bool = True) -> bytes:
    try:
        return orjson.dumps(_exact(value) if exactly else value, option=option)
    except TypeError:  # a lone surrogate, or nested deeper than orjson goes
        indent, colon = (2, ": ") if option == _INDENTED else (None, ":")
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent, separators=(",", colon))
        return text.encode(errors="replace")


def _exact(value: Any) -> Any:
    """`value` with the numbers that orjson would write otherwise as they are to be written."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, float):
        return orjson.Fragment(json_number(value))
    return orjson.Fragment(str(value)) if isinstance(value, int) and abs(value) >> 63 else value


def _deepened(text: bytes) -> bytes:
    """Four blanks a level in place of two; a line's first blanks are never a string's."""
    return b"\n".join([b" " * (len(line) - len(line.lstrip(b" "))) + line for line in text.split(b"\n")])


def _escaped(text: bytes) -> bytes:
    for character, escape in _ESCAPED:
        if character in text:
            text = text.replace(character, escape)
    return text
