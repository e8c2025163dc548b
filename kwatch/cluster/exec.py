"""Credentials that a program of the user's prints: exec plugins (client.authentication.k8s.io/v1 and v1beta1).

No shell, a time limit, a cap on output, and nothing of its stdout, which holds the token, in any error or repr.
The behaviours are client-go's (`plugin/pkg/client/auth/exec`), but it waits for ever.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from kwatch.cluster.credentials import sendable
from kwatch.cluster.files import config_error, why
from kwatch.cluster.kubefile import Entry, first_document
from kwatch.errors import ConfigError
from kwatch.text import BRIEF, brief

MAX_SECONDS = 60.0
"""Seconds a plugin may take while nobody sees what it says."""

ATTENDED = 10
"""So many times as long where its stderr is a terminal: a login in a browser, with a second factor, takes minutes."""

MAX_OUTPUT = 1 << 20
"""Bytes a plugin may print on stdout."""

MAX_STDERR = 1 << 16
"""Bytes of a plugin's stderr that are kept, the last ones."""

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MODES = ("Never", "IfAvailable", "Always")
_EXTENSION = "client.authentication.k8s.io/exec"
_READ_SIZE = 65536
_POLL_SECONDS = 0.05
_KEPT = 4
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A user's `exec`, checked. `cluster` is what it is told of the cluster, None for nothing."""

    where: str
    path: str
    arguments: tuple[str, ...] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    version: str
    mode: str
    hint: str = ""
    cluster: Mapping[str, object] | None = field(default=None, repr=False)

    def error(self, text: str) -> ConfigError:
        """A ConfigError that begins with the user and the plugin."""
        return config_error(f"{self} {text}")

    def __str__(self) -> str:
        return f"{self.where}: the exec plugin {brief(self.path)}"


def plugin(user: Entry, env: Mapping[str, str], cluster: Mapping[str, object]) -> Plugin:
    """The plugin of a user that has one, to be run with `env`; `cluster` counts if the user says so.

    Raises ConfigError for an entry that can't be used, and for a command that isn't there.
    """
    body = user.body["exec"]
    if not isinstance(body, dict):
        raise user.error("has an `exec:` that isn't a mapping; put its fields below it, indented")
    entry = Entry(user.section, user.name, body, user.file)
    version = entry.text("apiVersion")
    if version not in _VERSIONS:
        raise entry.error(
            f"has an exec plugin whose apiVersion kwatch doesn't speak; it must be {' or '.join(_VERSIONS)}"
        )
    hint = brief(entry.text("installHint"))
    return Plugin(
        str(user),
        _path(entry, env, hint),
        _arguments(entry),
        {**env, **_variables(entry)},
        version,
        _mode(entry, version),
        hint,
        cluster if entry.boolean("provideClusterInfo") else None,
    )


def cluster_info(cluster: Entry, server: str, ca: bytes, insecure: bool, tls_server_name: str) -> dict[str, object]:
    """What `provideClusterInfo` tells a plugin: where the server is, how to trust it, the cluster's own extension."""
    told = {
        "server": server,
        "tls-server-name": tls_server_name,
        "insecure-skip-tls-verify": insecure,
        "certificate-authority-data": base64.b64encode(ca).decode("ascii"),
        "config": _extension(cluster),
    }
    return {key: value for key, value in told.items() if value}


def _extension(cluster: Entry) -> object:
    listed = _mappings(cluster.body.get("extensions"))
    return next((item.get("extension") for item in listed if item.get("name") == _EXTENSION), None)


def _path(entry: Entry, env: Mapping[str, str], hint: str) -> str:
    """The program: with a separator relative to the kubeconfig's folder, else by PATH."""
    command = entry.text("command")
    if not command:
        raise entry.error("has an exec plugin without a command; add `command: …` to it")
    if os.sep in command:
        return str(entry.file.absolute().parent / command)
    found = shutil.which(command, path=env.get("PATH", os.defpath))
    if found and os.path.isabs(found):  # as in Go, a PATH that names the current folder doesn't count
        return found
    raise entry.error(f"needs the exec plugin {brief(command)}, which isn't on PATH; {hint or 'install it'}")


def _arguments(entry: Entry) -> tuple[str, ...]:
    listed = entry.body.get("args")
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise entry.error("has an exec plugin whose args aren't a list of strings; put each in quotes")
    return tuple(listed)


def _variables(entry: Entry) -> dict[str, str]:
    listed = entry.body.get("env")
    if listed is None:
        return {}
    pairs = [(item.get("name"), item.get("value")) for item in _mappings(listed)]
    if not isinstance(listed, list) or len(pairs) != len(listed) or not all(map(_is_variable, pairs)):
        raise entry.error("has an exec plugin whose env isn't a list of `- name: …` with `value: …`, both strings")
    return {str(name): str(value) for name, value in pairs}


