"""A cluster, its server and a scenario, from start to stop, in one piece: for `kwatch demo` and `kwatch sandbox`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from .cluster import Cluster
from .population import AGE
from .scenarios import start_scenario
from .server import Server

EPOCH, PER_SECOND = 1_790_000_000, 1000
"""A server that is restarted starts at a later version, so that those of its former life are 410, not mistaken."""


@contextlib.contextmanager
def playing(scenario: str, port: int = 0, **options: Any) -> Iterator[Server]:
    """Serve on loopback (`port` 0: a free one) while the scenario plays; both end with the block.

    `scenario` is a key of SCENARIOS, `options` are its own. Raises OSError where the port is taken.
    """
    stop = threading.Event()
    cluster = Cluster(first_version=max(int((time.time() - EPOCH) * PER_SECOND), 0), age=AGE)
    with Server(cluster, port=port) as server:
        driver = start_scenario(scenario, cluster, stop, **options)
        try:
            yield server
        finally:
            stop.set()
            driver.join(2)
