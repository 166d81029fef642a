"""The disk in a qcow2 of version 2 or 3: clusters found through L1 and L2 tables, from the file, a data file or below.

Source: qemu's docs/interop/qcow2.rst. The newest state is read; internal snapshots are listed and not opened. Reference
counts say what a writer may reuse and are not needed to read.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from volforensic.evidence.containers import packed
from volforensic.evidence.containers.checking import NoParent, table_problems
from volforensic.evidence.containers.container import ContainerFacts, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.mapped import MappedMedium, Noted, Pages, Piece, StoredError, Unit
from volforensic.evidence.containers.naming import named_file
from volforensic.evidence.containers.qcow2_header import (
    CORRUPT,
    DIRTY,
    EXTENDED_L2,
    EXTERNAL_DATA,
    MAGIC,
    ZSTD,
    Qcow2Error,
    Qcow2Header,
    file_name,
    read_header,
    snapshots,
)
from volforensic.medium import Medium
from volforensic.record import Problem, text

_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED, _COPIED, _ZERO = 1 << 62, 1 << 63, 1
_SUBCLUSTERS = 32
_UNPACKED_KEPT = 16 << 20


def recognises(first: NamedFile) -> bool:
    """Return whether it begins like a qcow2 that is not of version 1."""
    head = first.medium.read_at(0, 8)
    return head[:4] == MAGIC and head[4:] not in {b"", b"\0\0\0\1"}


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Read the header; see container.py. Qcow2Error where it cannot be, or names what is not supported."""
    header = read_header(files[0].medium)
    references = []
    if header.backing_file:
        references.append(Reference(name=file_name(header.backing_file), role="parent"))
    if header.features & EXTERNAL_DATA and header.data_file:
        references.append(Reference(name=file_name(header.data_file), role="data"))
    listed = list(snapshots(files[0].medium, header))
    return ContainerFacts(
        kind="qcow2",
        size=header.size,
        references=references,
        details=_details(header, [sentence for sentence, is_whole in listed if is_whole]),
        problems=[
            *_problems(files[0].medium, header),
            *(_problem(line) for line, is_whole in listed if not is_whole),
            *_table_problems(files, header),
        ],
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the disk; see container.py. Qcow2Error as in ``look``, and where the data file is missing."""
    header = read_header(files[0].medium)
    noted = Noted(note)
    clusters = Clusters(header, files[0].medium, _data_medium(header, files), parent)
    return MappedMedium(header.size, clusters.find, noted)


def _data_file(header: Qcow2Header, files: Sequence[NamedFile]) -> NamedFile | None:
    if header.data_file:
        return named_file(files[1:], file_name(header.data_file))
    return next(iter(files[1:]), None)


def _data_medium(header: Qcow2Header, files: Sequence[NamedFile]) -> Medium:
    if not header.features & EXTERNAL_DATA:
        return files[0].medium
    found = _data_file(header, files)
    if found is None:
        name = text(header.data_file) or "(no name is stored)"
        raise Qcow2Error(f"the clusters are in an external data file that is missing: {name}")
    return found.medium


def _details(header: Qcow2Header, listed: list[str]) -> dict[str, str]:
    details = {"version": str(header.version), "cluster size": str(header.cluster_size)}
    if header.backing_file:
        details["backing file"] = text(header.backing_file)
    if header.backing_format:
        details["backing format"] = text(header.backing_format)
    if header.features & EXTERNAL_DATA:
        details["data file"] = text(header.data_file)
    if header.features & EXTENDED_L2:
        details["extended L2 entries"] = "yes"
    details["compression type"] = "zstd" if header.compression == ZSTD else "zlib"
    details["internal snapshots"] = str(header.snapshot_count)
    return details | {f"snapshot {number}": sentence for number, sentence in enumerate(listed, 1)}


def _problems(file: Medium, header: Qcow2Header) -> Iterator[Problem]:
    end = header.l1_offset + 8 * header.l1_size
    if header.l1_size < header.l1_needed:
        reason = f"the L1 table has {header.l1_size} entries, of {header.l1_needed} that the disk needs"
        yield _problem(f"{reason}: the disk's end cannot be read")
    elif end > file.size:
        yield _problem(f"the L1 table ends at byte {end}, in a file of {file.size} bytes")
    if header.features & CORRUPT:
        yield _problem("the image is marked as corrupt by the program that wrote it", lost=False)
    if header.features & DIRTY:
        yield _problem("the image was not closed cleanly: its reference counts may be stale", lost=False)
    if header.snapshot_count > 256:
        yield _problem(f"there are {header.snapshot_count} internal snapshots: the first 256 are listed", lost=False)
    if header.backing_file and header.features & EXTERNAL_DATA:
        yield _problem("there is a backing file and an external data file", lost=False)
    if header.features & EXTERNAL_DATA and not header.data_file:
        yield _problem("the header names no external data file", lost=False)


def _table_problems(files: Sequence[NamedFile], header: Qcow2Header) -> Iterator[Problem]:
    """Yield what the tables lose; nothing while the data file was not found yet."""
    if not header.features & EXTERNAL_DATA or _data_file(header, files) is not None:
        clusters = Clusters(header, files[0].medium, _data_medium(header, files), NoParent())
        yield from table_problems(header.size, clusters.find)


def _problem(reason: str, *, lost: bool = True) -> Problem:
    return Problem(stage="source", reason=f"qcow2: {reason}", lost=lost)


class Clusters:
    """Where the bytes of the disk are: the tables of a qcow2."""

    def __init__(self, header: Qcow2Header, file: Medium, data: Medium, parent: Medium | None) -> None:
        """Read nothing yet: tables are read where a position needs them."""
        self._header = header
        self._file, self._data, self._parent = file, data, parent
        self._has_external_data = bool(header.features & EXTERNAL_DATA)
        self._pages = Pages(file)
        self._cluster = header.cluster_size
        self._entries = self._cluster // header.entry_size
        self._coverage = self._entries * self._cluster
        self._packed_bits = 62 - (header.cluster_bits - 8)
        self._table = lru_cache(1024)(self._read_table)
        self._unpacked = lru_cache(max(2, min(64, _UNPACKED_KEPT >> header.cluster_bits)))(self._unpack)

    def find(self, position: int) -> Piece:
        """Return the piece at a position; see ``Finder``."""
        index, start = divmod(position, self._coverage)
        rest = self._coverage - start
        table = self._table(index)
        if isinstance(table, str):
            has_entry = index < self._header.l1_size
            return Piece(rest if has_entry else self._header.size - position, reason=table)
        if not table:
            return self._below(position, rest)
        number, start = divmod(start, self._cluster)
        try:
            entry = self._pages.read(table + number * self._header.entry_size, self._header.entry_size)
        except OSError as error:
            return Piece(self._cluster - start, reason=f"qcow2: {error.strerror or error}")
        descriptor = int.from_bytes(entry[:8])
        if descriptor & _COMPRESSED:
            return self._compressed(descriptor, start)
        if len(entry) > 8:
            return self._subcluster(position, descriptor, int.from_bytes(entry[8:]))
        return self._standard(position, descriptor, start)

    def _read_table(self, index: int) -> int | str:
        """Return where the L2 table of an L1 entry begins, 0 for nowhere, or why it cannot be had."""
        if index >= self._header.l1_size:
            return f"qcow2: the L1 table has {self._header.l1_size} entries and no entry {index}"
        try:
            entry = int.from_bytes(self._pages.read(self._header.l1_offset + 8 * index, 8))
        except OSError as error:
            return f"qcow2: {error.strerror or error}"
        offset = entry & _OFFSET
        if offset % self._cluster or offset >= self._pages.size:
            return f"qcow2: entry {index} of the L1 table says {entry:#x}, where no L2 table can be"
        if self._header.l1_offset <= offset < self._header.l1_offset + 8 * self._header.l1_size:
            return f"qcow2: entry {index} of the L1 table says {entry:#x}, which is in the L1 table itself"
        return offset

    def _below(self, position: int, length: int) -> Piece:
        """Return what an unallocated range reads as."""
        if self._parent is not None:
            return Piece(length, self._parent, position, is_padded=True)
        if self._header.backing_file:
            return Piece(length, reason=f"qcow2: the backing file {text(self._header.backing_file)} is missing")
        return Piece(length)

    def _standard(self, position: int, descriptor: int, start: int) -> Piece:
        rest = self._cluster - start
        if descriptor & _ZERO:
            is_known = self._header.version >= 3
            return Piece(rest) if is_known else Piece(rest, reason="qcow2: a cluster of zeros in version 2")
        offset = descriptor & _OFFSET
        if not offset and not (self._has_external_data and descriptor & _COPIED):
            return self._below(position, rest)
        return self._stored(position, offset, start, rest)

    def _stored(self, position: int, offset: int, start: int, length: int) -> Piece:
        """Return what lies ``start`` bytes into the cluster at ``offset``."""
        if offset % self._cluster:
            return Piece(length, reason=f"qcow2: a cluster is said to be at byte {offset}, which is not its place")
        if self._has_external_data and offset + start != position:
            return Piece(length, reason=f"qcow2: a cluster is said to be at byte {offset} of the data file")
        if offset + start >= self._data.size:
            reason = f"qcow2: clusters lie outside the file, which has {self._data.size} bytes"
            return Piece(length, reason=reason)
        return Piece(length, self._data, offset + start)

    def _subcluster(self, position: int, descriptor: int, bitmap: int) -> Piece:
        """Return what an extended entry says: two bits for each of 32 parts, stored or zeros."""
        size = self._cluster // _SUBCLUSTERS
        number, start = divmod(position % self._cluster, size)
        length = size - start
        is_stored, is_zero = bitmap >> number & 1, bitmap >> _SUBCLUSTERS + number & 1
        offset = descriptor & _OFFSET
        has_place = offset or (self._has_external_data and descriptor & _COPIED)
        if is_stored and (is_zero or not has_place):
            return Piece(length, reason=f"qcow2: an extended L2 entry contradicts itself: {descriptor:#x}, {bitmap:#x}")
        if is_stored:
            return self._stored(position, offset, number * size + start, length)
        return Piece(length) if is_zero else self._below(position, length)

    def _compressed(self, descriptor: int, start: int) -> Piece:
        rest = self._cluster - start
        if self._has_external_data:
            return Piece(rest, reason="qcow2: a compressed cluster in an image with an external data file")
        offset = descriptor & (1 << self._packed_bits) - 1
        if offset >= self._pages.size:
            return Piece(rest, reason=f"qcow2: clusters lie outside the file, which has {self._pages.size} bytes")
        return Piece(rest, Unit(self._unpacked, descriptor), start)

    def _unpack(self, descriptor: int) -> bytes:
        """Return the cluster that a compressed cluster's descriptor means."""
        offset = descriptor & (1 << self._packed_bits) - 1
        sectors = ((descriptor & _COMPRESSED - 1) >> self._packed_bits) + 1
        raw = self._file.read_at(offset, sectors * 512 - offset % 512)
        unpack = packed.unpacked_zstd if self._header.compression == ZSTD else packed.inflated
        data = unpack(raw, self._cluster)
        if len(data) < self._cluster:
            raise StoredError(f"qcow2: the compressed cluster at byte {offset} has {len(data)} bytes")
        return data
