"""A random history under random faults: a simple watcher that lists, watches and resumes ends with the cluster's state.

This is a test of the sandbox: its faults never make a state unreachable, and its streams never lie.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading

import pytest
from polling import eventually
from sandbox.wire import Client, pod

from kwatch.sandbox import ApiError, Fault, Server
from kwatch.sandbox.cluster import Cluster

PODS = "/api/v1/pods"


def random_fault(rng):
    choices = [
        {"cut": rng.randrange(5000)},
        {"cut": rng.randrange(5000), "reset": True},
        {"split": rng.choice([1, 5, 300, "codepoint"])},
        {"framing": rng.choice(["chunked", "close", "length"])},
        {"status": rng.choice([429, 500, 503])},
        {"expire": True},
        {"gone": True},
        {"replay": rng.randrange(1, 6)},
        {"empty": True},
        {"bookmarks": False},
        {"garbage": b"{"},
        {"hold_headers": True},
        {"dribble": 0.01},
    ]
    fields = {}
    for choice in rng.sample(choices, rng.randrange(1, 4)):
        fields.update(choice)
    return Fault(**fields)


class SimpleWatcher:
    """Lists, watches, and on any trouble resumes or lists again; keeps (uid, resourceVersion) by name."""

    def __init__(self, client):
        self.client = client
        self.state = {}
        self.version = None

    def list(self):
        answer = self.client.get(PODS)
        self.state = {
            item["metadata"]["name"]: (item["metadata"]["uid"], int(item["metadata"]["resourceVersion"]))
            for item in answer.json["items"]
        }
        self.version = int(answer.json["metadata"]["resourceVersion"])

    def watch_once(self):
        if self.version is None:
            self.list()
        path = f"{PODS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={self.version}"
        answer = self.client.open(path)
        if not answer.read_head(patience=0.2):
            return
        answer.read(patience=0.2)
        answer.close()
        if answer.status != 200:
            self.version = None if answer.status == 410 else self.version
            return
        for line in answer.body.split(b"\n")[:-1]:
            if not self.apply(line):
                return

    def apply(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return False
        if event["type"] == "ERROR":
            self.version = None
            return False
        metadata = event["object"]["metadata"]
        version = int(metadata["resourceVersion"])
        if version <= self.version:
            return True  # replayed
        self.version = version
        if event["type"] == "DELETED":
            del self.state[metadata["name"]]
        elif event["type"] != "BOOKMARK":
            self.state[metadata["name"]] = (metadata["uid"], version)
        return True


def mutate_once(cluster, rng, name):
    moves = [
        lambda: cluster.create("pods", pod(name, annotations={"note": "naïve 🚀"})),
        lambda: cluster.patch("pods", "default", name, {"metadata": {"labels": {"n": str(rng.random())}}}),
        lambda: cluster.delete("pods", "default", name),
    ]
    with contextlib.suppress(ApiError):  # it exists already, or doesn't
        rng.choice(moves)()


def mutate(cluster, rng, count):
    for _ in range(count):
        mutate_once(cluster, rng, f"p{rng.randrange(6)}")
        if rng.random() < 0.02:
            cluster.compact()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_faults_the_state_is_reached(seed):
    rng = random.Random(seed)
    cluster = Cluster(history=20, seed=seed)
    with Server(cluster, bookmark_interval=0.05) as server:
        client = Client(server)
        server.script(*(random_fault(rng) for _ in range(12)))
        watcher = SimpleWatcher(client)
        watcher.list()
        writer = threading.Thread(target=mutate, args=(cluster, random.Random(seed), 300))
        writer.start()
        while writer.is_alive() or server.pending_faults():
            watcher.watch_once()
        writer.join()

        def same():
            watcher.watch_once()
            return watcher.state == {
                item["metadata"]["name"]: (item["metadata"]["uid"], int(item["metadata"]["resourceVersion"]))
                for item in cluster.list("pods")
            }

        eventually(same, seconds=10)
        client.close()
