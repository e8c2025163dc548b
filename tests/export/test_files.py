"""Output files: appended by one writer, whole events alone, rotated at their limits."""

from __future__ import annotations

import errno
import gzip
import os
import sqlite3
import stat
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from kwatch.errors import ConfigError
from kwatch.export import DiskFull, Export
from kwatch.export.disk import Disk
from kwatch.export.files import OutputFile, Position
from kwatch.export.rotation import Names, Rotation
from kwatch.export.state import Source, State, contents
from kwatch.model import Batch, Change, Checkpoint, Column, Query, Resource, Row
from kwatch.protocol.forms import Document

PODS = Query(Resource("", "v1", "pods", "Pod"))
NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc).timestamp()


class Full(Disk):
    """A disk on which each of the next calls writes half and fails, one for each in `errors`."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if not self.errors:
            return super().write(descriptor, data)
        super().write(descriptor, data[: len(data) // 2])
        code = self.errors.pop(0)
        raise OSError(code, os.strerror(code))


class FullForState(Disk):
    """A disk that has no room for the next `times` transactions."""

    times = 0

    def commit(self, connection: sqlite3.Connection) -> None:
        if self.times:
            self.times -= 1
            raise sqlite3.OperationalError("database or disk is full")
        super().commit(connection)


class World:
    """An export, its clock and what it says."""

    def __init__(
        self, folder: Path, rotation: Rotation | None = None, *, disk: Disk | None = None, state: bool = False
    ) -> None:
        self.path = folder / "e.ndjson"
        self.said: list[str] = []
        self.waits: list[float] = []
        self.now = NOON
        disk = disk or Disk()
        sources = {PODS: Source("uid", PODS.path, "")}
        self.state = State(folder / "state", str(self.path), "ndjson", sources, disk) if state else None
        kept = self.state.position if self.state else None
        try:
            file = OutputFile(self.path, rotation or Rotation(), disk, kept)
        except ConfigError:
            if self.state:
                self.state.close()
            raise
        file.since = NOON
        self.export = Export(
            file, self.state, self.said.append, disk=disk, now=lambda: self.now, wait=self.waits.append
        )

    def write(self, *lines: str, version: str = "1") -> None:
        for line in lines:
            self.export.stream.write(f"{line}\n".encode())
        self.export.note(Batch(PODS, [], None, Checkpoint(version, False, True)))
        self.export.commit()

    def files(self) -> dict[str, str]:
        found = sorted(path for path in self.path.parent.iterdir() if path.name.startswith("e"))
        return {path.name: _text(path) for path in found}


def _text(path: Path) -> str:
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def test_a_file_is_its_owners_alone_and_is_appended_to(tmp_path: Path) -> None:
    for line in ("one", "two"):
        world = World(tmp_path)
        world.write(line)
        world.export.close()
    assert world.path.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(ConfigError, match="another kwatch writes it"):
        World(tmp_path)
    world.export.close()
    World(tmp_path).export.close()


def link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("make", "said"), [(link, "a symbolic link"), (os.mkfifo, "isn't a regular file"), (os.mkdir, "it is a folder")]
)
def test_only_regular_files_are_written(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    make(tmp_path / "e.ndjson")
    with pytest.raises(ConfigError, match=said):
        World(tmp_path)
    with pytest.raises(ConfigError, match="its folder doesn't exist"):
        World(tmp_path / "nowhere")


def test_what_a_crash_tore_is_cut_off_and_said(tmp_path: Path) -> None:
    (tmp_path / "e.ndjson").write_text('{"a":1}\n{"b":')
    world = World(tmp_path)
    world.write("{}")
    assert world.path.read_text() == '{"a":1}\n{}\n'
    assert world.said == [f"output file {world.path}: cut off 5 bytes after its last whole event"]
    world.export.close()


def test_a_file_is_rotated_once_it_has_its_size_between_two_events(tmp_path: Path) -> None:
    world = World(tmp_path, Rotation(size=8))
    for line in ("aaaa", "bbbb", "cccc"):
        world.now += 1
        world.write(line)
    assert world.files() == {"e-20261125T120002.000000Z.ndjson": "aaaa\nbbbb\n", "e.ndjson": "cccc\n"}
    world.export.close()


def test_a_file_is_rotated_at_each_full_hour_even_if_nothing_happens_but_never_empty(tmp_path: Path) -> None:
    world = World(tmp_path, Rotation(every=3600))
    world.write("a")
    world.now += 3599
    world.write("b")
    for _ in range(3):
        world.now += 3600
        world.export.commit()
    assert world.files() == {"e-20261125T135959.000000Z.ndjson": "a\nb\n", "e.ndjson": ""}
    world.export.close()


def test_names_sort_by_time_though_the_clock_goes_back_and_the_latest_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path, Rotation(size=1, keep=3))
    for line in "abcde":
        world.write(line)
        world.now -= 60
    files = world.files()
    assert list(files.values()) == ["c\n", "d\n", "e\n", ""]
    assert list(files)[-1] == "e.ndjson"
    world.export.close()


def test_a_rotated_file_is_compressed_only_once_the_state_has_gone_on_from_it(tmp_path: Path) -> None:
    """Until then a crash leaves the state at that file's end: the next run has to find it."""
    world = World(tmp_path, Rotation(size=1, compress=True), state=True)
    world.write("one", version="1")
    assert world.export._compressor
    world.export._compressor.finish()
    position = world.state.position if world.state else None
    assert position
    assert any(path.stat().st_ino == position.inode for path in tmp_path.glob("e-*.ndjson"))
    world.export.close()
    again = World(tmp_path, Rotation(size=1, compress=True), state=True)
    again.write("two", version="2")
    assert again.export._compressor
    again.export._compressor.finish()
    again.export.close()
    assert [(path.suffix, _text(path)) for path in sorted(tmp_path.glob("e-*"))] == [
        (".gz", "one\n"),
        (".ndjson", "two\n"),
    ]


