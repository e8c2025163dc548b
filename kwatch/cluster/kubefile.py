"""The kubeconfig files: YAML made safe to load, several files merged into one, each entry knowing its file.

Merging is client-go's (`clientcmd/loader.go`): the first file to name a cluster, user or context wins it whole, the
first current-context wins, missing files are skipped unless asked for by name. Anything wrong is a ConfigError.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from kwatch.cluster.files import config_error, read
from kwatch.errors import ConfigError

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 64
"""Levels a kubeconfig may nest: libyaml's composer recurses in C and takes the process down somewhere past 3,000."""

MAX_ALIASES = 100
MAX_MERGED = 10_000
"""Aliases in a file, and keys a mapping may have after merging (`<<`): together they stop a bomb."""

_QUOTED = re.compile(r"('[^']')|'[^']*'|\"[^\"]*\"")
"""What of libyaml's words may be the file's; in group 1 a single character, which may be told."""
_BLANK = re.compile(r"\s+")
_SECTIONS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True)
class Entry:
    """A named cluster, user or context. Without a file it is the empty one, for which nothing is configured."""

    section: str
    name: str = ""
    body: Mapping[Any, Any] = field(default_factory=dict, repr=False)
    file: Path = field(default_factory=Path)

    def __str__(self) -> str:
        return f'kubeconfig {self.file}: {self.section} "{self.name}"'

    def error(self, text: str) -> ConfigError:
        """A ConfigError that begins with the file and the entry."""
        return config_error(f"{self} {text}")

    def has(self, key: str) -> bool:
        """Whether the key is there with a value, of whatever type: empty text and empty lists are as good as absent."""
        value = self.body.get(key)
        return value is not None and value != "" and value != []

    def text(self, key: str) -> str:
        """A string, "" where the key is absent or null. Raises ConfigError for another type."""
        value = self.body.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        raise config_error(f"{self}: {key} isn't a string; put it in quotes")

    def boolean(self, key: str) -> bool:
        """A boolean, False where the key is absent or null. Raises ConfigError for another type."""
        value = self.body.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise config_error(f"{self}: {key} isn't true or false; write one of them, without quotes")

    def path(self, key: str) -> Path | None:
        """A path, relative ones against the file's own folder. None where the key is absent."""
        value = self.text(key)
        return self.file.absolute().parent / value if value else None

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of strings, () where the key is absent or null. Raises ConfigError for anything else."""
        value = self.body.get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise config_error(f"{self}: {key} isn't a list of strings; write each as `- ...`, numbers in quotes")

    def decoded(self, key: str) -> bytes:
        """The bytes of a value in base64, b"" where the key is absent. Raises ConfigError for bad base64."""
        try:
            return base64.b64decode(_BLANK.sub("", self.text(key)), validate=True)
        except (binascii.Error, ValueError):
            raise config_error(f"{self}: {key} isn't base64; encode the PEM file again with `base64`") from None


class Kubeconfig(NamedTuple):
    """What the files say together. `looked_at`: every file asked for, `files`: those that exist."""

    looked_at: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    current_context: str = ""
    clusters: Mapping[str, Entry] = MappingProxyType({})
    users: Mapping[str, Entry] = MappingProxyType({})
    contexts: Mapping[str, Entry] = MappingProxyType({})

    def __str__(self) -> str:
        return "kubeconfig " + ", ".join(str(path) for path in self.files or self.looked_at)


def load(paths: Iterable[Path], *, required: bool = False) -> Kubeconfig:
    """The files, merged in this order; those that don't exist are skipped unless `required`.

    Raises ConfigError for a file that can't be read or isn't a kubeconfig.
    """
    looked_at = tuple(dict.fromkeys(paths))
    documents = {path: _document(path) for path in looked_at if required or _exists(path)}
    merged: dict[str, dict[str, Entry]] = {section: {} for section in _SECTIONS}
    current = ""
    for path, document in documents.items():
        current = current or _current_context(path, document)
        for section in _SECTIONS:
            merged[section] = _entries(path, document, section) | merged[section]
    return Kubeconfig(looked_at, tuple(documents), current, **merged)


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True  # it is there in a way that reading will explain
    return True


def _document(path: Path) -> Mapping[Any, Any]:
    document = first_document(path, read(path, "kubeconfig"))
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise config_error(f"kubeconfig {path} isn't a mapping of clusters, users and contexts; is it the right file?")
    kind = document.get("kind") or "Config"
    if kind != "Config":
        raise config_error(f"kubeconfig {path} isn't of kind Config; is it the right file?")
    return document


def _current_context(path: Path, document: Mapping[Any, Any]) -> str:
    value = document.get("current-context")
    if value is None or isinstance(value, str):
        return value or ""
    raise config_error(f"kubeconfig {path}: current-context isn't a string; put it in quotes")


def _entries(path: Path, document: Mapping[Any, Any], section: str) -> dict[str, Entry]:
    listed = document.get(section)
    if listed is None:
        return {}
    if not isinstance(listed, list):
        raise config_error(f"kubeconfig {path}: {section} isn't a list; write each as `- name: …`")
    found: dict[str, Entry] = {}
    for number, item in enumerate(listed, start=1):
        entry = _entry(path, section, number, item)
        if entry.name in found:  # kubectl refuses it too: which of the two was meant can't be known
            raise entry.error("is there twice; remove one")
        found[entry.name] = entry
    return found


def _entry(path: Path, section: str, number: int, item: object) -> Entry:
    singular = section[:-1]
    where = f"kubeconfig {path}: {singular} {number} in the list"
    if not isinstance(item, dict):
        raise config_error(f"{where} isn't a mapping; write it as `- name: …` with `{singular}:` below")
    name, body = item.get("name"), item.get(singular)
    if not isinstance(name, str | None):
        raise config_error(f"{where} has a name that isn't a string; put it in quotes")
    if not isinstance(body, dict | None):
        raise config_error(f"{where} has a `{singular}:` that isn't a mapping; put its fields below it, indented")
    return Entry(singular, name or "", body or {}, path)


def first_document(path: Path, content: bytes) -> object:
    """The first YAML document, as in kubectl: what follows a `---` is somebody else's. Raises ConfigError."""
    import yaml

    loader = _loader()
    try:
        _check_shape(path, yaml.parse(content, Loader=loader))
        return next(yaml.load_all(content, Loader=loader), None)
    except ConfigError:
        raise
    except yaml.YAMLError as error:
        if "nesting depth" in str(getattr(error, "problem", "")):  # PyYAML's own bound, from 6.0.4 on
            raise _too_deep(path) from None
        raise config_error(f"kubeconfig {path} isn't YAML{_place(error)}; correct it there") from None
    except Exception:  # PyYAML's constructors leak ValueError, KeyError, AttributeError… for tags such as `!!int x`
        raise config_error(
            f"kubeconfig {path} holds a YAML value that can't be read; remove explicit `!!` tags"
        ) from None


