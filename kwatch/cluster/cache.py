"""What a server said it serves, kept on disk for the next runs: names of types and nothing else.

A cache is never an error: what can't be read, isn't ours, isn't of this server or is too old is a miss, what can't be
written is left, and a detail for `-v` says why. Reading needs no network and imports no HTTP or YAML library, so that
shell completion can afford it. No credential is in a file or in a name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kwatch.cluster.discovery import Discovery
from kwatch.cluster.resources import BUILT_IN, preferred
from kwatch.model import Notice, Resource
from kwatch.text import brief

if TYPE_CHECKING:
    from kwatch.cluster.kubeconfig import Connection

LIFE = 6 * 3600.0
"""Seconds an answer is believed (kubectl's own)."""
INCOMPLETE_LIFE = 600.0
"""Seconds an answer is believed in which a group was missing, for its server may be back."""
KEPT = 7 * 86400.0
"""Seconds after which a file that nobody wrote again is removed; for completion an old name is better than none."""
MAX_BYTES = 32 << 20
FORMAT = 1

_SALT = "salt"
_NOT_IDENTITY = {"namespace", "context", "note", "proxy_from", "client_key"}
"""Fields of a Connection that say nothing of who is asking whom; the key belongs to the certificate, which does."""


def cache_folder(option: str, variables: Mapping[str, str]) -> Path | None:
    """kwatch's own folder in that of `--cache-dir`, else of KUBECACHEDIR, else ~/.kube/cache; None without a HOME."""
    home = variables.get("HOME")
    base = option or variables.get("KUBECACHEDIR") or (os.path.join(home, ".kube", "cache") if home else "")
    return Path(base) / "kwatch" if base else None


class Cache:
    """The kept answer of one server to one user. Two processes may use the same one: a file is replaced whole."""

    def __init__(
        self,
        folder: Path | None,
        connection: Connection,
        tell: Callable[[Notice], None] = lambda notice: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._tell = tell
        self._now = now

    def load(self) -> Discovery | None:
        """The answer, if it is still to be believed."""
        with self._watched("read"), _opened(self._folder) as folder:
            kept = _parsed(_read(folder, self._name(_salt(folder))))
            age = self._now() - kept.written
            if kept.server == self._connection.server and 0 <= age < kept.life:
                return kept.discovery
        return None

    def save(self, discovery: Discovery) -> None:
        """Keep it, and remove what is long out of use."""
        text = _text(self._connection.server, self._now(), discovery)
        with self._watched("written"), _opened(self._folder, make=True) as folder:
            _prune(folder, self._now() - KEPT)
            _write(folder, self._name(_salt(folder, make=True)), text)

    def forget(self) -> None:
        """Remove it: it was found to be wrong."""
        with self._watched("removed"), _opened(self._folder) as folder:
            os.unlink(self._name(_salt(folder)), dir_fd=folder)

    def _name(self, salt: bytes) -> str:
        """Readable by the server's address, told apart by whatever may change what a server shows.

        Keyed by a random salt: from the name alone nobody can guess at a password. Rotating tokens don't count, the
        user or the file they come of does.
        """
        connection = self._connection
        known = [each.name for each in fields(connection) if each.name not in _NOT_IDENTITY | {"credentials"}]
        identity = [(name, repr(getattr(connection, name))) for name in known] + [_who(connection)]
        digest = blake2b(repr(identity).encode("utf-8", "replace"), key=salt, digest_size=16).hexdigest()
        parts = urlsplit(connection.server)
        return f"{re.sub('[^0-9A-Za-z.-]+', '_', parts.netloc + parts.path)[:80]}-{digest}.json"

    @contextlib.contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self._tell(Notice(brief(f"the cache in {self._folder} can't be {what}: {reason}"), detail=True))


def known_types(
    folder: Path | None,
    server: Callable[[], str] = lambda: "",
    now: Callable[[], float] = time.time,
    *,
    others: bool = True,
) -> tuple[Resource, ...]:
    """What `server` serves, where a kept answer says so; else the built-in types, and (with `others`) those that any
    kept answer has, the latest first.

    Each type once, in its preferred version. For shell completion: reads files and asks nobody. `server` gives the
    address, "" where it isn't known; it is called where there are kept answers at all.
    """
    answers: list[_Kept] = []
    with contextlib.suppress(OSError, ValueError), _opened(folder) as descriptor:
        for name in os.listdir(descriptor):
            with contextlib.suppress(OSError, ValueError):
                answers += [_parsed(_read(descriptor, name))] if name.endswith(".json") else []
    useful = [kept for kept in answers if now() - kept.written < KEPT]
    useful.sort(key=lambda kept: -kept.written)
    address = server() if useful else ""
    own = [kept for kept in useful if kept.server == address]
    known = own or (useful if others else [])
    served = [resource for kept in known for resource in kept.discovery.resources]
    is_whole = own and not any(kept.discovery.skipped for kept in own)
    return tuple(preferred(served if is_whole else [*BUILT_IN, *served]))


def _who(connection: Connection) -> tuple[str, str]:
    """Who asks: the fixed header, or what a changing one comes of."""
    from kwatch.cluster.credentials import FixedCredentials
    from kwatch.cluster.exec import ExecCredentials

    credentials = connection.credentials
    if isinstance(credentials, FixedCredentials):
        return "fixed", repr(credentials.given())
    if isinstance(credentials, ExecCredentials):
        plugin = credentials.plugin
        return "exec", repr((plugin.where, plugin.path, plugin.arguments))
    return "other", repr(credentials)


# Files


class _Kept:
    """A file's content, checked. Raises ValueError for anything that kwatch didn't write."""

    def __init__(self, content: object) -> None:
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("not a cache of this version of kwatch")
        self.server = _of(str, content.get("server"))
        self.written = float(_of((int, float), content.get("written")))
        skipped = tuple(_of(str, line) for line in _of(list, content.get("skipped")))
        self.discovery = Discovery(tuple(map(_resource, _of(list, content.get("resources")))), skipped)
        self.life = INCOMPLETE_LIFE if skipped else LIFE


_ROW = (str, str, str, str, bool, str, list, list, list)


def _resource(row: object) -> Resource:
    if not isinstance(row, list) or len(row) != len(_ROW):
        raise ValueError("a type has too little or too much")
    values: list[Any] = [_of(kind, value) for kind, value in zip(_ROW, row, strict=True)]
    values[6:] = [tuple(_of(str, each) for each in names) for names in values[6:]]
    return Resource(*values)


def _row(resource: Resource) -> list[Any]:
    names = (resource.group, resource.version, resource.plural, resource.kind, resource.namespaced, resource.singular)
    return [*names, resource.short_names, resource.categories, resource.verbs]


def _of(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError("a value has the wrong type")
    return value


def _parsed(data: bytes) -> _Kept:
    try:
        return _Kept(json.loads(data))
    except (RecursionError, OverflowError):
        raise ValueError("not a cache") from None


def _text(server: str, written: float, discovery: Discovery) -> bytes:
    rows = [_row(resource) for resource in discovery.resources]
    skipped = [f"{line.partition(':')[0]}: it didn't answer" for line in discovery.skipped]  # errors may repeat a token
    content = {"format": FORMAT, "server": server, "written": written, "skipped": skipped, "resources": rows}
    return json.dumps(content, separators=(",", ":")).encode()


@contextlib.contextmanager
def _opened(folder: Path | None, *, make: bool = False) -> Iterator[int]:
    """A descriptor of `folder`, which must be ours and no symlink, and is for nobody else. Raises OSError."""
    if folder is None:
        raise FileNotFoundError
    if make:
        for path in [path for path in (*reversed(folder.parents), folder) if not os.path.lexists(path)]:
            with contextlib.suppress(FileExistsError):  # another kwatch was faster
                os.mkdir(path, 0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise PermissionError(0, "it belongs to another user")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.fchmod(descriptor, 0o700)
        yield descriptor
    finally:
        os.close(descriptor)


def _read(folder: int, name: str) -> bytes:
    """A regular file of ours; not blocking, in case somebody put a pipe there."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > MAX_BYTES:
            raise ValueError("it isn't a file of kwatch's")
        return file.read(MAX_BYTES)


def _write(folder: int, name: str, content: bytes, *, replace: bool = True) -> None:
    """Write beside and rename; without `replace`, raise FileExistsError where it is there."""
    beside = f".{secrets.token_hex(8)}.new"
    descriptor = os.open(
        beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        if replace:
            os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            _link(folder, beside, name)
    finally:
        with contextlib.suppress(FileNotFoundError):  # renamed
            os.unlink(beside, dir_fd=folder)


def _link(folder: int, beside: str, name: str) -> None:
    """Give the file its name if nobody has it; a file system without hard links can't tell."""
    try:
        os.link(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise
    except OSError:
        os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)


def _salt(folder: int, *, make: bool = False) -> bytes:
    """The folder's random key; who comes second takes the first one's."""
    try:
        salt = _read(folder, _SALT)
        if len(salt) == 32 or not make:
            return salt[:64]
        os.unlink(_SALT, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        _write(folder, _SALT, secrets.token_bytes(32), replace=False)
    return _read(folder, _SALT)[:64]


def _prune(folder: int, before: float) -> None:
    """Remove what nobody wrote since `before`: clusters that are gone, and leftovers of killed runs."""
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if (
                name.endswith((".json", ".new"))
                and os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < before
            ):
                os.unlink(name, dir_fd=folder)
