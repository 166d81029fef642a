"""What the worker that opens encrypted volumes is asked and says: apart from it, since the parent loads no reader."""

from typing import NamedTuple

import msgspec

from volforensic.evidence.volumes.mapped import MappedVolume, Member
from volforensic.record import Problem
from volforensic.sandbox.confinement import Limits

MOST_SECONDS = 120
"""What one key derivation may take, by the estimate below. cryptsetup chooses parameters that take two."""
MOST_MEMORY = 1 << 30
"""Bytes for Argon2 unless the caller allows more: cryptsetup chooses no more by itself, and 4 GiB when it is told."""
_BESIDES = 512 << 20  # bytes: the interpreter, its modules, key material


class Secrets(NamedTuple):
    """What an examiner has: passphrases, contents of key files (both as they are, no newline cut), volume keys."""

    passphrases: tuple[bytes, ...] = ()
    key_files: tuple[bytes, ...] = ()
    volume_keys: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        """Hide them."""
        return f"Secrets({self.total})"

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.passphrases) + len(self.key_files) + len(self.volume_keys)


class Unlocked(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that was opened, or why not. ``keys``: those that its map counts, from the number that was asked for."""

    volume: MappedVolume | None
    keys: tuple[bytes, ...] = ()
    problems: list[Problem] = []

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"Unlocked(volume={self.volume!r}, {len(self.keys)} keys, problems={self.problems!r})"


class UnlockArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Which member to open with what; the source of the worker is the address space.

    ``first_key`` is the number that maps will have for the first key found, ``memory`` bytes that Argon2 may have.
    """

    member: Member
    secrets: Secrets
    first_key: int = 0
    memory: int = MOST_MEMORY
    seconds: float = MOST_SECONDS

    def __repr__(self) -> str:
        """Hide the secrets."""
        return f"UnlockArguments({self.member!r}, {self.secrets!r})"


def unlock_limits(memory: int = MOST_MEMORY) -> Limits:
    """Return the limits of the task: Argon2's memory on top of a worker's own, and time for a search of keyslots."""
    return Limits(
        memory=memory + _BESIDES,
        address_space=2 * memory + 2 * _BESIDES,
        processor_seconds=1200,
        item_seconds=1200,
        silence_seconds=2400,
    )
