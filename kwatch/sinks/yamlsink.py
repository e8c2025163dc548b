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


class YamlSink(QuietSink):
    """Writes documents with `---` between them; on a terminal without control characters."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._terminal = env.stdout_is_terminal
        self._object = printed_object(options)
        self._separator = b""

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        text = self._separator + b"---\n".join([encoded(self._object(change)) for change in changes])
        self._separator = b"---\n"
        self._write(inert_lines(text.decode()).encode() if self._terminal else text)
        return len(changes)


def encoded(value: Any) -> bytes:
    """The YAML document of a JSON value."""
    text: bytes = yaml.dump(value, Dumper=_Dumper, encoding="utf-8", allow_unicode=True)
    return text


class _Dumper(yaml.CSafeDumper):
    """Writes scalars as they are given: what needs quotes is decided here, not by PyYAML's resolver."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way

    def ignore_aliases(self, data: Any) -> bool:
        """The same value twice is written twice."""
        return True


def _mapping(dumper: _Dumper, value: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping(_MAP, [(key, value[key]) for key in in_order(tuple(value))])


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None if means_itself(value) else '"'
    return dumper.represent_scalar(_TEXT, value, style)


def _float(dumper: _Dumper, value: float) -> yaml.Node:
    """kubectl's YAML is made of its JSON, in which a whole float has become an integer."""
    whole = value.is_integer() and abs(value) < 1 << 64
    return dumper.represent_scalar(_TEXT, json_number(value or 0.0) if whole else general(value))


_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _float)
_Dumper.add_representer(int, lambda dumper, value: dumper.represent_scalar(_TEXT, str(value)))
_Dumper.add_representer(bool, lambda dumper, value: dumper.represent_scalar(_TEXT, "true" if value else "false"))
_Dumper.add_representer(type(None), lambda dumper, value: dumper.represent_scalar(_TEXT, "null"))
