"""The conditions of `--for`, `--until` and `--fail-on`: each judges one object at one moment. No time, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kwatch.columns import heading, plain
from kwatch.conditions import failures, rollout
from kwatch.conditions.verdict import (
    Moment,
    Object,
    Outcome,
    Subject,
    Verdict,
    because,
    condition_of,
    count,
    is_stale,
    part,
    parts,
)
from kwatch.errors import UsageError
from kwatch.filters import Where, parse_where
from kwatch.gotext import selected
from kwatch.jsonpath import Query as Path
from kwatch.jsonpath import relaxed
from kwatch.model import Column, Resource
from kwatch.text import brief

MET = Outcome.MET
NOT_THERE = "it was not there"
"""Why `delete` is met where there was nothing to delete."""


class Predicate(Protocol):
    """One kind of condition. `judge` sees objects that are there, `absent` says what it means that one isn't."""

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """What it says of `value` at `now`."""


class Condition(NamedTuple):
    """A condition as it was asked for, and what it means.

    `of`: the (group, kind)s that it is for; None is any. `deletion`: it is met by the object's end.
    `timed`: the passing of time alone may change what it says.
    """

    text: str
    predicate: Predicate
    of: frozenset[tuple[str, str]] | None = None
    deletion: bool = False
    needs_row: bool = False
    needs_dependents: bool = False
    timed: bool = False
    columns: Callable[[Sequence[Column], str], None] = lambda columns, plural: None
    """Raises UsageError where a table of such columns, of such a type, can't answer."""

    def judge(self, subject: Subject, now: Moment) -> Verdict:
        """What it says of the object, there or not."""
        if self.deletion and (subject.gone or subject.value is None):
            return Verdict(MET, "deleted" if subject.gone else NOT_THERE)
        if subject.gone:
            return Verdict(Outcome.FAILED, "it was deleted")
        if subject.value is None:
            return Verdict(Outcome.WAITING, "not found yet")
        return self.predicate.judge(subject.value, subject, now)

    def check(self, resource: Resource) -> None:
        """Raises UsageError where it isn't for such objects."""
        if self.of is not None and (resource.group, resource.kind) not in self.of:
            kinds = ", ".join(sorted(kind for _, kind in self.of))
            raise UsageError(f"{self.text} is for {kinds}; {resource.qualified} can't be waited for so")


@dataclass(frozen=True, slots=True)
class StatusCondition:
    """`condition=NAME[=VALUE]`: in any case; not before its controller has seen the newest spec.

    (k8s.io/kubectl, cmd/wait/condition.go.)
    """

    name: str
    value: str = "true"

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """Met where the condition has that status, and isn't that of an older generation."""
        condition = condition_of(value, self.name)
        if condition is None:
            state = self._state(value)
            why = f" ({state})" if state else _others(value)
            return Verdict(Outcome.WAITING, f"it has no condition {self.name} yet{why}")
        says = f"{condition.get('type')} is {condition.get('status')}"
        if self._is_old(value, condition):
            return Verdict(Outcome.WAITING, f"{says}, but of an older generation: the newest spec isn't observed yet")
        if str(condition.get("status")).casefold() == self.value.casefold():
            return Verdict(MET, says)
        why = "; ".join(text for text in (because(condition), self._state(value)) if text)
        return Verdict(Outcome.WAITING, f"{says} ({why})" if why else says)

    def _state(self, value: Object) -> str:
        """What a pod is at that isn't ready: its condition names the containers, and not what they wait for."""
        is_about = value.get("kind") == "Pod" and self.name.casefold() in _READINESS and self.value.casefold() == "true"
        state = failures.state(value) if is_about else ""
        return "" if state in _SAYS_NOTHING else state

    @staticmethod
    def _is_old(value: Object, condition: Object) -> bool:
        observed = condition.get("observedGeneration")
        if isinstance(observed, int):
            return observed < count(value, "metadata", "generation")
        return is_stale(value)


@dataclass(frozen=True, slots=True)
class Exists:
    """`create`: it is there."""

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """Met: an object to judge is one that exists."""
        return Verdict(MET, "it exists")


@dataclass(frozen=True, slots=True)
class Deleted:
    """`delete`: the one that was there, by its uid, is gone. An object to judge isn't."""

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """Waiting, with what holds it up: finalizers, or that nobody has asked for its deletion."""
        metadata = part(value, "metadata")
        since = metadata.get("deletionTimestamp")
        if not since:
            return Verdict(Outcome.WAITING, "it is there, and nobody has deleted it")
        held = [str(each) for each in (metadata.get("finalizers") or part(value, "spec").get("finalizers") or ())]
        return Verdict(
            Outcome.WAITING, f"being deleted since {since}" + (f", held by {', '.join(held)}" if held else "")
        )