def _mappings(listed: object) -> list[Mapping[str, object]]:
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _is_variable(pair: tuple[object, object]) -> bool:
    name, value = pair
    return isinstance(name, str) and isinstance(value, str) and bool(name) and "=" not in name


def _mode(entry: Entry, version: str) -> str:
    """v1 must say it, v1beta1 means IfAvailable where it doesn't."""
    mode = entry.text("interactiveMode") or ("" if version == _VERSIONS[0] else "IfAvailable")
    if mode not in _MODES:
        raise entry.error(f"has an exec plugin without a valid interactiveMode; it must be {' or '.join(_MODES)}")
    return mode


class _Failure(Exception):
    """What is wrong with a run, in words that hold nothing of its stdout."""


@dataclass(frozen=True, slots=True, repr=False)
class _Grant:
    """What a run gave. `expires`: seconds since the epoch."""

    header: str
    certificate: bytes
    key: bytes
    expires: float


class _Process(subprocess.Popen[bytes]):
    """One that no exception leaves behind, not even Ctrl-C amid its start: that reaches kwatch alone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        try:
            super().__init__(*arguments, **options)
        except BaseException:
            if getattr(self, "pid", None) and self.returncode is None:
                _kill(self)
                self.wait()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind:
            _kill(self)
        super().__exit__(kind, error, trace)


class ExecCredentials:
    """The token, or client certificate, that a plugin prints. Run at first use, once it has expired, and after a 401.

    Threads share one run: who comes meanwhile waits for it.
    """

    __slots__ = ("_closed", "_given", "_known", "_lock", "_mine", "_now", "_plugin", "_process", "_seconds", "_stdio")

    def __init__(
        self,
        plugin: Plugin,
        now: Callable[[], float] = time.time,
        seconds: float = MAX_SECONDS,
        stdio: tuple[int, int] = (0, 2),
    ) -> None:
        self._plugin = plugin
        self._now = now
        self._seconds = seconds
        self._stdio = stdio
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._known: _Grant | None = None
        self._given: tuple[_Grant, ...] = ()
        self._process: _Process | None = None
        self._closed = False

    def authorization(self) -> str:
        """`Bearer TOKEN`, "" where the plugin gives a certificate alone. Raises ConfigError where it fails."""
        return self._current().header

    def identity(self) -> tuple[bytes, bytes]:
        """(client certificate, its key) that came with the value this thread got last, both in PEM or both empty.

        Raises ConfigError where there is none yet and the plugin fails.
        """
        grant: _Grant = getattr(self._mine, "grant", None) or self._current()
        return grant.certificate, grant.key

    @property
    def plugin(self) -> Plugin:
        """What is run."""
        return self._plugin

    def given(self) -> tuple[str, ...]:
        """The last few values, without a run nor a wait for one."""
        return tuple(grant.header for grant in self._given)

    def renew(self) -> None:
        """Run it again at the next use, if no other thread has since this one got its value (fault 28)."""
        with self._lock:
            if self._known is getattr(self._mine, "grant", None):
                self._known = None

    def close(self) -> None:
        """Nothing is asked for any more: a plugin that still runs is killed. From any thread, at once."""
        self._closed = True
        if process := self._process:
            _kill(process)

    def _current(self) -> _Grant:
        with self._lock:
            if self._known is None or self._now() >= self._known.expires:
                self._known = self._fresh()
                self._given = (self._known, *self._given)[:_KEPT]
            self._mine.grant = self._known
            return self._known

    def _fresh(self) -> _Grant:
        try:
            return _grant(self._output(), self._plugin)
        except _Failure as failure:
            raise self._plugin.error(str(failure)) from None

    def _output(self) -> bytes:
        """What one run prints on stdout. Raises _Failure."""
        with self._started() as process:
            self._process = process
            _running.add(process)
            try:
                if self._closed:
                    _kill(process)
                attended = ATTENDED if os.isatty(self._stdio[1]) else 1
                output, errors = _collected(process, self._seconds * attended)
            finally:
                self._process = None
                _running.discard(process)
        if process.returncode:
            raise _Failure(f"{_end(process.returncode)}{_said(errors)}")
        return output

    def _started(self) -> _Process:
        plugin = self._plugin
        stdin, stderr = self._stdio
        interactive = plugin.mode != "Never" and os.isatty(stdin)
        if plugin.mode == "Always" and not interactive:
            raise _Failure("has to ask you something, but stdin is no terminal; run kwatch in one, or pass --token")
        try:
            return _Process(
                [plugin.path, *plugin.arguments],
                bufsize=0,
                stdin=stdin if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr if os.isatty(stderr) else subprocess.PIPE,
                env={**plugin.environment, "KUBERNETES_EXEC_INFO": _info(plugin, interactive)},
                start_new_session=True,  # so that whatever it starts can be killed with it
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            reason = why(error) if isinstance(error, OSError) else "an argument or a variable isn't valid"
            raise _Failure(f"can't be run: {reason}; {plugin.hint or 'check its path and permissions'}") from None

    def __repr__(self) -> str:
        return f"ExecCredentials({self._plugin.path!r})"


def _info(plugin: Plugin, interactive: bool) -> str:
    """KUBERNETES_EXEC_INFO: what the plugin is asked."""
    spec = {"interactive": interactive} | ({} if plugin.cluster is None else {"cluster": plugin.cluster})
    return json.dumps(
        {"kind": "ExecCredential", "apiVersion": plugin.version, "spec": spec}, default=str, skipkeys=True
    )


def _collected(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """(stdout, the last of stderr), once the plugin has ended. Raises _Failure for too long or too much.

    A child that it leaves behind may hold the pipes open: after the end they are read until silent, not until closed.
    """
    deadline = time.monotonic() + seconds
    kept = {"stdout": b"", "stderr": b""}
    with selectors.DefaultSelector() as selector:
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            if pipe:
                selector.register(pipe, selectors.EVENT_READ, name)
        while selector.get_map() and time.monotonic() < deadline:
            ended = process.poll() is not None
            ready = selector.select(0 if ended else _POLL_SECONDS)
            if ended and not ready:
                break
            for key, _ in ready:
                _take(selector, key, kept)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(deadline - time.monotonic(), 0))
        return kept["stdout"], kept["stderr"]
    raise _Failure(f"took over {seconds:g} s and was stopped{_said(kept['stderr'])}")


def _take(selector: selectors.BaseSelector, key: selectors.SelectorKey, kept: dict[str, bytes]) -> None:
    """Read once what is there. Raises _Failure for too much on stdout; of stderr the start is dropped."""
    data = os.read(key.fd, _READ_SIZE)
    if not data:
        selector.unregister(key.fileobj)
    kept[key.data] += data
    kept["stderr"] = kept["stderr"][-MAX_STDERR:]
    if len(kept["stdout"]) > MAX_OUTPUT:
        raise _Failure(f"printed over {MAX_OUTPUT >> 20} MiB; is it a credential plugin?")


_running: set[subprocess.Popen[bytes]] = set()


def end_plugins() -> None:
    """Kill the plugins that run now, in whatever thread: for a run that ends while it waits for its credentials."""
    for process in tuple(_running):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started; who reads its output waits for it."""
    with contextlib.suppress(OSError):  # it is gone already
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # it may not have come to a session of its own yet