def _check_shape(path: Path, events: Iterable[yaml.Event]) -> None:
    """Refuse what is dangerous to compose. The event parser is iterative, so it may look at anything."""
    import yaml

    depth = aliases = 0
    for event in takewhile(lambda event: not isinstance(event, yaml.DocumentEndEvent), events):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        if aliases > MAX_ALIASES:
            raise config_error(f"kubeconfig {path} has over {MAX_ALIASES} YAML aliases; write the values out")


def _too_deep(path: Path) -> ConfigError:
    return config_error(f"kubeconfig {path} is nested over {MAX_DEPTH} levels deep; is it the right file?")


def _place(error: yaml.YAMLError) -> str:
    """Where and why, without what the file holds there: a token that begins with `*` or `!` is quoted in the reason."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ": it isn't text in UTF-8"
    reason = _QUOTED.sub(lambda quoted: quoted[1] or "…", getattr(error, "problem", None) or "")
    return f": line {mark.line + 1}, column {mark.column + 1}" + (f" ({reason})" if reason else "")


@cache
def _loader() -> Any:
    """The safe loader, libyaml's where it is built in; dates stay text, as in kubectl; merges are bounded."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
            for first, resolvers in base.yaml_implicit_resolvers.items()
        }

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > MAX_MERGED:
                raise yaml.constructor.ConstructorError(None, None, "too much is merged with <<", node.start_mark)

    return Loader
