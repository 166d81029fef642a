"""The disk in a qcow of version 1: the older format, whose tables are as qcow2's and whose header is not.

Source: qemu's block/qcow.c (QCowHeader and get_cluster_offset). Everything is big-endian. An entry of 0 is not there;
one with the highest bit is compressed and has its size above its offset.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.containers import packed
from volforensic.evidence.containers.checking import NoParent, table_problems
from volforensic.evidence.containers.container import ContainerError, ContainerFacts, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.mapped import MappedMedium, Noted, Pages, Piece, StoredError, Unit
from volforensic.evidence.containers.qcow2_header import MAGIC, backing_name, file_name
from volforensic.medium import Medium
from volforensic.record import Problem, text

_HEAD = 48
_CLUSTER_BITS, _L2_BITS = range(9, 17), range(6, 14)
_LONGEST_L1 = 32 << 20
_LARGEST_DISK = 1 << 63
_COMPRESSED = 1 << 63
_UNPACKED_KEPT = 64


class Qcow1Error(ContainerError):
    """A field of a qcow header is not what it can be, or names what is not supported."""


class Qcow1Header(NamedTuple):
    """The fields that reading needs; sizes and offsets in bytes."""

    backing_file: bytes
    size: int
    cluster_bits: int
    l2_bits: int
    l1_offset: int

    @property
    def l1_size(self) -> int:
        """How many L1 entries a disk of this size has."""
        return -(-self.size >> self.cluster_bits + self.l2_bits)


def recognises(first: NamedFile) -> bool:
    """Return whether it begins like a qcow of version 1."""
    return first.medium.read_at(0, 8) == MAGIC + b"\0\0\0\1"


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Read the header; see container.py. Qcow1Error where it cannot be, or names what is not supported."""
    header = qcow1_header(files[0].medium)
    details = {"version": "1", "cluster size": str(1 << header.cluster_bits)}
    references = []
    if header.backing_file:
        details["backing file"] = text(header.backing_file)
        references.append(Reference(name=file_name(header.backing_file), role="parent"))
    end, size = header.l1_offset + 8 * header.l1_size, files[0].medium.size
    reason = f"qcow: the L1 table ends at byte {end}, in a file of {size} bytes"
    problems = [Problem(stage="source", reason=reason)] if end > size else []
    problems += table_problems(header.size, Clusters(header, files[0].medium, NoParent()).find)
    return ContainerFacts(kind="qcow", size=header.size, references=references, details=details, problems=problems)


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the disk; see container.py. Qcow1Error as in ``look``."""
    header = qcow1_header(files[0].medium)
    return MappedMedium(header.size, Clusters(header, files[0].medium, parent).find, Noted(note))


def qcow1_header(file: Medium) -> Qcow1Header:
    """Read the header; Qcow1Error where a field says what cannot be."""
    head = file.read_at(0, _HEAD)
    if len(head) < _HEAD or head[:8] != MAGIC + b"\0\0\0\1":
        raise Qcow1Error("there is no header of a qcow of version 1")
    backing_offset, backing_size, _time, size, cluster_bits, l2_bits = struct.unpack_from(">QIIQBB", head, 8)
    encryption, l1_offset = struct.unpack_from(">IQ", head, 36)
    if encryption:
        name = "AES" if encryption == 1 else "an unknown method"
        raise Qcow1Error(f"the qcow is encrypted with {name} (crypt_method {encryption}), which is not supported")
    if cluster_bits not in _CLUSTER_BITS or l2_bits not in _L2_BITS:
        raise Qcow1Error(f"cluster_bits is {cluster_bits}, of 9 to 16, and l2_bits {l2_bits}, of 6 to 13")
    if size >= _LARGEST_DISK:
        raise Qcow1Error(f"size is {size}: no disk has so many bytes")
    header = Qcow1Header(backing_name(file, backing_offset, backing_size), size, cluster_bits, l2_bits, l1_offset)
    if header.l1_size * 8 > _LONGEST_L1:
        raise Qcow1Error(f"size is {size}: its L1 table would have {header.l1_size} entries")
    if l1_offset >= file.size and size:
        raise Qcow1Error(f"l1_table_offset is {l1_offset}, in a file of {file.size} bytes")
    return header


class Clusters:
    """Where the bytes of the disk are: the tables of a qcow."""

    def __init__(self, header: Qcow1Header, file: Medium, parent: Medium | None) -> None:
        """Read nothing yet: tables are read where a position needs them."""
        self._header, self._file, self._parent = header, file, parent
        self._pages = Pages(file)
        self._cluster = 1 << header.cluster_bits
        self._coverage = self._cluster << header.l2_bits
        self._table = lru_cache(1024)(self._read_table)
        self._unpacked = lru_cache(_UNPACKED_KEPT)(self._unpack)

    def find(self, position: int) -> Piece:
        """Return the piece at a position; see ``Finder``."""
        index, start = divmod(position, self._coverage)
        rest = self._coverage - start
        table = self._table(index)
        if isinstance(table, str):
            return Piece(rest, reason=table)
        if not table:
            return self._below(position, rest)
        number, start = divmod(start, self._cluster)
        try:
            entry = int.from_bytes(self._pages.read(table + 8 * number, 8))
        except OSError as error:
            return Piece(self._cluster - start, reason=f"qcow: {error.strerror or error}")
        return self._cluster_piece(position, entry, start)

    def _cluster_piece(self, position: int, entry: int, start: int) -> Piece:
        rest = self._cluster - start
        if not entry:
            return self._below(position, rest)
        if entry & _COMPRESSED:
            offset = self._packed_place(entry)[0]
            if offset >= self._pages.size:
                return Piece(rest, reason=f"qcow: clusters lie outside the file, which has {self._pages.size} bytes")
            return Piece(rest, Unit(self._unpacked, entry), start)
        if entry + start >= self._pages.size:
            return Piece(rest, reason=f"qcow: clusters lie outside the file, which has {self._pages.size} bytes")
        return Piece(rest, self._file, entry + start)

    def _read_table(self, index: int) -> int | str:
        """Return where the L2 table of an L1 entry begins, 0 for nowhere, or why it cannot be had."""
        try:
            offset = int.from_bytes(self._pages.read(self._header.l1_offset + 8 * index, 8))
        except OSError as error:
            return f"qcow: {error.strerror or error}"
        if offset >= self._pages.size or 0 < offset < _HEAD:
            return f"qcow: entry {index} of the L1 table says {offset:#x}, where no L2 table can be"
        if self._header.l1_offset <= offset < self._header.l1_offset + 8 * self._header.l1_size:
            return f"qcow: entry {index} of the L1 table says {offset:#x}, which is in the L1 table itself"
        return offset

    def _below(self, position: int, length: int) -> Piece:
        """Return what an unallocated range reads as."""
        if self._parent is not None:
            return Piece(length, self._parent, position, is_padded=True)
        if self._header.backing_file:
            return Piece(length, reason=f"qcow: the backing file {text(self._header.backing_file)} is missing")
        return Piece(length)

    def _packed_place(self, entry: int) -> tuple[int, int]:
        """Return offset and size of a compressed cluster."""
        bits = 63 - self._header.cluster_bits
        return entry & (1 << bits) - 1, entry >> bits & self._cluster - 1

    def _unpack(self, entry: int) -> bytes:
        """Return the cluster that a compressed cluster's entry means."""
        offset, size = self._packed_place(entry)
        data = packed.inflated(self._file.read_at(offset, size), self._cluster)
        if len(data) < self._cluster:
            raise StoredError(f"qcow: the compressed cluster at byte {offset} has {len(data)} bytes")
        return data
