"""A cluster, a server on it and a client of it; whatever a test leaves open fails it."""

from __future__ import annotations

import threading

import pytest
from polling import eventually
from sandbox.wire import Client

from kwatch.sandbox import Cluster, Server


@pytest.fixture
def cluster():
    return Cluster(record=True, seed=1)


@pytest.fixture
def server(cluster):
    with Server(cluster) as server:
        yield server
    own = ("sandbox-accept", "sandbox-connection")
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name in own], seconds=1)


@pytest.fixture
def client(server):
    client = Client(server)
    yield client
    client.close()
