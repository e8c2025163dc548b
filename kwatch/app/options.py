"""What a run was asked for, in one frozen value: the command line ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.model import ChangeType
from kwatch.sinks import SinkOptions

if TYPE_CHECKING:
    from kwatch.filters import Where
    from kwatch.shards import Shard

CHECK_SECONDS = 30.0
"""How long a server may take to answer who checks once, unless --request-timeout says it."""


class ExportOptions(NamedTuple):
    """Where a watch is written and what is remembered of it: paths, "" for none. Sizes in bytes, times in seconds."""

    output_file: str = ""
    state: str = ""
    rotate_size: int = 0
    rotate_every: float = 0.0
    rotate_keep: int = 0
    compress: bool = False

    @property
    def is_asked_for(self) -> bool:
        """Whether it is an export at all."""
        return bool(self.output_file or self.state)

    @property
    def rotates(self) -> bool:
        """Whether its file is ever put aside for a new one."""
        return bool(self.rotate_size or self.rotate_every)


class EventOptions(NamedTuple):
    """What `kwatch events` was asked for: events about `subject` (`TYPE/NAME`, "": about anything) and of `types`."""

    subject: str = ""
    types: tuple[str, ...] = ()
    folded: bool = False
    """Whether what happens again is left out."""

    @property
    def wanted(self) -> str:
        """Which events those are, in words: `Warning events about pod/web-0`."""
        about = f" about {self.subject}" if self.subject else ""
        return f"{' and '.join(self.types)} events{about}".strip() if self.types or about else ""


class Options(NamedTuple):
    """What a watch was asked for, of each of `contexts` where several are given.

    `count`, `duration` and `timeout` (both in seconds), and the conditions of `until` and `fail_on`, end it; without
    them it goes on for ever. A `duration` of 0 is a list: it ends once what there is is printed. `chunk_size` 0 lists
    in one piece.
    """

    type: str
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    all_namespaces: bool = False
    label_selector: str = ""
    field_selector: str = ""
    wheres: tuple[Where, ...] = ()
    name_patterns: tuple[str, ...] = ()
    types: tuple[ChangeType, ...] = ()
    events: EventOptions | None = None
    watch_only: bool = False
    watch_list: bool = False
    sink: SinkOptions = SinkOptions()
    show_managed_fields: bool = False
    show_secrets: bool = False
    color: str = "auto"
    count: int | None = None  # type: ignore[assignment]  # not a tuple's method
    duration: float | None = None
    until: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()
    fail_fast: bool = True
    timeout: float | None = None
    quiet: bool = False
    verbose: bool = False
    contexts: tuple[str, ...] = ()
    export: ExportOptions = ExportOptions()
    shard: Shard | None = None
    heartbeat: float = 0.0
    """Seconds between two notices that say how the run is doing; 0: none."""
    metrics: tuple[str, int] | None = None
    """Host and port to serve metrics at."""
    chunk_size: int = 500
    connection: ConnectionOptions = ConnectionOptions()
    cache_dir: str | None = ""
    """Where kubectl's caches are, "" for the usual place; None keeps nothing."""

    @property
    def is_list(self) -> bool:
        """Whether what there is now is all that is asked for."""
        return self.duration == 0

    def ends(self, started: float) -> float:
        """When the duration is over, in monotonic seconds; never where there is none, or where it is a list."""
        return started + self.duration if self.duration else float("inf")

    @property
    def patience(self) -> float:
        """Seconds until the timeout; checking once, those that the check may take. Infinite where there is none."""
        if self.timeout == 0:
            return self.connection.request_timeout or CHECK_SECONDS
        return self.timeout if self.timeout is not None and self.timeout > 0 else float("inf")

    def times_out(self, started: float) -> float:
        """When that has passed, in monotonic seconds."""
        return started + self.patience


class WaitOptions(NamedTuple):
    """What a wait was asked for: of the objects of `watch`, whose `until` are the conditions that must all hold.

    `any_of` are those of which one is enough. The watch's `timeout` in seconds: 0 checks once, less waits for ever.
    """

    watch: Options
    any_of: tuple[str, ...] = ()
    all_objects: bool = False
    output: str = ""
