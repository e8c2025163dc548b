"""Lines and bodies of the API to what they mean: a frame of a watch, a page of a list, a Status.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from orjson import JSONDecodeError, loads

from kwatch.errors import MalformedFrame
from kwatch.protocol.jsontext import decode
from kwatch.text import BRIEF, brief

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Frame(NamedTuple):
    """One watch event: `type` as sent, `object` an API object, a Table or a Status, `source` the line it came from."""

    type: str
    object: dict[str, Any]
    source: bytes = b""

    @property
    def version(self) -> str:
        """metadata.resourceVersion of the object (of a Table: of the object in its row, which it repeats)."""
        return str(_mapping(self.object.get("metadata")).get("resourceVersion") or "")

    @property
    def ends_initial_events(self) -> bool:
        """Whether this BOOKMARK says that all that existed has been sent (KEP-3157); a Table has it in its row."""
        rows = _sequence(self.object.get("rows"))
        value = _mapping(_mapping(rows[0]).get("object")) if rows else self.object
        annotations = _mapping(_mapping(value.get("metadata")).get("annotations"))
        return annotations.get(INITIAL_EVENTS_END) == "true"


class Status(NamedTuple):
    """metav1.Status, as far as it decides anything. `retry_after` in seconds, None where the server doesn't say."""

    code: int
    reason: str
    message: str
    causes: tuple[str, ...] = ()
    retry_after: float | None = None


class Page(NamedTuple):
    """A page of a list: `token` is empty on the last one, `remaining` None where the server doesn't count.

    The items (or rows) of `body` can be iterated; `source` is what came.
    """

    body: dict[str, Any]
    source: bytes
    version: str
    token: str
    remaining: int | None


class Items:
    """The items of a list's page, each decoded when its turn comes: together they take ten times the memory.

    `pieces` were cut where one item seems to end and the next to begin. Where such a place is inside an item, the piece
    before it has a bracket open and is no JSON: from there on the page is decoded as a whole.
    """

    def __init__(self, name: str, pieces: Sequence[bytes], page: bytes) -> None:
        self._name = name
        self._pieces = pieces
        self._page = page

    def __iter__(self) -> Iterator[Any]:
        for place, piece in enumerate(self._pieces):
            try:
                item = loads(piece)
            except JSONDecodeError:
                yield from decode(self._page)[self._name][place:]
                return
            yield item


def parse_frame(line: bytes) -> Frame:
    """The watch event in `line`; a bare Status is an ERROR event (fault 7). Raises MalformedFrame."""
    value = decode(line)
    if isinstance(value, dict):
        kind, body = value.get("type"), value.get("object")
        if isinstance(kind, str) and isinstance(body, dict):
            return Frame(kind, body, line)
        if value.get("kind") == "Status":
            return Frame("ERROR", value, line)
    raise MalformedFrame(f"not a watch event: {_beginning(line)}")


def parse_page(body: bytes) -> Page:
    """The list in `body`, typed or Table. Raises MalformedFrame for anything else."""
    value = _in_pieces(body) or decode(body)
    if not isinstance(value, dict) or not str(value.get("kind", "")).endswith(("List", "Table")):
        raise MalformedFrame(f"not a Kubernetes list: {_beginning(body)}")
    metadata = _mapping(value.get("metadata"))
    remaining = metadata.get("remainingItemCount")
    return Page(
        value,
        body,
        str(metadata.get("resourceVersion") or ""),
        str(metadata.get("continue") or ""),
        remaining if isinstance(remaining, int) else None,
    )


_ARRAYS = (("items", b'{"metadata":{'), ("rows", b'{"cells":['))
"""Where a list has its objects, and how each begins, as the server writes them. Unescaped quotes are in no string."""


def _in_pieces(body: bytes) -> dict[str, Any] | None:
    """The list with `Items` in it; None where it isn't written as the server's own lists are, its objects last."""
    for name, opening in _ARRAYS:
        head, found, rest = body.partition(b'"%s":[%s' % (name.encode(), opening))
        rest = rest.rstrip()
        if not found or not rest.endswith(b"}]}"):
            continue
        try:
            value = loads(b'%s"%s":[]}' % (head, name.encode()))
        except JSONDecodeError:
            continue
        if isinstance(value, dict) and value.get(name) == []:
            pieces = rest[:-3].split(b"}," + opening)
            return {**value, name: Items(name, [b"%s%s}" % (opening, piece) for piece in pieces], body)}
    return None


def parse_status(value: Any, code: int = 0) -> Status:
    """The Status in a decoded body; `code` is the HTTP status, for a body that isn't one."""
    body = _mapping(value)
    details = _mapping(body.get("details"))
    own_code, retry_after = body.get("code"), details.get("retryAfterSeconds")
    return Status(
        own_code if isinstance(own_code, int) else code,
        brief(str(body.get("reason") or "")),
        brief(str(body.get("message") or "")),
        tuple(str(_mapping(cause).get("reason")) for cause in _sequence(details.get("causes"))),
        float(retry_after) if isinstance(retry_after, (int, float)) and retry_after > 0 else None,
    )


def parse_error_body(body: bytes, code: int) -> Status:
    """The Status of an answer that isn't 200: JSON on one line or many, or plain text (fault 6)."""
    text = body.decode(errors="replace")
    try:
        value = decode(text.encode())
    except MalformedFrame:
        value = None
    status = parse_status(value, code)
    if status.message:
        return status
    return status._replace(code=code, message="an HTML page" if text.lstrip().startswith("<") else brief(text))


def _beginning(encoded: bytes) -> str:
    """As much of a text as a message shows."""
    return brief(encoded[:BRIEF].decode(errors="replace"))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
