"""`-o yaml` as kubectl's: a document an object, by libyaml, whose port go-yaml v2 is, with its choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from kwatch.gotext import general, json_number
from kwatch.model import Change, Environment, Query
from kwatch.sinks import QuietSink, SinkOptions, printed_object
from kwatch.text import inert_lines
from kwatch.yamltext import in_order, means_itself

_TEXT = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"
_LIST = "tag:yaml.org,2002:seq"


class YamlSink(QuietSink):
    """Writes documents with `---` between them; on a terminal without control characters."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._terminal = env.stdout_is_terminal
        self._object = printed_object(options)
        self._events = options.output_watch_events
        self._separator = b""

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        text = self._separator + b"---\n".join(map(self._document, changes))
        self._separator = b"---\n"
        self._write(inert_lines(text.decode()).encode() if self._terminal else text)
        return len(changes)

    def _document(self, change: Change) -> bytes:
        try:
            return encoded(self._object(change))
        except RecursionError:  # too deep for libyaml's Python side: JSON, which is YAML
            text = change.state.encoded.decode()
            return (f'{{"type":"{change.type}","object":{text}}}\n' if self._events else f"{text}\n").encode()


def encoded(value: Any) -> bytes:
    """The YAML document of a JSON value."""
    text: bytes = yaml.serialize(_node(value), Dumper=_Dumper, encoding="utf-8", allow_unicode=True)
    return text


class _Dumper(yaml.CSafeDumper):
    """Writes scalars as they are given: what needs quotes is decided here, not by PyYAML's resolver."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way


def _node(value: Any) -> yaml.Node:
    if isinstance(value, str):
        return yaml.ScalarNode(_TEXT, value, style="|" if "\n" in value else None if means_itself(value) else '"')
    if isinstance(value, dict):
        return yaml.MappingNode(_MAP, [(_node(key), _node(value[key])) for key in in_order(tuple(value))])
    if isinstance(value, list):
        return yaml.SequenceNode(_LIST, [_node(item) for item in value])
    return yaml.ScalarNode(_TEXT, _number(value) if isinstance(value, float) else _plain(value))


def _number(value: float) -> str:
    """kubectl's YAML is made of its JSON, in which a whole float has become an integer."""
    return json_number(value or 0.0) if value.is_integer() and abs(value) < 1 << 64 else general(value)


def _plain(value: bool | int | None) -> str:
    return "null" if value is None else str(value).lower()
