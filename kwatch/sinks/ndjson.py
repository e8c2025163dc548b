"""A JSON line an event, in the API's own watch form, so that `jq .object.metadata.name` works."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kwatch.columns import timestamp
from kwatch.model import Change, Environment, Query
from kwatch.sinks import QuietSink, SinkOptions
from kwatch.text import inert_json

_HEADS = {kind: f'{{"type":"{kind}","object":'.encode() for kind in ("ADDED", "MODIFIED", "DELETED")}
_TAILS = {False: b"}\n", True: b',"synthetic":true}\n'}


class NdjsonSink(QuietSink):
    """Writes `{"type":…,"object":…}` lines; after the object `"cluster"` where there are several, `"time"` where asked
    for, and `"synthetic":true` for a DELETED that kwatch concluded."""

    def __init__(self, options: SinkOptions, env: Environment) -> None:
        self._write = env.stdout.write
        self._terminal = env.stdout_is_terminal
        self._options = options
        self._now = env.now

    def change(self, query: Query, changes: Sequence[Change]) -> int:
        """One write for them all."""
        tails = self._tails(query)
        text = b"".join([_HEADS[one.type] + one.state.encoded + tails[one.synthetic] for one in changes])
        self._write(inert_json(text.decode()).encode() if self._terminal else text)
        return len(changes)

    def _tails(self, query: Query) -> dict[bool, bytes]:
        """What ends a line of this batch, by whether the event is synthetic."""
        more = f',"cluster":{json.dumps(query.cluster)}' if self._options.show_cluster else ""
        if self._options.timestamps:
            more += f',"time":"{timestamp(self._now(), utc=True)}"'
        return {synthetic: more.encode() + tail for synthetic, tail in _TAILS.items()} if more else _TAILS
