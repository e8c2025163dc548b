"""A sandbox cluster behind a simulated network, in virtual time: what a watch session is driven against.

No sockets: the session's requests go to the sandbox's API as they are, the answers come back through a fault. The
world notes what the session was told, so that what it asks for and prints can be judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kwatch.model import Bookmark, Change, Key, Notice, Query, Resource, Signal, Synced
from kwatch.protocol.decisions import Cause
from kwatch.protocol.forms import Form, Known, ObjectForm, TableForm
from kwatch.protocol.session import Request, WatchSession
from kwatch.sandbox import ApiError, Cluster
from kwatch.sandbox import Request as ServerRequest
from kwatch.sandbox.api import Api, Reply, Watching, error_reply
from kwatch.sandbox.representations import event
from kwatch.store import NOTHING, Kept

NAMES = ("a", "b", "c", "d")
MANY = 12
"""Requests in a row without news may not come faster than a backoff apart, counted over so many."""


@dataclass(frozen=True)
class Step:
    """A write to the cluster. `what` is create, label, touch, delete, recreate or compact."""

    what: str
    name: str = "a"
    shown: bool = True


@dataclass(frozen=True)
class Exchange:
    """What happens to one request: writes before and during it, and the fault at its end.

    With `restart` another watch goes on after it, from the checkpoint and what was known then, as after a crash.
    `fault` is a key of World.FAULTS. `at` places it: the byte of the body (from its start, modulo its length).
    """

    before: tuple[Step, ...] = ()
    during: tuple[Step, ...] = ()
    fault: str = "none"
    at: int = 0
    split: int = 100_000
    bookmark: bool = True
    replay: int = 0
    restart: bool = False


@dataclass
class World:
    """The cluster, the clock, one session, and all that came of it."""

    selector: str = ""
    table: bool = False
    page_size: int = 2
    stream_list: bool = False
    now: float = 1000.0
    state: dict[str, tuple[str, str]] = field(default_factory=dict)
    printed: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = Cluster(history=25, now=lambda: self.now)
        self.cluster.create("configmaps", {"metadata": {"name": "first", "labels": {"shown": "yes"}}})
        self.api = Api(self.cluster, address="", user="model", aggregated=True)
        self.entries: dict[Key, Known] = {}
        self.session = self._session(NOTHING)
        self.restarted = False
        self.told: set[str] = set()
        self.seen: set[tuple[str, str, str]] = set()
        self.quiet: list[float] = []
        self.synced = False
        self.initial = False

    def _session(self, kept: Kept) -> WatchSession:
        query = Query(Resource("", "v1", "configmaps", "ConfigMap"), "default", label_selector=self.selector)
        self.form: Form = TableForm() if self.table else ObjectForm()
        return WatchSession(query, self.form, page_size=self.page_size, stream_list=self.stream_list, kept=kept)

    def _restart(self) -> None:
        """Another process takes over; it gets an answer at first."""
        self.session = self._session(Kept(self.session.checkpoint, dict(self.entries)))
        self.restarted = True
        self.quiet.clear()
        for _ in range(3):
            self.exchange(Exchange())

    # Writes

    def write(self, step: Step) -> None:
        """Do it, if the cluster's state allows it."""
        there = step.name in self.names()
        labels = {"shown": "yes" if step.shown else "no"}
        if step.what == "compact":
            self.cluster.compact()
        elif step.what == "create" and not there:
            self.cluster.create("configmaps", {"metadata": {"name": step.name, "labels": labels}})
        elif step.what in ("delete", "recreate") and there:
            self.cluster.delete("configmaps", "default", step.name)
            if step.what == "recreate":
                self.write(Step("create", step.name, step.shown))
        elif step.what in ("label", "touch") and there:
            patch = {"labels": labels} if step.what == "label" else {"annotations": {"é\u2028🚀": str(self.now)}}
            self.cluster.patch("configmaps", "default", step.name, {"metadata": patch})

    def names(self) -> set[str]:
        """The names that exist."""
        return {one["metadata"]["name"] for one in self.cluster.list("configmaps", "default")}

    def expected(self) -> dict[str, tuple[str, str]]:
        """What a replay of the output must give: name to (uid, resourceVersion)."""
        found = self.cluster.list("configmaps", "default", label_selector=self.selector)
        return {one["metadata"]["name"]: (one["metadata"]["uid"], one["metadata"]["resourceVersion"]) for one in found}

    def rewind(self, back: int) -> bool:
        """A restored etcd: the server's state and version go back; whether there was history enough for it."""
        version = max(self.cluster.resource_version - back, 1)
        try:
            self.cluster.rewind(version)
        except ApiError:
            return False
        self.seen.clear()  # versions are used again from here on
        return True

    # Exchanges

    def exchange(self, plan: Exchange) -> None:
        """One request of the session's and what came of it."""
        for step in plan.before:
            self.write(step)
        request = self.session.next_request(self.now, 0.5)
        self.now += request.delay
        signals = self.session.signals()
        self._judge_request(request, signals)
        news = self._take(signals)
        news += self._serve(request, plan)
        self.quiet = [] if news else [*self.quiet, self.now]
        if len(self.quiet) >= MANY and self.quiet[-1] - self.quiet[-MANY] < 1:
            self.problems.append(f"{MANY} requests without news in {self.quiet[-1] - self.quiet[-MANY]} s")
        if plan.restart:
            self._restart()

    def settle(self) -> None:
        """No more faults: exchanges until the session has caught up with the cluster."""
        for _ in range(30):
            self.exchange(Exchange())
            if self.synced and self.session.resume_version == str(self.cluster.resource_version):
                return
        self.problems.append("never caught up")

    def _serve(self, request: Request, plan: Exchange) -> int:
        answer = self._answer(request, plan)
        if isinstance(answer, Watching):
            return self._watch(answer, plan)
        if answer is None:
            self.session.receive_end(Cause.UNREACHABLE, "refused", 0.1)
        elif answer.status != 200:
            self.session.receive_status(answer.status, answer.body)
        elif plan.fault in ("cut", "reset") and request.verb == "list":
            self.session.receive_end(Cause.CUT, "amid a page", 0.1)
        elif request.verb == "list":
            self._list(answer.body)
        else:
            self.session.receive_accepted()
            self._stream([answer.body], plan)
        return self._take(self.session.signals())

    def _list(self, body: bytes) -> None:
        self.session.receive_page(body)
        self.session.receive_end(Cause.ENDED, "", 0.1)
        metadata = json.loads(body)["metadata"]
        if not metadata.get("continue"):
            self.told = {metadata["resourceVersion"]}

    def _answer(self, request: Request, plan: Exchange) -> Reply | Watching | None:
        if plan.fault == "refused":
            return None
        if plan.fault.isdecimal():
            return error_reply(ApiError(int(plan.fault), "Reason", "a message"))
        sent = ServerRequest("GET", request.path, dict(request.parameters), {"accept": request.accept})
        if int(request.parameters.get("resourceVersion", "0")) > self.cluster.resource_version:
            too_large = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            if plan.at % 2:
                return error_reply(ApiError(504, "Timeout", "too large", details={"causes": [too_large]}))
            self.now += 600  # the recorded behaviour: silence until the watch's time is over
            return Reply(200, b"", stream=True)
        try:
            return self.api.handle(sent, self.api.route(sent))
        except ApiError as error:
            return error_reply(error)

    def _watch(self, watching: Watching, plan: Exchange) -> int:
        self.session.receive_accepted()
        try:
            pieces = self._pieces(Frames(self.cluster, watching, plan.replay), watching.initial_end, plan)
        except ApiError as error:  # compacted
            pieces = [event("ERROR", json.dumps(error.status()).encode())]
        self._stream(pieces, plan)
        return self._take(self.session.signals())

    def _pieces(self, frames: Frames, initial: bool, plan: Exchange) -> list[bytes]:
        """What the watch sends while the plan's writes happen."""
        pieces = [frames.next(), frames.bookmark(initial_end=True) if initial else b""]
        for step in plan.during:
            self.write(step)
            pieces.append(frames.next())
        if plan.bookmark:
            pieces.append(frames.bookmark())
        frames.close()
        return pieces

    def _stream(self, pieces: Sequence[bytes], plan: Exchange) -> None:
        whole = b"".join(pieces)
        body, cause, seconds = self._faulty(whole, plan)
        lines = body.split(b"\n")[:-1]
        ends = [index for index, line in enumerate(lines) if b"initial-events-end" in line]
        if self.initial:  # what comes before the bookmark that ends it is no place to resume from
            lines = lines[ends[0] :] if ends else []
        for line in lines:
            self._tell(line)
        for start in range(0, len(body), plan.split):
            if not self.session.receive_data(body[start : start + plan.split]):
                self.session.receive_end(Cause.ENDED, "", 1)
                return
        self.now += seconds
        self.session.receive_end(cause, "simulated", max(seconds, 600 if not whole else 0))

    def _faulty(self, body: bytes, plan: Exchange) -> tuple[bytes, Cause, float]:
        place = plan.at % (len(body) + 1)
        line_start = body.rfind(b"\n", 0, place) + 1
        inserted = INSERTED.get(plan.fault)
        if inserted is not None:
            return body[:line_start] + inserted + b"\n" + body[line_start:], Cause.ENDED, 60
        if plan.fault in BROKEN:
            return body[:place], BROKEN[plan.fault], 60
        return body, Cause.ENDED, 60

    def _tell(self, line: bytes) -> None:
        """Note the version of a frame that went out whole: it may be resumed from."""
        try:
            frame = json.loads(line)
        except ValueError:
            return
        if frame.get("type") in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            metadata = frame["object"]["metadata"]
            self.told.add(metadata["resourceVersion"])

    # Judgement

    def _judge_request(self, request: Request, signals: list[Signal]) -> None:
        self.initial = "sendInitialEvents" in request.parameters
        if request.verb == "watch" and not self.initial:
            asked = request.parameters["resourceVersion"]
            if asked not in self.told:
                self.problems.append(f"asked to resume from {asked}, of which it was never told; told {self.told}")
            return
        again = self.synced and "continue" not in request.parameters and not self.restarted
        self.restarted = False
        announced = any(isinstance(one, Notice) and not one.detail for one in signals)
        if again and not announced:
            self.problems.append("listed again without a notice")

    def _take(self, signals: list[Signal]) -> int:
        """Replay what was handed on; how much of it was news."""
        for one in signals:
            if isinstance(one, Change):
                self._replay(one)
            elif isinstance(one, Synced):
                self.synced = True
        return sum(isinstance(one, (Change, Bookmark)) for one in signals)

    def _replay(self, change: Change) -> None:
        self.printed.append(change)
        name, life = change.key[1], (change.uid, change.version)
        known = self.state.get(name)
        legal = {
            "ADDED": known is None,
            "MODIFIED": known is not None and known[0] == change.uid and known[1] != change.version,
            "DELETED": known is not None and known[0] == change.uid,
        }
        if not legal[change.type]:
            self.problems.append(f"{change.type} {name} {life} where {known} was known")
        if change.type == "DELETED":
            self.entries.pop(change.key, None)
        else:
            self.entries[change.key] = Known(change.uid, change.version, change.state)
        once = (change.uid, change.version, change.type)
        if once in self.seen:
            self.problems.append(f"printed twice: {once}")
        self.seen.add(once)
        if change.type == "DELETED":
            self.state.pop(name, None)
        else:
            self.state[name] = life


