"""The watch as a state machine without I/O: which request is next, and what an answer means.

The caller alternates: `next_request`, then what came of it (`receive_page`, `receive_data`, `receive_status`,
`receive_end`), then `signals`. Time, chance and bytes are arguments. What is done about each fault stands in
DECISIONS; the numbers are the faults of CONTRIBUTING. The resume point comes of a finished list, a
handled event or a bookmark, and of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kwatch.errors import (
    ApiError,
    Forbidden,
    FrameTooLong,
    KwatchError,
    MalformedFrame,
    NotFound,
    ProtocolError,
    TruncatedJson,
    Unauthorized,
)
from kwatch.model import Bookmark, Checkpoint, Connected, Listed, Notice, Query, Signal, Synced
from kwatch.protocol.decisions import DECISIONS, FORBIDDEN_HINTS, HINTS, STATUS_CAUSES, Cause, Move, Pace, Scope
from kwatch.protocol.forms import Form, ShardForm
from kwatch.protocol.frames import Frame, Status, parse_error_body, parse_frame, parse_page, parse_status
from kwatch.protocol.lines import LineDecoder
from kwatch.retry import RESET_AFTER, Backoff, retry_after
from kwatch.store import NOTHING, Kept, Store, older
from kwatch.text import brief

PAGE_SIZE = 500
WATCH_SECONDS = (300, 600)
"""Bounds of timeoutSeconds; uniform between them, so that many watches don't reconnect at one moment."""
GRACE = 30.0
"""Seconds past timeoutSeconds after which a watch is given up as dead (fault 24)."""
INITIAL_SECONDS = 30.0
"""Seconds of silence amid a streamed list after which it is asked for in pages: an old server ignores the wish."""
LIST_SECONDS = 60.0
"""Seconds of silence after which a list is given up as dead."""
MAX_PAGES = 100_000
"""Pages of one list; more than any cluster has, so the server is going round in circles."""
SHORT = 1.0
"""A watch that ends sooner, in seconds, without a single event is suspicious (faults 16, 23)."""


_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading JSON of another shape runs into; a server's nonsense must not end the watch."""
_API_ERRORS = {Cause.UNAUTHORIZED: Unauthorized, Cause.FORBIDDEN: Forbidden, Cause.NOT_FOUND: NotFound}
_AT_A_VERSION = (Cause.GONE, Cause.FUTURE, Cause.WENT_BACK)
_EVENT_TYPES = frozenset(("ADDED", "MODIFIED", "DELETED"))


class Request(NamedTuple):
    """A GET to send after `delay` seconds. `deadline`: seconds it may take in all; `silence`: seconds without a byte.

    `renew`: read the credentials anew first (fault 28).
    """

    verb: str
    path: str
    accept: str
    parameters: Mapping[str, str] = MappingProxyType({})
    delay: float = 0.0
    silence: float = LIST_SECONDS
    deadline: float = float("inf")
    renew: bool = False


class _Verdict(NamedTuple):
    """What came of an exchange: its cause and detail, the move, the pace, and the server's own wish for a pause."""

    cause: Cause
    detail: str
    move: Move
    pace: Pace
    retry_after: float | None = None
    unanswered: KwatchError | None = None


