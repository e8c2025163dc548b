"""The live table in a real terminal, under a real shell: whatever ends or stops it, the terminal is as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest
from command import SECONDS, is_running, variables
from polling import eventually

from kwatch.sandbox import Cluster, Fault, Server
from kwatch.sandbox.population import add_nodes

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(not BASH, reason="the tests type into bash")


def pod(name: str) -> dict:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for index in range(3):
        cluster.create("pods", pod(f"web-{index}"))
    return cluster


class Shell:
    """A shell on a terminal, and what is to be seen on it."""

    def __init__(self, home: Path, **more: str) -> None:
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        self.resize(80, 24)
        given = variables(home) | {"TERM": "xterm", "PS1": "$ ", "PYTHONPATH": os.getcwd()} | more
        tty = os.ttyname(slave)  # the first terminal that the leader of a session opens is its own
        command = f"exec {BASH} --norc --noprofile -i <{tty} >{tty} 2>&1"
        if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:  # tests that run in the background hand that on
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        self.process = subprocess.Popen(["sh", "-c", command], env=given, start_new_session=True)
        self.until(lambda: self.lines == ["$"])
        os.close(slave)

    def resize(self, columns: int, lines: int) -> None:
        """The window gets another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self.master, text.encode())

    def kwatch(self, *arguments: str) -> None:
        """Start kwatch in the foreground."""
        self.type(" ".join(["clear;", sys.executable, "-m", "kwatch", *arguments]) + "\n")

    @property
    def lines(self) -> list[str]:
        """What is to be seen."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def until(self, condition: Callable[[], bool]) -> None:
        """Read what is written until something is to be seen."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.lines)
            if select.select([self.master], [], [], 0.05)[0]:
                self._stream.feed(os.read(self.master, 65536))

    def live(self) -> None:
        """Until the table is there."""
        self.until(lambda: any(line.endswith(" · live") for line in self.lines) and self.screen.cursor.hidden)

    def foreground(self) -> int:
        """The process group that has the terminal."""
        return struct.unpack("i", fcntl.ioctl(self.master, termios.TIOCGPGRP, b"\0" * 4))[0]

    def given_back(self) -> None:
        """What is typed is to be seen again, and the cursor, below all that was drawn."""
        self.until(lambda: self.lines[-1].startswith("$"))
        self.type("echo $((6*7))\n")
        self.until(lambda: self.lines[-2:] == ["42", "$"])
        assert self.lines[-3].endswith("echo $((6*7))")
        assert not self.screen.cursor.hidden

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)
        self.process.kill()
        self.process.wait(SECONDS)


def table(lines: list[str]) -> list[str]:
    return [line[2:7] for line in lines if line[2:5] == "web"]


