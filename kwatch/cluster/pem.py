"""Certificates and keys in PEM, and the files they came of, which something else may replace while a watch runs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kwatch.cluster.files import config_error, read
from kwatch.cluster.kubefile import Entry

CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
PRIVATE_KEY = b"PRIVATE KEY-----"
"""What marks each kind of block; a key's line may name its algorithm before it."""


class PemFile(NamedTuple):
    """A file to be read again before each connection. `where` it is named begins its errors."""

    path: Path
    where: str
    marker: bytes

    def content(self) -> bytes:
        """What it holds now. Raises ConfigError where that can't be read or isn't PEM."""
        return checked(read(self.path, self.where), f"{self.where} {self.path}", self.marker)


Pem = tuple[bytes, PemFile | None]
"""(content, the file to read again); no file for inline data, nor for a pipe, which gives its content once."""

NOTHING: Pem = (b"", None)


def of_flag(path: str, flag: str, marker: bytes) -> Pem:
    """The file that a flag names, read now. Raises ConfigError."""
    return _read(PemFile(Path(path), flag, marker)) if path else NOTHING


def of_entry(entry: Entry, key: str, marker: bytes) -> Pem:
    """`KEY-data` of a kubeconfig's entry, which wins over its file `KEY`. Raises ConfigError."""
    inline = entry.decoded(f"{key}-data")
    if inline:
        return checked(inline, f"{entry}: {key}-data", marker), None
    path = entry.path(key)
    return _read(PemFile(path, f"{entry}: {key}", marker)) if path else NOTHING


def checked(content: bytes, where: str, marker: bytes) -> bytes:
    """`content`, if it has a block of the kind. Raises ConfigError naming `where`."""
    if marker not in content:
        what = "certificate" if marker is CERTIFICATE else "private key"
        raise config_error(f"{where} holds no {what} in PEM; it must have a `-----BEGIN …{what.upper()}-----` line")
    return content


def _read(file: PemFile) -> Pem:
    return file.content(), file if file.path.is_file() else None