@dataclass(frozen=True, slots=True)
class RolledOut:
    """`rollout`: as kubectl says it, and failed as soon as something proves it."""

    fail_fast: bool = True

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """kubectl's verdict; where that is to wait, what the pods and their creation prove."""
        verdict = rollout.verdict(value)
        dependents = subject.dependents
        if dependents is None or verdict.outcome in (MET, Outcome.UNANSWERABLE):
            return verdict
        if verdict.outcome is Outcome.FAILED and failures.is_of_another_revision(value, dependents):
            verdict = rollout.verdict(value, deadline=False)
        if verdict.outcome is not Outcome.WAITING:
            culprit = failures.last_failed(value, dependents) if verdict.outcome is Outcome.FAILED else None
            return verdict._replace(culprit=culprit)
        if self.fail_fast and (culprit := failures.failure(value, dependents, now.monotonic)):
            return Verdict(Outcome.FAILED, "rollout failed", verdict.progress, culprit, doubtful=True)
        doubtful = self.fail_fast and failures.is_suspicious(value, dependents)
        waits = failures.waits_for(value, dependents)
        if not waits.whole:
            return verdict
        why = f"{verdict.why.rstrip('.')}; waiting for {waits.whole}"
        return verdict._replace(doubtful=doubtful, why=why, waits=waits.brief)


@dataclass(frozen=True, slots=True)
class Completed:
    """`complete`: a Job that completed; failed as soon as the Job says so, or a pod of it can't even start."""

    fail_fast: bool = True

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """By the Job's conditions; FailureTarget is set before Failed, when its pods are still to be ended."""
        if _is_true(value, "Complete"):
            return Verdict(MET, "Complete is True")
        status = part(value, "status")
        done, want = count(status, "succeeded"), part(value, "spec").get("completions") or 1
        figures = f"{done}/{want} succeeded, {count(status, 'active')} active, {count(status, 'failed')} failed"
        for name in ("Failed", "FailureTarget"):
            if _is_true(value, name):
                why = f"the Job failed: {because(condition_of(value, name) or {})}"
                culprit = failures.last_failed(value, subject.dependents) if subject.dependents else None
                return Verdict(Outcome.FAILED, why, figures, culprit)
        if (
            self.fail_fast
            and subject.dependents
            and (stuck := failures.failure(value, subject.dependents, now.monotonic))
        ):
            return Verdict(Outcome.FAILED, "the Job can't run", figures, stuck, doubtful=True)
        if part(value, "spec").get("suspend"):
            return Verdict(Outcome.WAITING, "it is suspended")
        waits = failures.waits_for(value, subject.dependents) if subject.dependents else failures.Awaited()
        doubtful = bool(self.fail_fast and subject.dependents and failures.is_suspicious(value, subject.dependents))
        words = figures + (f": waiting for {waits.whole}" if waits.whole else "")
        return Verdict(Outcome.WAITING, words, figures, None, doubtful, waits.brief)


@dataclass(frozen=True, slots=True)
class PathValue:
    """`jsonpath=EXPRESSION[=VALUE]`: something is there, or it is that value as Go prints it.

    (k8s.io/kubectl, cmd/wait/json.go.) A status of an older generation is not believed.
    """

    expression: str
    path: Path
    wanted: str | None = None

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """As kubectl; several values, and objects and lists, can't be compared."""
        found = self.path.values(value)
        if not found:
            return Verdict(Outcome.WAITING, f"there is nothing at {self.expression} yet")
        if "status" in self.expression and is_stale(value):
            return Verdict(Outcome.WAITING, _STALE)
        if self.wanted is None:
            return Verdict(MET, f"there is something at {self.expression}")
        if len(found) > 1:
            return Verdict(Outcome.UNANSWERABLE, f"{self.expression} matches more than one value")
        if isinstance(found[0], (Mapping, list)):
            return Verdict(Outcome.UNANSWERABLE, f"{self.expression} leads to an object or a list, not to a value")
        text = selected(found[0]).strip()
        if text == self.wanted:
            return Verdict(MET, f"{self.expression} is {self.wanted}")
        shown = "something else" if value.get("kind") == "Secret" else brief(text)
        return Verdict(Outcome.WAITING, f"{self.expression} is {shown}, not {self.wanted}")


@dataclass(frozen=True, slots=True)
class PrintedCell:
    """`where=COLUMN OP VALUE`: what `--where` shows; not by a status of an older generation."""

    where: Where

    def judge(self, value: Object, subject: Subject, now: Moment) -> Verdict:
        """By the row that came with the object."""
        row = subject.row
        if row is None:
            return Verdict(Outcome.WAITING, "its row isn't there yet")
        if is_stale(value):
            return Verdict(Outcome.WAITING, _STALE)
        if self.where.test(subject.query, subject.key, row, now.calendar):
            return Verdict(MET, f"{self.where} holds")
        columns = [heading(column) for column in row.columns]
        name = self.where.column.upper().replace("_", " ")
        cell = plain(row.cells[columns.index(name)]) if name in columns[: len(row.cells)] else ""
        return Verdict(Outcome.WAITING, f"{name} is {brief(cell) or 'empty'}")


