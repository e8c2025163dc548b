"""kubectl as a user runs it, with a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SECONDS = 30
"""A run that takes longer is stopped and fails the test."""
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on PATH")


def environment(home: Path, kubeconfig: str = os.devnull) -> dict[str, str]:
    """What kubectl knows of the machine; its cache is in `home`, too."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": kubeconfig}


def kubectl(
    home: Path, *arguments: str, kubeconfig: str = os.devnull, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        ["kubectl", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(home, kubeconfig),
        check=False,
    )
