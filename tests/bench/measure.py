"""What a whole process costs: CPU as the kernel counts it (wait4), wall time, the peak of its resident memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

from replay import Load

HERE = Path(__file__).parent
POLL = 0.005
"""Seconds between two looks at the memory of a process."""
LIMIT = 900
"""Seconds after which a run is stopped and is an error."""


class Failed(Exception):
    """A run that did not do what it was to do: its figures would mean nothing."""


@dataclass(frozen=True)
class Cost:
    """CPU (user and system) and wall in seconds, peak in MiB, what was printed in bytes and lines."""

    cpu: float
    wall: float
    peak: float
    printed: int = 0
    lines: int = 0
    growth: float = 0.0
    """Resident memory at the end by that at half time."""


def middle(costs: Sequence[Cost]) -> Cost:
    """The medians."""
    each = {name: median(getattr(cost, name) for cost in costs) for name in ("cpu", "wall", "peak")}
    return Cost(**each, printed=costs[0].printed, lines=costs[0].lines, growth=costs[0].growth)


class Bench:
    """A replay server and a place for what the programs print; use as a context manager."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "KWATCH_", "PYTHON"))
        } | {"HOME": str(home), "NO_PROXY": "127.0.0.1"}
        self._port = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[Bench]:
        """With the server running."""
        command = [sys.executable, str(HERE / "replay.py")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            self._port = int(server.stdout.readline())
            yield self
            server.stdin.close()

    def url(self, load: Load) -> str:
        """Where the server has it."""
        return f"http://127.0.0.1:{self._port}/{load}"

    def prepare(self, load: Load, *, table: bool) -> str:
        """Make it ready; its address."""
        request = Request(self.url(load) + ("?table=1" if table else ""), method="POST", data=b"")
        with urlopen(request, timeout=LIMIT) as answer:
            answer.read()
        return self.url(load)

    def run(self, command: Sequence[str], codes: Sequence[int] = (0,)) -> Cost:
        """Run it to its end, its output in a file. Raises Failed where it ends otherwise than with one of `codes`."""
        out, err = self.home / "stdout", self.home / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            started = time.monotonic()
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=self.variables)
            memory, code, usage = _ended(process.pid, started + LIMIT)
            wall = time.monotonic() - started
        process.returncode = code
        if code not in codes:
            raise Failed(f"{' '.join(command)} ended with {code}: {err.read_text()[-500:]}")
        printed, lines = _size(out)
        out.unlink()
        peak, growth = max(memory, default=0.0), memory[-1] / memory[len(memory) // 2] if memory else 0.0
        return Cost(usage.ru_utime + usage.ru_stime, wall, peak, printed, lines, growth)


def _ended(pid: int, deadline: float) -> tuple[list[float], int, os.struct_rusage]:
    """Wait for it; its memory in MiB all along, exit code and usage. The kernel's own peak has the parent's in it."""
    memory = []
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return memory, os.waitstatus_to_exitcode(status), usage
        with contextlib.suppress(OSError, IndexError):
            text = Path(f"/proc/{pid}/status").read_text()
            memory.append(int(text.partition("VmRSS:")[2].split()[0]) / 1024)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
        time.sleep(POLL)


def _size(path: Path) -> tuple[int, int]:
    """Bytes and lines of a file."""
    lines = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
    return path.stat().st_size, lines
