"""What is done about each way in which an exchange can end: the decision table of the watch.

Read it beside the list of faults in CONTRIBUTING: each row names those it answers. `WatchSession` only looks up here.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Cause(Enum):
    """Why an exchange ended, or had to."""

    ENDED = auto()
    DUE = auto()
    SHORT = auto()
    SILENT = auto()
    CUT = auto()
    UNREACHABLE = auto()
    UNTRUSTED = auto()
    NO_CREDENTIALS = auto()
    OVERDUE = auto()
    MALFORMED = auto()
    TOO_LONG = auto()
    GONE = auto()
    CONTINUE_GONE = auto()
    FUTURE = auto()
    WENT_BACK = auto()
    ERROR_EVENT = auto()
    UNKNOWN_EVENT = auto()
    THROTTLED = auto()
    SERVER_ERROR = auto()
    UNAUTHORIZED = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    NO_STREAM = auto()
    REFUSED = auto()


class Move(Enum):
    """What to do next: `RESUME` repeats the request (a watch: from the resume point)."""

    RESUME = auto()
    RELIST = auto()
    RENEW = auto()
    FAIL = auto()


class Pace(Enum):
    """When: `ONCE` is at once the first time in two minutes, then by backoff; `SERVER` by Retry-After, else backoff."""

    NOW = auto()
    ONCE = auto()
    BACKOFF = auto()
    SERVER = auto()


class Rule(NamedTuple):
    """A row of DECISIONS. `first` holds before anything was received, `then` after; `relist_at` is how many times in
    a row at one resume point make it a relist (0: never); `words` open the notice (empty: none is due)."""

    faults: str
    first: Move
    then: Move
    pace: Pace
    relist_at: int
    words: str


_RESUME, _RELIST, _RENEW, _FAIL = Move.RESUME, Move.RELIST, Move.RENEW, Move.FAIL
_NOW, _ONCE, _BACKOFF, _SERVER = Pace.NOW, Pace.ONCE, Pace.BACKOFF, Pace.SERVER

DECISIONS = {
    #                         faults      first    then     pace    relist_at  words
    Cause.ENDED: Rule(        "",         _RESUME, _RESUME, _NOW,     0, ""),
    Cause.DUE: Rule(          "",         _RELIST, _RELIST, _NOW,     0, ""),
    Cause.SHORT: Rule(        "16 23",    _RESUME, _RESUME, _BACKOFF, 3, "the server closed the watch at once"),
    Cause.SILENT: Rule(       "17",       _RELIST, _RELIST, _ONCE,    0, "no word from the server, no bookmark even"),
    Cause.CUT: Rule(          "1 5 8 9 31", _RESUME, _RESUME, _BACKOFF, 0, "connection lost"),
    Cause.UNREACHABLE: Rule(  "25",       _FAIL,   _RESUME, _BACKOFF, 0, "can't connect"),
    Cause.UNTRUSTED: Rule(    "25",       _FAIL,   _RESUME, _BACKOFF, 0, "the server's certificate can't be trusted"),
    Cause.NO_CREDENTIALS: Rule("28",      _FAIL,   _RESUME, _BACKOFF, 0, "the credentials can't be had"),
    Cause.OVERDUE: Rule(      "10 24",    _RESUME, _RESUME, _BACKOFF, 0, "the server fell silent"),
    Cause.MALFORMED: Rule(    "4",        _FAIL,   _RESUME, _BACKOFF, 2, "the server sent something unreadable"),
    Cause.TOO_LONG: Rule(     "11 12",    _FAIL,   _RESUME, _BACKOFF, 2, "the server sent too much"),
    Cause.GONE: Rule(         "13 14",    _RELIST, _RELIST, _ONCE,    0, "the server no longer has the events since"),
    Cause.CONTINUE_GONE: Rule("15",       _RELIST, _RELIST, _ONCE,    0, "the list broke off between two pages"),
    Cause.FUTURE: Rule(       "17",       _RELIST, _RELIST, _SERVER,  0, "the server is behind resourceVersion"),
    Cause.WENT_BACK: Rule(    "18",       _RELIST, _RELIST, _ONCE,    0, "the server's history went back before"),
    Cause.ERROR_EVENT: Rule(  "7 19",     _RESUME, _RESUME, _BACKOFF, 2, "the server broke off the watch"),
    Cause.UNKNOWN_EVENT: Rule("19",       _RESUME, _RESUME, _BACKOFF, 2, "the server sent an event of an unknown type"),
    Cause.THROTTLED: Rule(    "26",       _RESUME, _RESUME, _SERVER,  0, "the server is overloaded"),
    Cause.SERVER_ERROR: Rule( "6 27",     _RESUME, _RESUME, _BACKOFF, 0, "the server failed"),
    Cause.UNAUTHORIZED: Rule( "28",       _RENEW,  _RENEW,  _NOW,     0, ""),
    Cause.FORBIDDEN: Rule(    "29",       _FAIL,   _FAIL,   _NOW,     0, ""),
    Cause.NOT_FOUND: Rule(    "30",       _FAIL,   _RELIST, _BACKOFF, 0, "the server has no such resource now"),
    Cause.NO_STREAM: Rule(    "",         _RELIST, _RELIST, _NOW,     0, "the server gave no list as a stream"),
    Cause.REFUSED: Rule(      "6",        _FAIL,   _FAIL,   _NOW,     0, ""),
}  # fmt: skip

STATUS_CAUSES = {
    401: Cause.UNAUTHORIZED,
    403: Cause.FORBIDDEN,
    404: Cause.NOT_FOUND,
    410: Cause.GONE,
    429: Cause.THROTTLED,
    503: Cause.THROTTLED,
}
"""HTTP status to cause; any other 5xx is SERVER_ERROR, anything else REFUSED."""

HINTS = {
    Cause.UNAUTHORIZED: "the credentials are wrong or have expired: check --token, or the context's user in the "
    "kubeconfig",
    Cause.NOT_FOUND: "the server doesn't serve this type (see `kwatch resources`), or is no Kubernetes API server",
    Cause.MALFORMED: "is the address that of a Kubernetes API server?",
    Cause.TOO_LONG: "narrow the watch with -n, -l or --field-selector",
}
"""What a person can do about a cause at which the watch fails; for FORBIDDEN it depends on what was asked for."""


class Scope(Enum):
    """What a refused request was for."""

    ALL_NAMESPACES = auto()
    NAMESPACE = auto()
    CLUSTER = auto()
    DOCUMENT = auto()


FORBIDDEN_HINTS = {
    Scope.ALL_NAMESPACES: "watch a namespace that you may read, with -n NAMESPACE, or ask for the right to list and "
    "watch {resource} in all of them",
    Scope.NAMESPACE: "ask for the right to list and watch {resource} there; "
    "`kubectl auth can-i --list --namespace={namespace}` shows the rights you have",
    Scope.CLUSTER: "{resource} are in no namespace: ask for a ClusterRole with the right to list and watch them; "
    "`kubectl auth can-i --list` shows the rights you have",
    Scope.DOCUMENT: "ask for the ClusterRole system:discovery, which lets users see what the server serves",
}
