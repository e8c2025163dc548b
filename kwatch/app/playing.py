"""The API server inside this process, for `kwatch demo` and `kwatch sandbox`."""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Iterator, Mapping

from kwatch.errors import ConfigError, UsageError


@contextlib.contextmanager
def sandbox(port: int, scenario: str, options: Mapping[str, float]) -> Iterator[str]:
    """Plays `scenario` on `port` (0: a free one) of the loopback; gives its address. Raises UsageError, ConfigError."""
    from kwatch.sandbox.play import playing
    from kwatch.sandbox.scenarios import SCENARIOS

    if scenario not in SCENARIOS:
        raise UsageError(f'there is no scenario "{scenario}"; choose one of {", ".join(SCENARIOS)}')
    if not all(map(math.isfinite, options.values())):
        raise UsageError("--rate takes a finite number of changes a second")
    if options and scenario != "churn":
        raise UsageError("--objects and --rate are for --scenario churn alone")
    try:
        with playing(scenario, port, **options) as server:
            yield server.url
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise ConfigError(f"port {port}: {error.strerror}; choose another with --port, or leave it out") from error
