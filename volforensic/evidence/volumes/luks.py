"""A LUKS volume, opened with what the examiner has: the map of its plain bytes, and the keys for reading it.

Keys are in no map, no repr, no problem and no log: only in ``Secrets`` and in ``Unlocked.keys``.
"""

from volforensic.evidence.maps import Crypt, Joined, Map, Run
from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.ciphers import CipherError, sector_cipher, unread_cipher
from volforensic.evidence.volumes.luks1 import MAGIC, read_luks1
from volforensic.evidence.volumes.luks2 import read_luks2, second_copy
from volforensic.evidence.volumes.luks_header import Header, LuksError, Segment
from volforensic.evidence.volumes.luks_keys import Allowance
from volforensic.evidence.volumes.luks_search import KeySearch
from volforensic.evidence.volumes.mapped import MappedVolume, Member
from volforensic.evidence.volumes.unlock_messages import Secrets, Unlocked
from volforensic.medium import Medium
from volforensic.record import Problem

_LEGACY_REENCRYPTION = b"LUKS\xde\xad"
_NO_ALLOWANCE = Allowance()


def luks_version(window: Window) -> int:
    """Return 1 or 2 where a header of LUKS begins the window (2 also where only its second copy is left), else 0."""
    try:
        head = window.read_at(0, 8)
    except OSError:
        head = b""
    if head[:6] == _LEGACY_REENCRYPTION or (head[:6] == MAGIC and head[6:] == b"\0\1"):
        return 1
    if head == MAGIC + b"\0\2" or second_copy(window):
        return 2
    return 0


def unlock(
    space: Medium, member: Member, secrets: Secrets, first_key: int = 0, allowance: Allowance = _NO_ALLOWANCE
) -> Unlocked:
    """Return the LUKS volume in a member, opened by one of the secrets; a problem says why where it is not.

    Args:
        space: where addresses lead.
        member: where the LUKS volume lies.
        secrets: what may open it.
        first_key: the number that ``Crypt.key`` has for the first of ``Unlocked.keys``.
        allowance: what one key derivation may cost.
    """
    window = Window(space, member.address, member.length)
    notes = _Notes(member)
    try:
        header = _read_header(window)
    except (LuksError, OSError) as error:
        notes.lost(f"a LUKS volume whose header cannot be read: {_reason(error)}")
        return Unlocked(volume=None, problems=notes.problems)
    for fault in header.faults:
        notes.said(f"LUKS header: {fault}")
    if unread := [*header.unread, *_unread_ciphers(header)]:
        notes.lost(f"encrypted ({header.described}): {'; '.join(unread[:4])}")
        return Unlocked(volume=None, problems=notes.problems)
    if secrets.total == 0:
        notes.lost(f"encrypted ({header.described}): no key was given; use --passphrase-file or --key-file")
        return Unlocked(volume=None, problems=notes.problems)
    search = KeySearch(window, header, secrets, allowance)
    opened = _opened(member, header, search, notes, first_key)
    _say_cut(header, window, notes)
    return opened


class _Notes:
    """Gathers the problems of one member."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.problems: list[Problem] = []

    def lost(self, reason: str) -> None:
        self._add(reason, lost=True)

    def said(self, reason: str) -> None:
        self._add(reason, lost=False)

    def _add(self, reason: str, *, lost: bool) -> None:
        volume, address, length = self._member
        self.problems.append(
            Problem(stage="layout", reason=reason, lost=lost, volume=volume, offset=address, length=length)
        )


def _reason(error: Exception) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _read_header(window: Window) -> Header:
    head = window.read_at(0, 6)
    if head == _LEGACY_REENCRYPTION:
        raise LuksError("an offline reencryption has begun, whose state lies in a file of its own")
    if window.read_at(0, 8) == MAGIC + b"\0\1":
        return read_luks1(window)
    return read_luks2(window)


def _unread_ciphers(header: Header) -> list[str]:
    ciphers = {segment.cipher for segment in header.segments if segment.kind == "crypt"}
    return [reason for reason in map(unread_cipher, sorted(ciphers)) if reason]


def _opened(member: Member, header: Header, search: KeySearch, notes: _Notes, first_key: int) -> Unlocked:
    keys: list[bytes] = []
    refused = ""
    parts: list[Map] = []
    try:
        parts += [_part(segment, member, search, keys, first_key) for segment in header.segments]
    except (LuksError, CipherError) as error:
        refused = str(error)
    for fault in search.faults:
        notes.said(fault)
    if refused:
        notes.lost(f"encrypted ({header.described}): {refused}")
        return Unlocked(volume=None, problems=notes.problems)
    _say_reencryption(header, notes)
    volume = _volume(header, member, parts)
    return Unlocked(volume=volume, keys=tuple(keys), problems=notes.problems)


def _part(segment: Segment, member: Member, search: KeySearch, keys: list[bytes], first_key: int) -> Map:
    """Return the map of a segment; its key is added to ``keys``. LuksError, CipherError where it cannot be opened."""
    most = member.length - segment.offset
    length = most if segment.length is None else min(most, segment.length)
    length -= length % segment.sector_size
    if length <= 0:
        raise LuksError(f"its data begin at byte {segment.offset}, where the volume has ended")
    run = Run(address=member.address + segment.offset, length=length)
    if segment.kind == "linear":
        return run
    key = search.key_of(segment)
    sector_cipher(segment.cipher, key)  # refuses what cannot be read, before anybody counts on it
    if key not in keys:
        keys.append(key)
    return Crypt(
        data=run,
        cipher=segment.cipher,
        key=first_key + keys.index(key),
        sector_size=segment.sector_size,
        first_sector=segment.first_sector,
        length=length,
    )


def _say_reencryption(header: Header, notes: _Notes) -> None:
    """Say that a reencryption was in progress: what it had in hand when it stopped may be neither old nor new."""
    hot = [segment for segment in header.segments if "in-reencryption" in segment.flags]
    for segment in hot:
        notes.lost(
            f"LUKS: a reencryption stopped within {segment.length} bytes at byte {segment.offset} of the device:"
            " they may be neither what they were nor what they were to become"
        )
    kinds = {segment.kind for segment in header.segments}
    if len(header.segments) > 1 or "linear" in kinds:
        count = len(header.segments)
        notes.said(f"LUKS: a reencryption was in progress: the volume is read from its {count} segments as they are")


def _say_cut(header: Header, window: Window, notes: _Notes) -> None:
    for segment in header.segments:
        missing = segment.offset + (segment.length or 0) - window.length
        if segment.length is not None and missing > 0:
            notes.lost(f"LUKS: segment {segment.number} ends {missing} bytes behind the end of its device")


def _volume(header: Header, member: Member, parts: list[Map]) -> MappedVolume:
    name = f"luks-{header.uuid}"
    return MappedVolume(
        kind="luks",
        name=name,
        uuid=header.uuid,
        description=header.described + (f", label {header.label}" if header.label else ""),
        map=parts[0] if len(parts) == 1 else Joined(parts=parts),
        length=sum(part.length for part in parts if isinstance(part, Run | Crypt)),
        members=[member.volume],
        names=[f"/dev/mapper/{name}"],
    )
