"""The figures as tables (those of README too), as JSON, and the growth as a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

Row = dict[str, Any]
Results = dict[str, Any]

_HEADINGS = {
    "program": "",
    "cpu": "CPU s",
    "wall": "wall s",
    "events_per_s": "events/s",
    "mb_per_s": "MB/s",
    "peak_mib": "peak MiB",
    "by_loop": "÷ bare loop",
    "by_kwatch": "÷ kwatch",
    "ms": "ms",
    "cpu_ms": "CPU ms",
    "by_list": "÷ list",
    "growth": "end ÷ half",
    "axis": "growth by",
    "at": "at",
    "us_each": "CPU µs each",
    "ms_per_mb": "CPU ms/MB",
    "missing": "",
    "target": "target",
    "wanted": "wanted",
    "found": "found",
    "met": "",
}
_FORMS = {"events_per_s": ",.0f", "at": ",", "peak_mib": ".0f", "mb_per_s": ".0f", "ms": ".1f", "cpu_ms": ".0f",
          "us_each": ".1f", "ms_per_mb": ".1f"}  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """Rows under headings; a column that no row has is left out."""
    names = [name for name in _HEADINGS if any(row.get(name) is not None for row in rows)]
    cells = [[_cell(name, row.get(name)) for name in names] for row in rows]
    text = [name in ("program", "axis", "target", "missing", "met") for name in names]
    align = ["left" if is_text else "right" for is_text in text]
    return tabulate(cells, [_HEADINGS[name] for name in names], colalign=align, disable_numparse=True)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else format(value, _FORMS.get(name, ".2f"))


class Target(NamedTuple):
    """What is promised of one figure: at least or at most so much."""

    name: str
    wanted: float
    find: Callable[[Results], float | None]
    at_least: bool = False


def _of(results: Results, case: str, program: str, field: str) -> float | None:
    return next((row.get(field) for row in results.get(case, ()) if row["program"] == program), None)


def _ratio(case: str, one: str, other: str, field: str = "cpu") -> Callable[[Results], float | None]:
    def find(results: Results) -> float | None:
        above, below = _of(results, case, one, field), _of(results, case, other, field)
        return above / below if above is not None and below else None

    return find


def _figure(case: str, program: str, field: str) -> Callable[[Results], float | None]:
    return lambda results: _of(results, case, program, field)


def _later(results: Results) -> float | None:
    mine, curls = (_of(results, "latency", name, "ms") for name in ("kwatch -o ndjson", _CURL))
    return mine - curls if mine is not None and curls is not None else None


_CURL, _LOOP = "curl to /dev/null", "bare loop of requests, decoder, orjson"
_ND, _JSON = "kwatch -o ndjson", "kubectl get -w -o json --output-watch-events"
_PYTHON = "kubernetes (Python client)"
_TIMES = "\N{MULTIPLICATION SIGN}"
TARGETS = (
    Target("ndjson: kubectl's CPU ÷ kwatch's", 10, _ratio("objects of 3 KB", _JSON, _ND), True),
    Target("ndjson: the Python client's CPU ÷ kwatch's", 10,
           _ratio("objects of 3 KB", _PYTHON, _ND), True),
    Target("ndjson: kwatch's CPU ÷ the bare loop's", 1.3, _ratio("objects of 3 KB", _ND, _LOOP)),
    Target("rows: kubectl's CPU ÷ kwatch's", 4, _ratio("rows of 3 KB", "kubectl get -w", "kwatch"), True),
    Target("csv: kubectl's CPU ÷ kwatch's", 4, _ratio("rows of 3 KB", "kubectl get -w", "kwatch -o csv"), True),
    Target("list: ms from its first page to the first line", 60, _figure("first line", _ND, "ms")),
    Target("list as rows: wall s", 2, _figure("list as rows", "kwatch", "wall")),
    Target("list as rows: peak MiB", 120, _figure("list as rows", "kwatch", "peak_mib")),
    Target("list as ndjson: wall s", 4, _figure("list as objects", _ND, "wall")),
    Target("list as ndjson: peak MiB", 200, _figure("list as objects", _ND, "peak_mib")),
    Target("latency: median ms more than curl's", 2, _later),
    Target("start: kwatch's wall ÷ kubectl's", 2.2, _ratio("start", "kwatch pods --count 1", "kubectl get pods", "ms")),
    Target("start: CPU ms of kwatch --version", 60, _figure("start", "kwatch --version", "cpu_ms")),
    Target("memory as ndjson ÷ the list", 1.2, _figure("memory", "kwatch -o ndjson, 100,000 Pods", "by_list")),
    Target("memory as rows ÷ the list", 0.25, _figure("memory", "kwatch, 100,000 Pods", "by_list")),
    Target("memory after 1,000,000 events ÷ at half time", 1.02,
           _figure("memory", "kwatch -o ndjson, 1,000,000 events of 1,000 Pods", "growth")),
    Target("20 watches' CPU ÷ one's", 1.3, _ratio("many", "20 watches", "1 watch")),
)  # fmt: skip


def targets(results: Results) -> list[Row]:
    """Each target that these results say something about, and whether it is met."""
    rows = []
    for target in TARGETS:
        if (found := target.find(results)) is None:
            continue
        met = found >= target.wanted if target.at_least else found <= target.wanted
        wanted = f"{'≥' if target.at_least else '≤'} {target.wanted:g}"
        rows.append({"target": target.name, "wanted": wanted, "found": found, "met": "met" if met else "MISSED"})
    return rows


_SHOWN = {
    "objects of 3 KB": "objects",
    "rows of 3 KB": "rows",
    "list as objects": "a list, objects",
    "list as rows": "a list, rows",
}
"""The cases that README shows, and what their programs read."""


def readme(results: Results) -> str:
    """The tables in README: what the programs cost, and the targets. Programs that were missing are left out."""
    costs = [
        [row["program"], reads, *(_cell(name, row[name]) for name in ("cpu", "by_kwatch", "peak_mib"))]
        for case, reads in _SHOWN.items()
        for row in results.get(case, ())
        if "missing" not in row
    ]
    aims = [[row["target"], row["wanted"], _cell("found", row["found"]), row["met"]] for row in results["targets"]]
    tables = [
        (["program", "reads", "CPU s", "÷ kwatch", "peak MiB"], costs, "left left right right right"),
        (["target", "wanted", "found", ""], aims, "left right right left"),
    ]
    return "\n\n".join(
        tabulate(cells, heads, tablefmt="rst", colalign=align.split(), disable_numparse=True)
        for heads, cells, align in tables
    )


def beside(results: Results) -> list[str]:
    """What README's comparison with kubectl and the Python client says of CPU and memory."""
    objects, rows = "objects of 3 KB", "rows of 3 KB"
    by_rows = _ratio(rows, "kubectl get -w", "kwatch")(results)
    by_json, by_python = (_ratio(objects, program, _ND)(results) for program in (_JSON, _PYTHON))
    peaks = [
        f"{_of(results, case, program, 'peak_mib'):,.0f}"
        for case, program in (
            ("list as rows", "kwatch"),
            ("list as objects", _ND),
            ("list as rows", "kubectl get -w"),
            ("list as objects", _JSON),
            ("list as objects", _PYTHON),
        )
    ]
    return [
        f"{by_rows:.1f} {_TIMES} (rows), {by_json:.1f} {_TIMES} (JSON)",
        f"{by_python:.1f} {_TIMES}",
        f"{peaks[0]} (rows), {peaks[1]} (JSON)",
        f"{peaks[2]} (rows), {peaks[3]} (JSON)",
        f"{peaks[4]} [5]_",
    ]


