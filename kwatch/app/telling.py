"""How far a wait is, told on stderr: the line that is rewritten in place, or the lines that follow one another."""

from __future__ import annotations

from collections.abc import Sequence

from kwatch.app.voice import Voice
from kwatch.conditions.wait import Wait
from kwatch.model import Environment

NEWS_OBJECTS = 10
"""Objects of which each has its own line when something changes; of more, only the sum is told."""
SUM_SECONDS = 5.0
"""How often that sum is told where it can't be rewritten in place."""


class Telling:
    """How far a wait is, on stderr: one line rewritten in place on a terminal, else a line for each change."""

    def __init__(self, env: Environment, voice: Voice, *, quiet: bool) -> None:
        self._env = env
        self._voice = voice
        self._quiet = quiet
        self._in_place = env.stderr.isatty() and not env.is_dumb
        self._shown = ""
        self._summed = float("-inf")
        self._tally = 0
        self._said: dict[tuple[str, str], str] = {}

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._voice.say(text)

    def notice(self, text: str) -> None:
        """The same, but for -q."""
        if not self._quiet:
            self.say(text)

    def progress(self, waiting: Wait, now: float) -> None:
        """Tell what changed."""
        if self._quiet:
            return
        if self._in_place:
            self._rewrite(self._voice.fit(waiting.progress()))
            return
        steps = waiting.steps()
        if len(steps) <= NEWS_OBJECTS:
            self._tell_each(waiting, steps)
        elif now - self._summed >= SUM_SECONDS:
            self._summed = now
            self._voice.say(waiting.progress())

    def has_said(self, reference: str, namespace: str, why: str) -> bool:
        """Whether the last line about an object said just that, and still stands."""
        return self._said.get((reference, namespace)) == why

    def _tell_each(self, waiting: Wait, steps: Sequence[tuple[str, str, str]]) -> None:
        for reference, namespace, why in steps:
            self._said[reference, namespace] = why
            self._voice.say(f"{reference}{waiting.place(namespace)}: {why}")
        met, wanted = waiting.tally()
        if met != self._tally and wanted > 1:
            self._voice.say(f"{met} of {wanted} met")
        self._tally = met

    def clear(self) -> None:
        """Take the line in place away."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = ""

    def _rewrite(self, text: str) -> None:
        line = text[: max(self._env.size().columns - 1, 1)]
        if line != self._shown:
            self._write(f"\r\x1b[K{line}")
            self._shown = line

    def _write(self, text: str) -> None:
        try:
            self._env.stderr.write(text)
            self._env.stderr.flush()
        except OSError:
            self._in_place = False
