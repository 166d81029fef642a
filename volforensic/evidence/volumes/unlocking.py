"""The worker that opens one LUKS volume: alone in it, so that a key derivation that fails costs itself only."""

from collections.abc import Iterator

import msgspec

from volforensic.evidence.volumes.luks import Unlocked, unlock
from volforensic.evidence.volumes.luks_keys import MOST_MEMORY, MOST_SECONDS, Allowance
from volforensic.evidence.volumes.luks_search import Secrets
from volforensic.evidence.volumes.mapped import Member
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.worker import Workplace

_BESIDES = 512 << 20  # bytes: the interpreter, its modules, key material


class UnlockArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Which member to open with what; the source of the worker is the address space.

    ``first_key`` is the number that maps will have for the first key found, ``memory`` bytes that Argon2 may have.
    """

    member: Member
    secrets: Secrets
    first_key: int = 0
    memory: int = MOST_MEMORY
    seconds: int = MOST_SECONDS

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


def unlock_volume(place: Workplace, arguments: object) -> Iterator[Unlocked]:
    """Yield what became of the member: worker function, arguments as ``UnlockArguments``."""
    wanted = msgspec.convert(arguments, UnlockArguments)
    place.begin_item(wanted.member.volume)
    allowance = Allowance(wanted.seconds, wanted.memory)
    yield unlock(place.source, wanted.member, wanted.secrets, wanted.first_key, allowance)
