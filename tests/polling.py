"""Waiting in a test for what is about to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

SECONDS = 20.0
"""What takes longer than that, on a machine that does other things too, fails its test."""
Found = TypeVar("Found")


def eventually(condition: Callable[[], Found], what: str = "it never came true", *, seconds: float = SECONDS) -> Found:
    """Look again and again until the condition is true; what it returned then."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return found
