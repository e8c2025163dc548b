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
import yaml

from kwatch.sandbox.play import playing

README = (Path(__file__).parent.parent / "README.rst").read_text()
SECTION = README.partition("\nFrom Python\n")[2].partition("\nWho kwatch is\n")[0]
EXAMPLES = [textwrap.dedent(block) for block in re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", SECTION)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose kubeconfig leads to a Deployment that rolls over."""
    folder = tmp_path_factory.mktemp("home")
    with playing("rollout") as server:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "current-context": "c",
        }
        (folder / ".kube").mkdir()
        (folder / ".kube" / "config").write_text(yaml.safe_dump(config))
        yield folder


def run(example: str, home: Path) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "KWATCH"))}
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(
        command, env={**variables, "HOME": str(home)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_readme_has_four_examples_for_programs() -> None:
    assert len(EXAMPLES) == 4


def test_the_example_of_events_prints_them(home: Path) -> None:
    lines = run(EXAMPLES[0], home).splitlines()
    assert any(re.fullmatch(r"ADDED web-\S+ Running", line) for line in lines)
    assert any(line.startswith("MODIFIED web-") for line in lines)


def test_the_example_of_an_informer_reads_its_store(home: Path) -> None:
    printed = run(EXAMPLES[1], home)  # by two threads: what one prints may stand amid a line of the other
    assert "new: web-" in printed
    assert re.search(r"([4-9]|1\d) pods; [1-9] on that node", printed), printed
    assert "list" in printed


def test_the_example_of_a_wait_says_what_is_met(home: Path) -> None:
    assert run(EXAMPLES[2], home) == 'deployment.apps/web deployment "web" successfully rolled out\n'


def test_the_example_of_an_error_prints_it(home: Path) -> None:
    assert run(EXAMPLES[3], home).startswith('the server doesn\'t have a resource type "nosuch"')


def test_what_the_section_names_is_public() -> None:
    import kwatch

    named = set(re.findall(r"``kwatch\.(\w+)", SECTION)) | set(re.findall(r"``([A-Z]\w+[a-z]\w*)``", SECTION))
    assert named >= {"GaveUp", "TimedOut", "KwatchError", "Forbidden"}
    assert {name for name in named if not hasattr(kwatch, name)} == set()