INSERTED = {
    "garbage": b"{garbage",
    "not utf-8": b'{"type":"ADDED","object":{"a":"\xff"}}',
    "unknown type": b'{"type":"PATCHED","object":{"metadata":{}}}',
    "error event": b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"StorageReadError"}}',
    "expired event": b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}',
    "gone event": b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Gone","message":"x"}}',
    "bare status": b'{"kind":"Status","code":500}',
    "blank lines": b"\r\n\n",
}
"""What comes between two lines of a watch, by the name of the fault."""

BROKEN = {"cut": Cause.CUT, "reset": Cause.CUT, "overdue": Cause.OVERDUE, "closed": Cause.ENDED}
"""How a stream that stops at a byte ends, by the name of the fault; `closed` is a clean close there."""

FAULTS = ["none", "refused", "404", "410", "429", "500", "503", "504", *INSERTED, *BROKEN]


class Frames:
    """The frames of one watch, as far as the cluster has got."""

    def __init__(self, cluster: Cluster, watching: Watching, replay: int) -> None:
        self._cluster = cluster
        self._watching = watching
        self._first = True
        selection = watching.selection
        self._watcher = cluster.watch(
            watching.kind,
            selection.namespace,
            after=watching.after,
            initial=watching.initial,
            replay=0 if watching.initial else replay,  # events are replayed after a resume, not in a list
        )

    def next(self) -> bytes:
        """The frames of what changed since the last call."""
        changes, _ = self._watcher.take(1000)
        initial, self._watcher.initial = self._watcher.initial, []
        return b"".join(self._encoded([*initial, *changes]))

    def bookmark(self, initial_end: bool = False) -> bytes:
        """A bookmark at the cluster's version; nothing older is left to send."""
        frame = self._watching.representation.bookmark(self._cluster.resource_version, self._first, initial_end)
        self._first = False
        return event("BOOKMARK", frame)

    def close(self) -> None:
        """End the subscription."""
        self._cluster.unwatch(self._watching.kind, self._watcher)

    def _encoded(self, changes: list[Any]) -> Iterator[bytes]:
        for change in changes:
            if seen := change.seen_by(self._watching.selection):
                yield event(seen[0], self._watching.representation.frame(seen[1], self._first, self._cluster.now()))
                self._first = False
