"""The ELF stage: what the ELF files that nobody vouches for are, found out in workers."""

import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import zstandard

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.elf_bytes import SPENT, ByteSource, ExtentBytes, MemoryBytes, loss_problems
from volforensic.inventory.elf_facts import ElfFacts, describe_elf
from volforensic.inventory.entropy import EntropyMeter
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, filesystem_opener, stored_chunks
from volforensic.record import Problem, text_fields
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pieces import LostItem, work_on
from volforensic.sandbox.pool import Pool, Task
from volforensic.sandbox.worker import Workplace

_LARGEST_IN_MEMORY = 128 << 20  # of a file that only its filesystem can read, and of a decompressed module
_STEP = 1024  # of Zstandard, whose blocks of four bytes may hold 128 KiB: this gives 32 MiB at most
_FILES_PER_TASK = 500
_BYTES_PER_TASK = GIBIBYTE
_FILE_COST = 64 << 10
# yara-x, which measures entropy, reserves more memory than it uses (file_stage has the same limit).
_LIMITS = Limits(memory=GIBIBYTE, address_space=0, processor_seconds=300, item_seconds=30, output=GIBIBYTE)
_MOST_PROBLEMS = 20


class ElfFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to look at: its entry and its path on the host."""

    entry: FileEntry
    path: bytes


class ElfArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of files and the volumes that they lie in."""

    files: list[ElfFile]
    volumes: dict[int, VolumeFacts]


class ElfMessage(msgspec.Struct, frozen=True, array_like=True):
    """What the file ``index`` of the batch is, None where it is no ELF file; what could not be read of it."""

    index: int
    facts: ElfFacts | None
    losses: list[str]


class _Content(NamedTuple):
    source: ByteSource
    size: int
    compression: str | None = None


def read_elf_files(place: Workplace, arguments: object) -> Iterator[ElfMessage]:
    """Yield a message for each file: worker function, ``ElfArguments``."""
    given = msgspec.convert(arguments, ElfArguments)
    filesystem = filesystem_opener(place.source, given.volumes)
    meter = EntropyMeter()
    for index, file in enumerate(given.files):
        place.begin_item(index)
        losses: list[Loss] = []
        content = _content(place, file.entry, filesystem, losses)
        facts = describe_elf(content.source, content.size, meter)
        lost = loss_problems(losses)
        if facts is not None:
            problems = [*lost, *facts.problems]
            facts = msgspec.structs.replace(facts, problems=problems, compression=content.compression)
        yield ElfMessage(index, facts, lost)


def examine_elf(
    pool: Pool, source: SourceHandle, files: Iterator[tuple[FileEntry, bytes]], volumes: dict[int, VolumeFacts]
) -> Iterator[tuple[FileEntry, ElfFacts] | Problem]:
    """Yield what each ELF file is, in the order given, and a problem for what could not be read of one.

    ``files`` are regular files with their paths on the host: those that begin as ELF, and kernel modules that are
    compressed (gzip, xz, Zstandard). A file that proves to be no ELF file yields nothing. ``source`` is the
    descriptor of the evidence. A file that ends its worker twice is a problem.
    """

    def task_of(piece: Sequence[ElfFile]) -> Task:
        return Task(
            function="volforensic.inventory.elf_stage:read_elf_files",
            arguments=ElfArguments(files=list(piece), volumes=volumes),
            message_type=ElfMessage,
            source=source,
            limits=_LIMITS,
        )

    for file, message in work_on(pool, _batches(files), task_of, last=ElfMessage):
        if isinstance(message, LostItem):
            yield _problem(file, f"the ELF file could not be examined: {message.reason}")
        elif isinstance(message, ElfMessage):
            if message.facts is not None:
                yield file.entry, message.facts
            problems = message.losses if message.facts is None else message.facts.problems
            for reason in problems[:_MOST_PROBLEMS]:
                yield _problem(file, f"ELF: {reason}", lost=reason == SPENT or reason in message.losses)


