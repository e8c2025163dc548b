"""A private home folder, and the recordings of a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster.kubeconfigs import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def recording() -> Callable[[str], bytes]:
    wire = Path(__file__).parents[1] / "data" / "wire"
    return lambda case: json.loads((wire / f"{case}.json").read_bytes())["body"].encode()
