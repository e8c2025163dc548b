"""kubectl's JSONPath: templates like `{range .items[*]}{.metadata.name}{"\\n"}{end}`, and single paths.

The dialect is that of k8s.io/client-go/util/jsonpath. A path becomes an RFC 9535 query that python-jsonpath evaluates;
a chain of plain fields needs no library. What isn't there selects nothing; neither does an index beyond the end, nor
a comparison of a number with a text, which kubectl ends at. At the root `.items` means the object itself unless it has
items: what is written for the lists of `kubectl get` works on one object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, NoReturn

from kwatch.errors import UsageError
from kwatch.gotext import selected
from kwatch.text import brief

Values = list[Any]


def compile(text: str) -> Template:
    """The template; text without braces is taken for one path. Raises UsageError that says where it is wrong."""
    if "{" not in text:
        return Template((_Selection(relaxed(text)),))
    return Template(tuple(_Parser(text).template()))


def relaxed(text: str) -> Query:
    """The path in any of the forms `metadata.name`, `.metadata.name`, `{metadata.name}` and `{.metadata.name}`, as
    kubectl takes them for columns, --sort-by and wait; a dot alone is the object.

    Raises UsageError that says where it is wrong.
    """
    if text in (".", "{.}"):
        return _Parser("").single()
    match = _RELAXED.fullmatch(text)
    if match is None:
        raise UsageError(f'"{brief(text)}" is not one JSONPath; write it as .metadata.name or {{.metadata.name}}')
    return _Parser(text, *match.span(match.lastindex or 0)).single()


@dataclass(frozen=True, slots=True)
class Query:
    """A path, ready for many objects. `of_items`: it begins with `.items`, at the root."""

    select: Callable[[Values], Values]
    of_items: bool = False

    def values(self, value: Any) -> Values:
        """All that the path selects of `value`, in order; nothing where it leads nowhere."""
        if self.of_items and "items" not in value:
            value = {"items": [value]}
        return self.select([value])


@dataclass(frozen=True, slots=True)
class Template:
    """Text and paths, ready for many objects."""

    _nodes: tuple[_Node, ...]

    def render(self, value: Any) -> str:
        """The text for one object; several values of a path are parted by blanks."""
        return "".join(_rendered(self._nodes, value))


class _Text(NamedTuple):
    text: str


class _Selection(NamedTuple):
    query: Query


class _Range(NamedTuple):
    query: Query
    body: tuple[Any, ...]


_Node = _Text | _Selection | _Range


def _rendered(nodes: tuple[_Node, ...], value: Any) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, _Text):
            yield node.text
        elif isinstance(node, _Selection):
            yield " ".join(map(selected, node.query.values(value)))
        else:
            for item in node.query.values(value):
                yield from _rendered(node.body, item)


# ------------------------------------------------------------------ paths


class _Name(NamedTuple):
    name: str


class _Segment(NamedTuple):
    """A step in RFC 9535's words, other than a plain name."""

    text: str


class _Union(NamedTuple):
    alternatives: tuple[tuple[Any, ...], ...]


_Step = _Name | _Segment | _Union
_Path = tuple[_Step, ...]


def _query(path: _Path, *, root: bool) -> Query:
    return Query(_selector(path), root and path[:1] == (_Name("items"),))


def _selector(path: _Path) -> Callable[[Values], Values]:
    """kubectl takes each part of a union through all values before the next, which a query alone can't say."""
    stages: list[Callable[[Values], Values]] = []
    for is_union, group in groupby(path, key=lambda step: isinstance(step, _Union)):
        steps = tuple(group)
        stages += [_any_of(step) for step in steps if isinstance(step, _Union)] if is_union else [_each(steps)]

    def select(values: Values) -> Values:
        for stage in stages:
            values = stage(values)
        return values

    return stages[0] if len(stages) == 1 else select


def _any_of(union: _Union) -> Callable[[Values], Values]:
    selectors = [_selector(path) for path in union.alternatives]
    return lambda values: [value for select in selectors for value in select(values)]


def _each(path: _Path) -> Callable[[Values], Values]:
    names = [step.name for step in path if isinstance(step, _Name)]
    if len(names) == len(path):
        return lambda values: [found for value in values for found in _fields(value, names)]
    query = _compiled("".join(map(_segment, path)))
    return lambda values: [found for value in values for found in query(value)]


def _fields(value: Any, names: list[str]) -> Values:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return []
        value = value[name]
    return [value]


def _segment(step: _Step) -> str:
    if isinstance(step, _Union):
        raise ValueError("several fields at once")
    return f"[{json.dumps(step.name)}]" if isinstance(step, _Name) else step.text


