"""The words the layers speak to each other in: what is watched, what changed, what happened on the way.

Nothing of a layer above. Records are NamedTuples where a run makes many of them or loads them at its start: a frozen
dataclass costs five times as much, to make and to define. Those with a secret, which `repr` hides, are dataclasses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, Protocol, TextIO
from urllib.parse import quote

from kwatch.terminal import Terminal

if TYPE_CHECKING:
    from kwatch.shards import Shard

Key = tuple[str, str]
"""(namespace, name): what identifies an object of one type at one moment; the uid tells its lives apart."""

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Resource:
    """A type the API serves: group, version and plural address it, the other names are what people type."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = field(default=(), compare=False)
    """What can be done with it, where discovery said so."""

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`: as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods`, `deployments.apps`: as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def reference(self) -> str:
        """`pod`, `deployment.apps`: as kubectl puts it before a name (`pod/web-0`)."""
        kind = self.kind.lower()
        return f"{kind}.{self.group}" if self.group else kind


@dataclass(frozen=True, slots=True)
class Query:
    """One thing to watch: a type in one namespace (or all), perhaps narrowed by the server's selectors or to a shard.

    `cluster` is the context's name where several clusters are watched at once, else "".
    """

    resource: Resource
    namespace: str = ""
    name: str = ""
    label_selector: str = ""
    field_selector: str = ""
    cluster: str = ""
    shard: Shard | None = None

    @property
    def path(self) -> str:
        """The collection's path, each part quoted (fault 32)."""
        root = f"/apis/{quote(self.resource.group, safe='')}" if self.resource.group else "/api"
        scope = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        return f"{root}/{quote(self.resource.version, safe='')}{scope}/{quote(self.resource.plural, safe='')}"

    @property
    def selectors(self) -> dict[str, str]:
        """The query parameters that narrow it; a single name is a field selector, as kubectl does it."""
        name = self.name and f"metadata.name={escaped(self.name)}"
        fields = [part for part in (name, self.field_selector) if part]
        selectors = {"labelSelector": self.label_selector, "fieldSelector": ",".join(fields)}
        if self.shard:
            selectors["shardSelector"] = self.shard.selector
        return {name: value for name, value in selectors.items() if value}

    def __str__(self) -> str:
        what = f"{self.resource.qualified} {self.name}" if self.name else self.resource.qualified
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{what}{where} of {self.cluster}" if self.cluster else f"{what}{where}"


def escaped(value: str) -> str:
    """A value of a field selector (k8s.io/apimachinery fields.EscapeValue)."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


class Column(NamedTuple):
    """A column of the server's table; `priority` 0 is shown always, others with `-o wide`."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0


class Row(NamedTuple):
    """An object as the server's table shows it. `columns` is shared between rows, so identity tells a new header.

    `document` is the whole object, where it was asked for beside its cells.
    """

    columns: tuple[Column, ...]
    cells: tuple[Any, ...]
    created: str
    labels: Mapping[str, str]
    document: Any = None

    @property
    def encoded(self) -> bytes:
        """The whole object as JSON."""
        encoded: bytes = self.document.encoded
        return encoded

    @property
    def object(self) -> dict[str, Any]:
        """The whole object, decoded. Not to be changed."""
        value: dict[str, Any] = self.document.object
        return value


class Change(NamedTuple):
    """One event to print. `state` is a `Row` or a `Document` by the form asked for; `old` is the last one known.

    `synthetic`: kwatch concluded it from a list, the server never sent it. `initial`: part of the first list.
    """

    type: ChangeType
    key: Key
    uid: str
    version: str
    state: Any
    old: Any = None
    synthetic: bool = False
    initial: bool = False


class Bookmark(NamedTuple):
    """The server's word that nothing before `version` is still to come. Never shown."""

    version: str


class Checkpoint(NamedTuple):
    """From where a watch can go on another time: after `resume`, unless it is `listing`, for then the list starts over.

    `synced`: its first list was complete once, so that what is new from then on isn't initial.
    """

    resume: str = ""
    listing: bool = True
    synced: bool = False


class Listed(NamedTuple):
    """A page of a list came in: `objects` so far, about `remaining` to go (None: the server doesn't say)."""

    objects: int
    remaining: int | None


class Synced(NamedTuple):
    """A list is complete: what was handed on is the server's state at `version`. `first`: the first of this watch.

    `columns` are those of the server's table, where one was asked for: an empty table has them too.
    `namespace_missing`: there is nothing because the namespace isn't there, as far as the server says so.
    """

    version: str
    objects: int
    first: bool
    columns: tuple[Column, ...] = ()
    namespace_missing: bool = False


class Connected(NamedTuple):
    """The server accepted the watch that starts after `version`."""

    version: str


class Notice(NamedTuple):
    """One line for a person: why there is a gap or a pause. `detail` ones are for `-v`.

    `unanswered` is the error with which a watch would have ended that never got an answer, were it not for the others.
    Of a fault, `reason` is the part of the text that says what happened, and `relist` whether a list is to heal it.
    `cause` names the `Cause` (`protocol/decisions.py`) for which an exchange ended; each end has one notice with it.
    """

    text: str
    delay: float = 0.0
    detail: bool = False
    unanswered: Exception | None = None
    reason: str = ""
    relist: bool = False
    cause: str = ""


class Ended(NamedTuple):
    """This watch can't go on, others do: why, in one line."""

    text: str


Signal = Change | Bookmark | Listed | Synced | Connected | Notice | Ended


class Batch(NamedTuple):
    """What one watch found. `failure` is set on its last batch, where it can't go on.

    `checkpoint` is from where a later watch may go on, once all up to this batch has been dealt with.
    """

    query: Query
    signals: Sequence[Signal]
    failure: Exception | None = None
    checkpoint: Checkpoint | None = None


class Clock(Protocol):
    """Time and chance, so that a test can own both."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def wait(self, seconds: float) -> bool:
        """Sleep; True at once if the watch was stopped meanwhile."""

    def chance(self) -> float:
        """Uniform in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a run takes from the process around it, so that any run can be a test."""

    stdout: BinaryIO
    stderr: TextIO
    variables: Mapping[str, str] = field(default_factory=dict)
    stdout_is_terminal: bool = False
    stdout_closed: Callable[[], bool] = lambda: False
    """Whether the reader of stdout has gone away; asked several times a second."""
    size: Callable[[], os.terminal_size] = lambda: os.terminal_size((80, 24))
    """The terminal's columns and lines."""
    terminal: Terminal = field(default_factory=Terminal)
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    """The time of what is printed: a replay has its own."""
    program: str = "kwatch"
    """What the user typed to run it: `kubectl kwatch` where it is kubectl's plugin."""
    stdin: BinaryIO | None = None
    """Where it is open."""
    on_hangup: Callable[[Callable[[], None]], object] = lambda action: None
    """Has what it is given called at each SIGHUP from then on."""

    @property
    def is_dumb(self) -> bool:
        """Whether the terminal, by TERM, knows no control sequences."""
        return (self.variables.get("TERM") or "dumb") == "dumb"
