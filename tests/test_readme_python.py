"""README's examples for programs, as they stand there, against the sandbox's rollout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.rst").read_text()
SECTION = README.partition("\nFrom Python\n")[2].partition("\nWho kwatch is\n")[0]
EXAMPLES = [textwrap.dedent(block) for block in re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", SECTION)]


HOW = re.search(r"\n    kwatch (sandbox .*) &\n    (.*) python example\.py\n", SECTION)


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that README gives to its examples, and the server that it starts for them, at a free port."""
    assert HOW
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "KWATCH"))}
    kept["HOME"] = str(tmp_path_factory.mktemp("home"))
    command = [sys.executable, "-m", "kwatch", *HOW[1].replace("8001", "0").split()]
    with subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sandbox:
        assert sandbox.stdout is not None
        url = sandbox.stdout.readline().strip()
        given = HOW[2].replace("http://127.0.0.1:8001", url)
        yield {**kept, **dict(each.split("=", 1) for each in given.split())}
        sandbox.terminate()


def run(example: str, variables: dict[str, str]) -> str:
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_readme_has_five_examples_for_programs() -> None:
    assert len(EXAMPLES) == 5


def test_the_example_of_events_prints_them(variables: dict[str, str]) -> None:
    lines = run(EXAMPLES[0], variables).splitlines()
    assert any(re.fullmatch(r"ADDED web-\S+ Running", line) for line in lines)
    assert any(line.startswith("MODIFIED web-") for line in lines)


def test_the_example_of_an_informer_reads_its_store(variables: dict[str, str]) -> None:
    printed = run(EXAMPLES[1], variables)  # by two threads: what one prints may stand amid a line of the other
    assert "new: web-" in printed
    assert re.search(r"([4-9]|1\d) pods; [1-9] on that node", printed), printed
    assert "list" in printed


def test_the_example_of_a_wait_says_what_is_met(variables: dict[str, str]) -> None:
    assert run(EXAMPLES[2], variables) == 'deployment.apps/web deployment "web" successfully rolled out\n'


def test_the_example_of_asyncio_prints_events(variables: dict[str, str]) -> None:
    lines = run(EXAMPLES[3], variables).splitlines()
    assert len(lines) == 5
    assert any(line.startswith("ADDED web-") for line in lines)


def test_the_example_of_an_error_prints_it(variables: dict[str, str]) -> None:
    assert run(EXAMPLES[4], variables).startswith('the server doesn\'t have a resource type "nosuch"')


def test_what_the_section_names_is_public() -> None:
    import kwatch

    named = set(re.findall(r"``kwatch\.(\w+)", SECTION)) | set(re.findall(r"``([A-Z]\w+[a-z]\w*)``", SECTION))
    assert named >= {"GaveUp", "TimedOut", "KwatchError", "Forbidden"}
    assert {name for name in named if not hasattr(kwatch, name)} == set()
