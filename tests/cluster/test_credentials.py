"""The Authorization header, and when a token file is read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.kubeconfigs import CANARY, checked

from kwatch.cluster.credentials import NoCredentials, TokenFile, basic, bearer
from kwatch.errors import ConfigError


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("one\n")
    return path


def test_a_token_file_is_read_again_after_a_minute_and_not_before(path: Path) -> None:
    clock = Clock()
    credentials = TokenFile(path, now=clock)
    assert credentials.authorization() == "Bearer one"
    path.write_text("two")
    clock.now += 59.9
    assert credentials.authorization() == "Bearer one"
    clock.now += 0.1
    assert credentials.authorization() == "Bearer two"


def test_a_401_has_the_token_file_read_at_once(path: Path) -> None:
    credentials = TokenFile(path, now=Clock())
    credentials.authorization()
    path.write_text("two")
    credentials.renew()
    assert credentials.authorization() == "Bearer two"


def test_a_token_file_that_cannot_be_read_any_more_leaves_the_last_token(path: Path) -> None:
    credentials = TokenFile(path, fallback="inline", now=Clock())
    credentials.authorization()
    for spoil in (lambda: path.write_text(""), path.unlink):
        spoil()
        credentials.renew()
        assert credentials.authorization() == "Bearer one"


def test_the_inline_token_serves_until_the_file_does(path: Path) -> None:
    path.unlink()
    credentials = TokenFile(path, fallback="inline", now=Clock())
    credentials.renew()
    assert credentials.authorization() == "Bearer inline"
    path.write_text("file")
    credentials.renew()
    assert credentials.authorization() == "Bearer file"


@pytest.mark.parametrize("content", ["", " \n\n", f"{CANARY}\n{CANARY}", f"{CANARY}\x00", f"{CANARY}☃"])
def test_a_token_file_without_a_sendable_token_is_an_error_of_one_line(path: Path, content: str) -> None:
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError) as caught:
        TokenFile(path).authorization()
    assert checked(caught.value).startswith(f"token file {path}")


def test_what_never_changes_survives_a_renewal() -> None:
    for credentials, expected in [
        (NoCredentials(), ""),
        (bearer("t", "here"), "Bearer t"),
        (basic("Aladdin", "open sesame", "here"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ]:
        credentials.renew()
        assert credentials.authorization() == expected


def test_no_repr_shows_a_secret(path: Path) -> None:
    path.write_text(CANARY)
    file = TokenFile(path, fallback=CANARY)
    file.authorization()
    shown = repr([file, bearer(CANARY, "here"), basic(CANARY, CANARY, "here"), NoCredentials()])
    assert CANARY not in shown
    assert CANARY.encode().hex() not in shown.encode().hex()