def _end(code: int) -> str:
    return f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def _said(errors: bytes) -> str:
    """The last of its stderr, where the reason stands; on a terminal the user has seen it."""
    text = " ".join(errors.decode("utf-8", "replace").split())
    return (
        f": {brief(text if len(text) <= BRIEF else '…' + text[1 - BRIEF :])}" if text else "; run it by hand to see why"
    )


def _grant(output: bytes, plugin: Plugin) -> _Grant:
    """What an ExecCredential grants. Raises _Failure, and ConfigError for a token that no header can carry."""
    document = _parsed(output)
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise _Failure("printed something else than an ExecCredential in JSON; is it a credential plugin?")
    if document.get("apiVersion") != plugin.version:
        raise _Failure(f"answered in another apiVersion than {plugin.version}; correct it in the kubeconfig")
    status = document.get("status")
    if not isinstance(status, dict):
        raise _Failure("gave no status, so no token; run it by hand to see why")
    token = _string(status, "token")
    certificate, key = _string(status, "clientCertificateData"), _string(status, "clientKeyData")
    if bool(certificate) != bool(key):
        raise _Failure("gave only one of clientCertificateData and clientKeyData; it must give both")
    if not token and not certificate:
        raise _Failure("gave no token and no client certificate; run it by hand to see why")
    header = f"Bearer {sendable(token, str(plugin))}" if token else ""
    return _Grant(header, certificate.encode(), key.encode(), _expiry(_string(status, "expirationTimestamp")))


def _parsed(output: bytes) -> object:
    """JSON, or as in client-go YAML. None for anything else; not by an error, which would hold the output."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(output)
    with contextlib.suppress(ConfigError):
        return first_document(Path(), output)
    return None


def _string(status: Mapping[str, object], key: str) -> str:
    value = status.get(key)
    if value is None or isinstance(value, str):
        return (value or "").encode("utf-8", "replace").decode()
    raise _Failure(f"gave a {key} that isn't a string; it must be one")


def _expiry(text: str) -> float:
    """Seconds since the epoch of a time in RFC 3339; infinite for ""."""
    match = _TIME.fullmatch(text)
    with contextlib.suppress(ValueError, OverflowError):
        if match:
            return datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00")).timestamp()
    if not text:
        return float("inf")
    raise _Failure("gave an expirationTimestamp that isn't a time like 2030-01-31T12:00:00Z")
