"""The programs that are measured: how each is called, and how it ends when there is nothing more to read."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PODS = "/api/v1/namespaces/default/pods"


@dataclass(frozen=True)
class Program:
    """`command` takes a server's address. `needs`: what must be installed, as a command or a module.

    `table`: it reads the server's rows. `code`: how it ends once the server forbids it to go on.
    """

    name: str
    command: Callable[[str], list[str]]
    needs: str
    table: bool = False
    code: int = 0
    lists: bool = True
    counts: bool = True

    @property
    def is_here(self) -> bool:
        """Whether it can be run."""
        return shutil.which(self.needs) is not None or importlib.util.find_spec(self.needs) is not None


def kwatch(url: str, *more: str) -> list[str]:
    """The installed command."""
    return [str(BIN / "kwatch"), "pods", "-q", "-s", url, *more]


def _kubectl(url: str, *more: str) -> list[str]:
    return ["kubectl", "-s", url, "get", "pods", "-w", *more]


def _curl(url: str, *more: str) -> list[str]:
    return ["curl", "-sN", "-o", "/dev/null", *more, f"{url}{PODS}?watch=1"]


def _python(script: str, *more: str) -> list[str]:
    return [sys.executable, str(HERE / script), *more]


CURL, LOOP = "curl to /dev/null", "bare loop of requests, decoder, orjson"
OBJECTS = (
    Program(CURL, _curl, "curl", lists=False, counts=False),
    Program(LOOP, lambda url: _python("loop.py", url + PODS, "objects"), "requests", lists=False),
    Program("kwatch -o ndjson", lambda url: kwatch(url, "-o", "ndjson"), "kwatch", code=1),
    Program(
        "kubectl get -w -o json --output-watch-events",
        lambda url: _kubectl(url, "-o", "json", "--output-watch-events"),
        "kubectl",
        counts=False,
    ),
    Program("kubernetes (Python client)", lambda url: _python("python_client.py", url), "kubernetes"),
    Program("kubernetes_asyncio", lambda url: _python("asyncio_client.py", url), "kubernetes_asyncio"),
)
ROWS = (
    Program(CURL, lambda url: _curl(url, "-H", f"Accept: {TABLE}"), "curl", table=True, lists=False, counts=False),
    Program(LOOP, lambda url: _python("loop.py", url + PODS, "table"), "requests", table=True, lists=False),
    Program("kwatch", kwatch, "kwatch", table=True, code=1),
    Program("kwatch -o csv", lambda url: kwatch(url, "-o", "csv"), "kwatch", table=True, code=1),
    Program("kubectl get -w", _kubectl, "kubectl", table=True),
)
LISTS = tuple(program for program in OBJECTS if program.lists and "asyncio" not in program.name)
ROW_LISTS = tuple(program for program in ROWS if program.lists and "csv" not in program.name)
KWATCH_OBJECTS, KWATCH_ROWS = OBJECTS[2], ROWS[2]
