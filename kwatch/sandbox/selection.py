"""Label, field and shard selectors: the grammar and the errors of k8s.io/apimachinery, as predicates over objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .encoding import Object, lookup
from .errors import bad_request

if TYPE_CHECKING:
    from .kinds import Kind

Predicate = Callable[[Object], bool]
LabelTest = Callable[["str | None"], bool]

_TOKEN = re.compile(r"\s*(?:(==|!=|[=!<>(),])|([^\s=!<>(),]+))")
_SYMBOLS = frozenset(("==", "!=", "=", "!", "<", ">", "(", ")", ","))
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_KEY = re.compile(r"([-a-z0-9.]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_SHARD = re.compile(r"shardRange\(\s*object\.metadata\.uid\s*,\s*'0x([0-9a-fA-F]+)'\s*,\s*'0x([0-9a-fA-F]+)'\s*\)\Z")


def _equals(values: list[str]) -> LabelTest:
    return lambda label: label is not None and label in values


def _differs(values: list[str]) -> LabelTest:
    return lambda label: label is None or label not in values


def _number(label: str | None) -> int | None:
    try:
        return int(label) if label is not None else None
    except ValueError:
        return None


def _greater(values: list[str]) -> LabelTest:
    bound = _bound(values[0])
    return lambda label: (number := _number(label)) is not None and number > bound


def _less(values: list[str]) -> LabelTest:
    bound = _bound(values[0])
    return lambda label: (number := _number(label)) is not None and number < bound


def _bound(text: str) -> int:
    number = _number(text)
    if number is None:
        cause = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise bad_request(f'unable to parse requirement: values[0][]: Invalid value: "{text}": {cause}')
    return number


_EXACT: dict[str, Callable[[list[str]], LabelTest]] = {
    "=": _equals,
    "==": _equals,
    "!=": _differs,
    ">": _greater,
    "<": _less,
}
_SETS: dict[str, Callable[[list[str]], LabelTest]] = {"in": _equals, "notin": _differs}
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


class _LabelParser:
    """A recursive-descent parser over the tokens of one selector; an error is a 400 in apimachinery's words."""

    def __init__(self, text: str) -> None:
        self.tokens = [symbol or word for symbol, word in _TOKEN.findall(text)]
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def is_word(self) -> bool:
        token = self.peek()
        return bool(token) and token not in _SYMBOLS

    def parse(self) -> list[tuple[str, LabelTest]]:
        requirements: list[tuple[str, LabelTest]] = []
        while self.peek():
            if not (self.is_word() or self.peek() == "!"):
                raise bad_request(f"found '{self.peek()}', expected: !, identifier, or 'end of string'")
            requirements.append(self.requirement())
            if not self.peek():
                break
            self.separator()
        return requirements

    def separator(self) -> None:
        token = self.take()
        if token != ",":
            raise bad_request(f"found '{token}', expected: ',' or 'end of string'")
        if not (self.is_word() or self.peek() == "!"):
            raise bad_request(f"found '{self.peek()}', expected: identifier after ','")

    def requirement(self) -> tuple[str, LabelTest]:
        absent = self.peek() == "!"
        if absent:
            self.take()
        key = self.key()
        if absent:
            return key, lambda label: label is None
        if self.peek() in ("", ","):
            return key, lambda label: label is not None
        return key, self.comparison()

    def key(self) -> str:
        if not self.is_word():
            raise self.unexpected(self.peek(), "identifier")
        key = self.take()
        if not _KEY.match(key):
            raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}": name part is invalid')
        return key

    def comparison(self) -> LabelTest:
        operator = self.take()
        if operator in _EXACT:
            value = self.take() if self.is_word() else ""
            return _EXACT[operator]([self.checked(value)])
        if operator in _SETS:
            return _SETS[operator](self.value_set())
        raise self.unexpected(operator, _OPERATORS)

    def value_set(self) -> list[str]:
        opening = self.take()
        if opening != "(":
            raise self.unexpected(opening, "'('")
        values = [self.checked(self.take() if self.is_word() else "")]
        while self.peek() == ",":
            self.take()
            values.append(self.checked(self.take() if self.is_word() else ""))
        closing = self.take()
        if closing != ")":
            raise self.unexpected(closing, "')'")
        return values

    @staticmethod
    def checked(value: str) -> str:
        if len(value) > 63 or not _VALUE.match(value):
            raise bad_request(
                f'unable to parse requirement: values[0][]: Invalid value: "{value}": invalid label value'
            )
        return value

    @staticmethod
    def unexpected(token: str, expected: str) -> Exception:
        return bad_request(f"unable to parse requirement: found '{token}', expected: {expected}")


def label_predicate(text: str) -> Predicate | None:
    """The predicate of a label selector; None where it selects everything. A bad one is a 400."""
    requirements = _LabelParser(text).parse()
    if not requirements:
        return None

    def matches(item: Object) -> bool:
        labels = item["metadata"].get("labels") or {}
        return all(test(labels.get(key)) for key, test in requirements)

    return matches


_TERM = re.compile(r"((?:[^\\,]|\\.)+)")
_COMPARISON = re.compile(r"((?:[^\\=!]|\\.|!(?!=))*)(==|!=|=)((?:[^\\]|\\.)*)\Z")


def field_value(item: Object, path: tuple[str, ...]) -> str:
    """A field as a field selector sees it: text, "true"/"false", "" where it is missing."""
    value = lookup(item, path, "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def field_predicate(text: str, kind: Kind) -> Predicate | None:
    """The predicate of a field selector over the kind's fields; None where it selects everything."""
    terms = [_field_term(term, kind) for term in _TERM.findall(text)]
    if not terms:
        return None
    return lambda item: all((field_value(item, path) in values) is wanted for path, values, wanted in terms)


def _field_term(term: str, kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    match = _COMPARISON.match(term)
    if not match:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    label, operator, value = match.groups()
    if label not in kind.fields:
        raise bad_request(kind.unknown_field(label))
    return kind.fields[label], (re.sub(r"\\(.)", r"\1", value),), operator != "!="


def fnv1a64(text: str) -> int:
    """The hash by which the server shards: FNV-1a, 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in text.encode():
        digest = ((digest ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return digest


def shard_predicate(text: str) -> Predicate | None:
    """The predicate of a `shardSelector` (alpha in 1.36): hash of the uid within [start, end)."""
    if not text:
        return None
    ranges = []
    for part in text.split("||"):
        match = _SHARD.match(part.strip())
        if not match:
            raise bad_request(f"invalid shardSelector: {part.strip()!r}")
        ranges.append((int(match[1], 16), int(match[2], 16)))

    def matches(item: Object) -> bool:
        digest = fnv1a64(item["metadata"]["uid"])
        return any(start <= digest < end for start, end in ranges)

    return matches


@dataclass(frozen=True)
class Selection:
    """What a list or a watch asks for: a namespace ("" is all) and predicates, all of which must hold."""

    namespace: str = ""
    predicates: tuple[Predicate, ...] = ()

    @classmethod
    def of(cls, kind: Kind, namespace: str = "", labels: str = "", fields: str = "", shard: str = "") -> Selection:
        """Parsed selectors; raises ApiError 400 for a bad one."""
        found = (label_predicate(labels), field_predicate(fields, kind), shard_predicate(shard))
        return cls(namespace, tuple(predicate for predicate in found if predicate))

    def matches(self, item: Object) -> bool:
        """Whether the predicates hold (the namespace is the caller's business)."""
        return all(predicate(item) for predicate in self.predicates)
