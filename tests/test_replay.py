"""kwatch replay: what was recorded goes through the outputs of a live watch, and the state at a moment is told."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from command import kwatch, variables

from kwatch.app import Options, replaying, run_replay
from kwatch.app.replaying import ReplayOptions
from kwatch.filters import parse_where
from kwatch.model import Environment
from kwatch.recordings import parse_time, plural
from kwatch.sinks import SinkOptions

T0 = 1_790_000_000


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(T0 + seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pod(name: str, phase: str = "Running", version: int = 1, namespace: str = "default", uid: str = "") -> dict:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-09-21T14:13:20Z",
    }
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "status": {"phase": phase}}


def line(seconds: float | None, kind: str, value: dict, **more: Any) -> str:
    time = {} if seconds is None else {"time": stamp(seconds)}
    return json.dumps({"type": kind, "object": value, **more, **time}, separators=(",", ":")) + "\n"


STORY = [
    line(0, "ADDED", pod("a", "Pending")),
    line(0, "ADDED", pod("b")),
    line(10, "MODIFIED", pod("a", version=2)),
    line(20, "DELETED", pod("b", version=3)),
    line(30, "ADDED", pod("c", "Pending", version=4, namespace="kube-system")),
]


class Replayed:
    """What a replay printed and said."""

    def __init__(self, files: Sequence[Path], output: str = "ndjson", sink: dict | None = None, **asked: Any) -> None:
        out, err = io.BytesIO(), io.StringIO()
        options = asked.pop("options", {})
        shown = {"timestamps": output == "ndjson", **(sink or {})}
        made = Options("", sink=SinkOptions(output=output, **shown), **options)
        names = tuple(str(file) for file in files)
        self.code = int(run_replay(made, ReplayOptions(names, **asked), Environment(stdout=out, stderr=err)))
        self.stdout, self.stderr = out.getvalue().decode(), err.getvalue()


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "e.ndjson"
    path.write_text("".join(STORY))
    return path


def test_ndjson_comes_back_as_it_was_recorded_time_and_all(story: Path) -> None:
    shown = Replayed([story])
    assert [json.loads(one) for one in shown.stdout.splitlines()] == [json.loads(one) for one in STORY]
    assert (shown.code, shown.stderr) == (0, "")


def test_rows_have_the_times_and_ages_of_then(story: Path) -> None:
    shown = Replayed([story], "", {"timestamps": True, "utc": True})
    assert [" ".join(one.split()) for one in shown.stdout.splitlines()] == [
        "TIME EVENT NAMESPACE NAME READY STATUS RESTARTS AGE",
        "2026-09-21T14:13:20.000Z ADDED default a 0/0 Pending 0 0s",
        "2026-09-21T14:13:20.000Z ADDED default b 0/0 Running 0 0s",
        "2026-09-21T14:13:30.000Z MODIFIED default a 0/0 Running 0 10s",
        "2026-09-21T14:13:40.000Z DELETED default b 0/0 Running 0 20s",
        "2026-09-21T14:13:50.000Z ADDED kube-system c 0/0 Pending 0 30s",
    ]


@pytest.mark.parametrize(
    ("at", "rows"),
    [
        (
            5,
            [
                "default     a      0/0     Pending   0          5s",
                "default     b      0/0     Running   0          5s",
            ],
        ),
        (20, ["default     a      0/0     Running   0          20s"]),
        (-1, None),
    ],
)
def test_the_state_at_a_moment_is_a_table(story: Path, at: float, rows: list[str] | None) -> None:
    shown = Replayed([story], "", at=T0 + at)
    header = "NAMESPACE   NAME   READY   STATUS    RESTARTS   AGE"
    assert shown.stdout.splitlines() == ([header, *rows] if rows else [])


def test_the_state_at_a_moment_in_another_output_is_its_objects(story: Path) -> None:
    shown = Replayed([story], at=T0 + 30)
    assert [json.loads(one)["object"]["metadata"]["name"] for one in shown.stdout.splitlines()] == ["a", "c"]
    assert Replayed([story], "csv", at=T0 + 30).stdout.count("ADDED") == 2


def test_the_state_at_a_moment_is_sorted_and_printed_in_any_output(story: Path) -> None:
    sorted_rows = Replayed([story], "", {"sort_by": "{.status.phase}", "headers": False}, at=T0 + 5).stdout
    assert [one.split()[1] for one in sorted_rows.splitlines()] == ["a", "b"]
    backwards = Replayed([story], "", {"sort_by": "-{.status.phase}", "headers": False}, at=T0 + 5).stdout
    assert [one.split()[1] for one in backwards.splitlines()] == ["b", "a"]
    assert "no object has {.status.phas}" in Replayed([story], "", {"sort_by": "{.status.phas}"}, at=T0 + 5).stderr
    assert Replayed([story], "name", at=T0 + 5).stdout == "pod/a\npod/b\n"
    assert Replayed([story], "jsonpath", {"template": "{.metadata.name} "}, at=T0 + 5).stdout == "a b "
    assert "--sort-by is for the state --at" in Replayed([story], "", {"sort_by": ".metadata.name"}).stderr


def test_from_to_a_namespace_and_a_count_narrow_it(story: Path) -> None:
    assert len(Replayed([story], start=T0 + 10, end=T0 + 20).stdout.splitlines()) == 2
    assert len(Replayed([story], options={"namespaces": ("kube-system",)}).stdout.splitlines()) == 1
    assert len(Replayed([story], options={"count": 3}).stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"at": T0 - 1.0}, "nothing was recorded then; the next event came at 2026-09-21T14:13:20Z"),
        ({"end": T0 - 1.0}, "nothing was recorded then; the next event came at 2026-09-21T14:13:20Z"),
        ({"start": T0 + 99.0}, "nothing was recorded then; the last event before came at 2026-09-21T14:13:50Z, "
         "the recording ends there"),
        ({"start": T0 + 11.0, "end": T0 + 12.0}, "nothing was recorded then; the last event before came at "
         "2026-09-21T14:13:30Z, the next event came at 2026-09-21T14:13:40Z"),
        ({"options": {"namespaces": ("none",)}}, "nothing was recorded in none"),
        ({"at": T0 + 5.0, "options": {"name_patterns": ("z",)}},
         "nothing of what was recorded was there at 2026-09-21T14:13:25Z"),
    ],
)  # fmt: skip
def test_where_nothing_is_printed_it_is_said_why(story: Path, asked: dict, said: str) -> None:
    shown = Replayed([story], "", **asked)
    assert (shown.code, shown.stdout.splitlines()[1:], shown.stderr) == (0, [], f"kwatch: {said}\n")


def test_from_after_to_is_refused(story: Path) -> None:
    shown = Replayed([story], start=T0 + 2.0, end=T0 + 1.0)
    assert (shown.code, shown.stdout) == (2, "")
    assert "--from is later than --to" in shown.stderr


def test_filters_are_those_of_a_live_watch_and_narrow_the_state_at_a_moment_too(story: Path) -> None:
    running = parse_where("STATUS=Running")
    shown = [json.loads(one) for one in Replayed([story], options={"wheres": (running,)}).stdout.splitlines()]
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in shown] == [
        ("ADDED", "b"), ("ADDED", "a"), ("DELETED", "b"),
    ]  # fmt: skip
    assert len(Replayed([story], options={"types": ("DELETED",)}).stdout.splitlines()) == 1
    assert len(Replayed([story], options={"name_patterns": ("c*",)}).stdout.splitlines()) == 1
    rows = Replayed([story], "", at=T0 + 5, options={"wheres": (running,)}).stdout.splitlines()
    assert [one.split()[1] for one in rows] == ["NAME", "b"]
    assert 'no column "NOSUCH"' in Replayed([story], options={"wheres": (parse_where("NOSUCH=1"),)}).stderr


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_large_files_show_how_far_the_reading_has_got(
    story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for large, shown in ((1, "kwatch: read 19% of 0 MiB, 1 events"), (1 << 30, "")):
        monkeypatch.setattr(replaying, "LARGE", large)
        err = Terminal()
        environment = Environment(stdout=io.BytesIO(), stderr=err)
        made = Options("", sink=SinkOptions(output="ndjson"))
        assert run_replay(made, ReplayOptions((str(story),)), environment) == 0
        assert shown in err.getvalue()
        assert err.getvalue().endswith("\r" if shown else "")


def test_files_are_merged_by_time_plain_and_compressed_and_a_rotated_one_counts_once(tmp_path: Path) -> None:
    (tmp_path / "z.ndjson").write_text(STORY[0] + STORY[2])
    (tmp_path / "a.ndjson").write_text(STORY[1] + STORY[4])
    packed = tmp_path / "m.ndjson.gz"
    packed.write_bytes(gzip.compress(STORY[3].encode()))
    (tmp_path / "m.ndjson").write_text(STORY[3])
    files = [tmp_path / name for name in ("z.ndjson", "a.ndjson", "m.ndjson", "m.ndjson.gz")]
    shown = [json.loads(one) for one in Replayed(files).stdout.splitlines()]
    assert sorted(shown, key=lambda one: one["time"]) == shown
    assert sorted(map(str, shown)) == sorted(str(json.loads(one)) for one in STORY)


@pytest.mark.parametrize("whole", ["e.ndjson", "e.ndjson.gz"])
def test_what_is_being_compressed_or_was_left_of_it_counts_once(whole: str, tmp_path: Path) -> None:
    packed, part = gzip.compress("".join(STORY).encode()), tmp_path / "e.ndjson.gz.part"
    (tmp_path / whole).write_bytes(packed if whole.endswith(".gz") else "".join(STORY).encode())
    part.write_bytes(packed)
    shown = Replayed(sorted(tmp_path.glob("e*.ndjson*")))
    assert (len(shown.stdout.splitlines()), shown.stderr) == (len(STORY), "")
    assert len(Replayed([part]).stdout.splitlines()) == len(STORY)  # what somebody asks for by name


def test_files_without_times_come_by_name(tmp_path: Path) -> None:
    for name, value in (("e.ndjson", pod("c")), ("e-2.ndjson", pod("b")), ("e-1.ndjson", pod("a"))):
        (tmp_path / name).write_text(line(None, "ADDED", value))
    shown = Replayed(sorted(tmp_path.iterdir(), reverse=True), sink={})
    assert [json.loads(one)["object"]["metadata"]["name"] for one in shown.stdout.splitlines()] == ["a", "b", "c"]
    for asked in ({"at": 1.0}, {"start": 1.0}, {"speed": 1.0}):
        assert "record with --timestamps" in Replayed(list(tmp_path.iterdir()), **asked).stderr


def test_what_is_no_event_is_passed_over_and_told(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(b"hello\n\n" + STORY[0].encode() + b'{"a":1}\n\xff\n' + STORY[1].encode()[:-20])
    shown = Replayed([path])
    assert len(shown.stdout.splitlines()) == 1
    assert shown.code == 0
    assert shown.stderr.splitlines() == [
        f"kwatch: {path}: line 1 is no event, passed over: not JSON (Expecting value: line 1 column 1 (char 0))",
        f"kwatch: {path}: 4 lines that are no events were passed over",
    ]


def test_a_last_line_that_stops_short_is_told(story: Path) -> None:
    story.write_text("".join(STORY)[:-10])
    shown = Replayed([story])
    assert len(shown.stdout.splitlines()) == 4
    assert f"{story}: line 5 is an event that stops short, passed over" in shown.stderr


@pytest.mark.parametrize("cut", [-4, 60])
def test_a_compressed_file_that_stops_short_gives_what_it_has(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "e.ndjson.gz"
    path.write_bytes(gzip.compress("".join(line(1, "ADDED", pod(f"p{n}")) for n in range(5000)).encode(), 0)[:cut])
    shown = Replayed([path])
    assert f"{path}: it stops short after line" in shown.stderr or "no events in it" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x1f\x8b\x00", bytes(range(256))])
def test_files_without_an_event_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    shown = Replayed([tmp_path / "x"])
    assert (shown.code, shown.stdout) == (1, "")
    assert shown.stderr == f"kwatch: error: {tmp_path / 'x'}: no events in it; give what kwatch -o ndjson wrote\n"


def test_an_empty_file_among_others_is_told(story: Path) -> None:
    empty = story.with_name("empty")
    empty.touch()
    shown = Replayed([story, empty])
    assert (shown.code, len(shown.stdout.splitlines())) == (0, 5)
    assert shown.stderr == f"kwatch: {empty}: no events in it; passed over\n"


def test_what_can_not_be_read_is_an_error_that_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is no file to replay: it is a folder; name the files in it" in Replayed([tmp_path]).stderr
    assert "is no file to replay: it is a pipe" in Replayed([tmp_path / "pipe"]).stderr
    assert "can't be read: no such file or directory; check the path" in Replayed([tmp_path / "none"]).stderr


def test_an_object_that_comes_again_under_its_name_has_no_old_state(tmp_path: Path) -> None:
    path = tmp_path / "e"
    lines = [("ADDED", pod("a", uid="1")), ("MODIFIED", pod("a", uid="2")), ("MODIFIED", pod("a", uid="2", version=3))]
    path.write_text("".join(line(index, *one) for index, one in enumerate(lines)))
    assert len(Replayed([path], "").stdout.splitlines()) == 3


def test_secrets_stay_redacted_and_clusters_and_types_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "e"
    secret = {**pod("s"), "kind": "Secret", "data": {"key": "c2VjcmV0"}}
    path.write_text(line(0, "ADDED", secret, cluster="east") + line(0, "ADDED", pod("p"), cluster="west"))
    shown = Replayed([path])
    assert "c2VjcmV0" not in shown.stdout
    assert '"key":"<redacted, 6 bytes>"' in shown.stdout
    rows = Replayed([path], "").stdout.splitlines()
    assert rows[0].split() == ["EVENT", "CLUSTER", "NAMESPACE", "KIND", "NAME", "TYPE", "DATA", "AGE"]
    assert "several types" in Replayed([path], "csv").stderr


def test_at_ten_times_the_speed_it_takes_a_tenth_of_the_time(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_text(line(0, "ADDED", pod("a")) + line(2, "MODIFIED", pod("a", version=2)))
    started = time.monotonic()
    assert len(Replayed([path], speed=10.0).stdout.splitlines()) == 2
    assert 0.2 <= time.monotonic() - started < 2


def test_at_any_speed_rows_have_the_times_and_ages_of_then(story: Path) -> None:
    ages = ["AGE", "0s", "0s", "10s", "20s", "30s"]
    assert [one.split()[-1] for one in Replayed([story], "", speed=1e6).stdout.splitlines()] == ages


def test_the_command_takes_times_and_speeds_and_refuses_others(story: Path) -> None:
    shown = kwatch(["replay", str(story), "--at", "2026-09-21T14:13:25Z", "--speed", "max"], story.parent)
    assert (shown.returncode, len(shown.stdout.splitlines()), shown.stderr) == (0, 3, "")
    for wrong in (["--at", "yesterday"], ["--speed", "0x"], ["--at", "2026-09-21", "--from", "2026-09-21"], []):
        files = [str(story)] if wrong else []
        refused = kwatch(["replay", *files, *wrong], story.parent)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert len(refused.stderr.splitlines()) == 1


def test_plurals_and_times() -> None:
    kinds = ("Pod", "Ingress", "NetworkPolicy", "Endpoints", "Gateway", "Proxy", "Batch")
    assert [plural(kind) for kind in kinds] == [
        "pods", "ingresses", "networkpolicies", "endpoints", "gateways", "proxies", "batches",
    ]  # fmt: skip
    assert parse_time("2026-09-21T14:13:20.5Z") == T0 + 0.5
    assert [parse_time(value) for value in ("x", None, 3)] == [None, None, None]


def replayed(recorded: bytes, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "kwatch", "replay", *arguments]
    given = variables(folder) | {"TMPDIR": str(folder)}
    return subprocess.run(command, input=recorded, capture_output=True, env=given, timeout=30, check=False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_hyphen_is_stdin_read_as_often_as_need_be(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    text = "".join(STORY)
    run = replayed(pack(text.encode()), tmp_path, "-", "-o", "ndjson", "--timestamps")
    assert (run.returncode, run.stderr, run.stdout.decode()) == (0, b"", text)
    (tmp_path / "more").write_text(line(5, "ADDED", pod("between")))
    merged = replayed(pack(text.encode()), tmp_path, str(tmp_path / "more"), "-", "-o", "name")
    assert merged.stdout.split()[2:4] == [b"pod/between", b"pod/a"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("kwatch-")] == []


def test_what_is_wrong_with_stdin_is_said_of_stdin(tmp_path: Path) -> None:
    run = replayed(b"no event\n", tmp_path, "-")
    assert (run.returncode, run.stderr.decode()) == (
        1,
        "kwatch: error: stdin: no events in it; give what kwatch -o ndjson wrote\n",
    )
    torn = replayed("".join([*STORY, STORY[0][:20]]).encode(), tmp_path, "-", "-o", "name")
    assert torn.stderr.startswith(b"kwatch: stdin: line 6 is an event that stops short")


@pytest.mark.parametrize(("where", "code", "printed"), [("NAME=nosuch", 1, 0), ("NAME=b", 1, 1), ("NAME=~.", 0, 2)])
def test_a_count_that_the_recording_does_not_reach_is_no_success(
    where: str, code: int, printed: int, tmp_path: Path
) -> None:
    file = tmp_path / "r.ndjson"
    file.write_text("".join(STORY[:3]))
    run = kwatch(["replay", str(file), "--where", where, "--count", "2", "-o", "name"], tmp_path)
    assert (run.returncode, len(run.stdout.splitlines())) == (code, printed)
    said = f"kwatch: error: the recording ended after {printed} of 2 events\n"
    assert run.stderr == (said if code else "")