class WatchSession:
    """One watch from its first list on, for ever. Raises from `next_request` where DECISIONS says to fail."""

    def __init__(
        self,
        query: Query,
        form: Form,
        *,
        page_size: int = PAGE_SIZE,
        stream_list: bool = False,
        patient: bool = False,
        kept: Kept = NOTHING,
        relist_interval: float = float("inf"),
        idle_timeout: float = float("inf"),
    ) -> None:
        """`stream_list` asks for what exists as a stream (sendInitialEvents) where the server has it; `page_size` 0 is
        a list in one piece; `patient` goes on trying where a server can't be reached at the start: it is one of many;
        `relist_interval` lists again so many seconds after the last list, `idle_timeout` gives a connection up after so
        many seconds without a byte.

        `kept` is what an earlier watch left: this one goes on from its checkpoint, and hands on what changed since.
        """
        self._query = query
        self._form = ShardForm(form, query.shard) if query.shard else form
        self._store = Store(form, kept.objects)
        self._page_size = page_size
        self._stream_list = stream_list
        self._patient = patient
        self._relist_interval = relist_interval
        self._idle_timeout = idle_timeout
        self._list_due: float | None = None
        self._until_due = False
        self._signals: list[Signal] = []
        self._resume, self._listing, self._synced = kept.checkpoint
        self._watching = False
        self._token = ""
        self._tokens: set[str] = set()
        self._list_version = ""
        self._listed = 0
        self._started_at = ""
        self._answered = False
        self._heard = False
        self._lines = LineDecoder()
        self._seconds = 0
        self._verdict: _Verdict | None = None
        self._failure: KwatchError | None = None
        self._last_cause = Cause.ENDED
        self._spared = float("-inf")
        self._repeats = 0
        self._backoff = Backoff()
        if not self._listing:
            self._signals.append(Synced(self._resume, len(self._store), first=False))

    @property
    def checkpoint(self) -> Checkpoint:
        """From where another watch may go on, once it has all that `signals` gave so far."""
        return Checkpoint(self._resume, self._listing, self._synced)

    @property
    def resume_version(self) -> str:
        """The resourceVersion up to which everything was handed on; empty before the first list is complete."""
        return self._resume

    def signals(self) -> list[Signal]:
        """What happened since the last call, in order."""
        signals, self._signals = self._signals, []
        return signals

    def next_request(self, now: float, chance: float) -> Request:
        """The request to send next. `now`: monotonic seconds; `chance`: uniform in [0, 1), for jitter.

        Raises an ApiError, TransportError or ProtocolError where there is nothing sensible left to do.
        """
        if self._failure:
            raise self._failure
        verdict, self._verdict = self._verdict, None
        delay = self._act_on(verdict, now, chance) if verdict else 0.0
        renew = verdict is not None and verdict.move is Move.RENEW
        if self._listing and self._stream_list:
            return self._initial_request(delay, renew)
        if self._listing:
            return self._list_request(delay, renew)
        return self._watch_request(delay, now + delay, chance, renew)

    def receive_page(self, body: bytes) -> None:
        """A 200 answer to a list, whole."""
        try:
            page = parse_page(body)
            if page.token in self._tokens or len(self._tokens) >= MAX_PAGES:
                raise MalformedFrame("a list whose pages don't move on")
            if self._token and page.version != self._list_version:
                self._decide(Cause.CONTINUE_GONE, f"a page of version {page.version} after {self._list_version}")
                return
            items = list(self._form.of_page(page))
            changes = self._store.listed(items, initial=not self._synced)
        except TruncatedJson:  # fault 5, where only the connection's end delimits the body
            self._decide(Cause.CUT, "amid a list")
            return
        except (MalformedFrame, *_MISSHAPEN) as error:
            self._decide(Cause.MALFORMED, _unreadable(error))
            return
        self._succeeded()
        self._signals += changes
        self._listed += len(items)
        self._token, self._list_version = page.token, page.version
        if page.token:
            self._tokens.add(page.token)
            self._signals.append(Listed(self._listed, page.remaining))
        else:
            self._finish_list(page.version)

    def receive_data(self, data: bytes) -> bool:
        """Bytes of a 200 answer to a watch, as they come. False: this stream is over, close it."""
        try:
            for line in self._lines.feed(data):
                if not self._receive_frame(parse_frame(line)):
                    return False
        except (MalformedFrame, *_MISSHAPEN) as error:
            return self._decide(Cause.MALFORMED, _unreadable(error))
        except FrameTooLong as error:
            return self._decide(Cause.TOO_LONG, str(error))
        return self._watching

    def receive_accepted(self) -> None:
        """The server answered a watch with 200; its body follows."""
        self._succeeded()
        self._signals.append(Connected(self._resume))

    def receive_status(self, code: int, body: bytes, wait: float | None = None) -> None:
        """An answer that isn't 200. `wait`: its Retry-After header in seconds."""
        status = parse_error_body(body, code)._replace(code=code)
        cause = cause_of(status)
        if cause is Cause.GONE and self._listing and self._token:
            cause = Cause.CONTINUE_GONE
        if self._listing and self._stream_list and cause is Cause.REFUSED:
            cause = Cause.NO_STREAM
        wait = wait if wait is not None else status.retry_after
        self._decide(cause, _describe(status), wait, _api_error(cause, self._query, status))

    def receive_end(self, cause: Cause, detail: str, duration: float, error: KwatchError | None = None) -> None:
        """The exchange is over: ENDED where the server closed in good order, else how it broke.

        `duration` in seconds since the request was sent; `error` is what `next_request` raises if this is the end.
        Of no effect if the session itself gave the stream up.
        """
        if self._verdict or (cause is Cause.ENDED and not self._watching):
            return
        if self._until_due and cause in (Cause.ENDED, Cause.OVERDUE) and duration >= self._seconds - SHORT:
            cause, detail = Cause.DUE, ""
        elif cause is Cause.ENDED and self._lines.unfinished:  # fault 5
            cause, detail = Cause.CUT, "amid an event"
        elif self._listing and self._stream_list and cause in (Cause.ENDED, Cause.OVERDUE):
            cause = Cause.NO_STREAM
        elif cause is Cause.ENDED:
            cause = self._kind_of_end(duration)
        self._decide(cause, detail, error=error)

    # What an answer means

    def _finish_list(self, version: str) -> None:
        if older(version, self._resume) and self._last_cause is not Cause.WENT_BACK:
            words = DECISIONS[Cause.WENT_BACK].words
            self._signals.append(Notice(f"{self._query}: {words} {self._resume}; its state is shown as it is now"))
        self._signals += self._store.end_list(initial=not self._synced)
        self._resume = version
        self._listing = False
        self._list_due = None
        self._signals.append(Synced(version, len(self._store), not self._synced, self._form.columns))
        self._synced = True

    def _receive_frame(self, frame: Frame) -> bool:
        if self._listing and frame.type in ("ADDED", "BOOKMARK"):
            self._receive_initial(frame)
        elif frame.type in _EVENT_TYPES:
            for item in self._form.of_frame(frame):
                self._signals += self._store.observe(frame.type, item, self._resume)
                if item.version and not self._listing and not older(item.version, self._resume):
                    self._resume = item.version
        elif frame.type == "BOOKMARK":
            if older(frame.version, self._resume):
                return self._decide(Cause.WENT_BACK, f"bookmark {frame.version}")
            if frame.version and not older(frame.version, self._resume):
                self._resume = frame.version
                self._signals.append(Bookmark(frame.version))
        elif frame.type == "ERROR":
            status = parse_status(frame.object)
            cause = cause_of(status)
            cause = cause if cause in _AT_A_VERSION else Cause.ERROR_EVENT
            return self._decide(cause, _describe(status), status.retry_after)
        else:
            return self._decide(Cause.UNKNOWN_EVENT, repr(frame.type[:20]))
        self._heard = True
        return True

    def _receive_initial(self, frame: Frame) -> None:
        """A streamed list: what exists, in no order; complete, and a place to resume from, with its bookmark only."""
        if frame.type == "ADDED":
            self._signals += self._store.listed(self._form.of_frame(frame), initial=not self._synced)
            self._listed += 1
            if self._listed % PAGE_SIZE == 0:
                self._signals.append(Listed(self._listed, None))
        elif frame.ends_initial_events:
            self._finish_list(frame.version)
            self._watching = False  # this stream has done its part; a watch, which may be silent for longer, follows

    def _kind_of_end(self, duration: float) -> Cause:
        """What the clean end of a watch means: without a single event, even a bookmark, it may be stale."""
        if not self._resume:
            return Cause.SILENT
        if self._heard:
            return Cause.ENDED
        if duration < SHORT:
            return Cause.SHORT
        return Cause.SILENT if duration >= self._seconds - SHORT else Cause.ENDED

    def _succeeded(self) -> None:
        self._answered = True
        if self._last_cause is Cause.UNAUTHORIZED:
            self._last_cause = Cause.ENDED

    # What is done about it

    def _decide(self, cause: Cause, detail: str, wait: float | None = None, error: KwatchError | None = None) -> bool:
        """Look the cause up; the next request will act on it. False, for the stream is over with it."""
        rule = DECISIONS[cause]
        again = cause is self._last_cause
        self._repeats = self._repeats + 1 if again and self._started_at == self._resume else 1
        self._last_cause = cause
        sits_it_out = self._patient and cause is Cause.UNREACHABLE and not self._answered
        move = rule.then if self._answered or sits_it_out else rule.first
        if rule.relist_at and self._repeats >= rule.relist_at and move is Move.RESUME:
            move = Move.RELIST
        if move is Move.RENEW and again:
            move = Move.FAIL
        self._verdict = _Verdict(cause, detail, move, rule.pace, wait, error if sits_it_out else None)
        if move is Move.FAIL:
            self._failure = error or ProtocolError(f"{self._query}: {rule.words}: {detail}; {HINTS[cause]}")
        return False

    def _act_on(self, verdict: _Verdict, now: float, chance: float) -> float:
        delay = self._delay(verdict, now, chance)
        rule = DECISIONS[verdict.cause]
        detail = f" ({verdict.detail})" if verdict.detail else ""
        when = f"in {delay:.1f}s" if delay else "now"
        relist, cause = verdict.move is Move.RELIST or self._listing, verdict.cause.name
        if rule.words:
            version = f" {self._resume}" if verdict.cause in _AT_A_VERSION and self._resume else ""
            reason, plan = f"{rule.words}{version}{detail}", "listing again" if relist else "resuming"
            text = f"{self._query}: {reason}; {plan} {when}"
            self._signals.append(Notice(text, delay, False, verdict.unanswered, reason, relist, cause))
        text = f"{self._query}: {cause}{detail}, fault {rule.faults or 'none'}: {verdict.move.name} {when}"
        notice = Notice(text, delay, detail=True)
        if not rule.words:
            notice = notice._replace(reason=verdict.detail, relist=relist, cause=cause)
        self._signals.append(notice)
        if verdict.cause is Cause.NO_STREAM:
            self._stream_list = False
        if verdict.move is Move.RELIST or (self._listing and not self._token):
            self._restart_list(unpaged=verdict.cause is Cause.CONTINUE_GONE)
        return delay

    def _delay(self, verdict: _Verdict, now: float, chance: float) -> float:
        if verdict.pace is Pace.NOW:
            return 0.0
        backoff = self._backoff.after(now)
        delay, self._backoff = backoff.step(now, chance)
        if verdict.pace is Pace.SERVER and verdict.retry_after is not None:
            return retry_after(verdict.retry_after)
        if verdict.pace is Pace.ONCE and now - self._spared >= RESET_AFTER:
            self._spared = now
            return 0.0
        return delay

    def _restart_list(self, *, unpaged: bool = False) -> None:
        self._listing, self._token, self._tokens, self._listed = True, "", set(), 0
        self._page_size = 0 if unpaged else self._page_size

    # Requests

    def _list_request(self, delay: float, renew: bool) -> Request:
        self._watching = False
        if not self._token:
            self._store.begin_list()
        paging = {"limit": str(self._page_size) if self._page_size else "", "continue": self._token}
        given = {name: value for name, value in paging.items() if value}
        parameters = {**self._query.selectors, **self._form.parameters, **given}
        return Request("list", self._query.path, self._form.accept, parameters, delay, renew=renew)

    def _initial_request(self, delay: float, renew: bool) -> Request:
        self._store.begin_list()
        self._watching = True
        self._lines, self._heard = LineDecoder(), False
        parameters = {
            **self._query.selectors,
            **self._form.parameters,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "timeoutSeconds": str(WATCH_SECONDS[1]),
        }
        limit = WATCH_SECONDS[1] + GRACE
        return Request("watch", self._query.path, self._form.accept, parameters, delay, INITIAL_SECONDS, limit, renew)

    def _watch_request(self, delay: float, starts: float, chance: float, renew: bool) -> Request:
        self._watching = True
        self._lines, self._heard, self._started_at = LineDecoder(), False, self._resume
        low, high = WATCH_SECONDS
        self._seconds = seconds = self._until_list(starts, int(low + (high - low) * chance))
        parameters = {
            **self._query.selectors,
            **self._form.parameters,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._resume,
            "timeoutSeconds": str(seconds),
        }
        limit = seconds + GRACE
        silence = min(limit, self._idle_timeout)
        return Request("watch", self._query.path, self._form.accept, parameters, delay, silence, limit, renew)

    def _until_list(self, starts: float, seconds: int) -> int:
        """The seconds that a watch which `starts` then may take, of `seconds`: it ends where the next list is due."""
        if self._list_due is None:
            self._list_due = starts + self._relist_interval
        left = max(self._list_due - starts, 1.0)
        self._until_due = left < seconds
        return math.ceil(left) if self._until_due else seconds


