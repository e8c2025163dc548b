"""What is known of the connections: one Link a watch, and the words that tell a person the truth about them.

A server has something to say about once a minute, if only a bookmark (protocol: "The numbers"). What wasn't heard of
for longer is stale since the server's last word; what lost its connection is down since then.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from typing import NamedTuple

from kwatch.columns import human_duration
from kwatch.model import Connected, Ended, Listed, Notice, Query, Signal, Synced
from kwatch.sinks.live.screen import Style
from kwatch.text import inert

QUIET_SECONDS = 75.0
"""Seconds without a word, even a bookmark, after which a live watch is called stale: a minute and a quarter."""
PATIENT_SECONDS = 5.0
"""How long nobody wonders that a server has not answered yet."""
RELISTED_SECONDS = 10.0
"""How long it is told that a gap was closed by listing again."""
WARNING_SECONDS = 30.0
"""How long a server's warning stays."""
RATE_SECONDS = 5
"""Seconds over which the rate of events is taken."""
_CODE = re.compile(r"\((\d{3}) ")


class Phase(IntEnum):
    """What a watch is doing; of several, the highest is told."""

    LIVE = 0
    LISTED = 1
    CONNECTING = 2
    LISTING = 3
    FAILED = 4
    WAITING = 5


_DOWN = (Phase.WAITING, Phase.FAILED)


class State(NamedTuple):
    """A watch's state in words. `text` must be seen, or `short` where there is little room; `reason` may be cut."""

    text: str
    style: Style
    reason: str = ""
    urgency: int = 0
    short: str = ""


@dataclass(slots=True)
class Link:
    """What is known of one watch."""

    query: Query
    phase: Phase = Phase.CONNECTING
    asked: float = float("inf")
    """When it was first told that there is no answer yet."""
    heard: float = float("-inf")
    heard_before: float | None = None
    """While all that was heard on a connection is that it stands: when there was a word before it."""
    lost: float = 0.0
    """When the connection was lost that isn't there; of one that fell silent before, when the last word came."""
    retry_at: float = 0.0
    reason: str = ""
    relist: bool = False
    relisted: str = ""
    relisted_at: float = float("-inf")
    listed: int = 0
    remaining: int | None = None

    def hear(self, now: float) -> None:
        """The server said something."""
        self.heard, self.heard_before = now, None

    def take(self, signal: Signal, now: float) -> None:
        """Note what a signal says about the connection."""
        if isinstance(signal, Notice):
            self._fault(signal, now)
            return
        if isinstance(signal, Ended):
            self._lose(now)
            self.phase, self.reason = Phase.FAILED, signal.text.removeprefix(f"{self.query}: ")
            return
        before = self.heard if isinstance(signal, Connected) else None
        self.heard, self.heard_before = now, before
        if isinstance(signal, Listed):
            self.phase, self.listed, self.remaining = Phase.LISTING, signal.objects, signal.remaining
        elif isinstance(signal, Synced):
            self._synced(signal, now)
        elif isinstance(signal, Connected):
            self.phase = Phase.LIVE

    def _fault(self, notice: Notice, now: float) -> None:
        if notice.reason and not notice.detail:
            self._lose(now)
            self.phase, self.reason, self.relist = Phase.WAITING, notice.reason, notice.relist
            self.retry_at = now + notice.delay
            if self.heard_before is not None:
                self.heard, self.heard_before = self.heard_before, None

    def _lose(self, now: float) -> None:
        """There is no connection any more; one that said nothing hadn't come back."""
        if self.phase not in _DOWN and self.heard_before is None:
            self.lost = self.heard if self.stale(now) else now

    def _synced(self, signal: Synced, now: float) -> None:
        self.phase = Phase.LISTED
        if not signal.first and self.reason:
            code = _CODE.search(self.reason)
            self.relisted, self.relisted_at = f"after {code[1]}" if code else f"({self.reason})", now

    def silence(self, now: float) -> float:
        """Seconds since the server's last word; infinity where there was none."""
        return now - self.heard

    def stale(self, now: float) -> bool:
        """Whether what is shown may be out of date."""
        if self.phase in _DOWN:
            return self.heard > float("-inf")
        return self.phase is Phase.LIVE and self.silence(now) > QUIET_SECONDS

    def state(self, now: float) -> State:
        """What to tell a person."""
        text, style, reason = _TOLD[self.phase](self, now)
        short = ""
        if self.stale(now):
            style, reason = max_style(style, "warn"), reason or "no word from the server"
            since = self.lost if self.phase in _DOWN else self.heard
            ago = human_duration(int(now - since))
            if self.phase in _DOWN:
                text, short = f"{text} · down for {ago}", f"down for {ago}, {_shortened(text)}"
            else:
                text = f"{text} · stale for {ago}" if text != "live" else f"stale for {ago}"
        return State(text, style, inert(reason), self.phase * 2 + self.stale(now), short)


