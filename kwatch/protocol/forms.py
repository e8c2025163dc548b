"""The forms in which kwatch asks for objects: whole (ndjson and its kin), as the server's table rows, or both at once.

A form knows the Accept header, takes objects out of frames and pages, and what the store keeps of each, so that the
session is the same for both. https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kwatch.errors import MalformedFrame
from kwatch.model import Column, Key, Resource, Row
from kwatch.protocol.frames import Frame, Page
from kwatch.protocol.jsontext import (
    changed_by_decoding,
    decode,
    decode_exactly,
    encode,
    has_big_integer,
    packed,
    suspicious,
    unpacked,
)
from kwatch.text import brief

if TYPE_CHECKING:
    from kwatch.shards import Shard

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Item(NamedTuple):
    """One object out of a frame or a page: who it is, which version, and its state in the form asked for."""

    key: Key
    uid: str
    version: str
    state: Any


class Known(NamedTuple):
    """The last known life of an object, its state as it was handed on."""

    uid: str
    version: str
    state: Any


class Form(Protocol):
    """What the session needs to know of a representation."""

    accept: str
    parameters: Mapping[str, str]
    """What of the query string makes the server answer so."""
    columns: tuple[Column, ...]
    """The columns of the table that came last; none where whole objects come."""

    def of_frame(self, frame: Frame) -> list[Item]:
        """The objects of a watch event: one, or a Table's rows. Raises MalformedFrame."""

    def of_page(self, page: Page) -> Iterable[Item]:
        """The objects of a list's page, in order. Raises MalformedFrame."""

    def pack(self, uid: str, version: str, state: Any) -> Any:
        """What the store keeps of an object, small."""

    def unpack(self, packed: Any) -> Known:
        """The object again, out of what `pack` gave."""


class Document:
    """A whole object as JSON; decoded when that is first asked for, for most outputs never do."""

    __slots__ = ("_object", "encoded")

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self._object: dict[str, Any] | None = None

    @property
    def object(self) -> dict[str, Any]:
        """The object as decoded JSON. Not to be changed."""
        if self._object is None:
            value = decode(self.encoded)
            self._object = decode_exactly(self.encoded) if changed_by_decoding(encode(value), self.encoded) else value
        return self._object


class ObjectForm:
    """Whole objects, without managedFields and with Secrets redacted unless asked for."""

    accept = "application/json"
    parameters: Mapping[str, str] = {}
    columns: tuple[Column, ...] = ()

    def __init__(self, *, managed_fields: bool = False, secrets: bool = False, trace: bytes = b"") -> None:
        self._managed_fields = managed_fields
        self._secrets = secrets
        self._trace = trace

    def of_frame(self, frame: Frame) -> list[Item]:
        """The one object of the event, kind and apiVersion first, as the server sends it."""
        item = self.item(frame.object)
        if b"+" in item.state.encoded and changed_by_decoding(item.state.encoded, frame.source):
            item = self.item(decode_exactly(frame.source)["object"])
        return [item]

    def of_page(self, page: Page) -> Iterable[Item]:
        """The list's items; those of a typed list carry no kind and apiVersion, so they get the list's."""
        items = self._items(page.body)
        if any(suspicious(item.state.encoded) for item in items) and has_big_integer(page.source):
            return self._items(decode_exactly(page.source))
        return items

    def pack(self, uid: str, version: str, state: Document) -> Any:
        """The encoded bytes, copied: orjson's own carry the room that it worked in, several times their size."""
        return uid, version, bytes(memoryview(state.encoded))

    def unpack(self, packed: Any) -> Known:
        """With a document that decodes itself if it is read."""
        uid, version, encoded = packed
        return Known(uid, version, Document(encoded))

    def _items(self, body: Mapping[str, Any]) -> list[Item]:
        kind = {"kind": str(body["kind"]).removesuffix("List"), "apiVersion": body.get("apiVersion", "")}
        try:
            return [self.item({**kind, **value}) for value in body.get("items") or ()]
        except TypeError as error:
            raise MalformedFrame("a list's item is not an object") from error

    def item(self, value: dict[str, Any]) -> Item:
        """The object, without what isn't to be shown. Changes `value`."""
        metadata = _metadata(value)
        if not self._managed_fields:
            metadata.pop("managedFields", None)
        if not self._secrets and value.get("kind") == "Secret":
            _redact(value, metadata, self._trace)
        return _item(metadata, Document(encode(value)))  # not the value: decoded, it takes five times the memory


