"""`make bench`: kwatch beside its peers and the floor, against one replay server, on this machine, in this run.

Ratios of CPU time within a run are what counts; wall time depends on what else the machine does. Prints tables and
writes the same as JSON. `--quick` has a tenth of the events, one run each, and neither memory nor growth.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cases
import report
from measure import Bench
from replay import Load


def plan(bench: Bench, runs: int, events: int, quick: bool, say: cases.Say) -> dict[str, Callable[[], list[cases.Row]]]:
    """The cases by name, in the order in which they run."""
    few, objects = max(runs // 2, 1), 5000 if quick else 50_000
    small, large = Load(1000, events, 3000), Load(1000, events // 5, 10_000)
    listed = Load(objects, 1, 3000)
    found = {
        "objects of 3 KB": lambda: cases.streams(bench, small, cases.OBJECTS, runs, say),
        "rows of 3 KB": lambda: cases.streams(bench, small, cases.ROWS, runs, say),
        "objects of 10 KB": lambda: cases.streams(bench, large, cases.OBJECTS, runs, say),
        "rows of 10 KB": lambda: cases.streams(bench, large, cases.ROWS, runs, say),
        "list as objects": lambda: cases.streams(bench, listed, cases.LISTS, few, say),
        "list as rows": lambda: cases.streams(bench, listed, cases.ROW_LISTS, few, say),
        "first line": lambda: cases.first_line(bench, runs, objects),
        "latency": lambda: cases.latency(bench, few, 30 if quick else 200),
        "start": lambda: cases.start(bench, 5 if quick else 20),
        "many": lambda: cases.many(bench, runs, events),
        "memory": lambda: cases.memory(bench, 100_000, 1_000_000),
        "growth": lambda: cases.growth(bench, 1, say),
    }
    left_out = ("objects of 10 KB", "rows of 10 KB", "memory", "growth") if quick else ()
    return {name: case for name, case in found.items() if name not in left_out}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    packages = ("kwatch-cli", "requests", "urllib3", "orjson", "kubernetes", "kubernetes_asyncio")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        **{name: _version(name) for name in packages},
        "kubectl": _kubectl(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _kubectl() -> str:
    if not shutil.which("kubectl"):
        return "not installed"
    told = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    return told.partition("Client Version: ")[2].split("\n")[0]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, one run each")
    parser.add_argument("--runs", type=int, default=0, help="runs of each program, of which the median counts")
    parser.add_argument("--events", type=int, default=0, help="events of a stream; 50,000, or 5,000 if quick")
    parser.add_argument("--only", default="", metavar="REGEX", help="the cases to run")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder for bench.json and growth.svg")
    given = parser.parse_args()
    runs, events = given.runs or (1 if given.quick else 5), given.events or (5000 if given.quick else 50_000)
    results: dict[str, Any] = {"machine": machine(), "runs": runs, "events": events, "targets": []}
    for name, value in results["machine"].items():
        print(f"{name}: {value}")

    def say(text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="kwatch-bench-") as home, Bench(Path(home)).serving() as bench:
        for name, case in plan(bench, runs, events, given.quick, say).items():
            if re.search(given.only, name):
                results[name] = case()
                results["targets"] = report.targets(results)
                print(f"\n{name}\n\n{report.table(results[name])}", flush=True)
                report.write(results, given.output)  # what there is by now: a run takes its time
    print(f"\ntargets\n\n{report.table(results['targets'])}")


if __name__ == "__main__":
    main()
