"""What a kubectl user types first: kwatch does it, or says how it is done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import kwatch, variables
from scripted import Peer, ScriptedServer, answer

from kwatch.sandbox import Cluster, Server


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for name in ("web-0", "web-1", "cache"):
        cluster.create("pods", {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
    return cluster


def said(arguments: list[str], server: Server, home: Path, code: int) -> str:
    """The one line on stderr of a run that ends with `code` and prints nothing."""
    run = kwatch(arguments, home, KWATCH_SERVER=server.url)
    assert (run.returncode, run.stdout) == (code, ""), run.stderr
    [line] = run.stderr.splitlines()
    return line.removeprefix("kwatch: error: ").removesuffix("; see kwatch --help")


# Words that are no types


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (["help"], "Usage: kwatch [OPTIONS]"),
        (["help", "wait"], "Usage: kwatch wait "),
        (["help", "pods"], "Usage: kwatch [OPTIONS]"),
        (["version"], "kwatch 0."),
        (["-V"], "kwatch 0."),
    ],
)
def test_help_and_version_are_had_in_kubectls_way_too(arguments: list[str], begins: str, tmp_path: Path) -> None:
    run = kwatch(arguments, tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(begins)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("get", 'leave out "get": `kwatch pods`'),
        ("get po -o wide", 'leave out "get": `kwatch po`'),
        ("-n shop get po", 'leave out "get": `kwatch po`'),
        ("api-resources", "`kwatch resources` lists what can be watched"),
        ("rollout status deploy/x", "`kwatch wait deploy/x --for rollout` waits for it"),
        ("rollout status", "`kwatch wait deploy/NAME --for rollout` waits for it"),
        ("rollout undo deploy/x", "kwatch watches; for that there is `kubectl rollout undo deploy/x`"),
        ("describe po web-0", "kwatch watches; for that there is `kubectl describe po web-0`"),
        ("logs", "kwatch watches; for that there is `kubectl logs`"),
        ("-n shop top pods", "kwatch watches; for that there is `kubectl top pods`"),
        ("config get-contexts", "contexts are kubectl's: `kubectl config get-contexts`; kwatch takes --context"),
    ],
)
def test_a_command_of_kubectls_is_no_type_but_a_hint(typed: str, hint: str, server: Server, tmp_path: Path) -> None:
    assert said(typed.split(), server, tmp_path, 2) == hint
    assert server.requests == []


def test_a_command_in_other_letters_is_told_with_an_option_of_its_own(server: Server, tmp_path: Path) -> None:
    told = said(["wiat", "pod/web-0", "--for", "create"], server, tmp_path, 2)
    assert told == (
        'there is no command "wiat", and no option --for to watch a type of that name; did you mean `kwatch wait`?'
    )


@pytest.mark.parametrize("typed", ["rollout", "rollout web", "watch get", "watch config view"])
def test_a_type_of_such_a_name_can_be_watched_nevertheless(typed: str, server: Server, tmp_path: Path) -> None:
    assert said(typed.split(), server, tmp_path, 1).startswith("the server doesn't have a resource type")


@pytest.mark.parametrize(
    ("switch", "is_verbose"), [("-v=6", True), ("--v=1", True), ("-v=0", False), ("--v=0", False), ("-v=true", True)]
)
def test_a_level_of_verbosity_is_more_notices_or_none(
    switch: str, is_verbose: bool, server: Server, tmp_path: Path
) -> None:
    run = kwatch(["pods", switch, "--duration", "0", "-s", server.url], tmp_path)
    assert run.returncode == 0
    assert ("GET /api/v1" in run.stderr) is is_verbose


def test_hints_name_the_command_as_it_was_typed(server: Server, tmp_path: Path) -> None:
    for typed in (["get", "pods"], ["nosuch"]):
        code = f"import sys; sys.argv = ['kubectl-kwatch', *{typed!r}]\nfrom kwatch.cli import main; main()"
        given = variables(tmp_path) | {"KWATCH_SERVER": server.url}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given, check=False)
        assert "`kubectl kwatch " in run.stderr
        assert "`kwatch " not in run.stderr


# Names and types that aren't there


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("po web-*", "did you mean --name 'web-*'?"),
        ("po web", "did you mean --name 'web-*'?"),
        ("po we", "did you mean --name 'we*'?"),
        ("po deploy", "for several types write `kwatch pods,deployments`"),
        ("po/web-0,deploy", "objects have blanks between them: `kwatch pods/web-0 po/NAME`"),
        ("po nosuch", "check the name, or -n"),
    ],
)
def test_a_name_that_isnt_there_is_answered_with_what_it_may_mean(
    typed: str, hint: str, server: Server, tmp_path: Path
) -> None:
    line = said(typed.split(), server, tmp_path, 1)
    assert line.endswith(f'" not found in namespace default; {hint}')


def test_where_the_names_may_not_be_listed_there_is_no_advice_and_no_other_error(tmp_path: Path) -> None:
    empty = {"kind": "Table", "metadata": {"resourceVersion": "1"}, "columnDefinitions": [], "rows": []}

    def listed(peer: Peer) -> None:
        peer.send(answer(json.dumps(empty).encode()))
        peer.hold()

    with ScriptedServer(listed, lambda peer: peer.send(answer(b"no", "403 Forbidden"))) as server:
        run = kwatch(["po", "web", "-s", server.url], tmp_path)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert run.stderr.endswith('"web" not found in namespace default; check the name, or -n\n')


def test_a_type_beside_an_object_is_refused_with_how_either_is_written(server: Server, tmp_path: Path) -> None:
    assert "types have commas between them (`kwatch deploy,po`)" in said(["po,deploy/web"], server, tmp_path, 2)


@pytest.mark.parametrize(("typed", "hint"), [("podss", "did you mean pods?"), ("pdos", "did you mean pods?")])
def test_a_type_is_taken_for_one_that_is_very_like_it(typed: str, hint: str, server: Server, tmp_path: Path) -> None:
    assert said([typed], server, tmp_path, 1) == f'the server doesn\'t have a resource type "{typed}"; {hint}'


@pytest.mark.parametrize("typed", ["ing", "ing/web"])
def test_a_type_that_this_server_does_not_serve_is_said_in_kubectls_words(
    typed: str, server: Server, tmp_path: Path
) -> None:
    assert said([typed], server, tmp_path, 1).startswith('the server doesn\'t have a resource type "ing"')


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("status=pending", "; did you mean status=Pending?"),
        ("STATUS==PENDING", "; did you mean STATUS==Pending?"),
        ("STATUS=nope", "; waiting for one that does"),
        ("STATUS=~^pending$", "; waiting for one that does"),
    ],
)
def test_a_condition_that_nothing_passes_for_its_capitals_says_so(
    where: str, hint: str, server: Server, tmp_path: Path
) -> None:
    run = kwatch(["po", "--where", where, "--duration", "500ms", "-s", server.url], tmp_path)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr.rstrip("\n").endswith(hint)
    once = kwatch(["po", "--where", where, "--duration", "0", "-s", server.url], tmp_path)
    assert "waiting" not in once.stderr
