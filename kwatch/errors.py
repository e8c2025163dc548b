"""Everything that can go wrong, by what a caller can do about it.

Each error's text is one line that says what happened, to what, and what to do next. `exit_code` is the command's
(only `app` reads it). Texts that come from a server are cut at 256 characters and made inert before they get here.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The command's exit codes (see its man page)."""

    OK = 0
    ERROR = 1
    USAGE = 2
    FAILED = 3
    TIMED_OUT = 124
    HUNG_UP = 129
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM came; raised by the signal handler in the main thread."""


class KwatchError(Exception):
    """The root of kwatch's own errors; its text is meant for the user. All can be pickled."""

    exit_code = ExitCode.ERROR


class UsageError(KwatchError):
    """The command line, or a program's arguments, ask for something that doesn't exist or contradicts itself."""

    exit_code = ExitCode.USAGE


class TimeIsUp(KwatchError):
    """The time for the run passed before its watch began: it ended as asked."""


class TimedOut(KwatchError, TimeoutError):
    """The time that a program allowed passed first."""

    exit_code = ExitCode.TIMED_OUT


class GaveUp(KwatchError):
    """A watch failed as many times in a row as a program allowed."""


class ConfigError(KwatchError):
    """A kubeconfig or a credential that can't be read or doesn't fit together."""


class ApiError(KwatchError):
    """The server's refusal: an HTTP status, with the reason and message of its Status body where it sent one."""

    def __init__(self, text: str, *, code: int = 0, reason: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class Unauthorized(ApiError):
    """401, after the credentials were renewed once."""


class Forbidden(ApiError):
    """403: these credentials may not do this."""


class NotFound(ApiError):
    """404: no such resource type, or no such object."""


class ProtocolError(KwatchError):
    """The server sent something that isn't the watch protocol."""


class MalformedFrame(ProtocolError):
    """A complete line or list body that is not JSON, or not an event, list or Status."""


class TruncatedJson(MalformedFrame):
    """JSON that stops short: where only the connection's end delimits a body, a cut looks like this."""


class FrameTooLong(ProtocolError):
    """A line or a body over its cap."""


class TransportError(KwatchError):
    """The network failed. `detail` is the bare reason, for a notice; the original error is chained."""

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail or text


class Unreachable(TransportError):
    """No answer was begun: no such host, connection refused or lost, TLS failed."""


class Untrusted(TransportError):
    """The server's certificate doesn't verify."""


class Cut(TransportError):
    """The connection broke amid an answer."""


class Overdue(TransportError):
    """No byte in the time allowed, or the whole answer took longer than it may."""