class SharedForm(ObjectForm):
    """Whole objects, of which the store keeps the very documents that it handed on: each is decoded once at most."""

    def pack(self, uid: str, version: str, state: Document) -> Any:
        """The document, its bytes copied (see ObjectForm)."""
        state.encoded = bytes(memoryview(state.encoded))
        return Known(uid, version, state)

    def unpack(self, packed: Known) -> Known:
        """With the document."""
        return packed


class TableForm:
    """The server's table rows. One instance a watch: it remembers the columns, which only some frames carry."""

    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    parameters: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.columns: tuple[Column, ...] = ()
        self._headers: list[tuple[Column, ...]] = [PLAIN_COLUMNS]

    def of_frame(self, frame: Frame) -> list[Item]:
        """The rows of the event. An object from a server that makes no tables becomes a row of NAME and AGE."""
        return self._rows(frame.object) if frame.object.get("kind") == "Table" else [self._plain_row(frame.object)]

    def of_page(self, page: Page) -> Iterable[Item]:
        """The rows of the page, or of its items where the server makes no tables."""
        if page.body["kind"] == "Table":
            return self._rows(page.body)
        return [self._plain_row(value) for value in page.body.get("items") or ()]

    def pack(self, uid: str, version: str, state: Row) -> Any:
        """All of it as one JSON text, a quarter of the size that it has in objects; these where JSON can't hold it."""
        columns, cells, created, labels, _ = state
        if columns not in self._headers:  # those that an earlier watch had
            self._headers.append(columns)
        encoded = packed([uid, version, self._headers.index(columns), cells, created, labels])
        return encoded or Known(uid, version, state)

    def unpack(self, kept: Any) -> Known:
        """With the row again."""
        if isinstance(kept, Known):
            return kept
        uid, version, header, cells, created, labels = unpacked(kept)
        return Known(uid, version, Row(self._headers[header], tuple(cells), created, labels))

    def _rows(self, table: Mapping[str, Any]) -> list[Item]:
        definitions = table.get("columnDefinitions")
        if definitions:
            self._learn(definitions)
        return [self._row(row) for row in table.get("rows") or ()]

    def _learn(self, definitions: Any) -> None:
        columns = tuple(_column(definition) for definition in definitions)
        if columns != self.columns:
            self.columns = columns
            if columns not in self._headers:
                self._headers.append(columns)

    def _row(self, row: Any) -> Item:
        try:
            value, cells = row["object"], tuple(row["cells"])
            metadata = value["metadata"]
        except (KeyError, TypeError) as error:
            raise MalformedFrame(f"a table row without cells and metadata: {brief(str(row))}") from error
        return self._item(self.columns, cells, value, metadata)

    def _plain_row(self, value: Any) -> Item:
        """What kubectl shows where the server makes no table: the name, and the age, which a sink fills in."""
        metadata = _metadata(value)
        return self._item(PLAIN_COLUMNS, (str(metadata.get("name", "")), ""), value, metadata)

    def _item(self, columns: tuple[Column, ...], cells: tuple[Any, ...], value: Any, metadata: dict[str, Any]) -> Item:
        created, labels = str(metadata.get("creationTimestamp") or ""), metadata.get("labels") or {}
        return _item(metadata, Row(columns, cells, created, labels))


