"""An API server inside this process, over a real socket: a cluster's state, the HTTP API, faults and scenarios.

Standard library only, and nothing of kwatch: a bug of the watcher can't be cancelled by the same bug here.
"""

from __future__ import annotations

from .access import Access
from .cluster import Cluster
from .connection import Request
from .errors import ApiError
from .faults import Fault
from .kinds import Kind
from .scenarios import SCENARIOS, run_scenario, start_scenario
from .server import Server

__all__ = [
    "SCENARIOS",
    "Access",
    "ApiError",
    "Cluster",
    "Fault",
    "Kind",
    "Request",
    "Server",
    "run_scenario",
    "start_scenario",
]
