"""The exporter as a user runs it: files and states over runs, signals and mistakes."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command import Running, kwatch

from kwatch.app import run
from kwatch.cli.commands.watch import watch
from kwatch.cli.options import to_options
from kwatch.errors import ConfigError
from kwatch.export.state import contents
from kwatch.model import Environment
from kwatch.sandbox import Cluster, Fault, Server


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(record=True)
    for name in ("a", "b", "c"):
        cluster.create("configmaps", {"metadata": {"name": name}})
    return cluster


def committed(state: Path) -> str:
    """The resume point in a state; "" where there is none yet."""
    try:
        return contents(state).summaries[0].checkpoint.resume
    except (ConfigError, IndexError):
        return ""


def caught_up(server: Server, arguments: list[str], folder: Path, state: Path) -> Running:
    """A run of the command that ended once it watched, and all that had happened was committed."""

    def watches() -> int:
        return sum(request.verb == "watch" for request in server.requests)

    before = watches()
    with Running(arguments, folder) as running:
        running.until(lambda: watches() > before and committed(state) == str(server.cluster.resource_version))
        assert running.end(signal.SIGTERM)[0] == 143
    return running


class Exporting:
    """Arguments of an export into a folder."""

    def __init__(self, server: Server, folder: Path, *more: str) -> None:
        self.file, self.state = folder / "e.ndjson", folder / "state"
        self.arguments = ["configmaps", "-s", server.url, "-o", "ndjson", "--output-file", str(self.file)]
        self.arguments += ["--state", str(self.state), *more]
        self._folder, self._server = folder, server

    def run(self) -> str:
        """A run until all that happened is committed; what it said."""
        said = caught_up(self._server, self.arguments, self._folder, self.state)
        assert said.stdout == ""
        return said.stderr

    @property
    def has_listed(self) -> bool:
        """Whether the first list is committed."""
        return committed(self.state) != ""

    def events(self) -> list[str]:
        """Type and name of each event, `~` after those that kwatch concluded."""
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [f"{one['type']} {one['object']['metadata']['name']}{'~' * ('synthetic' in one)}" for one in lines]


def go_on(cluster: Cluster) -> None:
    """What happens while nobody watches."""
    cluster.delete("configmaps", "default", "a")
    cluster.patch("configmaps", "default", "b", {"metadata": {"labels": {"x": "y"}}})
    cluster.delete("configmaps", "default", "c")
    cluster.create("configmaps", {"metadata": {"name": "c"}})


def yaml_documents(text: str) -> list[dict]:
    return list(yaml.safe_load_all(text))


def json_documents(text: str) -> list[dict]:
    return json.loads(f"[{text.replace('}' + chr(10) + '{', '},{')}]")


FIRST = ["ADDED a", "ADDED b", "ADDED c"]


def test_the_next_run_writes_what_happened_meanwhile_and_nothing_twice(server: Server, tmp_path: Path) -> None:
    export = Exporting(server, tmp_path)
    assert export.run() == ""
    assert export.events() == FIRST
    go_on(server.cluster)
    assert export.run() == ""
    assert export.events() == [*FIRST, "DELETED a", "MODIFIED b", "DELETED c", "ADDED c"]
    lists = [request for request in server.requests if request.verb == "list"]
    assert len(lists) == 1


def test_where_the_server_forgot_what_happened_the_difference_is_written(server: Server, tmp_path: Path) -> None:
    export = Exporting(server, tmp_path, "--watch-only")
    export.run()
    assert export.events() == []
    go_on(server.cluster)
    server.cluster.compact()
    assert "no longer has the events since" in export.run()
    assert sorted(export.events()) == ["ADDED c", "DELETED a~", "DELETED c~", "MODIFIED b"]


def test_a_state_alone_makes_of_stdout_what_changed_since_the_last_run(server: Server, tmp_path: Path) -> None:
    state = tmp_path / "s"
    arguments = ["configmaps", "-s", server.url, "-o", "ndjson", "--state", str(state)]
    assert len(caught_up(server, arguments, tmp_path, state).stdout.splitlines()) == 3
    go_on(server.cluster)
    assert len(caught_up(server, arguments, tmp_path, state).stdout.splitlines()) == 4
    assert caught_up(server, arguments, tmp_path, state).stdout == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_a_run_the_next_goes_on(server: Server, tmp_path: Path, number: int) -> None:
    export = Exporting(server, tmp_path)
    with Running(export.arguments, tmp_path) as running:
        running.until(lambda: export.has_listed)
        assert running.end(number)[1] < 5
    go_on(server.cluster)
    export.run()
    assert export.events() == [*FIRST, "DELETED a", "MODIFIED b", "DELETED c", "ADDED c"]


def test_after_sighup_the_file_of_that_name_is_written_as_logrotate_wants_it(server: Server, tmp_path: Path) -> None:
    export = Exporting(server, tmp_path)
    with Running(export.arguments, tmp_path) as running:
        running.until(lambda: export.has_listed)
        export.file.rename(tmp_path / "e.ndjson.1")
        running.process.send_signal(signal.SIGHUP)
        running.until(export.file.exists)
        server.cluster.delete("configmaps", "default", "a")
        running.until(lambda: committed(export.state) == str(server.cluster.resource_version))
        assert running.end()[0] == 130
    server.cluster.delete("configmaps", "default", "b")
    export.run()
    assert export.events() == ["DELETED a", "DELETED b"]
    assert (tmp_path / "e.ndjson.1").read_text().count("\n") == 3


def test_a_second_kwatch_and_another_watch_are_refused_in_one_line(server: Server, tmp_path: Path) -> None:
    export = Exporting(server, tmp_path)
    with Running(export.arguments, tmp_path) as running:
        running.until(lambda: export.has_listed)
        shown = kwatch(["state", str(export.state)], tmp_path)
        second = kwatch(export.arguments, tmp_path)
        without_state = kwatch(export.arguments[:-2], tmp_path)
        running.end()
    other = kwatch([*export.arguments, "-l", "a=b"], tmp_path)
    for done, said in (
        (second, "in use by another kwatch"),
        (without_state, "another kwatch writes it"),
        (other, "is of"),
    ):
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert said in done.stderr
    lines = shown.stdout.splitlines()
    assert lines[0] == f"ndjson to {export.file}, {export.file.stat().st_size} bytes are committed"
    assert lines[1].split() == ["CLUSTER", "PATH", "SELECTORS", "RESUME", "OBJECTS", "BYTES"]
    assert lines[2].split()[1:4] == [
        "/api/v1/namespaces/default/configmaps",
        "<none>",
        str(server.cluster.resource_version),
    ]


def test_each_csv_file_has_its_header_and_one_that_is_appended_to_keeps_it(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    arguments = ["configmaps", "-s", server.url, "-o", "csv", "--output-file", str(path), "--count", "3"]
    for _ in range(2):
        assert kwatch(arguments, tmp_path).returncode == 0
    assert [line.split(",")[1] for line in path.read_text().splitlines()] == ["event", *["ADDED"] * 6]
    assert kwatch([*arguments, "--rotate-size", "10B"], tmp_path).returncode == 0
    files = sorted(tmp_path.glob("e*"))
    assert [file.read_text().count("time,event") for file in files if file.stat().st_size] == [1, 1]
    path.write_text("time,event,NAME\n")
    refused = kwatch([*arguments, "-A"], tmp_path)
    assert (refused.returncode, path.read_text()) == (1, "time,event,NAME\n")
    assert "no header time,event,namespace" in refused.stderr


def test_a_csv_that_is_appended_to_keeps_its_label_columns_or_is_refused(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    server.cluster.patch("configmaps", "default", "b", {"metadata": {"labels": {"x": "y"}}})
    plain = ["configmaps", "-s", server.url, "-o", "csv", "--output-file", str(path), "--count", "3"]
    labels = ["-L", "x", "--show-labels"]
    for _ in range(2):
        assert kwatch([*plain, *labels], tmp_path).returncode == 0
    written = path.read_text()
    rows = [line.split(",") for line in written.splitlines()]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[-2:] for row in rows if row[2] == "b"] == [["y", "x=y"]] * 2
    refused = kwatch([*plain, "-L", "other"], tmp_path)
    assert (refused.returncode, len(refused.stderr.splitlines()), path.read_text()) == (1, 1, written)
    assert "ends without other; name another file" in refused.stderr


@pytest.mark.parametrize(("output", "read"), [("json", json_documents), ("yaml", yaml_documents)])
def test_documents_are_appended_as_documents(
    server: Server, tmp_path: Path, output: str, read: Callable[[str], list[dict]]
) -> None:
    path = tmp_path / "e"
    state = tmp_path / "state"
    arguments = ["configmaps", "-s", server.url, "-o", output, "--output-file", str(path), "--state", str(state)]
    for _ in range(2):
        caught_up(server, arguments, tmp_path, state)
        server.cluster.create("configmaps", {"metadata": {"name": "d"}})
        caught_up(server, arguments, tmp_path, state)
        server.cluster.delete("configmaps", "default", "d")
    names = [one["metadata"]["name"] for one in read(path.read_text())]
    assert names == ["a", "b", "c", "d", "d", "d"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output-file", "e"], "can be exported; choose one of them with -o"),
        (["-o", "ndjson", "--state", "s", "--count", "1"], "--count could end a run amid"),
        (["-o", "ndjson", "--state", "s", "--where", "AGE>1h"], "leave out --where AGE"),
        (["-o", "ndjson", "--state", "s", "--sort-by", ".metadata.name"], "leave it out"),
        (["-o", "ndjson", "--rotate-size", "1MB"], "--rotate-size is for an --output-file"),
        (["-o", "ndjson", "--compress"], "--compress is for an --output-file"),
        (["-o", "ndjson", "--output-file", "f", "--compress"], "--compress is for rotated files; give --rotate-size"),
        (["-o", "ndjson", "--output-file", "f", "--rotate-keep", "2"], "--rotate-keep is for rotated files"),
        (["-o", "ndjson", "--output-file", ""], "a file has no empty name"),
        (["-o", "ndjson", "--output-file", "-"], "leave it out for stdout"),
        (["-o", "ndjson", "--output-file", "e", "--state", ""], "a file has no empty name"),
        (["-o", "ndjson", "--output-file", "e", "--state", "e"], "--state and --output-file are one file"),
        (["-o", "ndjson", "--output-file", "e", "--rotate-size", "nothing"], "is not a size"),
        (["-o", "ndjson", "--output-file", "e", "--rotate-every", "0s"], "is no time"),
    ],
)
def test_what_makes_no_sense_is_refused(server: Server, tmp_path: Path, arguments: list[str], said: str) -> None:
    paths = [str(tmp_path / one) if one in ("e", "s") else one for one in arguments]
    done = kwatch(["configmaps", "-s", server.url, *paths], tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr
    assert list(tmp_path.glob("[es]")) == []


def test_several_types_are_refused_as_csv_before_there_is_a_file(server: Server, tmp_path: Path) -> None:
    done = kwatch(["cm,po", "-s", server.url, "-o", "csv", "--output-file", str(tmp_path / "e.csv")], tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "csv has one header" in done.stderr
    assert not (tmp_path / "e.csv").exists()


def test_a_filter_of_one_run_is_refused_by_the_state_of_another(server: Server, tmp_path: Path) -> None:
    export = Exporting(server, tmp_path)
    export.run()
    done = kwatch([*export.arguments, "--where", "DATA>=0", "--duration", "1s"], tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "is of form ndjson, not ndjson with --where" in done.stderr


def test_a_filtered_export_goes_on_filtered(server: Server, tmp_path: Path) -> None:
    export = Exporting(server, tmp_path, "--where", "DATA>=1")
    export.run()
    server.cluster.patch("configmaps", "default", "a", {"data": {"x": "1"}})
    export.run()
    server.cluster.patch("configmaps", "default", "a", {"data": {"x": "2"}})
    server.cluster.delete("configmaps", "default", "a")
    export.run()
    assert [one.rstrip("~") for one in export.events()] == ["ADDED a", "MODIFIED a", "DELETED a"]


def test_without_the_right_to_kube_system_the_cluster_is_its_address(server: Server, tmp_path: Path) -> None:
    server.cluster.delete("namespaces", "", "kube-system")
    export = Exporting(server, tmp_path)
    assert "known by its address alone" in export.run()
    assert server.url in kwatch(["state", str(export.state)], tmp_path).stdout


@pytest.mark.parametrize("newer", [0, 50])
def test_an_export_does_not_pass_into_another_cluster_at_the_same_address(
    newer: int, cluster: Cluster, tmp_path: Path
) -> None:
    """Whether the other's resourceVersions are behind those known, or ahead of them."""
    another = Cluster()
    for number in range(1 + newer):
        another.create("configmaps", {"metadata": {"name": f"other-{number}"}})
    with Server(cluster) as server:
        exporting = Exporting(server, tmp_path)
        with Running(exporting.arguments, tmp_path) as running:
            running.until(lambda: committed(exporting.state) == str(cluster.resource_version))
            before = exporting.file.read_bytes()
            server.close()
            with Server(another, port=int(server.url.rpartition(":")[2])):
                assert running.process.wait(60) == 1
                assert exporting.file.read_bytes() == before
                last = running.stderr.splitlines()[-1]
                again = kwatch(exporting.arguments, tmp_path)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (1, last)
    assert "give each export a state of its own" in last


