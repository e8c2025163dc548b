"""Output options through a whole run: template files, order, colour, redaction, what is refused before any request."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import variables

from kwatch.app import Options, run
from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.model import Environment
from kwatch.sandbox import Cluster, Server
from kwatch.sinks import SinkOptions

NOBODY = "http://127.0.0.1:1"


def pod(name: str, restarts: int) -> dict[str, Any]:
    status = {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": restarts, "state": {}}]}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": status}


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(seed=1)
    for name, restarts in (("a", 10), ("longer", 9), ("z", 0)):
        cluster.create("pods", pod(name, restarts))
    data = {"token": "aHVudGVyMg=="}
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"token":"aHVudGVyMg=="}}'}
    metadata = {"name": "s", "namespace": "default", "annotations": annotations}
    cluster.create("secrets", {"metadata": metadata, "data": data})
    return cluster


def output(
    address: str, kind: str, form: str, *, count: int = 3, code: int = 0, color: str = "auto", terminal: bool = False,
    no_color: str = "", **sink: Any,
) -> str:  # fmt: skip
    """stdout where it ends well, else stderr."""
    name, _, template = form.partition("=")
    stdout, stderr = io.BytesIO(), io.StringIO()
    size = os.terminal_size((120, 24))
    variables = {"TERM": "xterm", "NO_COLOR": no_color}
    env = Environment(stdout, stderr, variables, stdout_is_terminal=terminal, size=lambda: size)
    options = Options(
        kind,
        count=count,
        duration=20,
        color=color,
        sink=SinkOptions(output=name, template=template, live=False, **sink),
        connection=ConnectionOptions(server=address),
    )
    assert run(options, env) == code, stderr.getvalue()
    return stdout.getvalue().decode() if code == 0 else stderr.getvalue()


@pytest.mark.parametrize(
    ("form", "sort_by", "why"),
    [
        ("jsonpath={.a", "", "character 1"),
        ("jsonpath", "", "needs something after it"),
        ("custom-columns=A", "", '"A" is no column'),
        ("custom-columns-file=/nosuch/file", "", "/nosuch/file can't be read: No such file"),
        ("json=x", "", "takes nothing after it"),
        ("table", ".a[", "this bracket is never closed"),
    ],
)
def test_what_can_not_be_printed_is_refused_before_a_server_is_asked(form: str, sort_by: str, why: str) -> None:
    assert why in output(NOBODY, "pods", form, sort_by=sort_by, code=2)


def test_a_template_file_is_read_once_so_that_a_pipe_will_do(server: Server) -> None:
    read, write = os.pipe()
    os.write(write, b'{.metadata.name}{"\\n"}')
    os.close(write)
    with open(read, "rb"):
        assert output(server.url, "pods", f"jsonpath-file=/dev/fd/{read}") == "a\nlonger\nz\n"


def test_custom_columns_come_from_a_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "columns"
    file.write_text("NAME PHASE\nmetadata.name {.status.phase}\n")
    assert output(server.url, "pods", f"custom-columns-file={file}", count=1) == "NAME   PHASE\na      Running\n"


@pytest.mark.parametrize("sort_by", ["RESTARTS", ".status.containerStatuses[0].restartCount"])
@pytest.mark.parametrize("form", ["name", "jsonpath=pod/{.metadata.name}{'\\n'}"])
def test_the_first_screen_is_sorted_whatever_the_form(server: Server, form: str, sort_by: str) -> None:
    assert output(server.url, "pods", form, sort_by=sort_by) == "pod/z\npod/longer\npod/a\n"


@pytest.mark.parametrize(
    ("color", "terminal", "no_color", "colored"),
    [
        ("auto", True, "", True), ("auto", True, "1", False), ("auto", False, "", False), ("always", False, "", True),
        ("always", True, "1", True), ("never", True, "", False),
    ],
)  # fmt: skip
def test_colour_is_for_terminals_unless_told_otherwise(
    server: Server, color: str, terminal: bool, no_color: str, colored: bool
) -> None:
    text = output(server.url, "pods", "", color=color, terminal=terminal, no_color=no_color)
    assert ("\x1b[32mADDED\x1b[0m" in text) is colored


@pytest.mark.parametrize("form", ["json", "yaml", "jsonpath={@}", "custom-columns=A:.metadata.annotations,D:.data"])
@pytest.mark.parametrize("sort_by", ["", "NAME"])
def test_secrets_are_redacted_in_every_form(server: Server, form: str, sort_by: str) -> None:
    text = output(server.url, "secrets", form, count=1, sort_by=sort_by)
    assert "redacted" in text
    assert "aHVudGVyMg" not in text


def test_rows_stay_aligned_when_a_count_ends_them(server: Server) -> None:
    lines = output(server.url, "pods", "", count=2).splitlines()
    assert len(lines) == 3
    assert len({line.index("Running") for line in lines[1:]} | {lines[0].index("STATUS")}) == 1


def test_what_an_output_does_not_need_is_not_imported(server: Server) -> None:
    script = (
        "import os, sys; from kwatch.__main__ import main; "
        "os._exit = lambda code: print(*sys.modules, file=sys.stderr); "
        f"sys.argv = ['kwatch', 'pods', '-s', '{server.url}', '-o', 'ndjson', '--count', '1']; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=variables(Path("/")))
    loaded = set(done.stderr.split())
    assert "kwatch.sinks.ndjson" in loaded
    assert loaded & {"jsonpath", "tabulate", "kwatch.jsonpath", "kwatch.sorting", "kwatch.sinks.rows"} == set()
