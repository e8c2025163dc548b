"""The answers kept on disk: never an error, never another's, never a credential, never half a file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwatch.cluster import cache as module
from kwatch.cluster.cache import INCOMPLETE_LIFE, KEPT, LIFE, Cache, cache_folder, known_types
from kwatch.cluster.credentials import FixedCredentials, TokenFile
from kwatch.cluster.discovery import Discovery
from kwatch.cluster.exec import ExecCredentials, Plugin
from kwatch.cluster.kubeconfig import Connection
from kwatch.cluster.resources import BUILT_IN, preferred
from kwatch.model import Notice, Resource

HERE = Connection("https://here:6443/prefix")
WIDGETS = Resource("example.com", "v1", "widgets", "Widget", True, "widget", ("wd",), ("all",), ("list", "watch"))
FOUND = Discovery((WIDGETS, Resource("", "v1", "nodes", "Node", False, "node")))
CANARY = "s3cr3t-canary"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where" / "kwatch"


class Wall:
    """The time of day, turned by hand; it begins as that of the files."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def details(into: list[str]) -> Any:
    def tell(notice: Notice) -> None:
        assert notice.detail
        into.append(notice.text)

    return tell


def file_of(folder: Path) -> Path:
    (found,) = folder.glob("*.json")
    return found


# Where, and who may read it


@pytest.mark.parametrize(
    ("option", "variables", "expected"),
    [
        ("", {"HOME": "/home/me"}, "/home/me/.kube/cache/kwatch"),
        ("", {"HOME": "/home/me", "KUBECACHEDIR": "/c"}, "/c/kwatch"),
        ("/mine", {"HOME": "/home/me", "KUBECACHEDIR": "/c"}, "/mine/kwatch"),
        ("", {}, None),
        ("", {"HOME": ""}, None),
    ],
)
def test_the_folder_is_the_flags_then_kubectls(option: str, variables: dict[str, str], expected: str | None) -> None:
    assert cache_folder(option, variables) == (Path(expected) if expected else None)


def test_what_was_saved_is_loaded_and_for_nobody_else_to_read(folder: Path) -> None:
    assert Cache(folder, HERE).load() is None
    Cache(folder, HERE).save(FOUND)
    found = Cache(folder, HERE).load()
    assert found == FOUND
    assert found.resources[0].verbs == ("list", "watch")  # which equality leaves out
    for path in (folder, *folder.parents[:2]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"here_6443_prefix", "salt"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_an_umask_and_an_open_folder_change_nothing_of_that(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o777)
    folder.chmod(0o777)
    before = os.umask(0)
    try:
        Cache(folder, HERE).save(FOUND)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_no_symlink_is_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    Cache(elsewhere, HERE).save(FOUND)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    assert Cache(folder, HERE).load() is None
    Cache(folder, HERE).save(Discovery())
    assert sorted(elsewhere.iterdir()) == before
    assert Cache(elsewhere, HERE).load() == FOUND


def test_a_file_that_is_a_symlink_is_not_read_and_is_replaced_not_followed(folder: Path, tmp_path: Path) -> None:
    Cache(folder, HERE).save(FOUND)
    link, target = file_of(folder), tmp_path / "target"
    link.rename(target)
    link.symlink_to(target)
    kept = target.read_bytes()
    assert Cache(folder, HERE).load() is None
    Cache(folder, HERE).save(Discovery())
    assert target.read_bytes() == kept
    assert not link.is_symlink()


def test_kubes_own_folder_may_be_a_symlink_as_users_have_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / ".kube").symlink_to(tmp_path / "real")
    folder = tmp_path / ".kube" / "cache" / "kwatch"
    Cache(folder, HERE).save(FOUND)
    assert Cache(folder, HERE).load() == FOUND


# How long


def test_it_is_believed_for_six_hours(folder: Path) -> None:
    wall = Wall()
    Cache(folder, HERE, now=wall).save(FOUND)
    wall.now += LIFE - 1
    assert Cache(folder, HERE, now=wall).load() == FOUND
    wall.now += 1
    assert Cache(folder, HERE, now=wall).load() is None
    assert LIFE == 6 * 3600


def test_an_answer_with_gaps_is_believed_for_ten_minutes(folder: Path) -> None:
    wall = Wall()
    gaps = Discovery((WIDGETS,), ("down.io/v1: it didn't answer",))
    Cache(folder, HERE, now=wall).save(gaps)
    wall.now += INCOMPLETE_LIFE - 1
    assert Cache(folder, HERE, now=wall).load() == gaps
    wall.now += 1
    assert Cache(folder, HERE, now=wall).load() is None


def test_an_answer_of_the_future_is_not_believed(folder: Path) -> None:
    wall = Wall()
    Cache(folder, HERE, now=wall).save(FOUND)
    wall.now -= 10
    assert Cache(folder, HERE, now=wall).load() is None


