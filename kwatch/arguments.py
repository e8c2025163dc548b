"""What a program gives to `kwatch.watch`, `kwatch.Informer` and `kwatch.wait`, checked. All raise UsageError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

from kwatch.errors import UsageError

_Callback = TypeVar("_Callback", bound=Callable[..., object])


def callback(name: str, given: _Callback | None) -> _Callback | None:
    """A function to call, None for none. A coroutine function isn't one: its body would never run."""
    if given is None:
        return None
    if not callable(given):
        raise UsageError(f"{name} is a function to call, or None; not {given!r}")
    if inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(getattr(given, "__call__", None)):  # noqa: B004
        raise UsageError(
            f"{name} is called in a thread and not awaited; {named(given)} is async: give a function that "
            "hands on to your loop, with call_soon_threadsafe"
        )
    return given


def takes_second(given: Callable[..., object], name: str) -> bool:
    """Whether a function has a second positional parameter that has to be given, or that is called `name`."""
    try:
        parameters = inspect.signature(given).parameters.values()
    except (TypeError, ValueError):  # one in C that doesn't say
        return False
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and (positional[1].default is inspect.Parameter.empty or positional[1].name == name)


def named(given: Callable[..., object]) -> str:
    """A function's name, for a log."""
    return getattr(given, "__qualname__", None) or repr(given)
