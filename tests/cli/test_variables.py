"""Each option's variable: its name, several values, and the notice of one that means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command import kwatch

from kwatch.cli import Commands
from kwatch.cli.variables import name_of
from kwatch.sandbox import Cluster, Server


@pytest.fixture
def server() -> Iterator[Server]:
    cluster = Cluster()
    for name in ("a", "b", "c"):
        cluster.create("configmaps", {"metadata": {"name": name, "labels": {"app": name}}})
    with Server(cluster) as server:
        yield server


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        ({"KWATCH_FOR": "jsonpath={.metadata.name}=a"}, 0, "configmap/a condition met"),
        ({"KWATCH_FOR": "create\njsonpath={.metadata.name}=b", "KWATCH_TIMEOUT": "0"}, 124, ""),
        ({"KWATCH_UNTIL": "create"}, 0, "configmap/a condition met"),
        ({"KWATCH_FOR_ANY": "delete\ncreate\n"}, 0, "configmap/a condition met: create"),
    ],
)
def test_the_conditions_of_a_wait_have_the_variables_of_their_names(
    variables: dict[str, str], code: int, text: str, server: Server, tmp_path: Path
) -> None:
    run = kwatch(["wait", "cm/a", "-s", server.url, "-q"], tmp_path, **variables)
    assert (run.returncode, run.stdout.strip()) == (code, text), run.stderr


def test_a_switch_has_the_variable_of_its_name(server: Server, tmp_path: Path) -> None:
    given = {"KWATCH_ALL": "true", "KWATCH_FOR": "create"}
    run = kwatch(["wait", "cm", "-s", server.url, "-q"], tmp_path, **given)
    assert len(run.stdout.splitlines()) == 3


def test_a_repeatable_option_has_a_value_a_line_and_blanks_part_nothing(server: Server, tmp_path: Path) -> None:
    asked = ["cm", "-s", server.url, "-o", "name", "--duration", "0"]
    assert kwatch(asked, tmp_path, KWATCH_NAME="a\nc\n").stdout.split() == ["configmap/a", "configmap/c"]
    assert kwatch(asked, tmp_path, KWATCH_NAME="a c").stdout == ""
    assert kwatch(asked, tmp_path, KWATCH_NAMESPACE="default\nother").stdout.split()[0] == "configmap/a"


def test_every_option_of_every_command_has_the_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in Commands().values():
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag:
                continue
            monkeypatch.setenv(name_of(option), "one two")
            context = click.Context(command, auto_envvar_prefix="KWATCH")
            given = option.value_from_envvar(context)
            assert given == (["one two"] if option.multiple else "one two"), (command.name, option.name)
            monkeypatch.delenv(name_of(option))


def test_a_variable_that_is_no_options_is_told_with_the_one_that_may_be_meant(server: Server, tmp_path: Path) -> None:
    asked = ["cm", "-s", server.url, "-o", "name", "--duration", "0"]
    given = {"KWATCH_OUTPTU": "json", "KWATCH_ZZZ": "1", "KWATCH_FOR": "create", "KWATCH_SCENARIO": "quiet"}
    run = kwatch(asked, tmp_path, **given)
    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        "kwatch: KWATCH_OUTPTU is no option's variable; did you mean KWATCH_OUTPUT?",
        "kwatch: KWATCH_ZZZ is no option's variable; see kwatch watch --help for the options",
    ]
    assert kwatch([*asked, "-q"], tmp_path, **given).stderr == ""


def test_what_kubernetes_sets_beside_a_service_named_kwatch_is_no_mistake(server: Server, tmp_path: Path) -> None:
    service = {
        "KWATCH_SERVICE_HOST": "10.0.0.1",
        "KWATCH_SERVICE_PORT_HTTP": "80",
        "KWATCH_PORT": "tcp://10.0.0.1:80",
        "KWATCH_PORT_80_TCP_ADDR": "10.0.0.1",
        "KWATCH_METRICS_SERVICE_PORT": "80",
        "KWATCH_METRICS_PORT_80_TCP": "tcp://10.0.0.1:80",
    }
    assert kwatch(["cm", "-s", server.url, "--duration", "0"], tmp_path, **service).stderr == ""
