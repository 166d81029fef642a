"""The log of a VHDX: the active sequence of entries, applied in memory to what is read of the file.

Source: [MS-VHDX] 2.3 (log) and 2.3.3 (log sequence): entries are whole 4 KiB sectors in a ring; a sequence is entries
with rising numbers, whose last one says where the first begins. Until it is applied the file's tables may be torn.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.containers.parts import guid_text
from volforensic.evidence.containers.vhdx_header import Head, is_sound
from volforensic.medium import Medium
from volforensic.record import Problem

_SECTOR = 4096
_HEADER = struct.Struct("<4x 4x I I Q I 4x 16s Q Q")
_DESCRIPTOR = struct.Struct("<4s 4s 8s Q Q")
_LARGEST_LOG = 32 << 20
_MOST_ZEROS = 4096
_CHECKED_TIMES = 4  # what is left of overwritten entries overlaps; more of it is an adversary's


class _Entry(NamedTuple):
    """An entry whose checksum and numbers are right; ``raw`` is all of it."""

    place: int
    length: int
    tail: int
    sequence: int
    flushed_size: int
    last_size: int
    descriptors: int
    raw: bytes


class _Overlay:
    """A file as it is once its log is applied: sectors that the log has, ranges that it makes zero."""

    def __init__(self, medium: Medium, size: int, sectors: dict[int, bytes], zeros: list[tuple[int, int]]) -> None:
        self.size = size
        self._medium = medium
        self._sectors = sectors
        self._places = sorted(sectors)
        self._zeros = zeros

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        end = position + size
        first = bisect_right(self._places, position - _SECTOR)
        places = self._places[first : bisect_left(self._places, end)]
        zeros = [
            (max(start, position), min(stop, end)) for start, stop in self._zeros if start < end and stop > position
        ]
        data = self._medium.read_at(position, size)
        if not places and not zeros and len(data) == size:
            return data
        patched = bytearray(data.ljust(size, b"\0"))
        for start, stop in zeros:
            patched[start - position : stop - position] = bytes(stop - start)
        for place in places:
            start, stop = max(place, position), min(place + _SECTOR, end)
            patched[start - position : stop - position] = self._sectors[place][start - place : stop - place]
        return bytes(patched)


def replayed(medium: Medium, head: Head) -> tuple[Medium, list[Problem]]:
    """Return the file with its log applied; as it lies, with a problem, where there is no sequence to apply."""
    place, size = head.log
    if size == 0 or size % _SECTOR or size > _LARGEST_LOG or place + size > medium.size:
        return medium, [_lost(f"the VHDX was not closed and its log cannot be read: {size} bytes at {place}")]
    sequence = _active_sequence(medium.read_at(place, size), head.log_id)
    sectors: dict[int, bytes] = {}
    zeros: list[tuple[int, int]] = []
    for entry in sequence:
        _apply(entry, sectors, zeros)
    if not sequence or len(zeros) > _MOST_ZEROS:
        reason = "the VHDX was not closed and its log has no valid sequence of entries: it is read as it lies"
        return medium, [_lost(reason)]
    reason = f"the VHDX was not closed: {len(sequence)} entries of its log are applied in memory"
    problems = [Problem(stage="source", reason=reason, lost=False)]
    newest = sequence[-1]
    if medium.size < newest.flushed_size:
        reason = f"the VHDX is cut: its log wants {newest.flushed_size} bytes and the file has {medium.size}"
        return _Overlay(medium, medium.size, sectors, _joined(zeros)), [*problems, _lost(reason)]
    return _Overlay(medium, max(medium.size, newest.last_size), sectors, _joined(zeros)), problems


def _active_sequence(log: bytes, log_id: str) -> list[_Entry]:
    """Return the valid sequence with the highest number, from its tail to its head."""
    entries = {entry.place: entry for entry in _entries(log, log_id)}
    best: list[_Entry] = []
    followed: set[int] = set()
    for start in sorted(entries, key=lambda place: entries[place].sequence):
        if start in followed:
            continue
        chain = list(_chain(entries, start, len(log)))
        followed.update(entry.place for entry in chain)
        places = [entry.place for entry in chain]
        newest = chain[-1]
        if newest.tail in places and (not best or newest.sequence > best[-1].sequence):
            best = chain[places.index(newest.tail) :]
    return best


def _chain(entries: dict[int, _Entry], start: int, size: int) -> Iterator[_Entry]:
    entry = entries[start]
    yield entry
    taken = entry.length
    while (following := entries.get((entry.place + entry.length) % size)) and following.sequence == entry.sequence + 1:
        taken += following.length
        if taken > size:
            return
        entry = following
        yield entry


def _entries(log: bytes, log_id: str) -> Iterator[_Entry]:
    """Yield the entries where everything that the format lets one check is right."""
    left = len(log) * _CHECKED_TIMES
    for place in range(0, len(log), _SECTOR):
        if log[place : place + 4] != b"loge":
            continue
        length, tail, sequence, descriptors, raw_id, flushed, last = _HEADER.unpack_from(log, place)
        if guid_text(raw_id) != log_id or not 0 < length <= len(log) or length % _SECTOR or tail % _SECTOR:
            continue
        left -= length
        raw = (log[place : place + length] + log[: max(0, place + length - len(log))])[:length]
        if left < 0 or _descriptor_size(descriptors) > length or not sequence or not is_sound(raw):
            continue
        entry = _Entry(place, length, tail, sequence, flushed, last, descriptors, raw)
        if _has_right_parts(entry):
            yield entry


def _descriptor_size(count: int) -> int:
    return -(-(_HEADER.size + _DESCRIPTOR.size * count) // _SECTOR) * _SECTOR


def _descriptors(entry: _Entry) -> Iterator[tuple[bytes, bytes, bytes, int, int]]:
    for number in range(entry.descriptors):
        yield _DESCRIPTOR.unpack_from(entry.raw, _HEADER.size + _DESCRIPTOR.size * number)


def _has_right_parts(entry: _Entry) -> bool:
    data_at = _descriptor_size(entry.descriptors)
    for signature, _, leading, place, sequence in _descriptors(entry):
        if sequence != entry.sequence or place % _SECTOR or signature not in {b"zero", b"desc"}:
            return False
        if signature == b"zero":
            if int.from_bytes(leading, "little") % _SECTOR:
                return False
            continue
        sector = entry.raw[data_at : data_at + _SECTOR]
        number = sector[4:8], sector[_SECTOR - 4 :]
        if sector[:4] != b"data" or int.from_bytes(number[1] + number[0], "little") != entry.sequence:
            return False
        data_at += _SECTOR
    return True


def _apply(entry: _Entry, sectors: dict[int, bytes], zeros: list[tuple[int, int]]) -> None:
    data_at = _descriptor_size(entry.descriptors)
    for signature, trailing, leading, place, _ in _descriptors(entry):
        if signature == b"desc":
            sectors[place] = leading + entry.raw[data_at + 8 : data_at + _SECTOR - 4] + trailing
            data_at += _SECTOR
            continue
        stop = place + int.from_bytes(leading, "little")
        zeros.append((place, stop))
        for covered in _covered(sectors, place, stop) if len(zeros) <= _MOST_ZEROS else ():
            del sectors[covered]


def _covered(sectors: dict[int, bytes], place: int, stop: int) -> list[int]:
    if (stop - place) // _SECTOR < len(sectors):
        return [each for each in range(place, stop, _SECTOR) if each in sectors]
    return [each for each in sectors if place <= each < stop]


def _joined(zeros: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(zeros):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        elif stop > start:
            joined.append((start, stop))
    return joined


def _lost(reason: str) -> Problem:
    return Problem(stage="source", reason=reason)
