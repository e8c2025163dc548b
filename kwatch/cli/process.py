"""The process around a command: its streams and signals, what it ends with, and how it leaves."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import signal
import stat
import sys
import termios
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

import click
from click.core import ParameterSource

from kwatch.errors import ExitCode, Terminated
from kwatch.terminal import Terminal
from kwatch.text import as_typed

if TYPE_CHECKING:
    from kwatch.model import Environment

FLUSH_SECONDS = 0.3
"""How long a stopped run waits for a reader that doesn't read."""


def _echo(on: bool) -> None:
    """The echo of what is typed amid a picture; what was typed unseen is thrown away. Not from the background."""
    with contextlib.suppress(OSError, termios.error):
        if os.tcgetpgrp(1) != os.getpgrp():
            return
        modes = termios.tcgetattr(1)
        modes[3] = modes[3] | termios.ECHO if on else modes[3] & ~termios.ECHO
        termios.tcsetattr(1, termios.TCSAFLUSH if on else termios.TCSANOW, modes)


def _reads() -> bool:
    """Whether the terminal takes what we write: it isn't stopped, and we are not in the background."""
    with contextlib.suppress(OSError):
        if os.tcgetpgrp(1) != os.getpgrp():
            return False
    return bool(select.select([], [1], [], 0)[1])


TERMINAL = Terminal(echo=_echo, reads=_reads)


def run(command: click.Command) -> NoReturn:
    """Run it, and leave with the exit code, at once even if a reader of stdout has stopped reading."""
    sys.stderr = sys.stderr or io.StringIO()  # closed by the caller: there is nobody to tell
    sys.stdout = sys.stdout or _unwritable()
    try:
        _catch_signals()
        _check_process()
        code = command.main(prog_name=_program(), standalone_mode=False) or ExitCode.OK
    except click.ClickException as error:
        code = _usage_error(error)
    except OSError as error:
        sys.stderr.write(f"kwatch: error: stdout: {error.strerror or error}\n")
        code = ExitCode.ERROR
    except (click.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except Terminated:
        code = ExitCode.TERMINATED
    _leave(int(code))


def _catch_signals() -> None:
    """Ctrl-C and SIGTERM as exceptions in the main thread, the first alone: a second must not disturb the end.

    Other signals that take the terminal away give it back first.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def give_way(number: int, frame: FrameType | None) -> None:
        """Ctrl-Z, Ctrl-\\ or a hangup: what the signal does by default, but not before the terminal is as it was."""
        _restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, give_way)  # stopped, and continued

    def resume(number: int, frame: FrameType | None) -> None:
        TERMINAL.resumed += 1

    for each in (signal.SIGTSTP, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, give_way)
    signal.signal(signal.SIGCONT, resume)
    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a background job
        signal.signal(signal.SIGINT, end)


def _restore() -> None:
    """Give the terminal back, if somebody draws on it."""
    if TERMINAL.restore:
        with contextlib.suppress(OSError):
            os.write(1, TERMINAL.restore)
        TERMINAL.echo(True)


def _check_process() -> None:
    """What no option is to blame for: words that are not text."""
    variables = [(name, value) for name, value in os.environ.items() if name.startswith("KWATCH_")]
    for place, word in [*zip(sys.argv[1:], sys.argv[1:], strict=True), *variables]:
        if not word.isascii() and any("\ud800" <= character <= "\udfff" for character in word):
            raise click.UsageError(f"{place!a} is not text in this locale's encoding; check LANG, or the argument")


def _unwritable() -> TextIO:
    """For a stdout that the caller closed: its descriptor taken, lest a socket get it, and each write an error."""
    _point_stdout(os.O_RDONLY)
    return open(1, "w", closefd=False)


def _point_stdout(flags: int) -> None:
    """Let its descriptor be of nothing, to be read or written."""
    nothing = os.open(os.devnull, flags)
    if nothing != 1:
        os.dup2(nothing, 1)
        os.close(nothing)


def environment(*, is_printing: bool = True) -> Environment:
    """The process's own streams, variables and terminal. Of a run that is not for printing, stdout may be closed."""
    from kwatch.model import Environment

    stdout = sys.stdout.buffer
    if fcntl.fcntl(stdout.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        if is_printing:
            raise click.ClickException("stdout is closed; there is nowhere to print to")
        _point_stdout(os.O_WRONLY)
    terminal = sys.stdout.isatty()
    return Environment(
        stdout=stdout,
        stderr=sys.stderr,
        stdin=sys.stdin.buffer if sys.stdin else None,
        variables=os.environ,
        stdout_is_terminal=terminal,
        stdout_closed=_closed_pipe(stdout.fileno()) if not terminal else (lambda: False),
        size=_size,
        terminal=TERMINAL,
        program=_program(),
        on_hangup=lambda action: signal.signal(signal.SIGHUP, lambda number, frame: action()),
    )


def _size() -> os.terminal_size:
    """That of the terminal as it is now; COLUMNS and LINES, which don't follow it, only where it has none."""
    with contextlib.suppress(OSError):
        size = os.get_terminal_size(1)
        if size.columns and size.lines:
            return size
    import shutil

    return shutil.get_terminal_size()


def _closed_pipe(descriptor: int) -> Callable[[], bool]:
    """Tells whether the other end of a pipe is closed, without writing: else `kwatch pods | head -1` would linger."""
    if not (stat.S_ISFIFO(mode := os.fstat(descriptor).st_mode) or stat.S_ISSOCK(mode)):
        return lambda: False
    poller = select.poll()
    poller.register(descriptor, 0)
    return lambda: any(events & (select.POLLERR | select.POLLHUP) for _, events in poller.poll(0))


def _program() -> str:
    """`kubectl kwatch` where kubectl runs us as its plugin."""
    return "kubectl kwatch" if os.path.basename(sys.argv[0]).startswith("kubectl-") else "kwatch"


def _usage_error(error: click.ClickException) -> int:
    if isinstance(error, click.BadParameter):
        error.param_hint = _variable(error) or error.param_hint
    where = f"; see {error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
    said = as_typed(error.format_message().rstrip("."), _program())
    sys.stderr.write(f"kwatch: error: {said}{where}\n")
    return error.exit_code


def _variable(error: click.BadParameter) -> str:
    """The environment variable that the bad value came of, "" where it was typed."""
    context, parameter = error.ctx, error.param
    if not context or not parameter or not parameter.name:
        return ""
    if context.get_parameter_source(parameter.name) is not ParameterSource.ENVIRONMENT:
        return ""
    names = [*(parameter.envvar or ()), f"{context.auto_envvar_prefix}_{parameter.name.upper()}"]
    return f"the variable {next(name for name in names if os.environ.get(name))}"


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads amid a connect, nor long for a reader that doesn't read."""

    def flush() -> None:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):  # the other end is closed
                stream.flush()
        _restore()

    flusher = threading.Thread(target=flush, daemon=True)
    flusher.start()
    flusher.join(FLUSH_SECONDS if code else None)
    os._exit(code)
