"""A JSON line an event, in the API's own watch form, so that `jq .object.metadata.name` works."""

from __future__ import annotations

from collections.abc import Sequence

from kwatch.model import Change, Environment, Query
from kwatch.sinks import QuietSink
from kwatch.text import inert_json

_HEADS = {kind: f'{{"type":"{kind}","object":'.encode() for kind in ("ADDED", "MODIFIED", "DELETED")}
_TAILS = {False: b"}\n", True: b',"synthetic":true}\n'}


class NdjsonSink(QuietSink):
    """Writes `{"type":…,"object":…}` lines; a DELETED that kwatch concluded also says `"synthetic":true`."""

    def __init__(self, env: Environment) -> None:
        self._write = env.stdout.write
        self._terminal = env.stdout_is_terminal

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        text = b"".join([_HEADS[one.type] + one.state.encoded + _TAILS[one.synthetic] for one in changes])
        self._write(inert_json(text.decode()).encode() if self._terminal else text)
        return len(changes)
