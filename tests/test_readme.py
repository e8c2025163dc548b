"""README.rst and the command line agree: each command and option there is one, and the examples run."""

from __future__ import annotations

import glob
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest
import requests
import yaml
from command import kwatch, variables

from kwatch.cli import cli
from kwatch.errors import ExitCode
from kwatch.sandbox.play import playing
from kwatch.sinks import FORMS

README = (Path(__file__).parent.parent / "README.rst").read_text()

FOREIGN = {
    "--image": "kubectl",
    "--template": "kubectl",
    "--ignore-not-found": "kubectl",
    "--wait": "kubectl",
    "--flatten": "kubectl",
    "--username": "kubectl",
    "--password": "kubectl",
    "--unbuffered": "jq",
}
"""Options of other programs."""

NOT_RUN = {
    "kas.gitlab.example": "there is no GitLab here",
    "kwatch sandbox": "serves until Ctrl-C; tests/sandbox runs it",
    "-o nodes": "draws on a terminal; tests/test_live_terminal.py does",
    "get-contexts": "what a shell puts there; tests/test_readme_scripts.py runs the recipes",
    "completion fish >": "writes into a home; tests/cli runs it",
    "kwatch wait": "tests/test_readme_scripts.py runs the scripts",
}
"""Examples that are only parsed: what they have in them, and why."""

ENDING = {"watch": ["--duration", "600ms"], "events": ["--duration", "600ms"], "demo": ["--duration", "600ms"]}
"""What is added to an example so that it ends, and soon."""


def blocks() -> Iterator[str]:
    """The literal blocks, but for Python."""
    for match in re.finditer(r"(?m)^(?:.*::|\.\. code-block:: (?:sh|console))\n\n((?:(?: {4}.*)?\n)+)", README):
        if "code-block:: python" not in match[0]:
            yield re.sub(r"(?m)^ {4}", "", match[1])


def simple_commands(block: str) -> Iterator[list[str]]:
    """Each kwatch of a block of shell, without pipes, redirections and comments, as words."""
    for line in block.replace("\\\n", " ").splitlines():
        if not re.search(r"\bkwatch ", line):
            continue
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            tokens = [*lexer, ";"]
        except ValueError:  # no shell
            continue
        for token in tokens:
            if set(token) <= set("|&;<>()"):
                if words[:1] == ["kwatch"]:
                    yield words
                words = ["redirected"] if set(token) <= set("<>") else []
            elif token not in ("if", "then", "!", "{", "}"):
                words.append(token)


EXAMPLES = [
    list(each) for each in dict.fromkeys(tuple(words) for block in blocks() for words in simple_commands(block))
]
INLINE = [
    shlex.split(text)
    for text in re.findall(r"``(kwatch [^`]+)``", README)
    if text.count(" ") > 1 and not re.search(r"…|[A-Z]{2}|--help|^kwatch -", text)
]
"""Those in the midst of a text, but for mere names of commands and what stands for something else."""


def parsed(words: list[str]) -> tuple[str, click.Context]:
    """The command's name and what click makes of the words after `kwatch`. Raises UsageError."""
    name, *rest = cli._with_command(click.Context(cli), words)
    return name, cli.commands[name].make_context(name, rest)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 30


@pytest.mark.parametrize("words", [*EXAMPLES, *INLINE], ids=" ".join)
def test_an_example_is_what_the_command_line_takes(words: list[str]) -> None:
    parsed(words[1:])


def test_each_option_in_the_text_is_one() -> None:
    known = {opt for command in cli.commands.values() for each in command.params for opt in each.opts}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", README))
    assert mentioned - known - FOREIGN.keys() - {"--help", "--version"} == set()


def test_each_command_is_in_the_text() -> None:
    assert [name for name in cli.commands if not re.search(rf"\bkwatch {name}\b", README)] == []


def test_the_manifests_are_yaml_and_what_they_run_is_what_the_command_line_takes() -> None:
    documents = [each for block in blocks() if block.startswith("apiVersion") for each in yaml.safe_load_all(block)]
    kinds = [each["kind"] for each in documents]
    assert kinds == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "StatefulSet"]
    (container,) = documents[-1]["spec"]["template"]["spec"]["containers"]
    name, context = parsed([word.replace("$(ORDINAL)", "0") for word in container["args"]])
    assert (name, context.params["rotate_keep"], context.params["metrics"]) == ("watch", 30, ("", 9187))


def test_the_links_at_the_top_lead_to_every_section_that_follows() -> None:
    lines = README.splitlines()
    sections = [line for line, under in pairwise(lines) if line and set(under) == {"-"} and len(under) == len(line)]
    assert re.findall(r"`([^`<]+)`_", README.partition("\nInstall\n")[0]) == sections


def test_each_form_of_output_is_in_the_text() -> None:
    assert [name for name in FORMS if name and not re.search(rf"``{name}[`=]", README)] == []


def test_each_exit_code_is_in_the_text() -> None:
    table = README.partition("\nExit codes\n")[2].partition("\nEnvironment\n")[0]
    assert {int(code) for code in re.findall(r"(?m)^(\d+) ", table)} == set(ExitCode)


def test_what_is_not_run_is_there() -> None:
    assert [text for text in NOT_RUN if text not in README] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the examples take for granted: two clusters, and something that was recorded."""
    home = tmp_path_factory.mktemp("readme")
    with playing("rollout") as server:
        contexts = [{"name": name, "context": {"cluster": "c"}} for name in ("prod", "stage")]
        clusters = [{"name": "c", "cluster": {"server": server.url}}]
        (home / ".kube").mkdir()
        (home / ".kube" / "config").write_text(
            json.dumps({"contexts": contexts, "clusters": clusters, "current-context": "prod"})
        )
        pod = {"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
        requests.post(f"{server.url}/api/v1/namespaces/default/pods", json=pod, timeout=10).raise_for_status()
        recorded = kwatch(["pods", "-o", "ndjson", "--timestamps", "--count", "3"], home).stdout
        (home / "pods.ndjson").write_text(recorded)
        (home / "url").write_text(server.url)
        yield home


def runs(words: list[str]) -> bool:
    return not any(text in " ".join(words) for text in NOT_RUN)


@pytest.mark.parametrize("words", [words for words in EXAMPLES if runs(words)], ids=" ".join)
def test_an_example_runs(words: list[str], place: Path) -> None:
    name, _ = parsed(words[1:])
    here = {
        "/var/lib/kwatch": str(place),
        "http://127.0.0.1:8001": (place / "url").read_text(),
        "127.0.0.1:9187": "127.0.0.1:0",
    }
    typed: list[str] = []
    for word in words[1:]:
        for there, instead in here.items():
            word = word.replace(there, instead)
        typed += sorted(glob.glob(word, root_dir=place)) or [word]
    command = [sys.executable, "-m", "kwatch", *typed, *ENDING.get(name, [])]
    piped = (place / "pods.ndjson").read_text() if "-" in typed else None
    done = subprocess.run(
        command, input=piped, capture_output=True, text=True, timeout=60, cwd=place, env=variables(place), check=False
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert "Traceback" not in done.stderr
