"""The recordings of a real API server that the tests compare with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data" / "wire"


@cache
def recording(name: str) -> dict[str, Any]:
    """The case `name` as recorded: request, status, headers, body, chunks, end."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def body(name: str) -> bytes:
    """The recorded body's bytes."""
    return recording(name)["body"].encode()


def names(part: str) -> list[str]:
    """The cases whose name starts so and that were answered with 200."""
    found = sorted(path.stem for path in FOLDER.glob(f"{part}*.json"))
    return [name for name in found if "200" in recording(name)["status"]]