class SharedTableForm(TableForm):
    """Rows that whoever shows them keeps as well: two references to a row take less than a packed copy beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Any, ...] = ()

    def pack(self, uid: str, version: str, state: Row) -> Any:
        """The row itself."""
        return Known(uid, version, state)

    def _item(self, columns: tuple[Column, ...], cells: tuple[Any, ...], value: Any, metadata: dict[str, Any]) -> Item:
        self._last = cells = _sharing((metadata.get("name"), *self._last[1:]), cells)
        return super()._item(columns, cells, value, metadata)


class FullForm(TableForm):
    """The server's table rows with their whole objects: for what needs the printed cells and the object at once."""

    parameters: Mapping[str, str] = {"includeObject": "Object"}

    def __init__(
        self, resource: Resource, *, managed_fields: bool = False, secrets: bool = False, trace: bytes = b""
    ) -> None:
        super().__init__()
        self._kind = {"kind": resource.kind, "apiVersion": resource.api_version}
        self._objects = ObjectForm(managed_fields=managed_fields, secrets=secrets, trace=trace)

    def of_frame(self, frame: Frame) -> list[Item]:
        """As rows, each with its object; decoded again where that changed a number or a character."""
        items = super().of_frame(frame)
        if any(changed_by_decoding(item.state.encoded, frame.source) for item in items):
            return super().of_frame(frame._replace(object=decode_exactly(frame.source)["object"]))
        return items

    def of_page(self, page: Page) -> Iterable[Item]:
        """The same of a list's page."""
        items = list(super().of_page(page))
        if any(suspicious(item.state.encoded) for item in items) and has_big_integer(page.source):
            return super().of_page(page._replace(body=decode_exactly(page.source)))
        return items

    def pack(self, uid: str, version: str, state: Row) -> Any:
        """The row and its object, the bytes copied (see ObjectForm)."""
        return super().pack(uid, version, state._replace(document=None)), bytes(memoryview(state.encoded))

    def unpack(self, kept: Any) -> Known:
        """With the row, its object a document that decodes itself if it is read."""
        row, encoded = kept
        known = super().unpack(row)
        return known._replace(state=known.state._replace(document=Document(encoded)))

    def _item(self, columns: tuple[Column, ...], cells: tuple[Any, ...], value: Any, metadata: dict[str, Any]) -> Item:
        item = super()._item(columns, cells, value, metadata)
        document = self._objects.item({**self._kind, **value}).state
        return item._replace(state=item.state._replace(document=document))


class ShardForm:
    """Another form, of the objects of one shard alone: a server that knows no shards sends all."""

    def __init__(self, form: Form, shard: Shard) -> None:
        self.accept, self.parameters = form.accept, form.parameters
        self.pack, self.unpack = form.pack, form.unpack
        self._form = form
        self._shard = shard

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the server's table."""
        return self._form.columns

    def of_frame(self, frame: Frame) -> list[Item]:
        """The shard's objects of the event."""
        return [item for item in self._form.of_frame(frame) if self._shard.holds(item.uid)]

    def of_page(self, page: Page) -> Iterable[Item]:
        """The shard's objects of the page."""
        return [item for item in self._form.of_page(page) if self._shard.holds(item.uid)]


def _sharing(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    """`new`, its strings those of `old` where they are equal: from row to row most are, and each takes 50 bytes."""
    if len(old) != len(new):
        return new
    return tuple([one if one == other and type(other) is str else other for one, other in zip(old, new, strict=True)])


PLAIN_COLUMNS = (Column("Name", format="name"), Column("Age"))


def _column(definition: Any) -> Column:
    try:
        return Column(
            str(definition["name"]),
            str(definition.get("type") or "string"),
            str(definition.get("format") or ""),
            int(definition.get("priority") or 0),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedFrame(f"a column without a name: {brief(str(definition))}") from error


def _item(metadata: Mapping[str, Any], state: Any) -> Item:
    text = metadata.get
    key = _shared(str(text("namespace") or "")), str(text("name") or "")
    return Item(key, str(text("uid", "")), str(text("resourceVersion", "")), state)


@lru_cache(maxsize=1024)
def _shared(text: str) -> str:
    """One string for all that are equal: a namespace stands in each of its objects' keys."""
    return text


def _metadata(value: Any) -> dict[str, Any]:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        raise MalformedFrame(f"an object without metadata: {brief(str(value))}")
    return metadata


def _redact(secret: dict[str, Any], metadata: dict[str, Any], trace: bytes) -> None:
    """Replace a Secret's values and the copy of them that `kubectl apply` leaves (CONTRIBUTING, Security 6).

    With `trace`, a random key, redacted values are told apart by a keyed hash that means nothing outside of this run: a
    diff must see that a secret changed without holding it."""
    for part, size in _SECRET_PARTS.items():
        if isinstance(values := secret.get(part), dict):
            secret[part] = {name: _redacted(size(str(value)), str(value), trace) for name, value in values.items()}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        text = str(annotations[LAST_APPLIED])
        annotations[LAST_APPLIED] = _redacted(_plain_size(text), text, trace)


TRACE = r" #[0-9a-f]{16}(?=>)"
"""What tells redacted values apart; not to be shown."""


def _redacted(size: int, text: str, trace: bytes) -> str:
    mark = f" #{blake2b(text.encode(errors='replace'), key=trace, digest_size=8).hexdigest()}" if trace else ""
    return f"<redacted, {size} bytes{mark}>"


def _plain_size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _base64_size(text: str) -> int:
    return len(text) * 3 // 4 - text.count("=")


_SECRET_PARTS = {"data": _base64_size, "stringData": _plain_size}
