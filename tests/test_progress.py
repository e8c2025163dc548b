"""Who waits at a terminal sees how far a long first list has got; nobody else does."""

from __future__ import annotations

import io

import pytest

from kwatch.app import Options, progress, run
from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.model import Environment
from kwatch.sandbox import Cluster, Server
from kwatch.sinks import SinkOptions


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for number in range(25):
        cluster.create("configmaps", {"metadata": {"name": f"thing-{number}"}})
    return cluster


def said(server: Server, stderr: io.StringIO, *, stdout_is_terminal: bool = False, quiet: bool = False) -> str:
    options = Options(
        "configmaps",
        sink=SinkOptions(output="ndjson"),
        chunk_size=10,
        count=25,
        quiet=quiet,
        cache_dir=None,
        connection=ConnectionOptions(server=server.url),
    )
    out = io.BytesIO()
    assert run(options, Environment(stdout=out, stderr=stderr, stdout_is_terminal=stdout_is_terminal)) == 0
    assert out.getvalue().count(b"\n") == 25
    return stderr.getvalue()


def test_a_first_list_in_pages_shows_how_far_it_has_got_and_leaves_the_line_empty(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    text = said(server, Terminal())
    assert "\rkwatch: listing configmaps: 10 of about 25" in text
    assert text.endswith(" \r")


def test_a_pipe_a_screen_of_rows_and_the_quiet_see_none_of_it(server: Server) -> None:
    assert said(server, io.StringIO()) == ""
    assert said(server, Terminal(), stdout_is_terminal=True) == ""
    assert said(server, Terminal(), quiet=True) == ""
