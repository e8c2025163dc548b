"""The layers: imports point down only, and the pure ones import neither time nor chance nor I/O."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "kwatch"

LAYERS = {
    "kwatch": 0,
    "kwatch.errors": 0,
    "kwatch.model": 0,
    "kwatch.shards": 0,
    "kwatch.terminal": 0,
    "kwatch.text": 0,
    "kwatch.columns": 1,
    "kwatch.diffs": 1,
    "kwatch.events": 1,
    "kwatch.filters": 1,
    "kwatch.readings": 1,
    "kwatch.gotext": 1,
    "kwatch.sorting": 1,
    "kwatch.yamltext": 1,
    "kwatch.jsonpath": 1,
    "kwatch.printing": 1,
    "kwatch.labels": 1,
    "kwatch.lifecycle": 1,
    "kwatch.retry": 1,
    "kwatch.stages": 1,
    "kwatch.store": 1,
    "kwatch.protocol": 1,
    "kwatch.chunked": 2,
    "kwatch.cluster": 2,
    "kwatch.recordings": 2,
    "kwatch.transport": 2,
    "kwatch.vitals": 1,
    "kwatch.watcher": 2,
    "kwatch.api": 3,
    "kwatch.arguments": 3,
    "kwatch.feed": 3,
    "kwatch.informer": 3,
    "kwatch.pump": 3,
    "kwatch.selection": 3,
    "kwatch.conditions": 4,
    "kwatch.export": 4,
    "kwatch.metrics": 4,
    "kwatch.awaiting": 4,
    "kwatch.sinks": 4,
    "kwatch.sandbox": 4,
    "kwatch.app": 5,
    "kwatch.cli": 6,
    "kwatch.standins": 6,
    "kwatch.__main__": 7,
}
"""A module has the layer of its longest prefix here."""

IMPURE = {
    "time",
    "random",
    "socket",
    "threading",
    "select",
    "requests",
    "urllib3",
    "click",
    "yaml",
    "subprocess",
    "queue",
}
ALLOWED = {
    "click": {"kwatch.cli"},
    "requests": {"kwatch.transport", "kwatch.cluster"},
    "urllib3": {"kwatch.transport", "kwatch.cluster"},
    "yaml": {"kwatch.cluster", "kwatch.sinks"},
    "threading": {
        "kwatch.api",
        "kwatch.awaiting",
        "kwatch.pump",
        "kwatch.feed",
        "kwatch.informer",
        "kwatch.sandbox",
        "kwatch.cli",
        "kwatch.cluster",
        "kwatch.export",
        "kwatch.metrics",
    },
    "tabulate": {"kwatch.app"},
    "prometheus_client": {"kwatch.metrics"},
    "sqlite3": {"kwatch.export"},
    "jsonpath": {"kwatch.jsonpath"},
}
"""Who may import what; `cli` has a thread for a last flush that must not block, `cluster` a lock that keeps
reader threads from running a credential plugin twice, and a thread that ends a discovery in time, `export` a thread
that compresses rotated files, `metrics` an HTTP server."""


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("kwatch", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text())
    return found


def imports(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            names.add("kwatch.sandbox")  # the one package that imports its own modules relatively
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def home(module: str) -> str:
    prefixes = [name for name in LAYERS if module == name or module.startswith(f"{name}.")]
    return max(prefixes, key=len)


MODULES = modules()


FACADE = "kwatch"
"""The package itself names what programs use of it, from above, and imports it only when it is asked for."""


def test_the_package_itself_imports_nothing_but_for_type_checkers() -> None:
    at_once = [node for node in MODULES[FACADE].body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {name.partition(".")[0] for name in imports(ast.Module(at_once, []))} == {
        "__future__",
        "importlib",
        "typing",
    }


def test_contributing_shows_these_layers() -> None:
    table = (ROOT.parent / "CONTRIBUTING.rst").read_text().split("\n====")[3]
    shown: dict[str, set[int]] = {}
    layer = -1
    for line in table.splitlines():
        cell = line[:76]
        layer = int(cell[0]) if cell[:1].isdigit() else layer
        for name in re.findall(r"``(\w+)(?:/|\.py)``", cell):
            shown.setdefault(f"kwatch.{name}", set()).add(layer)
    assert {name: {number} for name, number in LAYERS.items() if name != FACADE and shown.get(name) != {number}} == {}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {FACADE}))
def test_imports_point_down(module: str) -> None:
    layer = LAYERS[home(module)]
    inside = {home(name) for name in imports(MODULES[module]) if name.startswith("kwatch.")}
    assert {name for name in inside if LAYERS[name] > layer} == set()


PURE = sorted(name for name in MODULES if LAYERS[home(name)] <= 1 or home(name) == "kwatch.conditions")


@pytest.mark.parametrize("module", PURE)
def test_the_lower_layers_and_the_conditions_are_pure(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(MODULES[module])} & IMPURE == set()


@pytest.mark.parametrize("module", sorted(name for name in MODULES if home(name) == "kwatch.sandbox"))
def test_the_sandbox_is_the_standard_library_alone(module: str) -> None:
    roots = {name.partition(".")[0] for name in imports(MODULES[module])}
    assert roots - set(sys.stdlib_module_names) <= {"kwatch"}
    assert {home(name) for name in imports(MODULES[module]) if name.startswith("kwatch")} <= {
        "kwatch",
        "kwatch.sandbox",
    }


@pytest.mark.parametrize("module", sorted(MODULES))
def test_libraries_are_used_where_they_belong(module: str) -> None:
    used = {name.partition(".")[0] for name in imports(MODULES[module])}
    assert {name for name in used if name in ALLOWED and home(module) not in ALLOWED[name]} == set()


def sink_of(module: str) -> str:
    """`kwatch.sinks.live` of `kwatch.sinks.live.paint`: a sink is a module or a package."""
    return ".".join(module.split(".")[:3])


@pytest.mark.parametrize("sink", sorted(name for name in MODULES if name.startswith("kwatch.sinks.")))
def test_a_sink_knows_no_other_sink_and_nothing_above_layer_1(sink: str) -> None:
    used = {name for name in imports(MODULES[sink]) if name.startswith("kwatch.")}
    assert all(LAYERS[home(name)] <= 1 or home(name) == "kwatch.sinks" for name in used)
    others = {sink_of(name) for name in used if name in MODULES and name.startswith("kwatch.sinks.")}
    assert others - {sink_of(sink)} == set()


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("kwatch.sinks.live.")))
def test_the_core_of_the_live_table_is_pure_and_writes_nothing(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(MODULES[module])} & (IMPURE | {"sys", "io", "signal"}) == set()
    calls = {node.func.attr for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)
             and isinstance(node.func, ast.Attribute)}  # fmt: skip
    assert calls & {"now", "utcnow", "write", "flush"} == set()
