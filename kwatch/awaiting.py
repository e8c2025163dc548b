"""`kwatch.wait`: the conditions of `kwatch wait`, for programs: what is met is returned, all else raises."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

from kwatch.arguments import callback, seconds, speaking
from kwatch.cluster.kubeconfig import Connection
from kwatch.conditions.verdict import Moment, Outcome
from kwatch.conditions.wait import End, Plan, Result, Wait
from kwatch.errors import ExitCode, KwatchError, TimedOut, TimeIsUp, UsageError
from kwatch.feed import TICK_SECONDS, Access, Feed, Subscription, selection_of
from kwatch.model import Batch, Query
from kwatch.protocol.forms import Form
from kwatch.pump import within
from kwatch.selection import Selection, once_served

Progress = Callable[[str, str], None]


class WaitFailed(KwatchError):
    """What is waited for can't come any more: `result` says of which object, why, and what is to blame."""

    exit_code = ExitCode.FAILED

    def __init__(self, text: str, result: Result) -> None:
        super().__init__(text)
        self.result = result

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.result)


class WaitStopped(KwatchError):
    """Another thread ended it, by `stop`."""


class WaitTimeout(TimedOut):
    """The timeout passed first: `results` says how far each object had come."""

    def __init__(self, text: str, results: Sequence[Result] = ()) -> None:
        super().__init__(text)
        self.results = list(results)


def wait(
    type: str,
    *names: str,
    for_: str | Sequence[str] = (),
    for_any: str | Sequence[str] = (),
    fail_on: str | Sequence[str] = (),
    timeout: float | None = 30.0,
    fail_fast: bool = True,
    count: int | None = None,
    all_objects: bool = False,
    namespace: str | Sequence[str] | None = None,
    all_namespaces: bool = False,
    label_selector: str | Mapping[str, str] | None = None,
    field_selector: str | Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
    connection: Connection | None = None,
    kubeconfig: str | os.PathLike[str] = "",
    context: str = "",
    server: str = "",
    cache_dir: str | os.PathLike[str] | None = "",
) -> list[Result]:
    """Wait as `kwatch wait` does; what each condition says of each object, once that is what was waited for.

    `for_` are conditions as for the command, which must all hold: `"condition=Ready"`, `"rollout"`, `"complete"`,
    `"jsonpath=.status.phase=Running"`, `"create"`, `"delete"`, `"where=STATUS=Running"`; of `for_any` one is enough,
    and one of `fail_on` ends it. The objects are named, or chosen by a selector, or `all_objects` of the type; what
    isn't there yet is waited for. `count` of them are enough, else all that there are, and at least one. `timeout` in
    seconds: 0 checks once, None waits for ever. Without `fail_fast` pods that can't start are sat out.
    `on_progress(object, why)` is called when there is something else to say of an object. Once another thread sets
    `stop`, it raises WaitStopped, within a second. The rest is as for `kwatch.watch`.

    Raises WaitTimeout, WaitFailed (of a rollout as soon as something proves it), UsageError, ConfigError, NotFound for
    a type that isn't served (one with a group, as `widgets.example.com`, is waited for), and any KwatchError that ends
    a watch.
    """
    started = time.monotonic()
    timeout, on_progress = seconds("timeout", timeout), callback("on_progress", on_progress)
    selection = selection_of(type, names, namespace, all_namespaces, label_selector, field_selector)
    ends = _Ends(" ".join((type, *names)), started + timeout if timeout else float("inf"), stop or threading.Event())
    with speaking():
        plan = Plan.of(_texts(for_), _texts(for_any), _texts(fail_on), fail_fast=fail_fast, count=count)
    _check(selection, plan, all_objects)

    def form(query: Query) -> Form:
        return plan.form(query, is_target=query in feed.queries)

    access = Access(connection, kubeconfig, context, server)
    subscription = Subscription(selection, access, form, cache_dir=cache_dir, ends=ends.time)
    try:
        feed = _opened(subscription, plan, ends, once=timeout == 0)
    except (TimeoutError, TimeIsUp) as error:
        why = "" if isinstance(error, TimeIsUp) else str(error)
        raise WaitTimeout(f"timed out after {timeout:g}s: {why or 'the server did not say what it serves'}") from error
    try:
        waiting = _Waiting(plan, feed, started, on_progress)
        feed.start()
        end = waiting.until(ends, once=timeout == 0)
        return _results(waiting.wait, end, timeout, feed.trouble)
    except KwatchError as error:
        raise feed.fit(error) from error.__cause__
    finally:
        feed.stop()


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ends a wait for `what`, wherever it is: a monotonic time, or another thread."""

    what: str
    time: float
    stop: threading.Event

    def left(self) -> float:
        """Seconds that are left. Raises WaitStopped."""
        if self.stop.is_set():
            raise WaitStopped(f"stopped while waiting for {self.what}")
        return self.time - time.monotonic()

    def pause(self, seconds: float) -> None:
        """Sleep, but not on once it is stopped. Not by `stop.wait`, amid which a signal handler can't set it."""
        over = time.monotonic() + seconds
        while not self.stop.is_set() and (left := over - time.monotonic()) > 0:
            time.sleep(min(left, TICK_SECONDS))