def _compiled(segments: str) -> Callable[[Any], Values]:
    """python-jsonpath's query, put to a value in a list of its own, for it would parse a text."""
    from jsonpath import JSONPathEnvironment, JSONPathError

    try:
        query = JSONPathEnvironment(strict=True).compile(f"$[0]{segments}")
    except JSONPathError as error:
        raise ValueError(str(error).partition(",")[0]) from error

    def find(value: Any) -> Values:
        try:
            return query.findall([value])
        except JSONPathError:  # deeper than a hundred levels below `..`
            return []

    return find


# ------------------------------------------------------------------ the parser

_RELAXED = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")
_FIELD = re.compile(r"(?:\\.|[^\s.,\[\]$@{}\\])*")
_WORD = re.compile(r"[^\W\d][^\s.,\[\]$@{}]*")
_KEYWORD = re.compile(r"(?:range|end)(?=[\s.,\[\]$@{}]|$)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,18})?")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'")
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}|[0-7]{3}|[abfnrtv\\'\"])|\\")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SLICE = re.compile(r"(-?\d+)?(?::(-?\d+)?)?(?::([1-9]\d*)?)?")
_OPERATOR = re.compile(r"[!<>=]+")
_STRAY = "this is no part of a path"
_OPERATORS = ("==", "!=", "<", ">", "<=", ">=")


class _Parser:
    """Reads `text` from `start` to `end`."""

    def __init__(self, text: str, start: int = 0, end: int | None = None) -> None:
        self._text = text
        self._at = start
        self._end = len(text) if end is None else end

    def template(self) -> Iterator[_Node]:
        """The nodes of the whole text."""
        nodes, ended = self._block(root=True)
        if ended:
            self._fail("there is no {range} for this {end}", self._at - len("{end}"))
        yield from nodes

    def single(self) -> Query:
        """The whole text as one path, its first dot left out."""
        first = self._descendants() if self._skip(".") else self._field(descend=False)
        path = (*first, *self._path())
        if self._at < self._end:
            self._fail("a path goes on with a dot or a bracket")
        return self._built(path, self._at, root=True)

    def _block(self, *, root: bool) -> tuple[list[_Node], bool]:
        """Nodes up to an {end} or the end of the text, and which of them it was."""
        nodes: list[_Node] = []
        while self._at < self._end:
            place = self._text.find("{", self._at, self._end)
            place = self._end if place < 0 else place
            if place > self._at:
                nodes.append(_Text(self._text[self._at : place]))
            self._at = place
            if place < self._end and self._action(nodes, root=root):
                return nodes, True
        return nodes, False

    def _action(self, nodes: list[_Node], *, root: bool) -> bool:
        """What stands in one pair of braces; True if it is {end}."""
        start = self._at
        self._at += 1
        self._blanks()
        keyword = self._take(_KEYWORD)
        if keyword == "end":
            self._close(start)
        elif keyword == "range":
            query = self._query_to_brace(start, root=root)
            body, ended = self._block(root=False)
            nodes.append(_Range(query, tuple(body)))
            nodes += [] if ended else body  # as kubectl: without {end} the rest follows once more, for the outer value
        elif (literal := self._literal()) is not None:
            nodes.append(_Text(selected(literal)))
            self._close(start)
        else:
            nodes.append(_Selection(self._query_to_brace(start, root=root)))
        return keyword == "end"

    def _query_to_brace(self, start: int, *, root: bool) -> Query:
        path = self._path()
        self._close(start)
        return self._built(path, start, root=root)

    def _built(self, path: _Path, start: int, *, root: bool) -> Query:
        try:
            return _query(path, root=root)
        except ValueError as error:
            self._fail(str(error), start)

    def _close(self, start: int) -> None:
        self._blanks()
        if self._at >= self._end or self._text[self._at] == "\n":
            self._fail("this brace is never closed", start)
        if self._text[self._at] != "}":
            self._fail("text and path each take braces of their own" if self._text[self._at] in "\"'" else _STRAY)
        self._at += 1

    def _path(self) -> _Path:
        """Steps as long as there are any."""
        steps: list[_Step] = []
        while True:
            self._blanks()
            if self._skip("@") or self._skip("$"):
                continue
            if self._skip(".."):
                steps += self._descendants()
            elif self._skip("["):
                steps += self._brackets(descend=False)
            elif self._skip("."):
                steps += self._field(descend=False)
            else:
                return tuple(steps)

    def _descendants(self) -> _Path:
        """What follows two dots."""
        if self._skip("["):
            return self._brackets(descend=True)
        if not (steps := self._field(descend=True)):
            self._fail("a name or a bracket follows two dots")
        return steps

    def _field(self, *, descend: bool) -> _Path:
        name = self._take(_FIELD)
        if name == "*":
            return (_Segment("..[*]" if descend else "[*]"),)
        plain = re.sub(r"\\(.)", r"\1", name)
        return (_named(plain, descend),) if name else ()

    def _brackets(self, *, descend: bool) -> _Path:
        start = self._at - 1
        if self._skip("?("):
            return (_Segment(f"{'..' * descend}[?{self._filter(start)}]"),)
        end = self._find("]", start, "this bracket is never closed")
        alternatives = []
        while self._at < end:
            comma = self._find(",", start, "", until=end)
            alternatives.append(self._alternative(comma, descend))
            self._at = comma + 1
        self._at = end + 1
        return (_Union(tuple(alternatives)),) if len(alternatives) > 1 else (alternatives or [(_Segment("[0]"),)])[0]

    def _alternative(self, end: int, descend: bool) -> _Path:
        text = self._text[self._at : end].strip()
        if text[:1] == text[-1:] == "'" and len(text) > 1:
            start = self._text.index("'", self._at) + 1
            inner = _Parser(self._text, start, start + len(text) - 2)
            path = (*inner._field(descend=descend), *inner._path())
            return path if inner._at == inner._end else inner._fail(_STRAY)
        match = _SLICE.fullmatch("0" if text == "" else ":" if text == "*" else text)
        if match is None:
            hint = "a name in brackets takes single quotes" if '"' in text else "not an index, a slice or 'a name'"
            self._fail(hint)
        return (_Segment(f"{'..' * descend}[{match[0]}]"),)

    def _filter(self, start: int) -> str:
        """An RFC 9535 filter; what is compared must exist, so that `!=` is not true of what isn't there."""
        end = self._find(")", start, "this filter is never closed")
        if self._text[end + 1 : end + 2] != "]":
            self._fail("a filter ends with )]", end)
        place = self._find("=!<>", start, "", until=end)
        left, operator, right = self._operand(place), self._take(_OPERATOR), ""
        if operator:
            if operator not in _OPERATORS:
                self._fail(f"filters compare with {' '.join(_OPERATORS)}", place)
            right = self._operand(end)
        self._at = end + 2
        exist = [side for side in (left, right) if side.startswith("@")]
        return " && ".join([*exist, f"{left} {operator} {right}"] if operator else exist or [left])

    def _operand(self, end: int) -> str:
        inner = _Parser(self._text, self._at, end)
        inner._blanks()
        start = inner._at
        literal = inner._literal()
        path = inner._path() if literal is None else ()
        inner._blanks()
        if inner._at < end or start == end:
            inner._fail("a filter is a path, or a path compared with a value")
        self._at = end
        try:
            return json.dumps(literal) if literal is not None else "@" + "".join(map(_segment, path))
        except ValueError as error:
            self._fail(str(error), start)

    def _literal(self) -> str | int | float | bool | None:
        """A quoted text, a number or a boolean, if one is next."""
        start = self._at
        if quoted := self._take(_QUOTED):
            return _ESCAPE.sub(lambda escape: self._unescaped(escape, start), quoted[1:-1])
        if start < self._end and self._text[start] in "\"'":
            self._fail("this quote is never closed")
        if word := self._take(_WORD):
            return word == "true" if word in ("true", "false") else self._no_dot(word, start)
        number = self._take(_NUMBER)
        return None if not number else float(number) if "." in number else int(number)

    def _no_dot(self, word: str, start: int) -> NoReturn:
        self._fail(f'"{brief(word)}" means nothing here; a path begins with a dot', start)

    def _unescaped(self, escape: re.Match[str], start: int) -> str:
        code = escape[0][1:]
        if not code:
            self._fail("a backslash before what needs none", start + 1 + escape.start())
        if code[0] in "xuU":
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code.isdigit() else _LETTERS.get(code, code)

    def _find(self, wanted: str, start: int, why: str, until: int | None = None) -> int:
        """Where one of `wanted` stands next, outside of quotes and of inner brackets; `until` if nowhere."""
        depth, place, end = 0, self._at, self._end if until is None else until
        while place < end:
            character = self._text[place]
            quoted = _QUOTED.match(self._text, place, end) if character in "\"'" else None
            if quoted:
                place = quoted.end()
                continue
            if character in wanted and not depth:
                return place
            depth += (character in "[(") - (character in ")]")
            place += 1
        return end if until is not None else self._fail(why, start)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at, self._end)
        taken = match[0] if match else ""
        self._at += len(taken)
        return taken

    def _skip(self, text: str) -> bool:
        found = self._text.startswith(text, self._at, self._end)
        self._at += len(text) * found
        return found

    def _blanks(self) -> None:
        while self._at < self._end and self._text[self._at] in " \t":
            self._at += 1

    def _fail(self, why: str, place: int | None = None) -> NoReturn:
        at = self._at if place is None else place
        here = f'before "{brief(self._text[at : at + 30])}"' if at < len(self._text) else "at its end"
        raise UsageError(f'JSONPath "{brief(self._text)}", character {at + 1}, {here}: {why}')


def _named(name: str, descend: bool) -> _Step:
    return _Segment(f"..[{json.dumps(name)}]") if descend else _Name(name)
