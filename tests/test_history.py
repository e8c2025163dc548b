"""What kwatch prints is the server's history, event for event, however often the stream is cut."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from watching import Impatient

from kwatch.cluster.kubeconfig import Connection
from kwatch.model import Change, Clock, Environment, Query, Resource
from kwatch.protocol.forms import ObjectForm
from kwatch.protocol.session import WatchSession
from kwatch.pump import Pump
from kwatch.sandbox import Cluster, Fault, Server
from kwatch.sinks import SinkOptions, make
from kwatch.transport import Transport
from kwatch.watcher import Watcher

OBJECTS, EVENTS, AHEAD = 500, 10_000, 40


def without_managed_fields(value: dict) -> dict:
    return value | {"metadata": {key: part for key, part in value["metadata"].items() if key != "managedFields"}}


def printed(query: Query, url: str, count: int, churn: Iterator[None]) -> list[dict]:
    """The first `count` events that the ndjson sink prints; `churn` is kept a little ahead of the watch."""
    out = io.BytesIO()
    sink = make(SinkOptions(output="ndjson"), Environment(stdout=out, stderr=io.StringIO()))

    def watcher(query: Query, clock: Clock) -> Watcher:
        return Watcher(WatchSession(query, ObjectForm()), Transport(Connection(server=url)), clock)

    done, made = 0, 0
    with Pump([query], watcher, Impatient) as pump:
        while done < count:
            batch = pump.take(30)
            assert batch is not None, f"nothing more after {done} of {count}"
            assert batch.failure is None
            done += sink.change(query, [signal for signal in batch.signals if isinstance(signal, Change)])
            if done >= OBJECTS and done - OBJECTS + AHEAD / 2 > made:
                made += sum(1 for _ in islice(churn, AHEAD))
    return [json.loads(line) for line in out.getvalue().splitlines()]


def churn(cluster: Cluster, resource: str, events: int, make_one: Callable[[str], dict]) -> Iterator[None]:
    """One change a step, `events` in all."""
    rng = random.Random(1)
    live = [f"thing-{index}" for index in range(OBJECTS)]
    for index in range(events):
        chance = rng.random()
        if chance < 0.2 or not live:
            live.append(f"new-{index}")
            cluster.create(resource, make_one(live[-1]))
        elif chance < 0.4:
            cluster.delete(resource, "default", live.pop(rng.randrange(len(live))))
        else:
            cluster.patch(resource, "default", rng.choice(live), {"metadata": {"labels": {"step": str(index)}}})
        yield


def pod(name: str) -> dict:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


@pytest.mark.parametrize(
    ("resource", "kind", "cut", "events", "make_one"),
    [
        ("configmaps", "ConfigMap", 700, EVENTS, lambda name: {"metadata": {"name": name}}),
        ("pods", "Pod", 2100, EVENTS // 5, pod),
    ],
)
def test_a_list_of_500_and_the_events_after_it_equal_the_servers_history_though_cut_again_and_again(
    resource: str, kind: str, cut: int, events: int, make_one: Callable[[str], dict]
) -> None:
    cluster = Cluster(history=events * 2, record=True)
    for index in range(OBJECTS):
        cluster.create(resource, make_one(f"thing-{index}"))
    query = Query(Resource("", "v1", resource, kind), "default")
    with Server(cluster) as server:
        server.script(Fault(verb="list", split=700), Fault(cut=cut, times=None))
        seen = printed(query, server.url, OBJECTS + events, churn(cluster, resource, events, make_one))
        cuts = sum(request.verb == "watch" for request in server.requests)
    history = [(kind, without_managed_fields(value)) for kind, value in cluster.history(resource)]
    initial = sorted(history[:OBJECTS], key=lambda event: event[1]["metadata"]["name"])
    assert [(one["type"], one["object"]) for one in seen[:OBJECTS]] == initial
    assert [(one["type"], one["object"]) for one in seen[OBJECTS:]] == history[OBJECTS:]
    assert cuts > events / 4
