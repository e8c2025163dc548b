"""What is measured: streams, lists, the first line, latency, the start, many watches, memory. A case gives rows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from measure import Bench, Cost, Failed, middle
from programs import CURL, KWATCH_OBJECTS, KWATCH_ROWS, LISTS, LOOP, OBJECTS, PODS, ROW_LISTS, ROWS, Program, kwatch
from replay import Load

Row = dict[str, Any]
Say = Callable[[str], None]
_SENT = re.compile(rb'"sent":"([0-9]+)"')


def streams(bench: Bench, load: Load, programs: Sequence[Program], runs: int, say: Say) -> list[Row]:
    """Each program reads the list and the watch to its end, in turn, so that all share the machine's moods."""
    here = [program for program in programs if program.is_here and (load.events or program.lists)]
    costs: dict[str, list[Cost]] = {program.name: [] for program in here}
    for table in {program.table for program in here}:
        bench.prepare(load, table=table)
    for turn in range(runs):
        for program in here:
            cost = bench.run(program.command(bench.url(load)), (program.code,))
            _check(program, cost, load)
            costs[program.name].append(cost)
        say(f"{load}: {turn + 1} of {runs}")
    middles = {name: middle(each) for name, each in costs.items()}
    return [_row(program, middles, load) for program in programs if load.events or program.lists]


def _check(program: Program, cost: Cost, load: Load) -> None:
    expected = load.events + (load.objects if program.lists else 0)
    if program.counts and not 0 <= cost.lines - expected <= 1:
        raise Failed(f"{program.name} printed {cost.lines} lines of {expected}")


def _row(program: Program, middles: dict[str, Cost], load: Load) -> Row:
    cost = middles.get(program.name)
    if cost is None:
        return {"program": program.name, "missing": f"{program.needs} is not installed"}
    count = load.events + (load.objects if program.lists else 0)
    floor, own = middles.get(LOOP), next(each for name, each in middles.items() if name.startswith("kwatch"))
    return {
        "program": program.name,
        "cpu": cost.cpu,
        "wall": cost.wall,
        "events_per_s": count / cost.wall,
        "mb_per_s": count * load.size / cost.wall / 1e6,
        "peak_mib": cost.peak,
        "by_loop": cost.cpu / floor.cpu if floor else None,
        "by_kwatch": cost.cpu / own.cpu,
    }


def latency(bench: Bench, runs: int, events: int) -> list[Row]:
    """Milliseconds from an event's sending to its line, one event at a time."""
    load = Load(objects=1, events=events, size=3000, every=10)
    url = bench.url(load)
    commands = {CURL: ["curl", "-sN", f"{url}{PODS}?watch=1"], "kwatch -o ndjson": kwatch(url, "-o", "ndjson")}
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            found[name].append(median(list(_delays(bench, command))[-events:]))
    return [{"program": name, "ms": median(each)} for name, each in found.items()]


def first_line(bench: Bench, runs: int, objects: int) -> list[Row]:
    """Milliseconds from the sending of a list's first page to the first line."""
    load = Load(objects=objects, events=1, size=3000, every=1)
    bench.prepare(load, table=False)
    found = []
    for _ in range(runs):
        delays = _delays(bench, kwatch(bench.url(load), "-o", "ndjson"))
        found.append(next(delays))
        delays.close()
    return [{"program": "kwatch -o ndjson", "ms": median(found)}]


def _delays(bench: Bench, command: Sequence[str]) -> Iterator[float]:
    """Milliseconds between the time in each piece of output and now."""
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdout=pipe, stderr=null, env=bench.variables) as process:
        try:
            assert process.stdout is not None
            while data := os.read(process.stdout.fileno(), 1 << 20):
                now = time.monotonic_ns()
                yield from ((now - int(sent)) / 1e6 for sent in _SENT.findall(data))
        finally:
            process.kill()


