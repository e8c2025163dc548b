"""The composition root: options and an environment in, an exit code out. Only here do errors become exit codes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kwatch.app.options import EventOptions, Options, WaitOptions
from kwatch.app.output import prepared
from kwatch.app.playing import sandbox
from kwatch.app.sources import connections
from kwatch.app.voice import Voice
from kwatch.app.watching import opened, watch
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ExitCode, KwatchError, Terminated
from kwatch.model import Environment
from kwatch.pump import within

if TYPE_CHECKING:
    from kwatch.app.replaying import ReplayOptions
    from kwatch.app.resources import Listing

__all__ = [
    "EventOptions",
    "Options",
    "WaitOptions",
    "run",
    "run_demo",
    "run_replay",
    "run_resources",
    "run_sandbox",
    "run_state",
    "run_wait",
]


def run(options: Options, env: Environment) -> ExitCode:
    """Watch until told to stop; the exit code says how it ended."""
    return _ended(lambda voice: watch(options, connections(options, env, voice), env, voice), env)


def run_wait(options: WaitOptions, env: Environment) -> ExitCode:
    """Wait for conditions; the exit code says how it ended."""
    from kwatch.app.judging import left
    from kwatch.app.waiting import wait

    def work(voice: Voice) -> ExitCode:
        started = time.monotonic()
        try:
            found = within(lambda: connections(options.watch, env, voice), lambda: left(options.watch, started))
        except TimeoutError:
            from kwatch.cluster.exec import end_plugins  # what a cluster without plugins doesn't load

            end_plugins()
            voice.say(f"error: timed out after {options.watch.patience:g}s: the credential plugin gave nothing")
            return ExitCode.TIMED_OUT
        with opened(found, voice):
            return wait(options, found, env, voice, started)

    return _ended(work, env)


def run_demo(options: Options, scenario: str, env: Environment) -> ExitCode:
    """The same watch against an API server in this process that plays `scenario`."""

    def play(voice: Voice) -> ExitCode:
        with sandbox(0, scenario, {}) as url:
            return watch(options._replace(cache_dir=None), [Connection(server=url)], env, voice)

    return _ended(play, env)


def run_sandbox(
    port: int, scenario: str, scenario_options: Mapping[str, float], kubeconfig: str, env: Environment
) -> ExitCode:
    """That API server alone, until Ctrl-C; its address goes to stdout, and into `kubeconfig` if a file is named."""

    def alone(voice: Voice) -> ExitCode:
        from kwatch.app.serving import serve

        return serve(port, scenario, scenario_options, kubeconfig, env, voice)

    return _ended(alone, env)


def run_resources(listing: Listing, env: Environment) -> ExitCode:
    """What the cluster can watch, as a table or as names."""
    from kwatch.app.resources import list_resources

    return _ended(lambda voice: list_resources(listing, env, voice), env)


def run_replay(options: Options, asked: ReplayOptions, env: Environment) -> ExitCode:
    """What was recorded, again; or the state of the cluster at a moment of it."""

    def again(voice: Voice) -> ExitCode:
        from kwatch.app.replaying import replay

        return replay(prepared(options, env), asked, env, voice)

    return _ended(again, env)


def run_state(path: str, form: str, env: Environment) -> ExitCode:
    """What is in the state of an export, as a table or, of the form `json`, a document."""

    def show(voice: Voice) -> ExitCode:
        from kwatch.app.exporting import described

        env.stdout.write(described(path, form).encode(errors="backslashreplace"))
        env.stdout.flush()
        return ExitCode.OK

    return _ended(show, env)


def _ended(work: Callable[[Voice], ExitCode], env: Environment) -> ExitCode:
    """Run `work`; whatever ends it becomes an exit code, and for an error one line on stderr."""
    voice = Voice(env)
    try:
        return work(voice)
    except KwatchError as error:
        voice.error(error)
        return ExitCode(error.exit_code)
    except BrokenPipeError:
        return ExitCode.PIPE_CLOSED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Terminated:
        return ExitCode.TERMINATED
    except OSError as error:
        voice.say(f"error: writing the output: {error.strerror or error}")
        return ExitCode.ERROR
    except Exception as error:
        voice.say(f"error: a bug of kwatch's own, {type(error).__name__}: {error}; please report it")
        return ExitCode.ERROR
    finally:
        voice.progress.clear()