def test_what_is_long_out_of_use_is_removed_and_nothing_of_others(folder: Path) -> None:
    Cache(folder, HERE).save(FOUND)
    old = file_of(folder)
    left = folder / ".0123.new"
    foreign = folder / "notes.txt"
    for path in (left, foreign):
        path.write_text("x")
    for path in (old, left, foreign, folder / "salt"):
        os.utime(path, (0, 0))
    Cache(folder, replace(HERE, server="https://there")).save(FOUND)
    assert not old.exists()
    assert not left.exists()
    assert foreign.exists()
    assert Cache(folder, replace(HERE, server="https://there")).load() == FOUND
    assert KEPT > LIFE


def test_forget_removes_it(folder: Path) -> None:
    Cache(folder, HERE).forget()
    Cache(folder, HERE).save(FOUND)
    Cache(folder, HERE).forget()
    assert Cache(folder, HERE).load() is None


# Whose


def plugin(*arguments: str, where: str = "user a") -> ExecCredentials:
    return ExecCredentials(Plugin(where, "/bin/login", arguments, {}, "v1", "Never"))


OTHERS = {
    "another server": replace(HERE, server="https://here:6443"),
    "another CA": replace(HERE, ca=b"CA"),
    "another client certificate": replace(HERE, client_certificate=b"C"),
    "another agent behind one address": replace(HERE, headers=(("GitLab-Agent-Id", "7"),)),
    "a token": replace(HERE, credentials=FixedCredentials("Bearer", "one")),
    "another token": replace(HERE, credentials=FixedCredentials("Bearer", "two")),
    "a token file": replace(HERE, credentials=TokenFile(Path("/one"))),
    "another token file": replace(HERE, credentials=TokenFile(Path("/two"))),
    "a plugin": replace(HERE, credentials=plugin()),
    "a plugin with other arguments": replace(HERE, credentials=plugin("--role", "admin")),
    "a plugin of another user": replace(HERE, credentials=plugin(where="user b")),
    "another proxy": replace(HERE, proxy="http://bastion:3128"),
    "another name in TLS": replace(HERE, tls_server_name="other"),
    "insecure": replace(HERE, insecure=True),
}


@pytest.mark.parametrize("other", OTHERS)
def test_no_answer_leaks_to(other: str, folder: Path) -> None:
    Cache(folder, HERE).save(FOUND)
    for connection in (each for name, each in OTHERS.items() if name != other):
        Cache(folder, connection).save(FOUND)
    assert Cache(folder, OTHERS[other]).load() is None


def test_another_context_or_namespace_shares_the_answer(folder: Path) -> None:
    Cache(folder, HERE).save(FOUND)
    same = replace(HERE, context="c", namespace="n", note="…", proxy_from="HTTPS_PROXY")
    assert Cache(folder, same).load() == FOUND


def test_a_file_with_anothers_name_is_still_not_anothers_answer(folder: Path) -> None:
    Cache(folder, HERE).save(FOUND)
    there = replace(HERE, server="https://there")
    content = file_of(folder).read_bytes()
    file_of(folder).unlink()
    Cache(folder, there).save(FOUND)
    file_of(folder).write_bytes(content)
    assert Cache(folder, there).load() is None


def test_no_credential_is_in_a_file_or_in_a_name(folder: Path) -> None:
    connection = replace(
        HERE,
        credentials=FixedCredentials("Bearer", CANARY),
        headers=(("X-Token", CANARY), ("Cookie", f"session={CANARY}")),
        proxy=f"http://me:{CANARY}@proxy",
        client_key=CANARY.encode(),
    )
    Cache(folder, connection).save(FOUND)
    repeated = Discovery((WIDGETS,), (f"down.io/v1: 401 the token {CANARY} is not known here",))
    Cache(folder, replace(HERE, credentials=plugin("--password", CANARY))).save(repeated)
    assert not [path for path in folder.iterdir() if CANARY in path.name or CANARY.encode() in path.read_bytes()]


def test_nobody_can_guess_at_a_password_from_a_name_of_another_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Cache(tmp_path / name, HERE).save(FOUND)
    assert file_of(tmp_path / "a").name != file_of(tmp_path / "b").name


