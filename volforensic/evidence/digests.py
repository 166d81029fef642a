"""Hashes of the same bytes by several algorithms: SHA-256 always, others where they are asked for."""

import hashlib
from collections.abc import Collection
from typing import Any, Literal, NamedTuple

Algorithm = Literal["md5", "sha1", "sha512", "blake3"]
OPTIONAL_ALGORITHMS: tuple[Algorithm, ...] = ("md5", "sha1", "sha512", "blake3")
"""What may be asked for beside SHA-256, in the order in which it is told."""


def algorithm_bits(names: Collection[str]) -> int:
    """Return a bit for each of ``OPTIONAL_ALGORITHMS`` that is among the names: what a worker is given of a file."""
    return sum(1 << bit for bit, name in enumerate(OPTIONAL_ALGORITHMS) if name in names) if names else 0


def algorithm_names(bits: int) -> list[Algorithm]:
    """Return the names whose bits are set."""
    return [name for bit, name in enumerate(OPTIONAL_ALGORITHMS) if bits >> bit & 1]


class Hashes(NamedTuple):
    """Hashes in hexadecimal: SHA-256, and others by algorithm."""

    sha256: str
    others: dict[str, str]


def hashes_of(data: bytes, others: Collection[str] = ()) -> Hashes:
    """Return the hashes of bytes that are there whole."""
    if not others:
        return Hashes(hashlib.sha256(data).hexdigest(), {})
    digests = Digests(others)
    digests.update(data)
    return Hashes(digests.sha256, digests.others)


class Digests:
    """Holds the running hashes of one run of bytes."""

    def __init__(self, others: Collection[str] = ()) -> None:
        """Begin with no bytes; ``others`` are out of ``OPTIONAL_ALGORITHMS``."""
        self._sha256 = hashlib.sha256()
        self._others = {name: _new(name) for name in OPTIONAL_ALGORITHMS if name in others}

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._sha256.update(data)
        for other in self._others.values():
            other.update(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 so far, in hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def others(self) -> dict[str, str]:
        """The other hashes so far, in hexadecimal, by algorithm."""
        return {name: other.hexdigest() for name, other in self._others.items()}


def _new(name: str) -> Any:
    if name == "blake3":
        import blake3  # noqa: PLC0415 - 5 ms that only this algorithm needs

        return blake3.blake3()
    return hashlib.new(name, usedforsecurity=False)