_SAYS_NOTHING = (failures.NOT_READY, "Pending")
_READINESS = ("ready", "containersready")
_STALE = "its status is that of an older generation: the newest spec isn't observed yet"


def _others(value: Object) -> str:
    """The conditions that an object has, where it lacks the one asked for: a Job has Failed, a name is mistyped."""
    kinds = [str(each.get("type")) for each in parts(value, "status", "conditions")]
    return f"; it has {', '.join(kinds)}" if kinds else ""


def _is_true(value: Object, name: str) -> bool:
    condition = condition_of(value, name)
    return condition is not None and condition.get("status") == "True"


_WORKLOADS = frozenset(("apps", kind) for kind in rollout.KINDS)
_JOBS = frozenset([("batch", "Job")])
SYNTAX = (
    "condition=TYPE[=STATUS], jsonpath=EXPRESSION[=VALUE], create, delete, rollout, complete or where=COLUMN OP VALUE"
)


def parse_condition(text: str, *, fail_fast: bool = True) -> Condition:
    """The condition that `text` asks for. Raises UsageError, with what may be asked for."""
    name, given, rest = text.partition("=")
    form = _FORMS.get(name.strip().lower())
    if form is None:
        near = _nearest(name.strip(), rest)
        raise UsageError(f'"{text}" is not a condition; ' + (f"did you mean {near}?" if near else f"write {SYNTAX}"))
    if bool(given) != form.takes_value or (given and not rest.strip()):
        raise UsageError(f'"{text}" is not complete; write {form.usage}' if form.takes_value else
                         f'"{text}": {name} takes no value')  # fmt: skip
    return form.make(text, rest, fail_fast)


def _nearest(name: str, rest: str) -> str:
    """What a word that is no condition may have been meant for: one that is spelled alike, else an object's own."""
    from difflib import get_close_matches  # needed for an error alone

    if near := get_close_matches(name.lower(), _FORMS, n=1, cutoff=0.8):
        return near[0] if not rest else f"{near[0]}={rest}"
    is_status = rest.lower() in ("", "true", "false", "unknown")
    return f"condition={name}{f'={rest}' if rest else ''}" if name.isalpha() and is_status else ""


class _Form(NamedTuple):
    make: Callable[[str, str, bool], Condition]
    takes_value: bool = False
    usage: str = ""


def _status_condition(text: str, rest: str, _: bool) -> Condition:
    name, equals, value = rest.partition("=")
    if not name.strip():
        raise UsageError(f'"{text}" names no condition; write condition=TYPE[=STATUS]')
    if equals and not value.strip():
        raise UsageError(f'"{text}" has no status after the last "="; write condition=TYPE=STATUS, or leave it out')
    return Condition(text, StatusCondition(name, value if equals else "true"))


def _path_value(text: str, rest: str, _: bool) -> Condition:
    expression, wanted = _split(rest)
    if wanted is not None and not wanted.strip():
        raise UsageError(f'"{text}" has no value after the last "="; write jsonpath=EXPRESSION=VALUE, or leave it out')
    value = None if wanted is None else wanted.strip("'\"").strip()
    return Condition(text, PathValue(expression, relaxed(expression), value))


def _split(text: str) -> tuple[str, str | None]:
    """EXPRESSION and VALUE of `EXPRESSION[=VALUE]`: quotes, brackets and braces keep what is inside, `==` included."""
    depth, quote = 0, ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and depth:
            quote = character
        elif character in "{[(":
            depth += 1
        elif character in "}])":
            depth -= 1
        elif character == "=" and not depth:
            return text[:place], text[place + 1 :]
    return text, None


def _printed_cell(text: str, rest: str, _: bool) -> Condition:
    where = parse_where(rest)
    return Condition(text, PrintedCell(where), needs_row=True, timed=where.on_age, columns=where.check)


_FORMS: Mapping[str, _Form] = {
    "condition": _Form(_status_condition, True, "condition=TYPE[=STATUS]"),
    "jsonpath": _Form(_path_value, True, "jsonpath='{.status.phase}'=Running"),
    "where": _Form(_printed_cell, True, "where='STATUS=Running'"),
    "create": _Form(lambda text, rest, fail_fast: Condition(text, Exists())),
    "delete": _Form(lambda text, rest, fail_fast: Condition(text, Deleted(), deletion=True)),
    "rollout": _Form(
        lambda text, rest, fail_fast: Condition(
            text, RolledOut(fail_fast), _WORKLOADS, needs_dependents=True, timed=True
        )
    ),
    "complete": _Form(
        lambda text, rest, fail_fast: Condition(text, Completed(fail_fast), _JOBS, needs_dependents=True, timed=True)
    ),
}
