"""A watch in the test's own thread, over real sockets, on a clock whose pauses take no time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kwatch.cluster.kubeconfig import Connection
from kwatch.model import Change, Notice, Query, Resource, Signal
from kwatch.protocol.forms import ObjectForm, TableForm
from kwatch.protocol.session import WatchSession
from kwatch.pump import RealClock
from kwatch.transport import Transport
from kwatch.watcher import Watcher

CONFIG_MAPS = Query(Resource("", "v1", "configmaps", "ConfigMap"), "default")


class Impatient(RealClock):
    """The machine's clock; it notes the pauses asked for and lets none take time."""

    def __init__(self, stopped: threading.Event | None = None) -> None:
        super().__init__(stopped or threading.Event())
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return super().wait(0)


def watched(
    connection: Connection,
    until: Callable[[list[Signal]], bool],
    *,
    query: Query = CONFIG_MAPS,
    table: bool = False,
    page_size: int = 500,
    clock: Impatient | None = None,
) -> list[Signal]:
    """What a watch hands on until it is enough; raises what ends the watch."""
    session = WatchSession(query, TableForm() if table else ObjectForm(), page_size=page_size)
    batches = Watcher(session, Transport(connection), clock or Impatient()).batches()
    signals: list[Signal] = []
    for batch in batches:
        signals += batch
        if until(signals):
            break
    batches.close()  # type: ignore[attr-defined]
    return signals


def changes(signals: list[Signal]) -> list[tuple[str, str, str, object]]:
    """Type, name, version and content of the changes among the signals."""
    found = [one for one in signals if isinstance(one, Change)]
    return [(one.type, one.key[1], one.version, getattr(one.state, "encoded", one.state)) for one in found]


def notices(signals: list[Signal]) -> list[str]:
    """What a user would be told."""
    return [one.text for one in signals if isinstance(one, Notice) and not one.detail]
