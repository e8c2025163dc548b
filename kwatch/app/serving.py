"""`kwatch sandbox`: the API server alone, where it is, how to use it; and a kubeconfig that leads to it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from kwatch.app.loop import TICK_SECONDS
from kwatch.app.playing import sandbox
from kwatch.app.voice import Voice
from kwatch.cluster.files import config_error, why
from kwatch.errors import ExitCode
from kwatch.model import Environment

_BROKEN_IMAGES = (
    "images whose name begins with bad, and tags with bad, broken, missing, nosuch or notexist in them, can't be "
    "pulled; those that begin with crash exit soon after they start"
)
"""The rule of `kwatch.sandbox.kubelet`, for a person."""
_MARK = "# Written by kwatch sandbox, which writes it anew when it starts.\n"
_KUBECONFIG = (
    _MARK
    + """\
apiVersion: v1
kind: Config
clusters:
- name: kwatch-sandbox
  cluster:
    server: {url}
contexts:
- name: kwatch-sandbox
  context:
    cluster: kwatch-sandbox
    user: kwatch-sandbox
users:
- name: kwatch-sandbox
  user: {{}}
current-context: kwatch-sandbox
"""
)


def serve(
    port: int, scenario: str, options: Mapping[str, float], kubeconfig: str, env: Environment, voice: Voice
) -> ExitCode:
    """Until Ctrl-C. Its address goes to stdout, and into the file `kubeconfig` if one is named.

    Raises UsageError and ConfigError, before anything is written.
    """
    path = Path(kubeconfig).absolute() if kubeconfig else None
    if path:
        _check_replaceable(path)
    with sandbox(port, scenario, options) as url:
        if path:
            _write_kubeconfig(path, url)
        env.stdout.write(f"{url}\n".encode())
        env.stdout.flush()
        voice.say(f"an API server with the scenario {scenario}; Ctrl-C ends it. For kubectl or kwatch, elsewhere:")
        voice.say(f"export KUBECONFIG={quote(str(path))}" if path else f"kubectl -s {url} get pods -A")
        voice.say(_BROKEN_IMAGES)
        while not env.stdout_closed():
            time.sleep(TICK_SECONDS)
        return ExitCode.PIPE_CLOSED


def _check_replaceable(path: Path) -> None:
    """Raises ConfigError if there is something at `path` that the sandbox didn't write."""
    try:
        own = not path.is_symlink() and path.read_bytes().startswith(_MARK.encode())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise config_error(f"--write-kubeconfig: {path} can't be read: {why(error)}; name another file") from None
    if not own:
        raise config_error(
            f"--write-kubeconfig: {path} is there, and kwatch sandbox didn't write it; name another file"
        )


def _write_kubeconfig(path: Path, url: str) -> None:
    """A kubeconfig whose one cluster is at `url`; beside and renamed, for its owner alone. Raises ConfigError."""
    beside = None
    try:
        descriptor, beside = tempfile.mkstemp(prefix=".kwatch-", dir=path.parent)
        with open(descriptor, "w") as file:
            file.write(_KUBECONFIG.format(url=url))
        os.replace(beside, path)
    except OSError as error:
        if beside:
            Path(beside).unlink(missing_ok=True)
        raise config_error(f"--write-kubeconfig: {path} can't be written: {why(error)}; name another file") from None
