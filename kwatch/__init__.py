"""kwatch: watch a Kubernetes cluster change, and act on it from a script.

From Python: `watch` iterates over events, `Informer` keeps a store and calls handlers, `wait` waits for conditions,
`connect` says where the cluster is; what goes wrong is a `KwatchError`. They are imported when they are first used:
`import kwatch` alone is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwatch.api import Event, Watch, connect, watch
    from kwatch.awaiting import WaitFailed, WaitStopped, WaitTimeout, wait
    from kwatch.cluster.kubeconfig import Connection
    from kwatch.conditions.verdict import Culprit, Outcome
    from kwatch.conditions.wait import Result
    from kwatch.errors import (
        ApiError,
        ConfigError,
        Forbidden,
        GaveUp,
        KwatchError,
        NotFound,
        ProtocolError,
        TimedOut,
        TransportError,
        Unauthorized,
        UsageError,
    )
    from kwatch.informer import Informer, ObjectStore, Registration
    from kwatch.lifecycle import Lifecycle
    from kwatch.model import Resource

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "ConfigError",
    "Connection",
    "Culprit",
    "Event",
    "Forbidden",
    "GaveUp",
    "Informer",
    "KwatchError",
    "Lifecycle",
    "NotFound",
    "ObjectStore",
    "Outcome",
    "ProtocolError",
    "Registration",
    "Resource",
    "Result",
    "TimedOut",
    "TransportError",
    "Unauthorized",
    "UsageError",
    "WaitFailed",
    "WaitStopped",
    "WaitTimeout",
    "Watch",
    "connect",
    "wait",
    "watch",
]

_HOMES = {
    "kwatch.api": ("Event", "Watch", "connect", "watch"),
    "kwatch.awaiting": ("WaitFailed", "WaitStopped", "WaitTimeout", "wait"),
    "kwatch.cluster.kubeconfig": ("Connection",),
    "kwatch.conditions.verdict": ("Culprit", "Outcome"),
    "kwatch.conditions.wait": ("Result",),
    "kwatch.informer": ("Informer", "ObjectStore", "Registration"),
    "kwatch.lifecycle": ("Lifecycle",),
    "kwatch.model": ("Resource",),
}
"""Where what isn't an error lives."""


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), "kwatch.errors")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
