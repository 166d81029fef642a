"""The search for a LUKS volume's key among the examiner's secrets, within what a search may cost."""

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.ciphers import CipherError
from volforensic.evidence.volumes.luks_header import Digest, Header, Keyslot, LuksError, Segment
from volforensic.evidence.volumes.luks_keys import Allowance, check_cost, is_key, open_keyslot
from volforensic.evidence.volumes.unlock_messages import Secrets

_WHOLE_SEARCH = 8
"""A search may take as long as so many of its longest derivations."""


class KeySearch:
    """Opens keyslots until one gives the key that is wanted; what was odd on the way is in ``faults``."""

    def __init__(self, window: Window, header: Header, secrets: Secrets, allowance: Allowance) -> None:
        """Take the volume, its header, what may open it, and what one derivation may cost."""
        self.faults: list[str] = []
        self._window = window
        self._header = header
        self._secrets = secrets
        self._allowance = allowance
        self._seconds = 0.0
        self._tried_any = False
        self._found: list[bytes] = []
        self._opened: list[tuple[int, int]] = []

    def key_of(self, segment: Segment) -> bytes:
        """Return the segment's key; LuksError that says why there is none."""
        digests = [digest for digest in self._header.digests if segment.number in digest.segments]
        if not digests:
            raise LuksError(f"segment {segment.number} has no digest that tells its key")
        for digest in digests:
            key = self._by_digest(digest)
            if key is not None:
                return key
        count = self._secrets.total
        if not self._tried_any and self.faults:
            raise LuksError(f"no key could be tried: {self.faults[0]}")
        raise LuksError(f"none of the {count} keys given opens it" if count > 1 else "the key given does not open it")

    def _by_digest(self, digest: Digest) -> bytes | None:
        for known in (*self._found, *self._secrets.volume_keys):
            if self._proved(digest, known):
                return known
        slots = [slot for slot in self._header.keyslots if slot.number in digest.keyslots]
        for keyslot in sorted(slots, key=lambda slot: (-slot.priority, slot.number)):
            for number, secret in enumerate((*self._secrets.passphrases, *self._secrets.key_files)):
                if (keyslot.number, number) not in self._opened:
                    self._opened.append((keyslot.number, number))
                    key = self._tried(digest, keyslot, secret)
                    if key is not None:
                        self._found.append(key)
                        return key
        return None

    def _tried(self, digest: Digest, keyslot: Keyslot, secret: bytes) -> bytes | None:
        try:
            self._spend(check_cost(keyslot.kdf, keyslot.area_key_size, self._allowance))
            key = open_keyslot(self._window, keyslot, secret)
        except (LuksError, CipherError, OSError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            self._say(f"LUKS keyslot {keyslot.number} was not tried: {reason}")
        except MemoryError:
            self._say(f"LUKS keyslot {keyslot.number} was not tried: {keyslot.kdf.memory >> 10} MiB are not to be had")
        else:
            return key if self._proved(digest, key) else None
        return None

    def _proved(self, digest: Digest, key: bytes) -> bool:
        try:
            self._spend(check_cost(digest.kdf, len(digest.value), self._allowance))
            self._tried_any = True
            return is_key(digest, key)
        except LuksError as error:
            self._say(f"LUKS digest {digest.number} was not tried: {error}")
            return False

    def _spend(self, seconds: float) -> None:
        most = _WHOLE_SEARCH * self._allowance.seconds
        if self._seconds + seconds > most:
            raise LuksError(f"the search would take more than about {most:.0f} seconds")
        self._seconds += seconds

    def _say(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)