# What is broken


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format": 2, "server": ""}',
     b'{"format":1,"server":"https://here:6443/prefix","written":1e400,"skipped":[],"resources":[]}',
     b'{"format":1,"server":"https://here:6443/prefix","written":' + b"9" * 400 + b',"skipped":[],"resources":[]}',
     b'{"format":1,"server":"https://here:6443/prefix","written":0,"skipped":[],"resources":[["a"]]}',
     b'{"format":1,"server":"https://here:6443/prefix","written":0,"skipped":[1],"resources":[]}'],
)  # fmt: skip
def test_a_corrupt_file_is_a_miss_and_a_detail_and_is_written_anew(content: bytes, folder: Path) -> None:
    Cache(folder, HERE).save(FOUND)
    file_of(folder).write_bytes(content)
    told: list[str] = []
    assert Cache(folder, HERE, details(told)).load() is None
    assert all(line.startswith(f"the cache in {folder} can't be read: ") for line in told)
    Cache(folder, HERE).save(FOUND)
    assert Cache(folder, HERE).load() == FOUND


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["server", "written", "skipped", "resources"]), JSON), JSON)
def test_no_content_raises_anything(some: dict[str, Any], row: Any) -> None:
    content = {"format": 1, "server": "s", "written": 1.0, "skipped": [], "resources": [row], **some}
    try:
        kept = module._Kept(content)
    except (ValueError, OverflowError):
        return
    assert all(isinstance(resource, Resource) for resource in kept.discovery.resources)


@pytest.mark.parametrize(
    "obstacle", ["a file", "a folder in place of the file", "a pipe", "no permission", "a short salt"]
)
def test_what_stands_in_the_way_is_a_miss(obstacle: str, folder: Path) -> None:
    told: list[str] = []
    Cache(folder, HERE).save(FOUND)
    path = file_of(folder)
    if obstacle == "a file":
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
        folder.write_text("")
    elif obstacle == "a folder in place of the file":
        path.unlink()
        path.mkdir()
    elif obstacle == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif obstacle == "no permission":
        folder = Path("/proc/nowhere/kwatch")
    else:
        (folder / "salt").write_bytes(b"")
    cache = Cache(folder, HERE, details(told))
    assert cache.load() is None
    cache.save(FOUND)
    cache.forget()


def test_a_disk_that_is_full_leaves_no_half_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(folder, HERE).save(FOUND)
    before = sorted(path.name for path in folder.iterdir())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    told: list[str] = []
    monkeypatch.setattr(os, "rename", full)
    Cache(folder, HERE, details(told)).save(Discovery())
    assert told == [f"the cache in {folder} can't be written: No space left on device"]
    assert sorted(path.name for path in folder.iterdir()) == before
    assert Cache(folder, HERE).load() == FOUND


def test_runs_at_once_do_not_hurt_each_other(folder: Path) -> None:
    many = Discovery(tuple(Resource("g", "v1", f"things{n}", "Thing") for n in range(500)))
    wrong: list[object] = []
    start = threading.Barrier(6)

    def run() -> None:
        start.wait()
        for _ in range(20):
            Cache(folder, HERE, wrong.append).save(many)
            if Cache(folder, HERE, wrong.append).load() != many:
                wrong.append("not what was saved")

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".json"]


# For completion


def test_completion_knows_the_built_in_types_and_what_was_kept_of_any_server(folder: Path) -> None:
    assert {each.plural for each in known_types(None)} == {each.plural for each in BUILT_IN}
    assert not folder.exists()
    wall = Wall()
    Cache(folder, HERE, now=wall).save(FOUND)
    there = replace(HERE, server="https://there")
    newer = replace(WIDGETS, version="v2")
    wall.now += 60
    Cache(folder, there, now=wall).save(Discovery((newer,)))
    (folder / "broken.json").write_text("{")
    assert [each.version for each in known_types(folder, now=wall) if each.plural == "widgets"] == ["v2"]
    assert len([each for each in known_types(folder, now=wall) if each.plural == "nodes"]) == 1
    wall.now += 2 * LIFE  # an old name is better than none
    assert WIDGETS.plural in {each.plural for each in known_types(folder, now=wall)}


def test_completion_knows_what_one_server_serves_where_it_said_so_and_nothing_else(folder: Path) -> None:
    wall = Wall()
    Cache(folder, HERE, now=wall).save(FOUND)
    Cache(folder, replace(HERE, server="https://there"), now=wall).save(Discovery((WIDGETS,), ("b.io: 503",)))
    assert known_types(folder, lambda: HERE.server, wall) == FOUND.resources
    elsewhere = known_types(folder, lambda: "https://elsewhere", wall, others=False)
    assert [each.plural for each in elsewhere] == [each.plural for each in preferred(BUILT_IN)]
    incomplete = {each.plural for each in known_types(folder, lambda: "https://there", wall)}
    assert incomplete == {*(each.plural for each in BUILT_IN), WIDGETS.plural}


def test_completion_imports_neither_http_nor_yaml() -> None:
    code = "import sys, kwatch.cluster.cache as c; c.known_types(None); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"requests", "urllib3", "yaml", "tabulate", "orjson", "subprocess"}.isdisjoint(loaded)


def test_a_file_system_without_hard_links_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    Cache(folder, HERE).save(FOUND)
    assert Cache(folder, HERE).load() == FOUND
