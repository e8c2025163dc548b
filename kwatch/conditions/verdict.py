"""The words conditions speak in: what is known of an object, and what a condition says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from kwatch.model import Key, Query, Row

if TYPE_CHECKING:
    from kwatch.conditions.dependents import Dependents

Object = Mapping[str, Any]


class Outcome(Enum):
    """What a condition says. UNANSWERABLE: it can never say anything of such an object."""

    MET = "met"
    WAITING = "waiting"
    FAILED = "failed"
    UNANSWERABLE = "unanswerable"


class Culprit(NamedTuple):
    """What broke a rollout: a container of a pod, or (with no pod) the creation of pods itself.

    namespace  where it is
    pod        the pod's name, "" where none could be made
    container  the container's, "" where it is the pod as a whole
    reason     in one word, the cluster's: `ImagePullBackOff`
    message    the cluster's own message
    last       the container's last end, in words
    hint       the command that shows more
    role       `container`, or which kind of one: `init container`
    """

    namespace: str
    pod: str
    container: str
    reason: str
    message: str
    last: str = ""
    hint: str = ""
    role: str = "container"

    def __str__(self) -> str:
        where = f"pod {self.pod}, {self.role} {self.container}: " if self.container else ""
        where = where or (f"pod {self.pod}: " if self.pod else "")
        what = f"{self.reason}: {self.message}" if self.message else self.reason
        last = f"; it {self.last}" if self.last else ""
        hint = f"; see {self.hint}" if self.hint else ""
        return f"{where}{what}{last}{hint}"


class Verdict(NamedTuple):
    """What a condition says of an object at one moment, and why in words.

    `progress` is how far it is in few words, and `waits` which pod it waits for: both to be told while it goes on.
    `doubtful`: it comes of other objects, whose watches may be ahead of or behind one another, so that all is to be
    read anew before it is believed.
    """

    outcome: Outcome
    why: str
    progress: str = ""
    culprit: Culprit | None = None
    doubtful: bool = False
    waits: str = ""

    @property
    def brief(self) -> str:
        """How far it is and what it waits for; "" where `why` is all there is to say."""
        return f"{self.progress}; waiting for {self.waits}" if self.waits else self.progress


class Moment(NamedTuple):
    """A point in time: in seconds that never go back, and by the calendar."""

    monotonic: float
    calendar: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of one object, the `key` of `query`.

    `value` None: it isn't there; `gone`: it was, and that one (by its uid) was deleted. `row` is the server's table
    row, where `where=` asks for it; `dependents` is what stands behind a rollout.
    """

    query: Query
    key: Key
    value: Object | None = None
    gone: bool = False
    row: Row | None = None
    dependents: Dependents | None = None


def part(value: Any, *path: str) -> Any:
    """What stands at `path` in an object; {} where there is nothing, or another shape than the API's."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return {} if value is None else value


def parts(value: Any, *path: str) -> list[Any]:
    """The list of objects at `path`; empty where there is none."""
    found = part(value, *path)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def count(value: Any, *path: str) -> int:
    """The number at `path`; 0 where there is none, as Go's zero value."""
    found = part(value, *path)
    return found if isinstance(found, int) else 0


def is_stale(value: Object) -> bool:
    """Whether the status is that of an older spec: its controller hasn't seen the newest one."""
    observed = part(value, "status").get("observedGeneration") if isinstance(part(value, "status"), Mapping) else None
    return isinstance(observed, int) and observed < count(value, "metadata", "generation")


def condition_of(value: Object, kind: str) -> Object | None:
    """The status condition of that type (in any case), None where there is none."""
    for condition in parts(value, "status", "conditions"):
        if str(condition.get("type", "")).casefold() == kind.casefold():
            found: Object = condition
            return found
    return None


def because(condition: Object) -> str:
    """`ContainersNotReady: containers with unready status: [c]`; a condition's reason and message, if any."""
    return ": ".join(str(text) for text in (condition.get("reason"), condition.get("message")) if text)
