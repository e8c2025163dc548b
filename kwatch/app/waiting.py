"""`kwatch wait`: drives a Wait with what the watches find, says how far it is, and ends with its exit code.

The main thread owns the clock: nothing that blocks, be it a name lookup, a connect or a credential plugin, runs in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from kwatch.app.judging import Judge, left, moment, plan_of
from kwatch.app.options import WaitOptions
from kwatch.app.sources import Sources, sources
from kwatch.app.telling import Telling
from kwatch.app.voice import Voice
from kwatch.cluster.kubeconfig import Connection
from kwatch.conditions.predicates import NOT_THERE
from kwatch.conditions.verdict import Outcome
from kwatch.conditions.wait import Plan, Result, Wait
from kwatch.errors import ExitCode, NotFound, TimeIsUp, Unreachable, UsageError
from kwatch.model import Batch, Clock, Environment, Listed, Notice, Query, Synced
from kwatch.protocol.session import WatchSession
from kwatch.pump import Pump, within
from kwatch.selection import once_served
from kwatch.text import inert_json, one_line
from kwatch.transport import Transport
from kwatch.watcher import Watcher

OUTPUTS = ("", "json", "ndjson", "jsonl")


def wait(
    options: WaitOptions, connections: Sequence[Connection], env: Environment, voice: Voice, started: float
) -> ExitCode:
    """Wait for the conditions; how it ended is the exit code, and on stdout and stderr."""
    plan = replace(plan_of(options.watch, options.any_of), count=options.watch.count)
    _check(options)
    telling = Telling(env, voice, quiet=options.watch.quiet)
    for _ in range(2):
        try:
            found = _sources(options, plan, connections, env.variables, voice, started)
        except TimeoutError as error:
            why = str(error) or "the server did not say what it serves"
            voice.say(f"error: timed out after {options.watch.patience:g}s: {why}")
            return ExitCode.TIMED_OUT
        try:
            return _driven(options, plan, found.connections, env, telling, started)
        except NotFound as error:
            outdated = [each.distrust() for each in found.catalogs.values()]
            if error.code != HTTPStatus.NOT_FOUND or not any(outdated):
                raise
    raise AssertionError("what was asked for anew isn't outdated")


def _driven(
    options: WaitOptions,
    plan: Plan,
    wanted: Mapping[Query, Connection],
    env: Environment,
    telling: Telling,
    started: float,
) -> ExitCode:
    judge = Judge(Wait(plan, list(wanted), started), options.watch, options.watch.times_out(started))
    by_cluster = {query.cluster: connection for query, connection in wanted.items()}

    def watcher(query: Query, clock: Clock) -> Watcher:
        patient = query not in wanted or bool(query.cluster) or not judge.checks_once
        form = plan.form(query, is_target=query in wanted)
        session = WatchSession(query, form, page_size=options.watch.chunk_size, patient=patient)
        return Watcher(session, Transport(by_cluster[query.cluster]), clock)

    with Pump(list(wanted), watcher) as pump:
        return _Waiting(options, env, judge, telling).until_ended(pump)


def _check(options: WaitOptions) -> None:
    if not options.watch.until and not options.any_of:
        raise UsageError("say what to wait for: --for condition=Ready, --for rollout, --for delete, ...")
    if options.output not in OUTPUTS:
        raise UsageError(f'there is no output "{options.output}" of a wait; -o takes json or ndjson')
    watch = options.watch
    named = bool(watch.names) or "/" in watch.type
    if not (named or options.all_objects or watch.label_selector or watch.field_selector):
        raise UsageError("say which objects: TYPE NAME, TYPE/NAME, TYPE -l SELECTOR or TYPE --all")
    if named and options.all_objects:
        raise UsageError("--all and a name exclude each other")


def _sources(
    options: WaitOptions,
    plan: Plan,
    connections: Sequence[Connection],
    variables: Mapping[str, str],
    voice: Voice,
    started: float,
) -> Sources:
    """As for a watch, but who isn't there yet is waited for: a server that can't be reached, and a type that has a
    group and isn't served, for its CRD may be about to come. Raises TimeoutError.
    """

    def remaining() -> float:
        return left(options.watch, started)

    def find() -> Sources:
        return within(
            lambda: sources(options.watch, connections, variables, voice, time.monotonic() + remaining()), remaining
        )

    def say(text: str) -> None:
        if not options.watch.quiet:
            voice.say(text)

    awaited = (NotFound, Unreachable) if plan.may_await(options.watch.type) else (Unreachable,)
    try:
        return once_served(find, remaining, time.sleep, say, awaited) if options.watch.timeout != 0 else find()
    except TimeIsUp:
        raise TimeoutError from None


class _Waiting:
    """The main thread of a wait."""

    def __init__(self, options: WaitOptions, env: Environment, judge: Judge, telling: Telling) -> None:
        self._options = options
        self._env = env
        self._judge = judge
        self._telling = telling
        self._is_reached = False
        self._unanswered: Exception | None = None

    def until_ended(self, pump: Pump) -> ExitCode:
        """The exit code, once the wait is decided, its time is up or the reader of stdout is gone."""
        try:
            while (code := self._judge.code(pump)) is None:
                if not self._judge.checks_once:
                    self._telling.progress(self._judge.wait, time.monotonic())
                if self._env.stdout_closed():
                    return ExitCode.PIPE_CLOSED
                self._take_all(pump)
        finally:
            self._telling.clear()
        self._print()
        self._tell_absent()
        if self._unanswered and self._options.watch.quiet:  # who hears no notices hasn't heard of it
            self._telling.say(f"error: {self._unanswered}")
        for line in self._judge.report(self._conditions(), self._telling.has_said):
            self._telling.say(line)
        return code

    def _take_all(self, pump: Pump) -> None:
        """Wait for something, then take all that is there: what came together is judged together."""
        batch = pump.take(self._judge.left())
        while batch:
            self._handle(batch)
            batch = None if self._judge.wait.decide(moment()) else pump.take(0)

    def _handle(self, batch: Batch) -> None:
        for signal in batch.signals:
            if isinstance(signal, (Listed, Synced)):
                self._is_reached, self._unanswered = True, None
            if isinstance(signal, Notice) and signal.unanswered and not (self._is_reached or self._unanswered):
                self._unanswered = signal.unanswered
                self._telling.notice(f"{signal.unanswered}; waiting for it")
            elif isinstance(signal, Notice) and (self._options.watch.verbose or not signal.detail):
                self._telling.notice(signal.text)
        self._judge.take(batch)
        if batch.failure:
            if not self._judge.wait.fail(batch.query):
                raise batch.failure
            self._telling.notice(f"{batch.failure}; what it would tell of a failure isn't known")

    # The end

    def _conditions(self) -> str:
        parts = (" and ".join(self._options.watch.until), " or ".join(self._options.any_of))
        return " and ".join(part for part in parts if part)

    def _print(self) -> None:
        """The verdicts, on stdout: what is met as kubectl says it, or all of them for a machine."""
        results = self._judge.wait.results(moment())
        if self._options.output:
            blamed = self._judge.end.result if self._judge.end else None
            if blamed and blamed.condition in self._options.watch.fail_on:
                results.append(blamed)
            lines = [self._document(result) for result in results]
        else:
            lines = self._lines(results)
        self._env.stdout.write("".join(f"{line}\n" for line in lines).encode())
        self._env.stdout.flush()

    def _lines(self, results: Sequence[Result]) -> list[str]:
        if (*self._options.watch.until, *self._options.any_of) == ("rollout",):
            return [one_line(each.reason) for each in results if each.outcome is Outcome.MET]
        if len(self._options.any_of) > 1:
            return self._which(results)
        met = self._judge.wait.references(met=True)
        return [one_line(f"{reference} condition met") for reference, _, why in met if why != NOT_THERE]  # as kubectl

    def _which(self, results: Sequence[Result]) -> list[str]:
        """The same, with those of the conditions of which one is enough that hold: else nobody could tell."""
        found: dict[tuple[str, str], list[str]] = {}
        for each in results:
            if each.outcome is Outcome.MET and each.condition in self._options.any_of:
                found.setdefault((each.namespace, each.reference), []).append(each.condition)
        met = {(namespace, reference) for reference, namespace, _ in self._judge.wait.references(met=True)}
        return [one_line(f"{key[1]} condition met: {' and '.join(found[key])}") for key in found if key in met]

    def _tell_absent(self) -> None:
        """Whose end was awaited, and that never was there, may be misspelt: kubectl says nothing of it."""
        waiting = self._judge.wait
        met = waiting.references(met=True)
        for reference, namespace, why in met:
            if why == NOT_THERE:
                self._telling.notice(f"{reference}{waiting.place(namespace)}: {why}")
        if self._judge.end and self._judge.end.outcome is Outcome.MET and not met:
            self._telling.notice(f"there are no {waiting.sought}")

    def _document(self, result: Result) -> str:
        spacing: dict[str, Any] = {"indent": 4} if self._options.output == "json" else {"separators": (",", ":")}
        return inert_json(json.dumps(document(result), ensure_ascii=False, **spacing))


def document(result: Result) -> dict[str, Any]:
    """A verdict for machines."""
    culprit = result.culprit
    blame: Mapping[str, str] = {}
    if culprit:
        blame = {"pod": culprit.pod, "container": culprit.container, "cause": culprit.reason}
        blame = {**blame, "message": culprit.message, "hint": culprit.hint}
    return {
        "object": result.reference,
        **({"namespace": result.namespace} if result.namespace else {}),
        "condition": result.condition,
        "met": result.outcome is Outcome.MET,
        "failed": result.outcome in (Outcome.FAILED, Outcome.UNANSWERABLE),
        "seconds": result.seconds,
        "reason": result.reason,
        **blame,
    }
