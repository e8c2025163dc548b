"""What a word may be: types, names, namespaces, contexts, columns, forms of output.

Types come from the built-in table and the kept answers of servers, without a request. Names and namespaces, and the
columns of a custom type, are asked of the server, once, until SECONDS have passed. Errors are the caller's.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from kwatch.cluster.cache import cache_folder, known_types
from kwatch.cluster.resources import BUILT_IN, find
from kwatch.model import Query, Resource

if TYPE_CHECKING:
    from kwatch.cluster.kubeconfig import ConnectionOptions

SECONDS = 1.5
"""For one request, everything that it needs included."""
LIMIT = 2000
"""Objects of a namespace that are asked for: more names than that nobody reads."""
OPERATORS = ("=", "!=", "=~", "!~", ">", ">=", "<", "<=")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Candidate(NamedTuple):
    """A word, what it is, and click's type: `file` and `dir` leave it to the shell."""

    value: str
    help: str = ""
    type: str = "plain"

    def within(self, option: str, kept: str) -> Candidate:
        """The same after `option`, without the beginning that is `kept` on the command line."""
        return self._replace(value=(option + self.value).removeprefix(kept))


@dataclass(frozen=True, slots=True)
class Line:
    """The command line before the cursor: the command, what its parameters were given, the unfinished word.

    `connects`: whether it is a command that goes to a server.
    """

    command: str
    given: Mapping[str, Any]
    word: str
    variables: Mapping[str, str]
    connects: bool = True


def after_comma(line: Line, values: Iterable[str | Candidate]) -> list[Candidate]:
    """The values after the last comma of the word, those before it left out."""
    head, comma, _ = line.word.rpartition(",")
    known = [each if isinstance(each, Candidate) else Candidate(each) for each in values]
    there = head.split(",")
    return [each._replace(value=head + comma + each.value) for each in known if each.value not in there]


def types(line: Line) -> list[Candidate]:
    """TYPE[,TYPE…], or after `TYPE/` names."""
    return references(line) if "/" in line.word else after_comma(line, _spelled(line))


def references(line: Line) -> list[Candidate]:
    """TYPE/NAME."""
    word, slash, _ = line.word.partition("/")
    if not slash:
        return [Candidate(f"{each.value}/", each.help) for each in _spelled(line)]
    found = find(word, _known(line))
    return [Candidate(f"{word}/{name}") for name in _names(line, found)] if found else []


def names(line: Line) -> list[Candidate]:
    """Names of the types given, but for those there already."""
    given = str(line.given.get("type") or "")
    if "/" in given:
        return references(line)
    found = [find(word, _known(line)) for word in given.split(",")]
    there = line.given.get("names") or ()
    return [Candidate(name) for each in found if each for name in _names(line, each) if name not in there]


def namespaces(line: Line) -> list[Candidate]:
    """The cluster's; where it doesn't say, those that the kubeconfig's contexts name."""
    with contextlib.suppress(Exception):
        found = find("namespaces", BUILT_IN)
        return after_comma(line, _names(line, found) if found else ())
    contexts = _kubeconfig(line).contexts.values()
    return after_comma(line, sorted({context.text("namespace") for context in contexts} - {""}))


def of_kubeconfig(section: str, line: Line) -> list[Candidate]:
    """The names of its contexts, clusters or users."""
    return after_comma(line, getattr(_kubeconfig(line), section))


def forms(line: Line) -> list[Candidate]:
    """Forms of output."""
    from kwatch.sinks import FORMS

    return [Candidate(f"{name}=" if form.takes_template else name) for name, form in FORMS.items() if name]


def scenarios(line: Line) -> list[Candidate]:
    """What a sandbox can play."""
    from kwatch.sandbox.scenarios import SCENARIOS

    return [Candidate(name) for name in SCENARIOS]


def columns(line: Line) -> list[Candidate]:
    """The printed columns of the types given, and those that all have."""
    found = [name for each in _types_given(line) for name in _columns(line, each)]
    unique = dict.fromkeys(name.upper().replace(" ", "_") for name in found)
    return [Candidate(name) for name in [*unique, *({"NAMESPACE", "NAME", "KIND", "CLUSTER"} - unique.keys())]]


