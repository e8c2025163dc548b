"""What completion answers: the right words, at once, and never an error."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command import is_running, variables
from customs import crd
from kubectl import needs_kubectl
from polling import eventually
from scripted import ScriptedServer
from shells import on_path

from kwatch.cli import cli
from kwatch.cli.completion import ARGUMENTS, NO_FILES, NO_SPACE, OF_COMMANDS, OPTIONS, answer, for_line, split
from kwatch.cli.completion.candidates import OPERATORS
from kwatch.cluster.cache import Cache, cache_folder
from kwatch.cluster.discovery import Discovery
from kwatch.cluster.kubeconfig import Connection
from kwatch.conditions.predicates import parse_condition
from kwatch.filters import parse_where
from kwatch.model import Resource
from kwatch.sandbox.play import playing
from kwatch.sinks import FORMS

WIDGETS = Resource("example.com", "v1", "widgets", "Widget", True, "widget", ("wd",), ("all",), ("list", "watch"))
PODS = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", True, "", (), (), ("list", "watch"))


def words(*typed: str, **more: str) -> list[str]:
    """The candidates for the last of the words."""
    return [each.value for each in answer(cli, typed, {"HOME": "/nonexistent", **more}).candidates]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which an earlier run kept what a server serves, and a kubeconfig."""
    folder = cache_folder("", {"HOME": str(tmp_path)})
    Cache(folder, Connection("https://here:6443")).save(Discovery((WIDGETS, PODS)))
    entry: dict[str, Any] = {
        "clusters": [{"name": "c1", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u1", "user": {}}, {"name": "admin", "user": {}}],
        "contexts": [
            {"name": "prod", "context": {"cluster": "c1", "user": "u1", "namespace": "shop"}},
            {"name": "arn:aws:eks:x", "context": {"cluster": "c1", "user": "u1", "namespace": "kube-system"}},
        ],
        "current-context": "prod",
    }
    (tmp_path / ".kube" / "config").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **entry}))
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An API server with objects, one custom type among their types."""
    with playing("quiet") as playing_server:
        power = {"name": "Power Level", "type": "string", "jsonPath": ".spec.power"}
        playing_server.cluster.create("customresourcedefinitions", crd("gadgets", "Gadget", columns=[power]))
        yield playing_server.url


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["deploym"], ["deployments"]),
        (["resour"], ["resources", "resourcequotas", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
        (["pods,deploym"], ["pods,deployments"]),
        (["deployments."], ["deployments.apps"]),
        (["hp"], ["hpa"]),
        (["watch", "secr"], ["secrets"]),
        (["-A", "secr"], ["secrets"]),
        (["events", "--for", "deploym"], ["deployments/"]),
        (["events", "--types", "W"], ["Warning"]),
        (["pods", "--types", "ADDED,D"], ["ADDED,DELETED"]),
        (["pods", "--output", "custom-columns"], ["custom-columns=", "custom-columns-file="]),
        (["pods", "--output=nd"], ["ndjson"]),
        (["pods", "-o", "nd"], ["ndjson"]),
        (["resources", "-o", "w"], ["wide"]),
        (["demo", "--scenario", "ro"], ["rollout"]),
        (["pods", "--color", "al"], ["always"]),
        (["pods", "--where", "REA"], ["READY=", "READINESS_GATES="]),
        (["pods", "--where", "RES"], [f"RESTARTS{sign}" for sign in OPERATORS]),
        (["pods,deploy", "--where", "UP"], [f"UP-TO-DATE{sign}" for sign in OPERATORS]),
        (["pods", "--where", "NOM"], [f"NOMINATED_NODE{sign}" for sign in OPERATORS]),
        (["--where", "CLU"], [f"CLUSTER{sign}" for sign in OPERATORS]),
        (["events", "--where", "LAST"], [f"LAST_SEEN{sign}" for sign in OPERATORS]),
        (["pods", "--sort-by", "AG"], ["AGE"]),
        (["pods", "--field-s"], ["--field-selector"]),
        (["--vers"], ["--version"]),
        (["--field-s"], ["--field-selector"]),
        (["pods", "--count", ""], []),
        (["completion", "z"], ["zsh"]),
        (["nosuch", "--output", "nd"], ["ndjson"]),
        (["pods", "--nosuch", "deploym"], ["deployments"]),
    ],
    ids=" ".join,
)
def test_a_word_is_completed(typed: list[str], expected: list[str]) -> None:
    assert words(*typed) == expected


def test_the_first_word_is_a_command_or_a_type() -> None:
    assert {"watch", "events", "pods", "all"} <= set(words())


def test_every_form_of_output_is_a_candidate() -> None:
    assert {word.removesuffix("=") for word in words("pods", "-o", "")} == set(FORMS) - {""}


def test_every_option_of_each_command_is_a_candidate() -> None:
    for name, command in cli.commands.items():
        shown = [each for each in command.params if each.param_type_name == "option" and not getattr(each, "hidden", 0)]
        assert {name for each in shown for name in each.opts} <= set(words(name, "-"))


def test_types_that_a_server_was_known_to_serve_are_completed_without_asking_it(home: Path) -> None:
    assert words("widg", HOME=str(home)) == ["widgets"]
    assert words("wd", HOME=str(home)) == ["wd"]
    assert words("pods", HOME=str(home)) == ["pods", "pods.metrics.k8s.io"]
    assert words("-s", "https://elsewhere:6443", "widg", HOME=str(home)) == []


def test_types_that_this_server_does_not_serve_are_not_offered_where_that_is_known(home: Path) -> None:
    folder = cache_folder("", {"HOME": str(home)})
    Cache(folder, Connection("https://127.0.0.1:9")).save(Discovery((WIDGETS,)))
    assert words("watch", "", HOME=str(home)) == ["widgets", "all"]
    assert words("watch", "-s", "https://127.0.0.1:9", "", HOME=str(home)) == ["widgets", "all"]
    assert "pods" in words("watch", "-s", "https://elsewhere", "", HOME=str(home))


def test_contexts_clusters_and_users_are_the_kubeconfigs(home: Path) -> None:
    assert words("pods", "--context", "", HOME=str(home)) == ["prod", "arn:aws:eks:x"]
    assert words("pods", "--context", "prod,", HOME=str(home)) == ["prod,arn:aws:eks:x"]
    assert words("pods", "--cluster", "", HOME=str(home)) == ["c1"]
    assert words("resources", "--user", "a", HOME=str(home)) == ["admin"]


def test_namespaces_are_the_clusters_and_without_it_those_of_the_contexts(home: Path, server: str) -> None:
    assert words("-s", server, "pods", "-n", "kube-") == ["kube-node-lease", "kube-public", "kube-system"]
    assert words("-s", server, "pods", "-n", "shop,kube-p") == ["shop,kube-public"]
    assert words("pods", "-n", "", HOME=str(home)) == ["kube-system", "shop"]


def test_names_are_asked_of_the_server(server: str) -> None:
    assert words("-s", server, "deploy", "c") == ["cache"]
    assert words("-s", server, "deploy/c") == ["deploy/cache"]
    assert words("-s", server, "deploy/cache", "deployment/c") == ["deployment/cache"]
    assert words("-s", server, "pods", "-n", "shop", "db") == ["db-0", "db-1"]
    assert words("-s", server, "pods", "-n", "shop", "db-0", "db") == ["db-1"], "what is there already isn't offered"
    assert words("-s", server, "events", "-n", "shop", "--for", "pod/db") == ["pod/db-0", "pod/db-1"]
    assert words("-s", server, "pods", "-A", "db") == [], "a name is of one namespace"
    assert words("-s", server, "nodes", "node-0") == ["node-0"]


def test_columns_of_a_custom_type_are_asked_of_the_server(server: str, tmp_path: Path) -> None:
    gadgets = Resource("example.com", "v1", "gadgets", "Gadget")
    Cache(cache_folder("", {"HOME": str(tmp_path)}), Connection(server)).save(Discovery((gadgets,)))
    assert words("-s", server, "gadgets", "--sort-by", "P", HOME=str(tmp_path)) == ["POWER_LEVEL"]


def test_each_operator_offered_makes_a_condition() -> None:
    for sign in OPERATORS:
        assert parse_where(f"RESTARTS{sign}3").column == "RESTARTS"


def test_files_and_folders_are_left_to_the_shell() -> None:
    assert answer(cli, ["pods", "--kubeconfig", "/et"], {}) == ((), 0)
    assert answer(cli, ["--kubeconfig=/et"], {}) == ((), 0)
    assert answer(cli, ["pods", "--cache-dir", "/et"], {}) == ((), 16)


def test_a_word_that_goes_on_gets_no_space_behind_it() -> None:
    assert answer(cli, ["pods", "-o", "jsonpath"], {}).directive == NO_FILES | NO_SPACE
    assert answer(cli, ["pods", "-o", "nd"], {}).directive == NO_FILES


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kwatch ", ["kwatch", ""]),
        ("kwatch po", ["kwatch", "po"]),
        ("kwatch --where 'STATUS!=a b", ["kwatch", "--where", "STATUS!=a b"]),
        ("kwatch -o \"it's", ["kwatch", "-o", "it's"]),
        ("kwatch a\\ b ", ["kwatch", "a b", ""]),
        ("kwatch a\\", ["kwatch", "a"]),
    ],
)
def test_a_line_is_split_as_a_shell_does_it(line: str, expected: list[str]) -> None:
    assert split(line) == expected


@pytest.mark.parametrize(
    ("line", "tail", "expected"),
    [
        ("kwatch --context arn:aws:", "", ["eks:x"]),
        ("kwatch --context arn:a", "a", ["aws:eks:x"]),
        ("kwatch --context=arn:a", "a", ["aws:eks:x"]),
        ("kwatch --context=ar", "--context=ar", ["--context=arn:aws:eks:x"]),
    ],
)
def test_bash_gets_what_is_left_of_a_word_that_it_parts(line: str, tail: str, expected: list[str], home: Path) -> None:
    found = for_line(cli, line, tail, {"HOME": str(home)})
    assert [each.value for each in found.candidates] == expected


def test_what_a_server_sends_to_harm_a_terminal_is_no_candidate(home: Path) -> None:
    evil = Resource("example.com", "v1", "evil\x1b[2J", "Evil\x1b]0;x\x07")
    odd = Resource("example.com", "v1", "odd", "Odd\x1b[31m\tmore\n:0")
    Cache(cache_folder("", {"HOME": str(home)}), Connection("https://here:6443")).save(Discovery((evil, odd)))
    assert words("evil", HOME=str(home)) == []
    assert str(answer(cli, ["odd"], {"HOME": str(home)})) == "odd\tOdd[31m more :0\n:4\n"


# The process


def run(*arguments: str, home: Path, **more: str) -> tuple[str, str, int, float]:
    """(stdout, stderr, exit code, seconds) of the installed command."""
    started = time.monotonic()
    command = [sys.executable, "-m", "kwatch", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=variables(home) | more, check=False)
    return done.stdout, done.stderr, done.returncode, time.monotonic() - started


@pytest.mark.parametrize("typed", [["pods", ""], ["pods", "-n", ""], ["deploy/"], ["--context", ""]], ids=" ".join)
def test_an_error_is_never_printed(typed: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{not: [yaml")
    stdout, stderr, code, _ = run("__complete", *typed, home=tmp_path, KUBECONFIG=str(tmp_path / "broken"))
    assert (stdout, stderr, code) == (":4\n", "", 0)


def test_a_server_that_refuses_is_no_error(tmp_path: Path) -> None:
    def refuse(peer: Any) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with ScriptedServer(refuse) as server:
        stdout, stderr, code, _ = run("__complete", "-s", server.url, "pods", "", home=tmp_path)
    assert (stdout, stderr, code) == (":4\n", "", 0)


@pytest.mark.parametrize("silent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"], ids=["mute", "amid"])
def test_a_server_that_hangs_is_given_up_within_two_seconds(silent: bytes, tmp_path: Path) -> None:
    def hang(peer: Any) -> None:
        peer.read_request()
        peer.send(silent)
        peer.hold()

    with ScriptedServer(hang) as server:
        stdout, stderr, code, seconds = run("__complete", "-s", server.url, "pods", "", home=tmp_path)
        *_, bare = run("--version", home=tmp_path)
    assert (stdout, stderr, code) == (":4\n", "", 0)
    assert seconds - bare < 2.5, "2 s and what a loaded machine adds"


def test_a_credential_plugin_may_neither_ask_nor_linger(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\necho Password: >&2\nexec sleep 60\n")
    plugin.chmod(0o755)
    how = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "IfAvailable"}
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"exec": how}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    stdout, stderr, code, _ = run("__complete", "pods", "", home=tmp_path, KUBECONFIG=str(tmp_path / "config"))
    assert (stdout, stderr, code) == (":4\n", "", 0)
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not is_running(pid))


LOADED = """
import sys
from kwatch.cli import cli
from kwatch.cli.completion import answer
assert answer(cli, sys.argv[1:], {"HOME": "/nonexistent"}).candidates
heavy = {"requests", "urllib3", "yaml", "tabulate", "jsonpath", "kwatch.app", "kwatch.sandbox"}
print(*sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("typed", [["po"], ["pods", "-"], ["pods", "-o", ""], ["pods", "--types", ""]], ids=" ".join)
def test_types_options_and_forms_load_nothing_that_asks_a_server(typed: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, *typed], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def cpu(command: list[str], environment: Mapping[str, str]) -> float:
    """Seconds of processor time, the least of five runs."""
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_types_come_in_less_than_150_ms_of_processor_time(home: Path) -> None:
    environment = variables(home)
    python = cpu([sys.executable, "-c", "pass"], environment)
    taken = cpu([sys.executable, "-m", "kwatch", "__complete", "po"], environment)
    print(f"{taken * 1000:.0f} ms, {python * 1000:.0f} of them Python's own start")
    assert taken < 0.15 or taken < 6 * python, "the second is for machines on which Python alone takes long"


@needs_kubectl
def test_kubectl_completes_its_plugin_with_the_same_answers(home: Path) -> None:
    environment = on_path(variables(home))
    for typed in (["widg"], ["pods", "--output=nd"], ["pods", "--kubeconfig", ""], [""]):
        done = subprocess.run(
            ["kubectl", "__complete", "kwatch", *typed], capture_output=True, text=True, env=environment, check=True
        )
        assert done.stdout == str(answer(cli, typed, environment))


def test_the_commands_that_kubectl_looks_for_are_installed() -> None:
    for name in ("kwatch", "kubectl-kwatch", "kubectl_complete-kwatch"):
        assert os.access(Path(sys.executable).parent / name, os.X_OK)


def test_each_row_of_the_tables_is_for_an_option_that_there_is() -> None:
    options = {(name, opt) for name, command in cli.commands.items() for each in command.params for opt in each.opts}
    arguments = {each.name for command in cli.commands.values() for each in command.params}
    assert OF_COMMANDS.keys() - options == set()
    assert OPTIONS.keys() - {opt for _, opt in options} == set()
    assert ARGUMENTS.keys() - arguments == set()


@pytest.mark.parametrize(("command", "option"), [("wait", "--for"), ("watch", "--until"), ("watch", "--fail-on")])
def test_each_condition_offered_is_one(command: str, option: str) -> None:
    values = {"condition=": "condition=Ready", "jsonpath=": "jsonpath={.status}", "where=": "where=AGE>1m"}
    offered = words(command, option, "")
    assert len(offered) == 7
    for word in offered:
        assert parse_condition(values.get(word, word))