def _opened(subscription: Subscription, plan: Plan, ends: _Ends, *, once: bool) -> Feed:
    """A feed of what is waited for, once its type is served. Raises TimeoutError and WaitStopped."""

    def ask() -> Feed:
        return within(lambda: Feed(subscription), ends.left)

    if once or not plan.may_await(subscription.selection.type):
        return ask()
    return once_served(ask, ends.left, ends.pause)


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check(selection: Selection, plan: Plan, all_objects: bool) -> None:
    if not plan.all_of and not plan.any_of:
        raise UsageError('say what to wait for: for_="condition=Ready", for_="rollout", for_="delete", ...')
    named = bool(selection.names) or "/" in selection.type
    if not (named or all_objects or selection.label_selector or selection.field_selector):
        raise UsageError("say which objects: names, a selector, or all_objects=True")
    if named and all_objects:
        raise UsageError("all_objects and a name exclude each other")


class _Waiting:
    """Feeds a Wait with what the watches find, and adds to the watches what it wants."""

    def __init__(self, plan: Plan, feed: Feed, started: float, on_progress: Progress | None) -> None:
        self._begin = partial(Wait, plan, started=started)
        self._feed = feed
        self._queries = feed.queries
        self._on_progress = on_progress
        self.wait = self._begin(self._queries)

    def until(self, ends: _Ends, *, once: bool) -> End | None:
        """How it ends, None if the time is up first: at `ends`, or with `once` when all is listed."""
        while (end := self._decided()) is None:
            left = ends.left()
            if self.wait.is_synced if once else left <= 0:
                return None
            self._take_all(max(min(TICK_SECONDS, left), 0))
        return end

    def _decided(self) -> End | None:
        end = self.wait.decide(_now())
        wanted, unwanted = self.wait.wanted()
        for query in unwanted:
            self._feed.drop(query)
        for query in wanted:
            self._feed.add(query)
        if self._on_progress:
            for reference, _, why in self.wait.news():
                self._on_progress(reference, why)
        return end

    def _take_all(self, seconds: float) -> None:
        """Wait for something, then take all that is there: what came together is judged together."""
        batch = self._feed.take(seconds)
        if self._feed.queries is not self._queries:  # what was kept of the types was wrong: nothing was heard yet
            self._queries = self._feed.queries
            self.wait = self._begin(self._queries)
        while batch:
            self._take(batch)
            batch = None if self.wait.decide(_now()) else self._feed.take(0)

    def _take(self, batch: Batch) -> None:
        self.wait.take(batch.query, batch.signals, _now())
        if batch.failure and not self.wait.fail(batch.query):
            raise batch.failure


def _now() -> Moment:
    return Moment(time.monotonic(), datetime.now(timezone.utc))


def _results(waiting: Wait, end: End | None, timeout: float | None, trouble: str) -> list[Result]:
    """What is met. Raises what isn't, with the watches' trouble."""
    results = waiting.results(_now())
    if end is None:
        missing = [f"{reference}: {why}" for reference, _, why in waiting.references(met=False)]
        words = "not met" if timeout == 0 else f"timed out after {timeout:g}s"
        raise WaitTimeout(f"{words}: {'; '.join(missing[:3]) or 'not as many objects are there'}{trouble}", results)
    if end.outcome is Outcome.MET or end.result is None:
        return results
    text = f"{end.result.reference}: {end.result.reason}"
    raise UsageError(text) if end.outcome is Outcome.UNANSWERABLE else WaitFailed(text, end.result)