def test_an_export_goes_on_where_the_same_cluster_answers_again(cluster: Cluster, tmp_path: Path) -> None:
    with Server(cluster) as server:
        exporting = Exporting(server, tmp_path)
        with Running(exporting.arguments, tmp_path) as running:
            running.until(lambda: committed(exporting.state) == str(cluster.resource_version))
            server.script(Fault("get", "namespaces", status=503), Fault(expire=True))
            server.disconnect(reset=True)
            cluster.delete("configmaps", "default", "a")
            running.until(lambda: committed(exporting.state) == str(cluster.resource_version))
            assert running.end(signal.SIGTERM)[0] == 143
    assert exporting.events()[-1] == "DELETED a~"
    assert "asking again in" in running.stderr


def test_a_state_is_that_of_a_run_with_the_same_timestamps(server: Server, tmp_path: Path) -> None:
    asked = ["cm", "-s", server.url, "-o", "ndjson", "--state", str(tmp_path / "state"), "--duration", "500ms"]
    assert kwatch([*asked, "--timestamps"], tmp_path).returncode == 0
    other = kwatch(asked, tmp_path)
    assert other.returncode == 1
    assert "is of form ndjson with --timestamps, not ndjson; " in other.stderr
    events = ["events", *asked[1:3], "-o", "ndjson", "--state", str(tmp_path / "events"), "--duration", "500ms"]
    server.cluster.create("events", {"metadata": {"name": "e"}, "reason": "R", "involvedObject": {"name": "a"}})
    assert kwatch([*events, "--dedup-events"], tmp_path).returncode == 0
    assert "with --dedup-events, not ndjson by kwatch events" in kwatch(events, tmp_path).stderr


