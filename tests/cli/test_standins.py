"""What stands in for modules that the command hardly ever needs gives way to them as soon as it does."""

from __future__ import annotations

import subprocess
import sys

import pytest

NEEDS = {
    "charset_normalizer": "made = requests.Response(); made._content = 'é'.encode(); print(made.apparent_encoding)",
    "idna": "print(requests.Request('GET', 'http://bücher.example').prepare().url)",
    "zipfile": "print(requests.utils.extract_zipped_paths('/nowhere.zip/ca.pem'))",
    "importlib.metadata": "import importlib.metadata; print(importlib.metadata.version('requests'))",
}
START = """
import sys
from kwatch import standins
standins.install()
import requests
from kwatch.standins import StandIn
print(isinstance(sys.modules[NAME], StandIn))
"""


def answers(name: str, need: str) -> list[str]:
    """What a process prints that loads requests as the command does, then needs the module `name`."""
    program = START.replace("NAME", repr(name)) + need
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", NEEDS)
def test_a_stand_in_gives_way_to_its_module_once_that_is_needed(name: str) -> None:
    plain = subprocess.run(
        [sys.executable, "-c", f"import requests; {NEEDS[name]}"], capture_output=True, text=True, timeout=60
    )
    assert answers(name, NEEDS[name]) == ["True", *plain.stdout.splitlines()]
    assert plain.stdout


def test_a_program_that_imports_kwatch_has_no_stand_ins() -> None:
    program = "import kwatch, sys; kwatch.Informer, kwatch.watch; from kwatch.standins import StandIn\n"
    program += "print([name for name, each in sys.modules.items() if isinstance(each, StandIn)])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