def _shortened(doing: str) -> str:
    return doing.replace("reconnecting", "retry").replace("listing again", "relist")


def max_style(one: Style, other: Style) -> Style:
    """The more alarming of two."""
    return max(one, other, key=("good", "quiet", "plain", "busy", "warn", "bad").index)


def _live(link: Link, now: float) -> tuple[str, Style, str]:
    relisted = link.relisted if now - link.relisted_at < RELISTED_SECONDS else ""
    if relisted.startswith("after"):
        return f"live · relisted {relisted}", "good", ""
    return ("live · relisted", "good", relisted.strip("()")) if relisted else ("live", "good", "")


def _connecting(link: Link, now: float) -> tuple[str, Style, str]:
    link.asked = min(link.asked, now)
    waited = now - link.asked
    return f"connecting for {human_duration(int(waited))}" if waited >= PATIENT_SECONDS else "connecting", "busy", ""


def _listing(link: Link, now: float) -> tuple[str, Style, str]:
    about = f" of about {link.listed + link.remaining:,}" if link.remaining else ""
    return f"listing {inert(link.query.resource.plural)}: {link.listed:,}{about}", "busy", ""


def _waiting(link: Link, now: float) -> tuple[str, Style, str]:
    seconds = ceil(link.retry_at - now)
    doing = "listing again" if link.relist else "reconnecting"
    return f"{doing} in {seconds}s" if seconds > 0 else doing, "warn", link.reason


_TOLD: dict[Phase, Callable[[Link, float], tuple[str, Style, str]]] = {
    Phase.LIVE: _live,
    Phase.LISTED: lambda link, now: ("listed", "busy", ""),
    Phase.CONNECTING: _connecting,
    Phase.LISTING: _listing,
    Phase.WAITING: _waiting,
    Phase.FAILED: lambda link, now: ("given up", "bad", link.reason),
}


def overall(links: Sequence[Link], now: float) -> State:
    """The state of all watches: the worst one's, named, where they differ."""
    if not links:
        return State("connecting", "busy")
    states = [(link, link.state(now)) for link in links]
    worst, state = max(states, key=lambda pair: pair[1].urgency)
    live = sum(link.phase is Phase.LIVE and not link.stale(now) for link in links)
    if len(links) == 1 or live == len(links):
        return state
    where = f"{live} of {len(links)} live · {inert(str(worst.query))}: "
    return state._replace(text=where + state.text, short=where + state.short if state.short else "")


class Rate:
    """Events a second over the last RATE_SECONDS, in whole seconds."""

    def __init__(self) -> None:
        self.total = 0
        self._seconds: deque[tuple[int, int]] = deque()

    def count(self, events: int, now: float) -> None:
        """So many more."""
        self.total += events
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + events)
        else:
            self._seconds.append((second, events))

    def per_second(self, now: float) -> float:
        """The rate over the whole seconds before this one."""
        this = int(now)
        while self._seconds and self._seconds[0][0] < this - RATE_SECONDS:
            self._seconds.popleft()
        return sum(events for second, events in self._seconds if second < this) / RATE_SECONDS