def test_a_state_is_told_as_a_document_for_scripts(server: Server, tmp_path: Path) -> None:
    exporting = Exporting(server, tmp_path, "--duration", "1s")
    assert kwatch(exporting.arguments, tmp_path).returncode == 0
    run = kwatch(["state", str(exporting.state), "-o", "json"], tmp_path)
    told = json.loads(run.stdout)
    [source] = told.pop("sources")
    size = exporting.file.stat().st_size
    assert told == {"output": str(exporting.file), "form": "ndjson", "committedBytes": size}
    assert (source["path"], source["selectors"]) == ("/api/v1/namespaces/default/configmaps", "")
    assert (source["resume"], source["isListed"]) == (str(server.cluster.resource_version), True)
    assert source["objects"] == len(exporting.events())
    assert source["cluster"]
    assert source["bytes"] > 0


NOTES = "my precious notes"
EVENT = '{"type":"ADDED","object":{"kind":"Deployment","metadata":{"name":"web"}}}\n'
CSV = "time,event,NAME\n2026-11-25T03:12:00.123Z,ADDED,web\n"
FOREIGN = [
    *((output, text) for output in ("ndjson", "json", "csv") for text in (NOTES, NOTES + "\n", "\n", "t", "2", "{")),
    ("ndjson", '{"type":"FeatureCollection","features":[]}'),
    ("ndjson", EVENT + NOTES),
    ("ndjson", EVENT + NOTES + "\n"),
    ("ndjson", NOTES + "\n" + EVENT),
    ("ndjson", CSV),
    ("csv", EVENT),
    ("csv", CSV + NOTES),
    ("yaml", NOTES),
    ("yaml", "apiVersion: v1\nkind: Secret"),
    ("json", '{\n    "apiVersion": "v1"\n}'),
]


