"""The man pages are those of the command line as it is, and sound."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from manual.pages import ALIASES, CODES, NEEDED, TEXT, commands, pages, sections

import kwatch
from kwatch.errors import ExitCode

MAN = Path(__file__).parent.parent.parent / "man"
CONNECTED = ["KUBECONFIG", "KUBECACHEDIR", "HTTPS_PROXY"]
PAGES = sorted(path for path in MAN.glob("*.1") if path.name not in ALIASES)


def test_the_pages_are_what_the_command_line_gives() -> None:
    made = pages()
    assert {path.name: path.read_text() for path in MAN.glob("*.1")} == made, "run `make man`"


@pytest.mark.parametrize(
    ("page", "codes", "variables"),
    [
        ("kwatch-sandbox", "0 1 2 129 130 141 143", ["KWATCH_WRITE_KUBECONFIG"]),
        ("kwatch-completion", "0 1 2", []),
        ("kwatch-replay", "0 1 2 129 130 141 143", ["NO_COLOR"]),
        ("kwatch-events", "0 1 2 129 130 141 143", [*CONNECTED, "NO_COLOR", "KWATCH_FIELD_SELECTOR"]),
        ("kwatch-wait", "0 1 2 3 124 129 130 141 143", [*CONNECTED, "KWATCH_FIELD_SELECTOR"]),
        ("kwatch", "0 1 2 3 124 129 130 141 143", [*CONNECTED, "NO_COLOR", "KWATCH_FIELD_SELECTOR"]),
    ],
)
def test_a_page_names_the_codes_and_variables_that_its_command_has_to_do_with(
    page: str, codes: str, variables: list[str]
) -> None:
    text = pages()[f"{page}.1"]
    status = re.split(r"\n\.SH ", text.partition("\n.SH EXIT STATUS\n")[2])[0]
    assert re.findall(r"(?m)^\\fB(\d+)\\fR$", status) == codes.split()
    known = (
        "KUBECONFIG",
        "KUBECACHEDIR",
        "HTTPS_PROXY",
        "NO_COLOR",
        "KWATCH_FIELD_SELECTOR",
        "KWATCH_WRITE_KUBECONFIG",
    )
    assert [name for name in known if f"fB{name}" in text] == variables


def test_the_plugin_has_the_page_of_kwatch() -> None:
    assert (MAN / "kubectl-kwatch.1").read_text() == ".so man1/kwatch.1\n"


@pytest.mark.parametrize("name", commands())
def test_each_page_has_a_text_of_its_own(name: str) -> None:
    lacking = [heading for heading in NEEDED if not sections(name).get(heading)]
    assert not lacking, f"{TEXT / name}.txt lacks {' and '.join(lacking)}; `make man` makes one to begin with"


def test_there_is_no_text_without_a_command() -> None:
    assert {path.stem for path in TEXT.glob("*.txt")} == {*commands(), "common"}


def test_each_exit_code_is_explained() -> None:
    assert set(CODES) == set(ExitCode)


def test_each_option_is_on_its_commands_page() -> None:
    for name, command in commands().items():
        text = (MAN / f"{name}.1").read_text().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        shown = [opt for each in options for opt in each.opts if name != "kwatch"]
        assert [opt for opt in shown if opt not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.skipif(not shutil.which("groff"), reason="no groff on PATH")
def test_groff_has_nothing_to_say(page: Path) -> None:
    done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", page], capture_output=True, text=True, check=True)
    assert (done.stderr, bool(done.stdout)) == ("", True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc on PATH")
def test_mandoc_has_nothing_to_say_but_that_no_date_is_stamped(page: Path) -> None:
    done = subprocess.run(["mandoc", "-Tlint", page], capture_output=True, text=True, check=False)
    said = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert [line for line in said if 'WARNING: missing date, using "": TH' not in line] == []


@pytest.mark.parametrize("name", ["kwatch.bash", "_kwatch", "kwatch.fish"])
def test_the_folder_of_completions_has_what_the_command_prints(name: str) -> None:
    printed = Path(kwatch.__file__).parent / "cli" / "completion" / name
    assert (MAN.parent / "completions" / name).read_bytes() == printed.read_bytes(), "its files are links there"
