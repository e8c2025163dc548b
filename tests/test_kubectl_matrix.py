"""kwatch's first screen against `kubectl get` on the same server: every kind, every form, cell for cell, byte for byte.

`python -m pytest tests/test_kubectl_matrix.py -rP` shows how much was compared for each kind.
"""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from customs import crd
from kubectl import SECONDS, environment, needs_kubectl

from kwatch.app import Options, run
from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.model import Environment
from kwatch.sandbox import Cluster, Server
from kwatch.sandbox.controlplane import ControlPlane
from kwatch.sandbox.population import populate
from kwatch.sinks import SinkOptions

pytestmark = needs_kubectl

HALF_A_DAY = 43200.0
Object = dict[str, Any]

STRINGS = [
    "yes", "No", "on", "y", "N", "true", "null", "~", "", " leading", "trailing ", "1e3", "0x10", "0o17", "017",
    "1_000", "12:30:45", "1.5", ".5", "-1", "+1", ".inf", ".NaN", "NaN", "2001-01-01", "2001-13-01",
    "2001-01-01T00:00:00Z",
    "2001-1-1 10:00:00", "one\ntwo", "one\ntwo\n", "one\n\n", "\nlead", "\n", "a\tb", "\ttab", "ünï", "🚀", "漢字",
    "x" * 300, "word " * 60, "!bang", "*star", "&amp", "%pct", "@at", "`tick", "#hash", "a #b", "a: b", "a:", "- a",
    "-", "---", "...", "? q", "[a]", "{}", "a, b", "a'b", 'a"b', "'", "|", "> fold", "\\n", "\x07", "\x1b[31m",
    "a\u200bb",
    "\xa0", "<a href=\"x&y\">", "=", "<<", "line \nline", "  a\n b", "a\r\nb", "key: |\n  a", "1.", "1e", "00", "1.0.0",
    "0b11", "1,000", "🚀\nline", "#c\nd", "trail \n", "\ue000", "\U0010ffff", "\u202e", "a\u2028b", "1e400", "08",
    "6:7",
]  # fmt: skip
"""Texts that YAML might take for something else, or write in a way of its own."""
NUMBERS = [0, -1, 1.5, 1e6, 1e20, 1e21, 1e-6, 1e-7, 123456789.5, 2**53 + 1, 2**63 - 1, -(2**63), 0.1, 1e100]
LABELS = {"app": "odd", "app.kubernetes.io/name": "web", "tier": ""}
WIDGETS = crd(
    "widgets",
    "Widget",
    names={"shortNames": ["wd"]},
    columns=[
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
        {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
        {"name": "Some Text", "type": "string", "jsonPath": ".spec.text"},
        {"name": "When", "type": "date", "jsonPath": ".spec.when"},
        {"name": "Wide", "type": "string", "jsonPath": ".spec.text", "priority": 1},
    ],
)


def widget(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def named(name: str, namespace: str = "default", **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "labels": LABELS}, **more}


def waiting(reason: str) -> Object:
    return {"name": "app", "ready": False, "restartCount": 12, "state": {"waiting": {"reason": reason}}}


CONTAINER = {"name": "app", "image": "registry.example:5000/team/app@sha256:" + "0" * 64}
ODD: tuple[tuple[str, Object], ...] = (
    ("customresourcedefinitions", WIDGETS),
    ("widgets", widget("odd", size=3, ratio=1.5, on=True, text="first\nsecond", when="2020-01-01T00:00:00Z")),
    ("widgets", widget("bare")),
    ("widgets", widget("nil", size=None, ratio=1e6, on=False, text="", when="nonsense", wide=["a"])),
    ("widgets", widget("texts", texts=STRINGS, keyed={f"k{n}": text for n, text in enumerate(STRINGS)})),
    ("widgets", widget("numbers", numbers=NUMBERS, none=None, empty={}, list=[], nested=[[1, [{"a": []}]], []])),
    ("widgets", widget("keys", keys=dict.fromkeys(["a10", "a2", "B", "a/b", "a.b", "a-b", "a_b", "é", "yes", "a"]))),
    ("pods", named("crashing", spec={"containers": [CONTAINER], "nodeName": "node-1"},
                   status={"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]})),
    ("pods", named("pending", spec={"containers": [CONTAINER]}, status={"phase": "Pending"})),
    ("pods", named("lost", spec={"containers": [CONTAINER]}, status={"phase": "Failed", "reason": "Evicted"})),
    ("services", named("outside", spec={"type": "ExternalName", "externalName": "db.example.com"})),
    ("services", named("many", spec={"ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]})),
    ("configmaps", named("texts", data={f"k{n}": text for n, text in enumerate(STRINGS)})),
    ("configmaps", named("empty")),
    ("secrets", named("opaque", type="Opaque", data={"token": "c2VjcmV0", "empty": ""})),
    ("namespaces", {"metadata": {"name": "odd", "labels": LABELS}, "status": {"phase": "Terminating"}}),
    ("nodes", {"metadata": {"name": "node-x", "labels": LABELS}, "spec": {"unschedulable": True}}),
    ("deployments", named("idle", spec={"replicas": 0, "selector": {"matchLabels": {"app": "odd"}}, "template": {
        "metadata": {"labels": {"app": "odd"}}, "spec": {"containers": [CONTAINER, {**CONTAINER, "name": "log"}]}}})),
    ("events", named("odd", involvedObject={"kind": "Pod", "name": "crashing", "namespace": "default"}, type="Warning",
                     reason="BackOff", message="line one\nline two", count=3,
                     firstTimestamp="2020-01-01T00:00:00Z", lastTimestamp="2020-01-02T00:00:00Z")),
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """Old enough that no age changes while it is compared; nobody acts on the odd objects."""
    cluster = Cluster(seed=1)
    with cluster.at(cluster.now() - HALF_A_DAY):
        populate(cluster, ControlPlane(cluster))
        for resource, item in ODD:
            cluster.create(resource, item)
    return cluster


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    with Server(cluster) as server:
        yield server


def read(process: subprocess.Popen[bytes], size: int) -> bytes:
    """So much of what it prints, or what there is in SECONDS."""
    assert process.stdout is not None
    found, deadline = b"", time.monotonic() + SECONDS
    while len(found) < size and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.1)[0]:
            if not (more := os.read(process.stdout.fileno(), 1 << 20)):
                break
            found += more
    return found


Start = Callable[..., "subprocess.Popen[bytes]"]
Kubectl = Callable[..., bytes]


@pytest.fixture(scope="module")
def command(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Start:
    known = environment(tmp_path_factory.mktemp("home"))

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        words = ["kubectl", "-s", server.url, "get", *arguments]
        return subprocess.Popen(words, env=known, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    return start


@pytest.fixture(scope="module")
def kubectl(command: Start) -> Kubectl:
    """Runs `kubectl get` to its end; with `until`, so many bytes, a watch that has none."""

    def get(*arguments: str, until: int | None = None) -> bytes:
        with command(*arguments) as process:
            if until is None:
                return process.communicate(timeout=SECONDS)[0]
            found = read(process, until)
            process.kill()
            return found

    return get


def kwatch(server: Server, kind: str, count: int, stdout: io.BytesIO | None = None, **sink: Any) -> bytes:
    """Its output for `count` events."""
    stdout, stderr = stdout or io.BytesIO(), io.StringIO()
    given = ("all_namespaces", "namespaces", "show_managed_fields")
    chosen = {name: sink.pop(name) for name in given if name in sink}
    options = Options(
        kind,
        count=count,
        duration=SECONDS,
        show_secrets=True,
        sink=SinkOptions(**sink),
        connection=ConnectionOptions(server=server.url),
        **chosen,
    )
    code = run(options, Environment(stdout=stdout, stderr=stderr))
    assert (code, stderr.getvalue()) == (0, "")
    return stdout.getvalue()


KINDS = (
    "configmaps", "events", "namespaces", "nodes", "pods", "secrets", "services", "customresourcedefinitions",
    "controllerrevisions.apps", "daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps",
    "events.events.k8s.io", "jobs.batch", "widgets.example.com",
)  # fmt: skip
SORTED_BY_TIME = ("events", "events.events.k8s.io")
TABLES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "default": ([], {}),
    "all namespaces": (["-A"], {"all_namespaces": True}),
    "wide": (["-A", "-o", "wide"], {"all_namespaces": True, "output": "wide"}),
    "labels": (["-A", "--show-labels", "-L", "app,app.kubernetes.io/name"],
               {"all_namespaces": True, "show_labels": True, "label_columns": ("app", "app.kubernetes.io/name")}),
    "bare": (["-A", "--show-kind", "--no-headers"], {"all_namespaces": True, "show_kind": True, "headers": False}),
}  # fmt: skip
PATHS = "NAME:.metadata.name,LABELS:.metadata.labels,KIND:{.kind},X:.status.phase,C:status.conditions[*].type"
TEMPLATE = (
    "{range .items[*]}{.kind}/{.metadata.name} {.metadata.labels} {range .status.conditions[*]}{.type}={.status},{end}"
    '{.metadata.labels.app\\.kubernetes\\.io/name}{"\\t"}{.spec.template.spec.containers[?(@.name!="x")].image}{"\\n"}{end}'
)
TEXTS = ("name", f"jsonpath={TEMPLATE}", f"custom-columns={PATHS}", "json", "yaml")
AGES = re.compile(r"\d+[smhdy](\d+[smhd])?")


def cells(text: bytes, *, event: bool) -> list[list[str]]:
    """The cells of each line, by where the headings (or, without, the cells of the first line) begin; no EVENT."""
    if not (lines := text.decode().splitlines()):
        return []
    starts = [match.start(1) for match in re.finditer(r"(?:^| {3,})(\S)", lines[0])]
    places = list(zip(starts, [*starts[1:], None], strict=True))[event:]
    return [[line[start:end].rstrip() for start, end in places] for line in lines]


def same(ours: str, theirs: str) -> bool:
    """Ages may pass a boundary between two calls."""
    return ours == theirs or bool(AGES.fullmatch(ours) and AGES.fullmatch(theirs) and ours[-1] in "sm")


def in_order(lines: list[Any], kind: str) -> list[Any]:
    """As they are, but events sorted: kwatch shows those by time, kubectl as the server lists them."""
    return sorted(lines) if kind in SORTED_BY_TIME else lines


def differing(ours: list[list[str]], theirs: list[list[str]]) -> list[tuple[str, str]]:
    assert [len(line) for line in ours] == [len(line) for line in theirs]
    pairs = zip((cell for line in ours for cell in line), (cell for line in theirs for cell in line), strict=True)
    return [pair for pair in pairs if not same(*pair)]


@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_kubectls_cell_for_cell(kind: str, server: Server, kubectl: Kubectl) -> None:
    compared = 0
    for form, (arguments, sink) in TABLES.items():
        theirs = cells(kubectl(kind, *arguments), event=False)
        count = len(theirs) - (form != "bare")
        if count > 0:
            ours = cells(kwatch(server, kind, count, **sink), event=True)
            assert differing(in_order(ours, kind), in_order(theirs, kind)) == [], form
            compared += sum(map(len, theirs))
    assert compared
    print(f"{kind}: {compared} cells compared, 0 differ")


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_kubectls_byte_for_byte(kind: str, cluster: Cluster, server: Server, kubectl: Kubectl) -> None:
    compared = 0
    count = len(cluster.list(kind))
    for form in TEXTS:
        output, _, template = form.partition("=")
        ours = kwatch(server, kind, count, output=output, template=template, all_namespaces=True)
        documents = output in ("json", "yaml")  # as one object after another with -w only
        watch = ["-w"] if documents else []
        theirs = kubectl(kind, "-A", *watch, "-o", form, until=len(ours) if documents else None)
        if output == "name":
            assert in_order(ours.splitlines(), kind) == in_order(theirs.splitlines(), kind)
        else:
            assert ours.decode() == theirs.decode(), output
        compared += len(ours)
    print(f"{kind}: {compared} bytes compared, 0 differ")


@pytest.mark.parametrize(
    "path", [".metadata.name", "metadata.creationTimestamp", "{.metadata.uid}", ".spec.nodeName", ".status.startTime"]
)
def test_the_order_of_sort_by_is_kubectls(path: str, server: Server, kubectl: Kubectl) -> None:
    listed = kubectl("pods", "-A", f"--sort-by={path}", "-o", f"custom-columns=KEY:{path}", "--no-headers").split()
    ours = kwatch(server, "pods", len(listed), output="custom-columns", template=f"KEY:{path}", headers=False,
                  sort_by=path, all_namespaces=True)  # fmt: skip
    assert ours.split() == listed


CHANGING = ("json", "yaml", "name", "jsonpath={..name}{'\\n'}", "custom-columns=N:..name,D:..data.a,T:.type")


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("form", CHANGING)
def test_what_changes_is_printed_as_by_kubectl(
    form: str, events: bool, cluster: Cluster, server: Server, command: Start
) -> None:
    """A deleted object once more, with no mark; with --output-watch-events each event with its type."""
    namespace = f"live-{cluster.resource_version}"
    item = cluster.create("configmaps", {"metadata": {"name": "cm", "namespace": namespace}, "data": {"a": "1"}})
    output, _, template = form.partition("=")
    stdout, flags = io.BytesIO(), ["--output-watch-events"] * events
    with ThreadPoolExecutor(1) as pool, command("cm", "-n", namespace, "-w", "-o", form, *flags) as process:
        ours = pool.submit(
            kwatch, server, "configmaps", 3, stdout, output=output, template=template, namespaces=(namespace,),
            output_watch_events=events, show_managed_fields=events,
        )  # fmt: skip
        theirs = read(process, 1)
        while not stdout.getvalue() and not ours.done():
            time.sleep(0.01)
        cluster.update("configmaps", {**item, "data": {"a": "2"}})
        cluster.delete("configmaps", namespace, "cm")
        wanted = ours.result(SECONDS)
        theirs += read(process, len(wanted) - len(theirs))
        process.kill()
    assert wanted.decode() == theirs.decode()
