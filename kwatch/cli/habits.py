"""What kubectl's users type first and kwatch has no command for: each word's own way here, or kubectl's.

A type that bears such a name is watched with `kwatch watch TYPE`; words that many types bear aren't here.
"""

from __future__ import annotations

from collections.abc import Sequence

_OTHERS = (
    "annotate", "apply", "attach", "cluster-info", "cordon", "cp", "create", "delete", "describe", "diff", "drain",
    "edit", "exec", "explain", "expose", "logs", "patch", "port-forward", "replace", "rollout", "scale", "top",
    "uncordon",
)  # fmt: skip
_KUBECTLS = "kwatch watches; for that there is `kubectl {words}`"
_HINTS = {
    "get": 'leave out "get": `kwatch {rest}`',
    "api-resources": "`kwatch resources` lists what can be watched",
    "rollout status": "`kwatch wait {rest} --for rollout` waits for it",
    "config": "contexts are kubectl's: `kubectl {words}`; kwatch takes --context",
    **dict.fromkeys(_OTHERS, _KUBECTLS),
}
"""By the first word, or the first two."""
_SUBCOMMANDS = {"rollout": ("history", "pause", "restart", "resume", "status", "undo")}
"""A word that may well be a type (Argo's Rollout) is kubectl's command before one of these alone."""
_EXAMPLES = {"get": "pods", "rollout status": "deploy/NAME"}
"""What stands for the rest where none was typed."""


def is_known(word: str) -> bool:
    """Whether there may be a hint for what begins with this word."""
    return any(word == each.partition(" ")[0] for each in _HINTS)


def hint(words: Sequence[str]) -> str:
    """What to do instead of these words, "" where the first is none of kubectl's commands."""
    first, *rest = words
    if first in _SUBCOMMANDS and not set(rest[:1]) & set(_SUBCOMMANDS[first]):
        return ""
    spelled, rest = next(((pair, rest[1:]) for pair in [" ".join(words[:2])] if pair in _HINTS), (first, rest))
    return _HINTS.get(spelled, "").format(words=" ".join(words), rest=" ".join(rest) or _EXAMPLES.get(spelled, ""))
