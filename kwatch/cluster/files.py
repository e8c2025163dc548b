"""Bytes from a file the configuration names, and errors fit to show.

Every failure to read is a ConfigError of one line: what the file is for, which file, why. Nothing of a file's
content gets into an error, nor into its cause.
"""

from __future__ import annotations

from pathlib import Path

from kwatch.errors import ConfigError
from kwatch.text import one_line

MAX_BYTES = 10 * 1024 * 1024
"""Bytes a configuration file may have: a kubeconfig of a thousand clusters is under 5 MiB."""


def config_error(text: str) -> ConfigError:
    """A ConfigError of one line: names come from files and may hold control characters, paths undecodable bytes."""
    return ConfigError(one_line(text.encode("utf-8", "replace").decode("utf-8")))


def why(error: Exception) -> str:
    """The reason of a failed file operation, in lower case and without the path."""
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or "the name isn't a valid path").lower()


def read(path: Path, what: str) -> bytes:
    """The content of `path`; pipes too (`--kubeconfig <(command)`). `what` it is for begins the error.

    Raises ConfigError where it can't be read or is over MAX_BYTES.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the path
        raise config_error(f"{what} {path} can't be read: {why(error)}; check the path and its permissions") from None
    if len(content) > MAX_BYTES:
        raise config_error(f"{what} {path} is over {MAX_BYTES >> 20} MiB; it isn't the file that was meant")
    return content