def test_ctrl_c_leaves_the_last_table_and_the_prompt_below_it(server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        shell.type("typed meanwhile\n")
        shell.type("\x03\x03\x03")
        shell.given_back()
        assert table(shell.lines) == ["web-0", "web-1", "web-2"]
        assert shell.lines[4].startswith("3 pods in default · 3 Pending")
        assert " · ended " in shell.lines[4]
        assert "^C" not in "".join(shell.lines)
        assert "typed" not in "".join(shell.lines)


def test_a_normal_end_gives_the_terminal_back(server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url, "--duration", "1s")
        shell.live()
        shell.given_back()
        assert len(table(shell.lines)) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(number: int, server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        os.killpg(shell.foreground(), number)
        shell.until(lambda: not shell.screen.cursor.hidden)
        shell.given_back()
        assert len(table(shell.lines)) == 3


def test_an_error_is_said_below_the_table(server: Server, cluster: Cluster, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        server.script(Fault(status=403))
        server.disconnect()
        shell.given_back()
        assert len(table(shell.lines)) == 3
        assert any(line.startswith("kwatch: error: ") for line in shell.lines[5:])


def test_a_namespace_that_is_not_there_is_said_in_the_last_line(server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-n", "nosuch", "-s", server.url)
        shell.until(lambda: "live (namespace nosuch doesn't exist (yet))" in "".join(shell.lines))


def test_ctrl_z_shows_the_cursor_and_fg_the_table_with_what_happened_meanwhile(
    server: Server, cluster: Cluster, tmp_path: Path
) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        shell.type("\x1a")
        shell.until(lambda: "Stopped" in "".join(shell.lines))
        shell.given_back()
        cluster.create("pods", pod("web-9"))
        shell.type("clear; fg\n")
        shell.until(lambda: "web-9" in table(shell.lines))
        shell.live()
        assert table(shell.lines) == ["web-0", "web-1", "web-2", "web-9"]
        shell.type("\x1a")
        shell.until(lambda: "Stopped" in "".join(shell.lines))
        shell.type("fg\n")
        shell.live()
        shell.type("\x03")
        shell.given_back()


def test_fg_draws_the_table_though_nothing_happens_any_more(server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        for _ in range(3):
            shell.type("\x1a")
            shell.until(lambda: "Stopped" in "".join(shell.lines))
            time.sleep(0.3)  # longer than the run waits for an event
            shell.type("clear; fg\n")
            shell.until(lambda: table(shell.lines) == ["web-0", "web-1", "web-2"])
            shell.live()
        shell.type("\x03")
        shell.given_back()


def test_a_terminal_that_is_closed_ends_it(server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        running = shell.foreground()
        assert is_running(running)
        os.close(shell.master)
        eventually(lambda: not is_running(running))


def test_a_terminal_that_doesn_t_read_holds_up_no_end(server: Server, cluster: Cluster, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        running = shell.foreground()
        shell.type("\x13")  # Ctrl-S: the terminal stops
        for index in range(30):
            cluster.create("pods", pod(f"more-{index}"))
            time.sleep(0.02)
        started = time.monotonic()
        os.killpg(running, signal.SIGINT)
        while is_running(running):
            assert time.monotonic() - started < 5
            time.sleep(0.02)


def test_a_resized_window_is_drawn_in_its_new_size(server: Server, tmp_path: Path) -> None:
    with Shell(tmp_path, COLUMNS="80", LINES="24") as shell:
        shell.kwatch("pods", "-s", server.url)
        shell.live()
        shell.resize(30, 24)
        shell.until(lambda: shell.lines[0].split() == ["NAME", "READY", "STATUS"])
        shell.resize(80, 24)
        shell.until(lambda: shell.lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])


@pytest.mark.parametrize(
    ("arguments", "variables", "coloured"),
    [([], {}, True), ([], {"NO_COLOR": "1"}, False), (["--color", "always"], {"NO_COLOR": "1"}, True),
     (["--color", "never"], {}, False)],
)  # fmt: skip
def test_colours_are_for_those_who_want_them(
    arguments: list[str], variables: dict[str, str], coloured: bool, server: Server, tmp_path: Path
) -> None:
    with Shell(tmp_path, **variables) as shell:
        shell.kwatch("pods", "-s", server.url, *arguments)
        shell.live()
        colours = {char.fg for line in shell.screen.buffer.values() for char in line.values()}
        assert (colours != {"default"}) is coloured


def test_nodes_are_drawn_on_a_terminal_and_refused_elsewhere(server: Server, cluster: Cluster, tmp_path: Path) -> None:
    given = variables(tmp_path)
    for arguments in (["pods", "-o", "nodes"], ["pods", "-o", "nodes", "--no-live"]):
        command = [sys.executable, "-m", "kwatch", *arguments, "-s", server.url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=given, check=False)
        assert (run.returncode, run.stdout) == (2, "")
        assert "-o nodes draws on a terminal" in run.stderr
    command = [sys.executable, "-m", "kwatch", "deploy", "-o", "nodes", "-s", server.url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=given, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-o", "nodes", "-s", server.url)
        shell.live()
        assert "no node yet 3  ◧ ◧ ◧" in shell.lines


def test_a_filter_of_the_pods_leaves_the_nodes(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    add_nodes(cluster)
    with Shell(tmp_path) as shell:
        shell.kwatch("pods", "-o", "nodes", "-s", server.url, "--name", "web-1", "--where", "STATUS=Pending")
        shell.live()
        assert any(line.startswith("1 pod, 3 nodes in default") for line in shell.lines)