def write(results: Results, folder: Path) -> None:
    """`bench.json`, `bench.rst` for README, and `growth.svg` where growth was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.rst").write_text(readme(results) + "\n")
    (folder / "bench.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if "growth" in results:
        draw(results["growth"], folder / "growth.svg")


def draw(rows: Sequence[Row], path: Path) -> None:
    """CPU seconds over events and objects, and CPU a megabyte over the size of an event; straight lines are linear."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.hashsalt": "kwatch", "svg.fonttype": "none", "font.size": 9})
    figure, places = pyplot.subplots(1, 3, figsize=(9.6, 3), layout="constrained")
    for place, axis in zip(places, ("events", "objects", "bytes an event"), strict=True):
        field, label = ("ms_per_mb", "CPU ms per MB") if axis == "bytes an event" else ("cpu", "CPU s")
        for program in dict.fromkeys(row["program"] for row in rows):
            points = [(row["at"], row[field]) for row in rows if (row["axis"], row["program"]) == (axis, program)]
            place.plot(*zip(*points, strict=True), marker="o", markersize=3, label=program)
        place.set(xscale="log", yscale="log", xlabel=axis, ylabel=label)
        if field == "ms_per_mb":
            place.set_ylim(0.3, 300)
        place.grid(alpha=0.3)
    places[0].legend()
    figure.savefig(path, metadata={"Date": None})
