"""What a run was asked for, in one frozen value: the command line ends here."""

from __future__ import annotations

from dataclasses import dataclass, field

from kwatch.cluster.kubeconfig import ConnectionOptions
from kwatch.sinks import SinkOptions


@dataclass(frozen=True, slots=True)
class Options:
    """What a watch was asked for, of each of `contexts` where several are given.

    `count` and `duration` (seconds) end it; without them it goes on for ever.
    """

    type: str
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    all_namespaces: bool = False
    label_selector: str = ""
    field_selector: str = ""
    watch_only: bool = False
    watch_list: bool = False
    sink: SinkOptions = field(default_factory=SinkOptions)
    show_managed_fields: bool = False
    show_secrets: bool = False
    color: str = "auto"
    count: int | None = None
    duration: float | None = None
    quiet: bool = False
    verbose: bool = False
    contexts: tuple[str, ...] = ()
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    cache_dir: str | None = ""
    """Where kubectl's caches are, "" for the usual place; None keeps nothing."""