def test_rotated_files_are_compressed_and_what_a_crash_left_of_that_is_put_right(tmp_path: Path) -> None:
    for name, text in (("e-20261125T110000.000000Z.ndjson", b"b\n"), ("e-20261125T100000.000000Z.ndjson", b"a\n")):
        (tmp_path / name).write_bytes(text)
    (tmp_path / "e-20261125T100000.000000Z.ndjson.gz").write_bytes(gzip.compress(b"a\n"))
    (tmp_path / "e-20261125T110000.000000Z.ndjson.gz.part").write_bytes(b"\x1f\x8b")
    world = World(tmp_path, Rotation(size=1, compress=True))
    world.write("c")
    assert world.export._compressor
    world.export._compressor.finish()
    world.export.close()
    assert world.files() == {
        "e-20261125T100000.000000Z.ndjson.gz": "a\n",
        "e-20261125T110000.000000Z.ndjson.gz": "b\n",
        "e-20261125T120000.000000Z.ndjson.gz": "c\n",
        "e.ndjson": "",
    }


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("state", [False, True])
def test_on_a_full_disk_nothing_is_torn_or_lost_and_it_goes_on_when_there_is_room(
    tmp_path: Path, code: int, state: bool
) -> None:
    seen = []
    world = World(tmp_path, disk=Full(), state=state)
    world.export._wait = lambda seconds: seen.append((seconds, world.path.read_text()))
    world.write("before")
    world.export._disk.errors += [code, code]  # type: ignore[attr-defined]
    world.write("a" * 100, "b")
    assert seen == [(0.8, "before\n"), (1.6, "before\n")]
    assert world.path.read_text() == f"before\n{'a' * 100}\nb\n"
    assert [line.partition(": ")[2] for line in world.said] == [
        f"{os.strerror(code).lower()}; nothing is lost, trying again in 0.8s",
        f"{os.strerror(code).lower()}; nothing is lost, trying again in 1.6s",
        "writing goes on",
    ]
    world.export.close()


def test_a_state_that_finds_no_room_is_tried_again_and_the_file_has_the_event_once(tmp_path: Path) -> None:
    disk = FullForState()
    world = World(tmp_path, state=True, disk=disk)
    world.write("z", version="4")
    disk.times = 2
    world.write("a", version="5")
    assert world.said[0].startswith(f"state {tmp_path}/state: database or disk is full; nothing is lost")
    assert world.path.read_text() == "z\na\n"
    assert world.state
    assert world.state.kept(PODS).checkpoint == Checkpoint("5", False, True)
    assert len(world.waits) == 2
    world.export.close()


def test_where_even_cutting_back_fails_it_is_done_before_the_next_write(tmp_path: Path) -> None:
    class Broken(Full):
        truncations = 0

        def truncate(self, descriptor: int, size: int) -> None:
            self.truncations += 1
            if self.truncations == 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().truncate(descriptor, size)

    world = World(tmp_path, disk=Broken(errno.EIO))
    world.write("a" * 100)
    assert world.path.read_text() == f"{'a' * 100}\n"
    world.export.close()


def test_a_run_that_ends_while_the_disk_is_full_says_what_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path, disk=Full(*[errno.ENOSPC] * 3))
    world.export.stream.write(b"abc\n")
    with pytest.raises(DiskFull, match="make room"):
        world.export.commit(ends=0.0)
    world.export.close()
    assert world.path.read_text() == ""
    assert world.said[-1].endswith("4 bytes of events couldn't be written: no space left on device")


