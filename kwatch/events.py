"""Events, core/v1 and events.k8s.io/v1 alike: when one was last seen and how often, what it is about, its row.

As `kubectl events` prints them (k8s.io/kubectl/pkg/cmd/events/event_printer.go), whichever of the fields that were
renamed an event carries. Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kwatch.columns import age
from kwatch.model import Batch, Change, Column, Key, Query, Resource, Row, Signal

EVENTS = Resource("", "v1", "events", "Event")
COLUMNS = (
    Column("Last Seen"),
    Column("Type"),
    Column("Reason"),
    Column("Object"),
    Column("Message"),
    Column("Subobject", priority=1),
    Column("Source", priority=1),
    Column("Count", type="integer", priority=1),
    Column("Name", format="name", priority=1),
)
"""kubectl's five; the others, as `kubectl get events -o wide` has them, are for wide."""


def is_events(resource: Resource) -> bool:
    """Whether objects of this type are events."""
    return resource.kind == "Event" and resource.group in ("", "events.k8s.io")


def last_seen(event: Mapping[str, Any]) -> str:
    """The RFC 3339 time an event happened last; "" where it says none."""
    return (
        _text(_part(event, "series").get("lastObservedTime"))
        or _text(event.get("lastTimestamp") or event.get("deprecatedLastTimestamp"))
        or _first_seen(event)
    )


def in_time(change: Change) -> tuple[str, int, str]:
    """A sort key: the time an event happened last, of one moment the order in which they were written."""
    time, version = last_seen(change.state.object).rstrip("Z"), change.version
    return time, int(version) if version.isdecimal() else 0, version


def interval(event: Mapping[str, Any], now: datetime) -> str:
    """`4s`, or `4s (x5 over 3m)` for what happened several times."""
    first, count = age(_first_seen(event), now), _count(event)
    if count > 1 or _part(event, "series"):
        return f"{age(_repeated(event), now)} (x{count} over {first})"
    return first


def row(state: Any, now: datetime) -> Row:
    """A whole event as a row of COLUMNS, as it is `now`."""
    event, about = state.object, _about(state.object)
    source = _part(event, "source") or _part(event, "deprecatedSource")
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController")
    place = source.get("host") or event.get("reportingInstance")
    metadata = _part(event, "metadata")
    cells = (
        interval(event, now),
        _text(event.get("type")),
        _text(event.get("reason")),
        f"{_text(about.get('kind'))}/{_text(about.get('name'))}",
        _text(event.get("message") or event.get("note")).strip(),
        _text(about.get("fieldPath")),
        ", ".join(filter(None, (_text(component), _text(place)))),
        max(_count(event), 1),
        _text(metadata.get("name")),
    )
    return Row(COLUMNS, cells, _text(metadata.get("creationTimestamp")), _part(metadata, "labels"), state)


class EventRows:
    """A stage that makes rows of whole events (with `rows`), and leaves out those of a query in `subjects` that are
    about another group: the server's selectors can't ask for a group whatever its version.
    """

    def __init__(self, now: Callable[[], datetime], subjects: Mapping[Query, Resource], *, rows: bool) -> None:
        self._now = now
        self._rows = rows
        self._groups = {query: subject.group for query, subject in subjects.items()}

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch, its events as rows that still have their object."""
        now, group = self._now(), self._groups.get(batch.query)
        signals = [
            self._staged(signal, now) if isinstance(signal, Change) else signal
            for signal in batch.signals
            if not isinstance(signal, Change) or _concerns(group, signal)
        ]
        return (Batch(batch.query, signals, batch.failure),)

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()

    def _staged(self, change: Change, now: datetime) -> Signal:
        if not self._rows:
            return change
        old = row(change.old, now) if change.old is not None else None
        return change._replace(state=row(change.state, now), old=old)


class Folded:
    """A stage that leaves out what happens again: the further counts of an event, and other events that say the same of
    the same object while one that said it still exists.
    """

    def __init__(self, known: Iterable[tuple[Query, Key, Any]] = ()) -> None:
        """`known` are the events that an earlier run handed on: query, key and whole object."""
        self._sayers: dict[Hashable, set[tuple[Query, Key]]] = {}
        for query, key, state in known:
            self._is_news(query, key, state.object)

    def take(self, batch: Batch) -> Iterable[Batch]:
        """The batch without repeats."""
        signals = [one for one in batch.signals if not isinstance(one, Change) or self._passes(batch.query, one)]
        return (batch._replace(signals=signals),)

    def end(self) -> Iterable[Batch]:
        """Nothing is held back."""
        return ()

    def _passes(self, query: Query, change: Change) -> bool:
        if change.old is not None:
            self._forget(query, change.key, change.old.object)
        if change.type == "DELETED":
            self._forget(query, change.key, change.state.object)
            return True
        is_news = self._is_news(query, change.key, change.state.object)
        return is_news and (change.old is None or _what(query, change.old.object) != _what(query, change.state.object))

    def _is_news(self, query: Query, key: Key, event: Mapping[str, Any]) -> bool:
        sayers = self._sayers.setdefault(_what(query, event), set())
        sayers.add((query, key))
        return len(sayers) == 1

    def _forget(self, query: Query, key: Key, event: Mapping[str, Any]) -> None:
        what = _what(query, event)
        sayers = self._sayers.get(what, set())
        sayers.discard((query, key))
        if not sayers:
            self._sayers.pop(what, None)


def _what(query: Query, event: Mapping[str, Any]) -> Hashable:
    """What is said of whom."""
    about = _about(event)
    subject = tuple(str(about.get(name)) for name in ("kind", "namespace", "name", "uid", "fieldPath"))
    said = tuple(_text(event.get(name)) for name in ("type", "reason", "message", "note"))
    return query.cluster, subject, said


def _concerns(group: str | None, change: Change) -> bool:
    """Whether the event is about an object of `group`, as far as it says so; None: whatever it is about."""
    if group is None:
        return True
    version = _text(_about(change.state.object).get("apiVersion"))
    return not version or version.rpartition("/")[0] == group


def selectors(subject: Resource | None, name: str, types: Sequence[str]) -> list[str]:
    """The field selectors for the events about `subject`'s object `name`, and of one of the `types`."""
    terms = {"involvedObject.kind": subject.kind, "involvedObject.name": name} if subject else {}
    if len(types) == 1:
        terms["type"] = types[0]
    return [f"{field}={value}" for field, value in terms.items()]


def order(queries: Sequence[Query]) -> Callable[[Query, Change], Any]:
    """How the first screen of several sources is sorted: source by source, events among themselves by time."""
    events = {query: is_events(query.resource) for query in queries}
    places = {query: 0 if all(events.values()) else place for place, query in enumerate(queries)}
    return lambda query, change: (places[query], in_time(change) if events[query] else ("", 0, ""))


def _first_seen(event: Mapping[str, Any]) -> str:
    return _text(event.get("eventTime") or event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp"))


def _repeated(event: Mapping[str, Any]) -> str:
    series = _part(event, "series")
    if series:
        return _text(series.get("lastObservedTime"))
    return _text(event.get("lastTimestamp") or event.get("deprecatedLastTimestamp"))


def _count(event: Mapping[str, Any]) -> int:
    series = _part(event, "series")
    count = series.get("count") if series else event.get("count") or event.get("deprecatedCount")
    return count if isinstance(count, int) else 0


def _about(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return _part(event, "involvedObject") or _part(event, "regarding")


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