def start(bench: Bench, runs: int) -> list[Row]:
    """Milliseconds of wall time and of CPU until a command has ended."""
    url = bench.prepare(Load(objects=100, events=1, size=3000), table=True)
    commands = {
        "kubectl get pods": ["kubectl", "-s", url, "get", "pods"],
        "kwatch pods --count 1": kwatch(url, "--count", "1"),
        "kwatch --version": [kwatch(url)[0], "--version"],
        "python -c 'import requests, click'": [sys.executable, "-c", "import requests, click"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            found[name].append(_start(bench, command))
    return [
        {
            "program": name,
            "ms": median(wall for wall, _ in each) * 1000,
            "cpu_ms": median(cpu for _, cpu in each) * 1000,
        }
        for name, each in found.items()
    ]


def _start(bench: Bench, command: Sequence[str]) -> tuple[float, float]:
    started = time.monotonic()
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=null, stderr=null, env=bench.variables)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime


def many(bench: Bench, runs: int, events: int) -> list[Row]:
    """CPU of 20 watches in one process, and of one watch with as many objects and events."""
    one, twenty = Load(objects=1000, events=events), Load(objects=50, events=events // 20)
    names = ",".join(f"team-{number}" for number in range(20))
    costs: dict[str, list[Cost]] = {"1 watch": [], "20 watches": []}
    for _ in range(runs):
        for name, load, more in (("1 watch", one, ()), ("20 watches", twenty, ("-n", names))):
            bench.prepare(load, table=False)
            cost = bench.run(kwatch(bench.url(load), "-o", "ndjson", *more), (1,))
            if cost.lines != events + 1000:
                raise Failed(f"{name} printed {cost.lines} lines of {events + 1000}")
            costs[name].append(cost)
    return [{"program": name, "cpu": (cost := middle(each)).cpu, "wall": cost.wall} for name, each in costs.items()]


def memory(bench: Bench, objects: int, events: int) -> list[Row]:
    """The peak while so many Pods are listed and kept, by the bytes of the list; and what events add to it."""
    rows = []
    listed = Load(objects=objects, events=1)
    for name, more in (("kwatch -o ndjson", ("-o", "ndjson")), ("kwatch", ())):
        cost = bench.run(kwatch(bench.url(listed), *more), (1,))
        share = cost.peak * 2**20 / (objects * listed.size)
        rows.append({"program": f"{name}, {objects:,} Pods", "peak_mib": cost.peak, "by_list": share})
    watched = replace(listed, objects=1000, events=events, size=1000)
    cost = bench.run(kwatch(bench.url(watched), "-o", "ndjson"), (1,))
    _check(KWATCH_OBJECTS, cost, watched)
    name = f"kwatch -o ndjson, {events:,} events of 1,000 Pods"
    return [*rows, {"program": name, "peak_mib": cost.peak, "growth": cost.growth}]


def growth(bench: Bench, scale: float, say: Say) -> list[Row]:
    """CPU seconds by the number of events, of objects, and by the size of an event."""
    loads = [("events", number, Load(1000, max(int(number * scale), 1), 1000)) for number in _steps(10_000, 1_000_000)]
    loads += [
        ("objects", number, Load(max(int(number * scale), 1), 1, 1000)) for number in (*_steps(1000, 100_000), 200_000)
    ]
    volume = int(100_000_000 * scale)
    loads += [
        ("bytes an event", size, Load(10, max(volume // size, 1), size))
        for size in (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_500_000)
    ]
    rows = []
    for axis, number, load in loads:
        for program in (KWATCH_OBJECTS, KWATCH_ROWS):
            cost = bench.run(program.command(bench.url(load)), (1,))
            _check(program, cost, load)
            share = cost.cpu / (load.events + load.objects) * 1e6
            done = load.events * load.size + load.objects * load.size
            rows.append({"axis": axis, "at": number, "program": program.name, "cpu": cost.cpu, "us_each": share,
                         "ms_per_mb": cost.cpu * 1e9 / done, "peak_mib": cost.peak})  # fmt: skip
        say(f"growth by {axis}: {number:,}")
    return rows


def _steps(low: int, high: int) -> Iterator[int]:
    while low < high:
        yield from (low, 3 * low)
        low *= 10
    yield high


__all__ = [
    "LISTS",
    "OBJECTS",
    "ROWS",
    "ROW_LISTS",
    "first_line",
    "growth",
    "latency",
    "many",
    "memory",
    "start",
    "streams",
]
