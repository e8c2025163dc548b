"""One of several equal parts of a watch, by the hash of the uid, as the API server splits (KEP-5866).

The hash is FNV-1a over 64 bits; a shard is a range of it, so that server and client agree on what is whose.
"""

from __future__ import annotations

from dataclasses import dataclass

_BASIS, _PRIME, _BITS = 0xCBF29CE484222325, 0x100000001B3, 64
_MASK = (1 << _BITS) - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`, counted from 0, as a StatefulSet counts its pods."""

    index: int
    count: int

    @property
    def bounds(self) -> tuple[int, int]:
        """The hashes it holds: from the first to before the second."""
        return _bound(self.index, self.count), _bound(self.index + 1, self.count)

    @property
    def selector(self) -> str:
        """The `shardSelector` parameter that asks the server for it (alpha in 1.36; older servers ignore it)."""
        first, end = self.bounds
        return f"shardRange(object.metadata.uid, '0x{first:016x}', '0x{end:016x}')"

    def holds(self, uid: str) -> bool:
        """Whether the object with this uid belongs to it."""
        first, end = self.bounds
        return first <= fnv1a(uid) < end

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def fnv1a(text: str) -> int:
    """FNV-1a, 64 bits, of its UTF-8."""
    digest = _BASIS
    for byte in text.encode(errors="replace"):
        digest = ((digest ^ byte) * _PRIME) & _MASK
    return digest


def _bound(index: int, count: int) -> int:
    """The first hash of shard `index`: rounded up, so that the last one ends at 2**64 exactly."""
    return -((-index << _BITS) // count)
