"""Completion in the shells themselves, on a terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import kwatch, variables
from shells import SCRIPTS, Shell, on_path

from kwatch.sandbox.play import playing

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


def needs(*shells: str) -> pytest.MarkDecorator:
    missing = [name for name in shells if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)} on PATH")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with playing("quiet") as playing_server:
        yield playing_server.url


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    contexts = [{"name": name, "context": {}} for name in ("arn:aws:x", "arn:aws:y", "it is $(me)")]
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(json.dumps({"contexts": contexts}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    return on_path(variables(tmp_path))


UNIQUE = {
    "kwatch deploym": "kwatch deployments ",
    "kwatch watch secr": "kwatch watch secrets ",
    "kwatch pods,deploym": "kwatch pods,deployments ",
    "kwatch -s {server} deploy/c": "deploy/cache ",
    "kwatch -s {server} pods -n shop db": "-n shop db-",
    "X=1 kwatch pods -n shop --output=nd": "--output=ndjson ",
    "kwatch pods -o jsonp": "-o jsonpath",
    "kwatch events --for deploym": "--for deployments/",
    "kwatch pods --where 'STA": "--where 'STATUS",
    "kwatch pods --context arn:a": "--context arn:aws:",
    "kwatch pods --context=arn:a": "--context=arn:aws:",
    "kwatch pods --kubeconfig {home}/fol": "/folder/",
    "kwatch pods --cache-dir={home}/fol": "/folder/",
    "kwatch pods; kwatch demo --sc": "kwatch demo --scenario ",
}


@pytest.mark.parametrize("shell", [pytest.param(name, marks=needs(name)) for name in ("bash", "zsh")])
def test_a_word_is_completed_as_it_is_typed(
    shell: str, environment: dict[str, str], tmp_path: Path, server: str
) -> None:
    with Shell(shell, environment, f"source <(kwatch completion {shell})") as terminal:
        for typed, expected in UNIQUE.items():
            terminal.type(typed.format(server=server, home=tmp_path) + "\t")
            terminal.shows(expected.rstrip())
            terminal.type("x")  # whether there is a space before it
            terminal.shows(f"{expected}x")
            terminal.type("\x15clear\n")


@needs("bash")
def test_bash_lists_what_there_is(environment: dict[str, str]) -> None:
    with Shell("bash", environment, "source <(kwatch completion bash)") as terminal:
        terminal.type("kwatch pod\t\t")
        print(terminal.shows("poddisruptionbudgets", "podtemplates"))
        terminal.type("\x15clear\nkwatch pods --context it\t")
        terminal.shows("it\\ is\\ \\$\\(me\\)")


@needs("zsh")
def test_zsh_lists_what_there_is_with_what_it_means(environment: dict[str, str]) -> None:
    with Shell("zsh", environment, "source <(kwatch completion zsh)") as terminal:
        terminal.type("kwatch pods --wa\t\t")
        print(terminal.shows("--watch-list", "-- Ask for what is there as a stream", "-- Leave out what is there"))
        terminal.type("\x15clear\nkwatch pods --context it\t")
        terminal.shows("it\\ is\\ \\$\\(me\\)")


@needs("zsh")
def test_zsh_lists_what_needs_no_explanation_in_order_and_without_dashes(environment: dict[str, str]) -> None:
    with Shell("zsh", environment, "source <(kwatch completion zsh)") as terminal:
        terminal.type("kwatch pods --types \t\t")
        screen = terminal.shows("ADDED", "MODIFIED")
        assert screen.splitlines()[-1].split() == ["ADDED", "DELETED", "MODIFIED"]


@needs("zsh")
def test_zsh_finds_the_script_in_its_function_path(environment: dict[str, str]) -> None:
    with Shell("zsh", environment, f"fpath=({SCRIPTS} $fpath); compinit -u -D") as terminal:
        terminal.type("kwatch deploym\t")
        terminal.shows("kwatch deployments")


FISH = {
    "kwatch deploym": "deployments\tDeployment",
    "kwatch -s {server} deploy/c": "deploy/cache",
    "X=1 kwatch pods --output=nd": "--output=ndjson",
    "kwatch pods --where 'REA": "READINESS_GATES=\nREADY=",
    "kwatch pods --context=arn:aws:y": "--context=arn:aws:y",
    "kwatch pods --context it": "it is $(me)",
    "kwatch pods --kubeconfig {home}/folder/f": "{home}/folder/file",
    "kwatch pods --cache-dir {home}/fold": "{home}/folder/\tDirectory",
    "kwatch pods --watch-o": "--watch-only\tLeave out what is there at the start; print changes alone",
}


@needs("fish")
@pytest.mark.parametrize("typed", FISH)
def test_fish_completes(typed: str, environment: dict[str, str], tmp_path: Path, server: str) -> None:
    line = typed.format(server=server, home=tmp_path)
    command = ["fish", "--no-config", "-c", f"source {SCRIPTS / 'kwatch.fish'}; complete -C $argv", line]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=True)
    assert (done.stdout.strip(), done.stderr) == (FISH[typed].format(home=tmp_path), "")


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(
            "bash",
            marks=pytest.mark.skipif(not BASH_COMPLETION.exists(), reason="kubectl's script needs bash-completion"),
        ),
        pytest.param("zsh", marks=needs("zsh")),
    ],
)
@needs("kubectl")
def test_kubectls_own_script_completes_its_plugin(shell: str, environment: dict[str, str]) -> None:
    scripts = [f"source <(kubectl completion {shell})"]
    with Shell(shell, environment, *([f"source {BASH_COMPLETION}"] if shell == "bash" else []), *scripts) as terminal:
        terminal.type("kubectl kwatch deploym\t")
        terminal.shows("kubectl kwatch deployments")


@pytest.mark.parametrize(("shell", "script"), [("bash", "kwatch.bash"), ("zsh", "_kwatch"), ("fish", "kwatch.fish")])
def test_the_command_prints_the_script_that_is_installed(shell: str, script: str, tmp_path: Path) -> None:
    assert kwatch(["completion", shell], tmp_path).stdout == (SCRIPTS / script).read_text()


@pytest.mark.parametrize("shell", [pytest.param(name, marks=needs(name)) for name in ("bash", "zsh", "fish")])
def test_a_script_is_sound(shell: str) -> None:
    script = {"bash": "kwatch.bash", "zsh": "_kwatch", "fish": "kwatch.fish"}[shell]
    checked = subprocess.run([shell, "-n", SCRIPTS / script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