def test_another_error_ends_the_run_with_a_whole_file(tmp_path: Path) -> None:
    world = World(tmp_path, disk=Full(errno.EBADF))
    with pytest.raises(OSError, match="Bad file"):
        world.write("a" * 100)
    assert world.path.read_text() == ""
    world.export.close()


def test_what_wasnt_committed_is_cut_off_at_the_end_and_at_the_next_start(tmp_path: Path) -> None:
    world = World(tmp_path, state=True)
    world.write("a")
    world.export._file.put(sync=False)  # type: ignore[union-attr]
    world.export.stream.write(b"b\n")
    world.export._file.put(sync=False)  # type: ignore[union-attr]
    assert world.path.read_text() == "a\nb\n"
    world.export.close()
    assert world.path.read_text() == "a\n"
    with world.path.open("a") as file:
        file.write("torn")
    world = World(tmp_path, state=True)
    world.write("c")
    assert world.path.read_text() == "a\nc\n"
    world.export.close()


SHORT = "0 bytes long, of which 4 are committed"


def test_a_file_that_isnt_as_the_state_has_it_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, state=True)
    world.write("abc")
    world.export.close()
    for text, said in (("abd\n", "its first 4 bytes, of 4, are others"), ("", SHORT)):
        world.path.write_text(text)
        with pytest.raises(ConfigError, match=f"it isn't as the state has it: {said}"):
            World(tmp_path, state=True)
        assert world.path.read_text() == text
    world.path.unlink()
    with pytest.raises(ConfigError, match=f"it isn't as the state has it: {SHORT}"):
        World(tmp_path, state=True)
    assert not world.path.exists()


def test_a_file_that_was_renamed_between_two_runs_is_found_and_mended(tmp_path: Path) -> None:
    world = World(tmp_path, state=True)
    world.write("a")
    world.export.close()
    with world.path.open("a") as file:
        file.write("uncommitted\n")
    world.path.rename(tmp_path / "e.ndjson.1")
    world = World(tmp_path, state=True)
    before = "what was written before is in e.ndjson.1 now"
    assert world.said == [f"output file {world.path}: this is another file; {before}"]
    world.write("b")
    assert world.files() == {"e.ndjson": "b\n", "e.ndjson.1": "a\n"}
    world.export.close()
    world.path.rename(tmp_path / "e.ndjson.2")
    World(tmp_path, state=True).export.close()
    (tmp_path / "e.ndjson.1").rename(world.path)
    (tmp_path / "e.ndjson.2").unlink()
    with pytest.raises(ConfigError, match="it isn't as the state has it: its first 2 bytes, of 2, are others"):
        World(tmp_path, state=True)


@pytest.mark.parametrize("state", [False, True])
def test_asked_to_reopen_it_writes_to_the_file_that_has_the_name_now(tmp_path: Path, state: bool) -> None:
    world = World(tmp_path, state=state)
    world.write("a")
    world.path.rename(tmp_path / "e.ndjson.1")
    world.export.stream.write(b"b\n")
    world.export.ask_to_reopen()
    world.export.commit()
    world.write("c")
    world.export.close()
    assert world.files() == {"e.ndjson": "c\n", "e.ndjson.1": "a\nb\n"}


@pytest.mark.parametrize("state", [False, True])
def test_asked_to_reopen_while_the_disk_is_full_it_lets_go_of_the_file_that_was_moved_away(
    tmp_path: Path, state: bool
) -> None:
    class FullUntilMoved(Full):
        def write(self, descriptor: int, data: bytes | memoryview) -> int:
            if os.fstat(descriptor).st_ino == full:
                self.errors.append(errno.ENOSPC)
            return super().write(descriptor, data)

    full = 0
    world = World(tmp_path, state=state, disk=FullUntilMoved())
    world.export.has_header = True
    world.write("header", "a")
    full = world.path.stat().st_ino

    def move(_: float) -> None:
        assert len(world.said) < 3, "it never let go"
        if world.path.exists():
            world.path.rename(tmp_path / "e.ndjson.1")
            world.export.ask_to_reopen()

    world.export._wait = move
    world.write("b")
    assert world.files() == {"e.ndjson": "header\nb\n", "e.ndjson.1": "header\na\n"}
    assert world.export.generation == 0
    world.export.close()
    world = World(tmp_path, state=state)
    world.write("c")
    assert world.path.read_text() == "header\nb\nc\n"
    world.export.close()


