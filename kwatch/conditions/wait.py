"""A wait as a machine without I/O: signals of the watches go in, what is to be watched besides and the end come out.

An object is met while all its conditions hold at once; the wait is over when enough objects are. What is concluded
from other objects (pods behind a rollout), or from a selector that an object left (fault 22), is believed only after
the object itself was read anew. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kwatch.conditions.dependents import Dependents, queries_behind
from kwatch.conditions.predicates import Condition, parse_condition
from kwatch.conditions.verdict import Culprit, Moment, Outcome, Subject, Verdict
from kwatch.errors import UsageError
from kwatch.model import Change, Key, Query, Row, Signal, Synced
from kwatch.protocol.forms import Form, FullForm, ObjectForm
from kwatch.store import older

SELECTORS_EACH = 4
"""Workloads of a namespace whose dependents are watched by their own selectors; more of them share one watch."""
HOLD_SECONDS = 1.0
"""How long a failure that an object itself reports is held for the first word of the pods that are to blame."""
AGAIN_SECONDS = 0.5
"""How often what depends on the time alone is judged anew."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is waited for. `count`: how many objects are enough; None is all there are, and at least one.

    `lasting`: a deleted object fails the wait; without it, as under a watch, it just counts no more.
    """

    all_of: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()
    fail_on: tuple[Condition, ...] = ()
    count: int | None = None
    lasting: bool = True

    def __post_init__(self) -> None:
        if len(self.all_of) > 1 and self.ends_objects:
            raise UsageError("an object can't be deleted and anything else at once; use --for-any for one of them")

    @classmethod
    def of(
        cls,
        all_of: Iterable[str],
        any_of: Iterable[str] = (),
        fail_on: Iterable[str] = (),
        *,
        fail_fast: bool = True,
        count: int | None = None,
    ) -> Plan:
        """What these texts ask for, each as `parse_condition` reads it. Raises UsageError."""

        def parsed(texts: Iterable[str]) -> tuple[Condition, ...]:
            return tuple(parse_condition(text, fail_fast=fail_fast) for text in texts)

        return cls(parsed(all_of), parsed(any_of), parsed(fail_on), count)

    @property
    def ends_objects(self) -> bool:
        """Whether it waits for nothing but the end of the objects that there are at its start."""
        return any(condition.deletion for condition in self.all_of)

    def may_await(self, type: str) -> bool:
        """Whether `type`, as it is typed, may be one that isn't served yet: one with a group, for its CRD may come."""
        return "." in type and not self.ends_objects

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All of them."""
        return (*self.all_of, *self.any_of, *self.fail_on)

    @property
    def needs_rows(self) -> bool:
        """Whether one of them looks at what the server prints of an object."""
        return any(condition.needs_row for condition in self.conditions)

    def form(self, query: Query, *, is_target: bool) -> Form:
        """How the objects of `query` have to come, be they waited for or what stands behind those.

        Whole, and Secrets as they are: they are compared, and never shown.
        """
        return FullForm(query.resource, secrets=True) if is_target and self.needs_rows else ObjectForm(secrets=True)


@dataclass(frozen=True, slots=True)
class Reading(Query):
    """An object, or what stands behind it, asked for anew; `turn` tells one such question from the next."""

    turn: int = 0


class Result(NamedTuple):
    """What one condition says of one object.

    reference  the object, as kubectl prints it: `pod/web-0`, `deployment.apps/web`
    namespace  its namespace, "" where its type has none
    condition  the condition, as it was given
    outcome    what it says: MET, WAITING, FAILED, or UNANSWERABLE of such an object
    seconds    since the start, when it said so first
    reason     why, in words
    culprit    what is to blame for a rollout that failed, where that is known
    """

    reference: str
    namespace: str
    condition: str
    outcome: Outcome
    seconds: float
    reason: str
    culprit: Culprit | None = None


class End(NamedTuple):
    """How a wait ended: MET, or what of which object ended it otherwise."""

    outcome: Outcome
    result: Result | None = None


_OPEN = (Outcome.MET, Outcome.WAITING)
_UNLISTED = Verdict(Outcome.WAITING, "not listed yet")


@dataclass(slots=True, eq=False)
class _Target:
    """One object that is waited for, under the query that found it."""

    query: Query
    key: Key
    uid: str = ""
    version: str = ""
    state: Any = None
    gone: bool = False
    leaving: bool = False
    reading: Reading | None = None
    unanswered: set[Query] = field(default_factory=set)
    confirmed: bool = False
    verdict: Verdict = _UNLISTED
    says: dict[str, tuple[Verdict, float]] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """`deployment.apps/web`, as kubectl prints it."""
        return f"{self.query.resource.reference}/{self.key[1]}"

    @property
    def value(self) -> Any:
        """The object, None while it isn't there."""
        return self.state.object if self.state is not None else None


