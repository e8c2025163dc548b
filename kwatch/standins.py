"""Stand-ins for modules that requests and urllib3 load at once and kwatch hardly ever needs: an eighth of its start.

Only the command installs them: in a program that imports kwatch, nothing is replaced.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class StandIn(ModuleType):
    """A module that loads the real one, and hands on what that has, once more is asked of it than is known of it."""

    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of every module
            raise AttributeError(name)
        return getattr(self._real(), name)

    def later(self, name: str) -> Any:
        """The function `name`, as one that loads the module when it is called."""
        return lambda *given, **named: getattr(self._real(), name)(*given, **named)

    def _real(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return import_module(self.__name__)


def install() -> None:
    """Put them in the place of what isn't loaded yet."""
    guesses = StandIn(
        "charset_normalizer", __version__="3.0.0"
    )  # of a text's encoding; any version that requests takes
    versions = StandIn("importlib.metadata")  # of an HTTP/2 library
    versions.version = versions.later("version")  # type: ignore[attr-defined]
    names = StandIn("idna")  # of hosts that aren't ASCII
    archives = StandIn("zipfile")  # in which a CA bundle might be
    for module in (guesses, versions, names, archives):
        if module.__name__ not in sys.modules:
            sys.modules[module.__name__] = module
            parent, _, name = module.__name__.rpartition(".")
            if parent:
                setattr(import_module(parent), name, module)
