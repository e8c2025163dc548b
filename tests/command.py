"""The installed command, as a user runs it, with a private home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored, and would pass that on

SECONDS = 30
"""A run that takes longer is stopped and fails the test."""


def variables(home: Path) -> dict[str, str]:
    """An environment without the user's own kubeconfig and KWATCH_ variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KWATCH_", "KUBE"))}
    return {**kept, "HOME": str(home), "PYTHONUNBUFFERED": "", "PYTHONWARNINGS": "error"}


def kwatch(
    arguments: Sequence[str], home: Path, stdin: str | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with `more` variables."""
    command = [sys.executable, "-m", "kwatch", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=SECONDS, env=variables(home) | more, check=False
    )


def is_running(pid: int) -> bool:
    """A zombie isn't: it waits for whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


class Running:
    """The command while it runs, its output in files."""

    def __init__(self, arguments: Sequence[str], home: Path, **more: str) -> None:
        self._out, self._err = home / "stdout", home / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, "-m", "kwatch", *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=variables(home) | more)

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        """What it said so far."""
        return self._err.read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"never true; stderr: {self.stderr}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}; stderr: {self.stderr}"
            time.sleep(0.02)

    def end(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Send a signal; the exit code and the seconds until the end."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(SECONDS), time.monotonic() - started

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
