"""The worker that opens one LUKS volume: alone in it, so that a key derivation that fails costs itself only."""

from collections.abc import Iterator

import msgspec

from volforensic.evidence.volumes.luks import unlock
from volforensic.evidence.volumes.luks_keys import Allowance
from volforensic.evidence.volumes.unlock_messages import UnlockArguments, Unlocked
from volforensic.sandbox.worker import Workplace


def unlock_volume(place: Workplace, arguments: object) -> Iterator[Unlocked]:
    """Yield what became of the member: worker function, arguments as ``UnlockArguments``."""
    wanted = msgspec.convert(arguments, UnlockArguments)
    place.begin_item(wanted.member.volume)
    allowance = Allowance(wanted.seconds, wanted.memory)
    yield unlock(place.source, wanted.member, wanted.secrets, wanted.first_key, allowance)