def _unreadable(error: Exception) -> str:
    return str(error) if isinstance(error, MalformedFrame) else "JSON, but not in the shape of the API's objects"


def _describe(status: Status) -> str:
    code, text = str(status.code or ""), status.message or status.reason
    return text if code and text.startswith(code) else f"{code} {text}".strip()


def api_error(what: object, code: int, body: bytes) -> ApiError:
    """The error for an answer to a request for `what` that isn't 200."""
    status = parse_error_body(body, code)._replace(code=code)
    return _api_error(cause_of(status), what, status)


def cause_of(status: Status) -> Cause:
    """Which row of DECISIONS a refusal belongs to."""
    if "ResourceVersionTooLarge" in status.causes or "Too large resource version" in status.message:
        return Cause.FUTURE
    return STATUS_CAUSES.get(status.code, Cause.SERVER_ERROR if status.code >= 500 else Cause.REFUSED)


def _api_error(cause: Cause, what: object, status: Status) -> ApiError:
    kind = _API_ERRORS.get(cause, ApiError)
    hint = _forbidden_hint(what) if cause is Cause.FORBIDDEN else HINTS.get(cause, "")
    if status.code == 400 and isinstance(what, Query):
        selectors = " and ".join(filter(None, (what.label_selector, what.field_selector)))
        hint = hint or (selectors and f'check the selector "{brief(selectors)}"')
    return kind("; ".join(filter(None, (f"{what}: {_describe(status)}", hint))), code=status.code, reason=status.reason)


def _forbidden_hint(what: object) -> str:
    """-n to who asked for all namespaces, and to nobody else (fault 29)."""
    if not isinstance(what, Query):
        return FORBIDDEN_HINTS[Scope.DOCUMENT]
    scope = Scope.NAMESPACE if what.namespace else Scope.ALL_NAMESPACES if what.resource.namespaced else Scope.CLUSTER
    return FORBIDDEN_HINTS[scope].format(resource=what.resource.qualified, namespace=what.namespace)