def test_a_state_remembers_rows_with_their_columns_and_objects_as_they_were(tmp_path: Path) -> None:
    columns = (Column("Name", "string", "name"), Column("Restarts", "integer", "", 1))
    rows = {
        "a": Row(columns, ("a", 2**70, None, True), "2026-11-25T12:00:00Z", {"app": "web"}),
        "b": Row(columns, ("b", "x\n\u2028"), "", {}, Document(b'{"kind":"Pod"}')),
    }
    world = World(tmp_path, state=True)
    world.export.note(
        Batch(PODS, [Change("ADDED", ("", name), "u", "1", row) for name, row in rows.items()], None, Checkpoint("1"))
    )
    world.export.note(Batch(PODS, [Change("ADDED", ("", "c"), "u", "1", Document(b"{}"))], None, Checkpoint("2")))
    world.export.note(Batch(PODS, [Change("DELETED", ("", "c"), "u", "1", Document(b"{}"))], None, Checkpoint("3")))
    world.export.commit()
    states = {name: known.state for (_, name), known in world.export.kept(PODS).objects.items()}
    assert {name: state._replace(document=None) for name, state in states.items()} == {
        "a": rows["a"],
        "b": rows["b"]._replace(document=None),
    }
    assert (states["a"].document, states["b"].encoded) == (None, b'{"kind":"Pod"}')
    assert states["a"].columns is states["b"].columns
    world.export.close()


@pytest.mark.parametrize(
    ("output", "form", "source", "said"),
    [
        ("/other", "ndjson", Source("uid", PODS.path, ""), "output .*e.ndjson, not /other"),
        ("", "csv", Source("uid", PODS.path, ""), "form ndjson, not csv"),
        ("", "ndjson", Source("other", PODS.path, ""), "/pods of cluster uid, not /api/v1/pods of cluster other;"),
        ("", "ndjson", Source("uid", "/api/v1/nodes", ""), "/pods of cluster uid, not /api/v1/nodes of cluster uid;"),
        (
            "",
            "ndjson",
            Source("uid", PODS.path, "labelSelector=a"),
            "/pods of cluster uid, not /api/v1/pods with labelSelector=a of cluster uid;",
        ),
    ],
)
def test_the_state_of_another_export_is_refused(
    tmp_path: Path, output: str, form: str, source: Source, said: str
) -> None:
    world = World(tmp_path, state=True)
    world.write("a")
    world.export.close()
    with pytest.raises(ConfigError, match=said):
        State(tmp_path / "state", output or str(world.path), form, {PODS: source}, Disk())


def test_a_state_that_is_a_symbolic_link_is_refused_as_an_output_file_is(tmp_path: Path) -> None:
    link(tmp_path / "state")
    with pytest.raises(ConfigError, match="it is a symbolic link; name the file it points to"):
        World(tmp_path, state=True)


def test_a_state_that_has_no_room_to_begin_says_so(tmp_path: Path) -> None:
    disk = FullForState()
    disk.times = 1
    with pytest.raises(ConfigError, match="full; make room and start again"):
        World(tmp_path, state=True, disk=disk)


def test_a_state_in_which_nothing_ever_came_may_become_that_of_another_export(tmp_path: Path) -> None:
    World(tmp_path, state=True).export.close()
    other = Query(Resource("", "v1", "nodes", "Node"))
    State(tmp_path / "state", "", "csv", {other: Source("uid", other.path, "")}, Disk()).close()
    assert [one.source.path for one in contents(tmp_path / "state").summaries] == ["/api/v1/nodes"]


def test_a_state_has_one_user_at_a_time_but_may_be_looked_at(tmp_path: Path) -> None:
    world = World(tmp_path, state=True)
    world.write("abc", version="7")
    assert contents(tmp_path / "state").summaries[0].checkpoint == Checkpoint("7", False, True)
    assert contents(tmp_path / "state").position == Position(world.path.stat().st_ino, 4, world.state.position.tail)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="in use by another kwatch"):
        State(tmp_path / "state", "", "ndjson", {}, Disk())
    world.export.close()


@pytest.mark.parametrize("content", [b"", b"some text that is no database, and long enough to be sure\n" * 40])
def test_a_file_that_is_no_state_is_refused_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"no state of kwatch's|can't be used"):
        contents(path)
    assert path.read_bytes() == content


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    World(tmp_path, state=True).export.close()
    with sqlite3.connect(tmp_path / "state") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="of another version of kwatch"):
        World(tmp_path, state=True)


def test_rotated_files_are_told_from_others() -> None:
    names = Names(Path("/x/e.ndjson"))
    mine = ["e-20261125T120000.000000Z.ndjson", "e-20261125T120000.000001Z.ndjson.gz"]
    others = ["e.ndjson", "e-old.ndjson", "ee-20261125T120000.000000Z.ndjson", "e-20261125T120000.000000Z.csv"]
    assert names.surplus([*mine, *others], 0) == mine
    assert names.surplus([*mine, *others], 1) == mine[:1]
    assert names.rotated([*mine, *others]) == mine[:1]
