"""What tests share: a cluster, a server on it, a home of their own; and what every test is held to.

It leaves no thread behind. Leaked sockets are errors by the warnings filter.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwatch.sandbox import Cluster, Server


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread it started running; those that are ending get two seconds."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 2
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        for thread in left:
            with contextlib.suppress(RuntimeError):  # it is only about to start
                thread.join(0.05)
    assert not left, f"left running: {[thread.name for thread in left]}"


@pytest.fixture
def cluster() -> Cluster:
    """An empty one, which the test writes itself; a module that begins with more has its own."""
    return Cluster()


@pytest.fixture
def server(cluster: Cluster) -> Iterator[Server]:
    """An API server on `cluster`."""
    with Server(cluster) as server:
        yield server


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a watch in the test's own process: no kubeconfig and no cache of the user's own, and pauses after a fault
    that take no time to speak of.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBECACHEDIR", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("kwatch.retry.BASE", 0.01)