class _Question(NamedTuple):
    """What was asked anew for which object's sake: itself, or (`behind`) what a watch of its dependents showed."""

    target: _Target
    changes: dict[str, Change]
    behind: Query | None = None


class Wait:
    """Waits for `plan` over the objects of `queries`, from `started` on."""

    def __init__(self, plan: Plan, queries: Sequence[Query], started: float) -> None:
        """Raises UsageError where a condition isn't for such objects."""
        for query in queries:
            for condition in plan.conditions:
                condition.check(query.resource)
        self._plan = plan
        self._started = started
        self._queries = tuple(queries)
        self._unsynced = set(queries)
        self._targets: dict[tuple[Query, Key], _Target] = {}
        self._dependents = Dependents() if any(each.needs_dependents for each in plan.conditions) else None
        self._behind: dict[Query, bool] = {}
        self._dirty: set[tuple[Query, Key]] = set()
        self._seen: dict[Query, dict[str, Change]] = {}
        self._readings: dict[Query, _Question] = {}
        self._turn = 0
        self._wanted: list[Query] = []
        self._unwanted: list[Query] = []
        self._judged = float("-inf")
        self._told: dict[tuple[Query, Key], str] = {}
        for query in queries:
            if query.name and plan.lasting:
                self._add(query, (query.namespace, query.name))

    # What came

    def take(self, query: Query, signals: Iterable[Signal], now: Moment) -> None:
        """What a watch found: one of the queries waited for, or one that `wanted` gave."""
        if isinstance(query, Reading) and query not in self._readings:
            return  # nobody waits for that answer any more
        for signal in signals:
            if isinstance(signal, Change):
                self._change(query, signal, now)
            elif isinstance(signal, Synced):
                self._check_columns(query, signal)
                self._synced(query, signal.version, now)

    def fail(self, query: Query) -> bool:
        """A watch can't go on. False where the wait can't either; True where it is only the poorer for it."""
        if query in self._behind:
            self._behind[query] = True
            return True
        if query in self._readings:
            self._answered(query)
            return True
        return False

    def wanted(self) -> tuple[list[Query], list[Query]]:
        """What else is to be watched from now on, and what no longer; each is said once."""
        wanted, unwanted, self._wanted, self._unwanted = self._wanted, self._unwanted, [], []
        return wanted, unwanted

    # What it means

    def decide(self, now: Moment) -> End | None:
        """How the wait ends, or None while it goes on."""
        for target in self._to_judge(now):
            self._judge(target, now)
        for target in self._targets.values():
            if target.verdict.outcome is Outcome.WAITING and target.verdict.doubtful:
                self._read_all(target)
            elif target.verdict.outcome not in (Outcome.MET, Outcome.WAITING) and self._is_certain(target, now):
                return End(target.verdict.outcome, self._result(target, self._blamed(target), target.verdict, now))
        return End(Outcome.MET) if self._is_enough() else None

    def results(self, now: Moment) -> list[Result]:
        """What each condition says of each object, as it stands."""
        found = []
        for target in self._targets.values():
            for condition in (*self._plan.all_of, *self._plan.any_of):
                verdict, since = target.says.get(condition.text, (target.verdict, now.monotonic))
                found.append(self._result(target, condition.text, verdict, now, since))
        return found

    def references(self, *, met: bool) -> list[tuple[str, str, str]]:
        """(reference, namespace, why) of the objects that are met, or that aren't."""
        chosen = (each for each in self._targets.values() if (each.verdict.outcome is Outcome.MET) is met)
        return [(each.reference, each.key[0], _why(each.verdict)) for each in chosen]

    def news(self) -> list[tuple[str, str, str]]:
        """(reference, namespace, why) of the objects of which something else is to be said than the last time.

        Not of one that fails: that ends the wait, and is said then.
        """
        found = []
        for key, target in self._targets.items():
            if target.verdict is _UNLISTED or target.verdict.doubtful or target.verdict.outcome not in _OPEN:
                continue
            if self._told.get(key) != (why := _why(target.verdict)):
                self._told[key] = why
                found.append((target.reference, target.key[0], why))
        return found

    def steps(self) -> list[tuple[str, str, str]]:
        """The same in brief, of what isn't met yet, and only where it has got further: another pod of a rollout that
        starts is no step, another number is."""
        found = []
        for key, target in self._targets.items():
            verdict = target.verdict
            if verdict.outcome is Outcome.MET:
                self._told.pop(key, None)  # what it lacked is news when it lacks it again
            if verdict is _UNLISTED or verdict.doubtful or verdict.outcome is not Outcome.WAITING:
                continue
            step = verdict.progress or _why(verdict)
            if self._told.get(key) != step:
                self._told[key] = step
                found.append((target.reference, target.key[0], verdict.brief or step))
        return found

    def tally(self) -> tuple[int, int]:
        """How many objects are met, and of how many: those there are, or as many as are enough."""
        targets = list(self._targets.values())
        met = sum(each.verdict.outcome is Outcome.MET for each in targets)
        return met, self._plan.count or len(targets)

    def place(self, namespace: str) -> str:
        """` in NAMESPACE`, where the objects of several are waited for: a name alone wouldn't tell them apart."""
        spaces = {query.namespace for query in self._queries}
        return f" in {namespace}" if namespace and (len(spaces) > 1 or "" in spaces) else ""

    @property
    def sought(self) -> str:
        """What is waited for: `pods in shop with labels app=web and fields status.phase=Running`."""
        query = self._queries[0]
        several = [each.namespace for each in self._queries if each.namespace]
        spaces = f" in {', '.join(dict.fromkeys(several))}" if several else ""
        types = ", ".join(dict.fromkeys(f"{each.resource.qualified} {each.name}".strip() for each in self._queries))
        narrowed = [
            f"{kind} {text}"
            for kind, text in (("labels", query.label_selector), ("fields", query.field_selector))
            if text
        ]
        return types + spaces + (f" with {' and '.join(narrowed)}" if narrowed else "")

    def progress(self) -> str:
        """How far it is, on one line."""
        targets = list(self._targets.values())
        first = next((each for each in targets if each.verdict.outcome is not Outcome.MET), None)
        if first is None:
            none = f"there are no {self.sought} yet" if self.is_listed else f"{self.sought}: not listed yet"
            return f"{len(targets)} met" if targets else none
        words = f"{first.reference}{self.place(first.key[0])}: {first.verdict.brief or _why(first.verdict)}"
        if len(targets) == 1:
            return words
        return "{} of {} met; {}".format(*self.tally(), words)

    @property
    def is_listed(self) -> bool:
        """Whether it is known which objects there are."""
        return not self._unsynced

    @property
    def is_synced(self) -> bool:
        """Whether what there is was listed, so that checking once makes sense: what stands behind it, too."""
        return self.is_listed and all(self._behind.values()) and not self._readings

    def _check_columns(self, query: Query, signal: Synced) -> None:
        if query in self._unsynced and signal.columns:
            for condition in self._plan.conditions:
                condition.columns(signal.columns, query.resource.plural)

    # Changes

    def _add(self, query: Query, key: Key) -> _Target:
        target = self._targets[query, key] = _Target(query, key)
        self._dirty.add((query, key))
        return target

    def _change(self, query: Query, change: Change, now: Moment) -> None:
        if query in self._behind:
            self._observe(query, change, now)
        elif query in self._readings:
            self._reread(query, change, now)
        elif change.type == "DELETED":
            self._deleted(query, change)
        else:
            self._present(query, change)

    def _present(self, query: Query, change: Change) -> None:
        target = self._targets.get((query, change.key))
        if target is not None and target.uid and target.uid != change.uid and not target.gone:
            self._end(target)  # another life of the name proves the end of the former, left selector or not
            target = self._targets.get((query, change.key))
        if target is None:
            if self._plan.ends_objects and query not in self._unsynced:
                return  # it came after those whose end is waited for
            target = self._add(query, change.key)
        if target.gone and (self._plan.ends_objects or target.uid != change.uid):
            return  # another life of the name, perhaps in the same batch: the deletion isn't judged yet
        if target.uid == change.uid and older(change.version, target.version):
            return  # the object was read anew meanwhile, and this watch is behind
        if target.leaving and target.reading:  # it entered the selector again
            self._close(target.reading)
        target.uid, target.version, target.state = change.uid, change.version, change.state
        target.gone = target.leaving = target.confirmed = False
        self._dirty.add((query, change.key))
        self._look_behind(target)

    def _deleted(self, query: Query, change: Change) -> None:
        target = self._targets.get((query, change.key))
        if target is None or target.uid != change.uid:
            return
        if query.label_selector or query.field_selector:  # fault 22: it may only have left the selector
            target.leaving = True
            self._read_anew(target)
        else:
            self._end(target)

    def _end(self, target: _Target) -> None:
        """It is deleted, no doubt."""
        key = target.query, target.key
        target.gone, target.leaving = True, False
        self._dirty.add(key)
        tolerated = not self._plan.lasting or self._plan.count is not None
        awaited = any(each.deletion for each in self._plan.conditions)
        if tolerated and not awaited:
            self._forget(target)

    def _forget(self, target: _Target) -> None:
        key = target.query, target.key
        self._targets.pop(key, None)
        self._dirty.discard(key)
        for query in [each for each, question in self._readings.items() if question.target is target]:
            self._close(query)

    def _synced(self, query: Query, version: str, now: Moment) -> None:
        if query in self._behind:
            self._behind[query] = True
            self._dirty |= self._targets.keys()
        elif query in self._readings and self._is_behind(self._readings[query], version):
            self._answered(query)  # a server that answers with what was before: what the watches say is newer
        elif query in self._readings:
            self._read(query, now)
        else:
            self._unsynced.discard(query)
            self._dirty |= {key for key in self._targets if key[0] == query}

    # Reading anew

    def _read_anew(self, target: _Target) -> None:
        """Ask for the object by its name: the answer is newer than all that came so far."""
        if target.reading:
            return
        query = target.query
        self._turn += 1
        reading = Reading(query.resource, target.key[0], target.key[1], cluster=query.cluster, turn=self._turn)
        target.reading = reading
        self._ask(reading, _Question(target, {}))

    def _read_all(self, target: _Target) -> None:
        if not target.unanswered:
            self._read_anew(target)
            self._read_behind(target)

    def _read_behind(self, target: _Target) -> None:
        """Ask for what stands behind it: each watch may be behind the others, by as much as its pause is long."""
        for query in self._behind:
            if query.namespace == target.key[0] and query.cluster == target.query.cluster:
                self._turn += 1
                chosen = ("", query.label_selector, query.field_selector, query.cluster)
                reading = Reading(query.resource, query.namespace, *chosen, turn=self._turn)
                self._ask(reading, _Question(target, {}, query))

    def _ask(self, reading: Reading, question: _Question) -> None:
        self._readings[reading] = question
        question.target.unanswered.add(reading)
        self._wanted.append(reading)

    def _reread(self, query: Query, change: Change, now: Moment) -> None:
        question = self._readings[query]
        question.changes[change.uid] = change
        if query not in question.target.unanswered:  # it goes on being watched by its name
            self._read(query, now)

    def _read(self, query: Query, now: Moment) -> None:
        """The answer is there."""
        target, changes, behind = self._readings[query]
        if behind is not None:
            self._learn(behind, changes, now)
            self._answered(query)
            return
        alive = changes.get(target.uid)
        if alive is None or alive.type == "DELETED":
            self._answered(query)
            self._end(target)
        elif target.leaving and not self._plan.ends_objects:
            self._forget(target)
        else:
            if older(target.version, alive.version):
                target.version, target.state = alive.version, alive.state
            self._answered(query, follow=target.leaving)

    def _is_behind(self, question: _Question, version: str) -> bool:
        known = [question.target.version]
        if question.behind is not None:
            known = [change.version for change in self._seen.get(question.behind, {}).values()]
        return any(older(version, each) for each in known)

    def _learn(self, behind: Query, listed: dict[str, Change], now: Moment) -> None:
        """A watch's dependents as they are now: what it hasn't heard of yet."""
        vanished = {uid: change for uid, change in self._seen.get(behind, {}).items() if uid not in listed}
        for change in listed.values():
            self._observe(behind, change, now)
        for change in vanished.values():
            self._observe(behind, change._replace(type="DELETED"), now)

    def _answered(self, query: Query, *, follow: bool = False) -> None:
        """What left its selector is followed by its name: nobody else would tell of its end."""
        target = self._readings[query].target
        target.unanswered.discard(query)
        target.confirmed = not target.unanswered
        if target.confirmed and self._dependents and target.value is not None:
            self._dependents.note_calm(target.value)
        self._dirty |= {key for key in [(target.query, target.key)] if key in self._targets}
        if not follow:
            self._close(query)

    def _close(self, query: Query) -> None:
        target = self._readings.pop(query).target
        target.unanswered.discard(query)
        if target.reading == query:
            target.reading = None
        if query in self._wanted:
            self._wanted.remove(query)  # nobody was told of it yet
        else:
            self._unwanted.append(query)

    # Dependents

    def _look_behind(self, target: _Target) -> None:
        """Watch what stands behind a workload; many of them share one watch of the namespace."""
        if self._dependents is None:
            return
        for query in queries_behind(target.value, target.query):
            whole = Query(query.resource, query.namespace, field_selector=query.field_selector, cluster=query.cluster)
            alike = sum(each.resource == query.resource and each.namespace == query.namespace for each in self._behind)
            if query in self._behind or whole in self._behind:
                continue
            chosen = query if alike < SELECTORS_EACH else whole
            self._behind[chosen] = False
            self._wanted.append(chosen)

    def _observe(self, query: Query, change: Change, now: Moment) -> None:
        assert self._dependents is not None
        deleted = change.type == "DELETED"
        seen = self._seen.setdefault(query, {})
        if (known := seen.get(change.uid)) and older(change.version, known.version):
            return  # it was read anew meanwhile, and this watch is behind
        if deleted:
            seen.pop(change.uid, None)
        else:
            seen[change.uid] = change
        value = change.state.object
        self._dependents.observe(value, now.monotonic, deleted=deleted)
        uid = self._dependents.workload_of(value)
        self._dirty |= {key for key, target in self._targets.items() if target.uid == uid}

    # Judging

    def _to_judge(self, now: Moment) -> Iterator[_Target]:
        if now.monotonic - self._judged >= AGAIN_SECONDS and any(each.timed for each in self._plan.conditions):
            self._judged = now.monotonic
            self._dirty |= self._targets.keys()
        dirty, self._dirty = self._dirty, set()
        return (self._targets[key] for key in dirty)

    def _judge(self, target: _Target, now: Moment) -> None:
        if target.query in self._unsynced and target.state is None:
            return
        row = target.state if isinstance(target.state, Row) else None
        subject = Subject(target.query, target.key, target.value, target.gone, row, self._dependents)
        for condition in (*self._plan.all_of, *self._plan.any_of):
            self._note(target, condition, condition.judge(subject, now), now)
        failing = self._failing(subject, now)
        verdict = failing or _all([target.says[each.text][0] for each in self._plan.all_of], self._plan.all_of)
        if verdict.outcome is Outcome.MET and self._plan.any_of:
            verdict = _any([target.says[each.text][0] for each in self._plan.any_of])
        if not verdict.doubtful:
            target.confirmed = target.confirmed and target.leaving
        target.verdict = verdict

    def _note(self, target: _Target, condition: Condition, verdict: Verdict, now: Moment) -> None:
        before = target.says.get(condition.text)
        since = before[1] if before and before[0].outcome is verdict.outcome else now.monotonic
        target.says[condition.text] = verdict, since

    def _failing(self, subject: Subject, now: Moment) -> Verdict | None:
        """What `--fail-on` says, once there was something to say it of."""
        if subject.value is None and not subject.gone:
            return None
        for condition in self._plan.fail_on:
            verdict = condition.judge(subject, now)
            if verdict.outcome is Outcome.MET:
                return Verdict(Outcome.FAILED, f"{condition.text} is met: {verdict.why}")
        return None

    def _is_certain(self, target: _Target, now: Moment) -> bool:
        """Whether a failure is to be believed, and complete: if not, the object is asked for anew, or pods awaited."""
        if not (target.gone or target.verdict.culprit or all(self._behind.values())):
            since = max((when for _, when in target.says.values()), default=now.monotonic)
            return now.monotonic - since >= HOLD_SECONDS
        if not target.verdict.doubtful or target.confirmed:
            return True
        self._read_all(target)
        return False

    def _is_enough(self) -> bool:
        if self._unsynced or not (self._plan.all_of or self._plan.any_of):
            return False
        targets = list(self._targets.values())
        if not targets:
            return self._plan.ends_objects
        met = sum(each.verdict.outcome is Outcome.MET and (each.gone or not each.leaving) for each in targets)
        return met >= self._plan.count if self._plan.count is not None else met == len(targets)

    def _blamed(self, target: _Target) -> str:
        says = {name: verdict for name, (verdict, _) in target.says.items()}
        failed = [name for name, verdict in says.items() if verdict.outcome is target.verdict.outcome]
        met = [each.text for each in self._plan.fail_on if target.verdict.why.startswith(f"{each.text} is met")]
        return next(iter(met or failed), "")

    def _result(
        self, target: _Target, condition: str, verdict: Verdict, now: Moment, since: float | None = None
    ) -> Result:
        at = now.monotonic if since is None or verdict.outcome is not Outcome.MET else since
        seconds = round(at - self._started, 3)
        return Result(
            target.reference, target.key[0], condition, verdict.outcome, seconds, _why(verdict), verdict.culprit
        )


def _why(verdict: Verdict) -> str:
    return f"{verdict.why}: {verdict.culprit}" if verdict.culprit else verdict.why


def _all(verdicts: Sequence[Verdict], conditions: Sequence[Condition]) -> Verdict:
    """What conditions that must all hold say together: the worst of them, named where there are several."""
    for outcome in (Outcome.UNANSWERABLE, Outcome.FAILED, Outcome.WAITING):
        for verdict, condition in zip(verdicts, conditions, strict=True):
            if verdict.outcome is outcome:
                named = f"{condition.text}: {verdict.why}" if len(conditions) > 1 else verdict.why
                return verdict._replace(why=named)
    return verdicts[0] if verdicts else Verdict(Outcome.MET, "")


def _any(verdicts: Sequence[Verdict]) -> Verdict:
    """What conditions of which one is enough say together: failed only when none of them can still come true."""
    for outcome in (Outcome.MET, Outcome.WAITING):
        found = [verdict for verdict in verdicts if verdict.outcome is outcome]
        if found:
            return found[0]._replace(why=" and ".join(dict.fromkeys(verdict.why for verdict in found)))
    return verdicts[0]
