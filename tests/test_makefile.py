"""`make help` tells of each target, and what it says of variables is so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make on PATH")


def helped() -> dict[str, str]:
    """What `make help` says, by target."""
    text = subprocess.check_output(["make", "--no-print-directory", "help"], cwd=ROOT, text=True)
    return {line.split()[1]: line for line in text.splitlines()}


def test_make_help_has_a_line_for_each_target() -> None:
    (targets,) = re.findall(r"(?m)^\.PHONY: (.*)$", MAKEFILE)
    assert helped().keys() == set(targets.split())


def test_a_variable_that_make_help_names_has_that_value_unless_given() -> None:
    told = dict(re.findall(r"\b([A-Z]+)=(\w+)", "\n".join(helped().values())))
    assert told
    assert {name: told[name] for name in told if f"\n{name} ?= {told[name]}\n" not in MAKEFILE} == {}


def test_a_variable_that_a_recipe_uses_is_defined() -> None:
    used = set(re.findall(r"\$\(([A-Z]+)\)", MAKEFILE))
    assert {name for name in used if not re.search(rf"(?m)^{name} [?:]= ", MAKEFILE)} == set()
