"""What every test is held to: it leaves no thread behind. Leaked sockets are errors by the warnings filter."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest


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