@pytest.mark.parametrize(("output", "text"), FOREIGN)
def test_a_file_that_kwatch_did_not_write_is_left_as_it_is(
    output: str, text: str, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(text)
    with Server(cluster) as server:
        asked = ["cm", "-s", server.url, "-o", output, "--output-file", str(file), "--count", "1"]
        given = to_options(watch.make_context("watch", asked).params)
        err = io.StringIO()
        code = run(given, Environment(io.BytesIO(), err))
    said = f"kwatch: error: output file {file}: it holds what kwatch -o {output} didn't write, and is left as it is; "
    assert (code, err.getvalue()) == (1, f"{said}name another\n")
    assert file.read_text() == text


@pytest.mark.parametrize("torn", [1, 5, 25, 40, 60])
@pytest.mark.parametrize("output", ["ndjson", "csv", "json --output-watch-events"])
def test_an_event_that_stops_short_after_others_is_cut_off(
    output: str, torn: int, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "e"
    with Server(cluster) as server:
        asked = ["cm", "-s", server.url, "-o", *output.split(), "--output-file", str(file), "--count", "1"]
        assert kwatch(asked, tmp_path).returncode == 0
        whole = file.read_bytes()
        line = whole.splitlines()[-1]
        file.write_bytes(whole + line[:torn])
        run = kwatch(asked, tmp_path)
    cut = min(torn, len(line))
    assert run.stderr == f"kwatch: output file {file}: cut off {cut} bytes after its last whole event\n"
    assert file.read_bytes().startswith(whole + line[:4])
    assert file.read_bytes().count(b"\n") == whole.count(b"\n") + 1


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_file_of_documents_is_gone_on_with(output: str, cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "e"
    with Server(cluster) as server:
        asked = ["cm", "-s", server.url, "-o", output, "--output-file", str(file), "--count", "1"]
        runs = [kwatch(asked, tmp_path) for _ in range(2)]
    assert [(run.returncode, run.stderr) for run in runs] == [(0, "")] * 2
    assert file.read_text().count("kind:" if output == "yaml" else '"kind":') == 2