def _batches(files: Iterator[tuple[FileEntry, bytes]]) -> Iterator[list[ElfFile]]:
    batch: list[ElfFile] = []
    size = 0
    for entry, host_path in files:
        batch.append(ElfFile(entry=entry, path=host_path))
        size += max(0, entry.size) + _FILE_COST
        if len(batch) >= _FILES_PER_TASK or size >= _BYTES_PER_TASK:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _content(place: Workplace, entry: FileEntry, filesystem: OpenFilesystem, losses: list[Loss]) -> _Content:
    """Return the file's bytes by position; decompressed, where they are a compressed module."""
    source: ByteSource
    if entry.extents is None:
        source = MemoryBytes(_in_memory(place, entry, filesystem, losses))
    else:
        source = ExtentBytes(place.source, entry, filesystem, losses)
    head = source.read_at(0, 6)
    for magic, name, decompressed in _COMPRESSIONS:
        if head.startswith(magic):
            packed = source.read_at(0, min(entry.size, _LARGEST_IN_MEMORY))
            data = _limited(decompressed, packed, losses)
            return _Content(MemoryBytes(data), len(data), name)
    return _Content(source, entry.size)


def _in_memory(place: Workplace, entry: FileEntry, filesystem: OpenFilesystem, losses: list[Loss]) -> bytes:
    """Return a file's bytes read through its filesystem: the first of them where it is too large."""
    data = bytearray()
    for block in stored_chunks(place.source, entry, filesystem, losses):
        if block.position + len(block.data) > _LARGEST_IN_MEMORY:
            rest = entry.size - block.position
            losses.append(Loss(block.position, rest, f"only {_LARGEST_IN_MEMORY} bytes of such a file are held"))
            break
        data += bytes(max(0, block.position - len(data)))
        data[block.position : block.position + len(block.data)] = block.data
    return bytes(data) + bytes(max(0, min(entry.size, _LARGEST_IN_MEMORY) - len(data)))


def _limited(decompressed: Callable[[bytes], tuple[bytes, bool]], packed: bytes, losses: list[Loss]) -> bytes:
    try:
        data, is_whole = decompressed(packed)
    except (lzma.LZMAError, zlib.error, zstandard.ZstdError, EOFError) as error:
        losses.append(Loss(0, len(packed), f"the file could not be decompressed: {error}"))
        return b""
    if not is_whole:
        losses.append(Loss(len(data), 0, "the decompressed file does not end here: it is cut, or too large"))
    return data


def _gunzipped(packed: bytes) -> tuple[bytes, bool]:
    engine = zlib.decompressobj(wbits=31)
    return engine.decompress(packed, _LARGEST_IN_MEMORY), engine.eof


def _unxzed(packed: bytes) -> tuple[bytes, bool]:
    engine = lzma.LZMADecompressor(memlimit=_LARGEST_IN_MEMORY)
    return engine.decompress(packed, _LARGEST_IN_MEMORY), engine.eof


def _unzstded(packed: bytes) -> tuple[bytes, bool]:
    engine = zstandard.ZstdDecompressor(max_window_size=_LARGEST_IN_MEMORY).decompressobj()
    data = bytearray()
    for start in range(0, len(packed), _STEP):
        data += engine.decompress(packed[start : start + _STEP])
        if engine.eof or len(data) > _LARGEST_IN_MEMORY:
            break
    return bytes(data[:_LARGEST_IN_MEMORY]), engine.eof and len(data) <= _LARGEST_IN_MEMORY


_COMPRESSIONS: tuple[tuple[bytes, str, Callable[[bytes], tuple[bytes, bool]]], ...] = (
    (b"\x1f\x8b\x08", "gzip", _gunzipped),
    (b"\xfd7zXZ\0", "xz", _unxzed),
    (b"\x28\xb5\x2f\xfd", "zstd", _unzstded),
)


def _problem(file: ElfFile, reason: str, *, lost: bool = True) -> Problem:
    """Return the problem; not ``lost`` where everything was read, and what was read contradicts itself."""
    entry = file.entry
    name = text_fields("source", file.path)
    return Problem(stage="files", reason=reason, lost=lost, volume=entry.volume, inode=entry.inode, **name)
