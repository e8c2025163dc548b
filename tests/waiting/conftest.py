"""A cluster that a test writes itself, and a server on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kwatch.sandbox import Cluster, Server


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def server(cluster: Cluster) -> Iterator[Server]:
    with Server(cluster) as server:
        yield server
