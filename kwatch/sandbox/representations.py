"""How objects go out: as themselves, as PartialObjectMetadata or as Table rows; each for GET, LIST and WATCH.

An object is encoded once a representation: the bytes are kept with its record. Cells are computed when they are sent,
because ages move.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .cluster import Record
from .encoding import Object, encode
from .kinds import Kind
from .tables import pod_row_conditions

PARTIAL_VERSION = "meta.k8s.io/v1"
INITIAL_END = "k8s.io/initial-events-end"


class Representation(Protocol):
    """A way to write objects of one kind. `now` is for ages."""

    def one(self, record: Record, now: float) -> bytes:
        """The body of a GET, without the newline."""

    def many(self, records: Iterable[Record], metadata: Object, now: float) -> bytes:
        """The body of a LIST, without the newline."""

    def frame(self, record: Record, first: bool, now: float) -> bytes:
        """The object of a watch event; `first` of its stream."""

    def bookmark(self, version: int, first: bool, initial_end: bool) -> bytes:
        """The object of a BOOKMARK."""


def _bookmark_metadata(version: int, initial_end: bool) -> Object:
    metadata: Object = {"resourceVersion": str(version)}
    return {**metadata, "annotations": {INITIAL_END: "true"}} if initial_end else metadata


class Plain:
    """The objects themselves."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._head: Object = {"kind": kind.kind, "apiVersion": kind.api_version}
        self._cached = f"plain {kind.api_version}"
        self._prefix = len(encode(self._head)) - 1

    def one(self, record: Record, now: float = 0) -> bytes:
        body = record.encoded.get(self._cached)
        if body is None:
            body = record.encoded[self._cached] = encode(self._shown(record.item))
        return body

    def _shown(self, item: Object) -> Object:
        if self.kind.custom:
            return {**item, "apiVersion": self.kind.api_version}
        rest = {key: value for key, value in self.kind.present(item).items() if key not in self._head}
        return {**self._head, **rest}

    def many(self, records: Iterable[Record], metadata: Object, now: float = 0) -> bytes:
        if self.kind.custom:
            return self._custom_list(records, metadata)
        head = encode({"kind": self.kind.list_kind, "apiVersion": self.kind.api_version, "metadata": metadata})
        # items of a typed list carry no kind and apiVersion: they are the first bytes of the cached form
        items = (b"{" + self.one(record)[self._prefix + 1 :] for record in records)
        return head[:-1] + b',"items":[' + b",".join(items) + b"]}"

    def _custom_list(self, records: Iterable[Record], metadata: Object) -> bytes:
        shown = {"continue": "", **metadata}
        tail = encode({"kind": self.kind.list_kind, "metadata": dict(sorted(shown.items()))})
        head = encode({"apiVersion": self.kind.api_version})
        return head[:-1] + b',"items":[' + b",".join(map(self.one, records)) + b"]," + tail[1:]

    def frame(self, record: Record, first: bool = False, now: float = 0) -> bytes:
        return self.one(record)

    def bookmark(self, version: int, first: bool, initial_end: bool) -> bytes:
        metadata = _bookmark_metadata(version, initial_end)
        zero = self.kind.present(self.kind.zero)
        item = {**self._head, "metadata": metadata, **zero}
        return encode(dict(sorted(item.items())) if self.kind.custom else item)


class Partial:
    """PartialObjectMetadata."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def one(self, record: Record, now: float = 0) -> bytes:
        body = record.encoded.get("partial")
        if body is None:
            body = record.encoded["partial"] = self._encoded(record.item["metadata"])
        return body

    @staticmethod
    def _encoded(metadata: Object) -> bytes:
        return encode({"kind": "PartialObjectMetadata", "apiVersion": PARTIAL_VERSION, "metadata": metadata})

    def many(self, records: Iterable[Record], metadata: Object, now: float = 0) -> bytes:
        head = encode({"kind": "PartialObjectMetadataList", "apiVersion": PARTIAL_VERSION, "metadata": metadata})
        return head[:-1] + b',"items":[' + b",".join(map(self.one, records)) + b"]}"

    def frame(self, record: Record, first: bool = False, now: float = 0) -> bytes:
        return self.one(record)

    def bookmark(self, version: int, first: bool, initial_end: bool) -> bytes:
        return self._encoded(_bookmark_metadata(version, initial_end))


class Table:
    """Rows of cells; `include` is the request's includeObject: Metadata, None or Object."""

    def __init__(self, kind: Kind, include: str = "Metadata") -> None:
        self.kind = kind
        self._include = include
        self._plain = Plain(kind)
        self._partial = Partial(kind)

    def _head(self, metadata: Object, columns: bool) -> bytes:
        definitions = [column.definition() for column in self.kind.columns] if columns else None
        table = {"kind": "Table", "apiVersion": PARTIAL_VERSION, "metadata": metadata}
        return encode({**table, "columnDefinitions": definitions})[:-1] + b',"rows":['

    def _object(self, record: Record) -> bytes:
        if self._include == "None":
            return b"null"
        return self._plain.one(record) if self._include == "Object" else self._partial.one(record)

    def _row(self, record: Record, now: float) -> bytes:
        cells = encode(self.kind.row(record.item, now))
        conditions = pod_row_conditions(record.item) if self.kind.store == "pods" else []
        middle = b',"conditions":' + encode(conditions) if conditions else b""
        return b'{"cells":' + cells + middle + b',"object":' + self._object(record) + b"}"

    def _table(self, rows: Iterable[bytes], metadata: Object, columns: bool) -> bytes:
        return self._head(metadata, columns) + b",".join(rows) + b"]}"

    def one(self, record: Record, now: float) -> bytes:
        return self.frame(record, True, now)

    def many(self, records: Iterable[Record], metadata: Object, now: float) -> bytes:
        return self._table((self._row(record, now) for record in records), metadata, True)

    def frame(self, record: Record, first: bool, now: float) -> bytes:
        return self._table([self._row(record, now)], {"resourceVersion": str(record.version)}, first)

    def bookmark(self, version: int, first: bool, initial_end: bool) -> bytes:
        metadata = _bookmark_metadata(version, initial_end)
        cells = encode(self.kind.row({"metadata": {}, **self.kind.zero}, 0.0))
        shown = b"null" if self._include == "None" else self._partial._encoded(metadata)
        row = b'{"cells":' + cells + b',"object":' + shown + b"}"
        return self._table([row], {"resourceVersion": str(version)}, first)


def event(kind: str, item: bytes) -> bytes:
    """A line of a watch stream."""
    return b'{"type":"' + kind.encode() + b'","object":' + item + b"}\n"
