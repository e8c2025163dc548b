"""What a program gives to `kwatch.watch`, `kwatch.Informer` and `kwatch.wait`, checked. All raise UsageError."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TypeVar

from kwatch.errors import ApiError, ConfigError, KwatchError, ProtocolError, TransportError, UsageError
from kwatch.labels import text_of
from kwatch.model import escaped

LONGEST_SECONDS = 1e9
"""What is for ever to whoever waits: thirty years, as long as any lock can be waited for."""

_Callback = TypeVar("_Callback", bound=Callable[..., object])


def seconds(name: str, given: float | None, *, least: str = "0 or more") -> float | None:
    """A time in seconds, None for no limit. `least` may be "more than 0" instead."""
    if given is None:
        return None
    number = isinstance(given, Real) and not isinstance(given, bool)
    if not number or not (given >= 0 if least == "0 or more" else given > 0):
        raise UsageError(f"{name} is a number of seconds, {least}, or None for no limit; not {given!r}")
    return min(float(given), LONGEST_SECONDS)


def namespaces(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """`"default"`, `"default,shop"` as for the command, or several texts. None and "" are the connection's own."""
    if not given:
        return ()
    names = tuple(given.split(",")) if isinstance(given, str) else tuple(given)
    if not all(isinstance(name, str) and name for name in names):
        raise UsageError(f"namespace is a text, or several of which none is empty; not {given!r}")
    return names


def label_selector(given: str | Mapping[str, str] | None) -> str:
    """A label selector as the server takes it: a text as it is, labels as `KEY=VALUE,...`."""
    return text_of(given) if isinstance(given, Mapping) else _text("label_selector", given)


def field_selector(given: str | Mapping[str, str] | None) -> str:
    """A field selector as the server takes it: a text as it is, fields as `PATH=VALUE,...`."""
    if not isinstance(given, Mapping):
        return _text("field_selector", given)
    return ",".join(f"{_text('a field', path)}={escaped(_text(path, value))}" for path, value in given.items())


def words(type: str, names: Sequence[str]) -> tuple[str, ...]:
    """The type and the names, which are texts."""
    if not all(isinstance(word, str) for word in (type, *names)):
        raise UsageError(f'a type and names are texts, as "po,deploy" or "deploy/web"; not {(type, *names)!r}')
    return (type, *names)


def _text(name: str, given: str | None) -> str:
    if given is not None and not isinstance(given, str):
        raise UsageError(f"{name} is a text; not {given!r}")
    return given or ""


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


def spoken(text: str) -> str:
    """`text` with the names of arguments in place of the command's flags; a command in backticks stays as it is."""
    parts = text.split("`")
    parts[::2] = [_FLAG.sub(lambda match: _ARGUMENTS[match[1]], part) for part in parts[::2]]
    return "`".join(parts)


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Errors from within speak of arguments."""
    try:
        yield
    except KwatchError as error:
        if isinstance(error, OURS):
            error.args = (spoken(str(error)),)
        raise


OURS = (ApiError, ConfigError, ProtocolError, TransportError, UsageError)
"""Errors whose text gives advice; that of others may be the cluster's words."""

_OF_CONNECT = {
    "--cluster": "cluster",
    "--user": "user",
    "--proxy-url": "proxy_url",
    "--token": "token",
    "--tls-server-name": "tls_server_name",
    "--certificate-authority": "certificate_authority",
    "--client-certificate": "client_certificate",
    "--client-key": "client_key",
    "--insecure-skip-tls-verify": "insecure_skip_tls_verify",
    "--as": "as_user",
    "--as-group": "as_groups",
    "--as-uid": "as_uid",
}
_ARGUMENTS = {
    **{flag: f"{name}= of kwatch.connect" for flag, name in _OF_CONNECT.items()},
    "--server": "server=",
    "--context": "context=",
    "--kubeconfig": "kubeconfig=",
    "--field-selector": "field_selector=",
    "--for-any": "for_any=",
    "-n": "namespace=",
    "-l": "label_selector=",
    "-A": "all_namespaces=",
}
"""By flag, the argument for it."""
_FLAG = re.compile(
    rf"(?<![\w-])({'|'.join(sorted(_ARGUMENTS, key=len, reverse=True))})(?![\w-])(?: (?:USER|NAMESPACE)(?![A-Z]))?"
)
