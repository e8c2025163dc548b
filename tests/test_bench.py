"""The benchmark runs: its server is understood, its figures are written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"


@pytest.mark.skipif(not shutil.which("curl"), reason="the floor is curl's")
def test_a_case_of_the_benchmark_prints_its_figures_and_writes_them(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "--quick", "--only", "latency", "--output", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr == ""
    assert run.returncode == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [row["program"] for row in written["latency"]] == ["curl to /dev/null", "kwatch -o ndjson"]
    assert all(0 < row["ms"] < 1000 for row in written["latency"])
    assert "latency: median ms more than curl's" in run.stdout


def test_readme_has_the_figures_that_were_measured() -> None:
    readme = (BENCH.parents[1] / "README.rst").read_text()
    results = json.loads((BENCH / "results" / "bench.json").read_text())
    sys.path.insert(0, str(BENCH))
    try:
        import report
    finally:
        sys.path.remove(str(BENCH))
    assert (BENCH / "results" / "bench.rst").read_text() == report.readme(results) + "\n"
    for table in report.readme(results).split("\n\n"):
        assert table in readme, "copy tests/bench/results/bench.rst into README"
    for words in report.beside(results):
        assert words in readme