def conditions_on_columns(line: Line) -> list[Candidate]:
    """The beginnings of a condition: a column and `=`, or the operators once it is clear which column."""
    found = [each.value for each in columns(line) if each.value.startswith(line.word)]
    return [Candidate(column + sign) for column in found for sign in (OPERATORS if len(found) == 1 else ("=",))]


def _types_given(line: Line) -> list[Resource]:
    text = "events" if line.command == "events" else str(line.given.get("type") or "")
    found = [find(word.partition("/")[0], _known(line)) for word in text.split(",")]
    return [each for each in found if each]


def _known(line: Line) -> Sequence[Resource]:
    """The types there are, as far as is known without a request."""

    def server() -> str:
        from kwatch.cluster.kubeconfig import resolve

        with contextlib.suppress(Exception):
            return resolve(_connection_options(line), line.variables).server
        return ""

    folder = cache_folder(str(line.given.get("cache_dir") or ""), line.variables)
    return known_types(folder if line.connects else None, server, others=not line.given.get("server"))


def _spelled(line: Line) -> list[Candidate]:
    """A type by its plural; with its group where that is another's, or is being typed; by its other names where no
    plural begins with the word; and categories."""
    known = _known(line)
    word = line.word.rpartition(",")[2]
    owners: dict[str, Resource] = {}
    for each in known:
        owners.setdefault(each.plural, each)
    spelled = {
        each.plural if owners[each.plural] is each and "." not in word else each.qualified: each.kind for each in known
    }
    spelled |= {name: "category" for each in known for name in each.categories}
    if not any(name.startswith(word) for name in spelled):
        spelled |= {name: each.kind for each in known for name in (*each.short_names, each.singular)}
    return [Candidate(name, text) for name, text in spelled.items()]


def _kubeconfig(line: Line) -> Any:
    from kwatch.cluster.kubeconfig import kubeconfig

    return kubeconfig(_connection_options(line), line.variables)


def _connection_options(line: Line) -> ConnectionOptions:
    """The connection flags typed so far; of several contexts the first."""
    from kwatch.cli.options import connection_of

    contexts, options = connection_of(dict(line.given))
    return replace(options, context=next(iter(contexts), ""))


def _names(line: Line, resource: Resource) -> list[str]:
    """The names of its objects, in the namespaces given."""
    if not line.connects or (resource.namespaced and line.given.get("all_namespaces")):
        return []  # nowhere to ask; names are of one namespace
    table = _table(line, resource, LIMIT)
    place = next(index for index, each in enumerate(table["columnDefinitions"]) if each.get("format") == "name")
    return [str(row["cells"][place]) for row in table["rows"]]


def _columns(line: Line, resource: Resource) -> list[str]:
    """The names of its printed columns: those of Kubernetes' own types are known here."""
    if line.command == "events":
        from kwatch.events import COLUMNS

        return [each.name for each in COLUMNS]
    from kwatch.sandbox.kinds import BUILT_IN as KINDS

    for kind in KINDS:
        if (kind.group, kind.plural) == (resource.group, resource.plural):
            return [each.name for each in kind.columns]
    return [str(each["name"]) for each in _table(line, resource, 1)["columnDefinitions"]]


def _table(line: Line, resource: Resource, limit: int) -> Any:
    """Its objects in the first namespace given, as the server prints them."""
    from kwatch.cluster.documents import Documents
    from kwatch.cluster.kubeconfig import resolve
    from kwatch.pump import RealClock

    ends = time.monotonic() + SECONDS
    connection = resolve(_connection_options(line), line.variables)
    given = [name for group in line.given.get("namespace") or () for name in group]
    namespace = next(iter(given), connection.namespace or "default") if resource.namespaced else ""
    with Documents(connection, RealClock(), ends) as documents:
        path = f"{Query(resource, namespace).path}?limit={limit}&includeObject=None"
        return json.loads(documents.get(path, TABLE))
