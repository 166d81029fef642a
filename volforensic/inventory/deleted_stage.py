"""The deleted stage: each deleted entry gets a tier, and what is still there is examined like a living file."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.examination import Examination, Tools, examine
from volforensic.inventory.file_bytes import Loss, filesystem_opener, filled, merged, stored_chunks
from volforensic.inventory.free_stage import FreeSpace
from volforensic.inventory.recovery import INTACT, NAME_ONLY, PARTIAL, Claims, Recovery, judge
from volforensic.inventory.scanner import RuleSet
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text_fields
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pieces import LostItem, work_on
from volforensic.sandbox.pool import Pool, Task
from volforensic.sandbox.worker import Workplace

LARGEST_CONTENT = 4 * GIBIBYTE
"""Bytes of a deleted file that are read, at most."""
_LARGEST_HOLE = GIBIBYTE
_FILES_PER_TASK = 500
_BYTES_PER_TASK = GIBIBYTE
_FILE_COST = 64 << 10
# As in the files stage: a YARA engine maps gigabytes that it never touches.
_LIMITS = Limits(memory=GIBIBYTE, address_space=0, processor_seconds=900, item_seconds=120, output=GIBIBYTE)
_FAMILIES = {
    "elf": ("so", "ko", "o"),
    "gzip": ("gz", "tgz"),
    "xz": ("xz", "txz"),
    "zip": ("zip",),
    "bzip2": ("bz2",),
    "zstd": ("zst",),
    "image": ("png", "jpg", "jpeg", "gif"),
    "pdf": ("pdf",),
    "sqlite": ("sqlite",),
}
_FAMILY_OF = {extension: family for family, extensions in _FAMILIES.items() for extension in extensions}


class DeletedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted entry whose extents are the ones that may be read, and its tier so far."""

    entry: FileEntry
    tier: str
    reason: str


class DeletedArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of deleted files, the volumes that they lie in, the compiled YARA rules (our own: not evidence)."""

    files: list[DeletedFile]
    volumes: dict[int, VolumeFacts]
    rules: bytes


class DeletedMessage(msgspec.Struct, frozen=True, array_like=True):
    """What came of the file ``index`` of the batch; ``is_empty`` where all its bytes are NUL bytes."""

    index: int
    examination: Examination
    is_empty: bool


def examine_deleted(place: Workplace, arguments: object) -> Iterator[DeletedMessage]:
    """Yield a message for each file: worker function, ``DeletedArguments``; ``prepared`` is libmagic's cookie."""
    given = msgspec.convert(arguments, DeletedArguments)
    tools = Tools(RuleSet.deserialize(given.rules), place.prepared)
    filesystem = filesystem_opener(place.source, given.volumes)
    for index, file in enumerate(given.files):
        place.begin_item(index)
        losses: list[Loss] = []
        seen = _Seen()
        size = min(file.entry.size, LARGEST_CONTENT)
        blocks = stored_chunks(place.source, file.entry, filesystem, losses)
        pieces = filled(blocks, size, _LARGEST_HOLE, losses, partial(place.begin_item, index))
        found = examine(seen.watch(pieces), size, tools)
        noted = [str(loss) for loss in merged(losses)[:20]]
        found = msgspec.structs.replace(found, problems=[*found.problems, *noted])
        yield DeletedMessage(index, found, not seen.has_bytes)


class _Seen:
    """Holds whether a file's bytes were NUL bytes only so far."""

    def __init__(self) -> None:
        self.has_bytes = False

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the pieces on."""
        for piece in pieces:
            self.has_bytes = self.has_bytes or piece.count(0) < len(piece)
            yield piece


def judge_deleted(  # noqa: PLR0913, PLR0917 - what a stage reads: workers, source, inventory, and facts of each volume
    pool: Pool,
    source: SourceHandle,
    inventory: Inventory,
    spaces: dict[int, FreeSpace],
    volumes: dict[int, VolumeFacts],
    rules: bytes,
) -> Iterator[tuple[FileEntry, Row] | Problem]:
    """Yield every deleted entry, and every one in use without a name, with the keys that its row gets.

    Keep them by ``Inventory.note_recovery``. A row has ``recovery`` (tier, reason); where content is there also what an
    examined file has. ``sha256`` of an intact file is the file's; what is left of a partial one has its hash in
    ``recovery``: its missing bytes count as NUL bytes.

    Args:
        pool: The workers.
        source: The source's descriptor.
        inventory: After the walk; it is only read.
        spaces: Free space by volume, as ``find_free_space`` yields it.
        volumes: ``Layout.facts()``.
        rules: ``RuleSet.serialize()``.
    """
    claims = Claims(inventory.nameless_and_deleted())

    def judged() -> Iterator[tuple[FileEntry, Recovery]]:
        for entry in inventory.nameless_and_deleted():
            facts = volumes.get(entry.volume)
            yield entry, judge(entry, spaces.get(entry.volume), claims, facts.kind if facts else "")

    def task_of(piece: Sequence[DeletedFile]) -> Task:
        return Task(
            function="volforensic.inventory.deleted_stage:examine_deleted",
            prepare="volforensic.inventory.magic_edge:prepare",
            arguments=DeletedArguments(files=list(piece), volumes=volumes, rules=rules),
            message_type=DeletedMessage,
            source=source,
            limits=_LIMITS,
            check=_DeletedCheck(),
        )

    for entry, found in judged():
        if not _is_read(entry, found) and (entry.type == "file" or not entry.allocated):
            yield entry, {"recovery": found.row()}
    readable = (_deleted_file(entry, found) for entry, found in judged() if _is_read(entry, found))
    for file, message in work_on(pool, _batches(readable), task_of, last=DeletedMessage):
        yield from _results(file, message)


def _is_read(entry: FileEntry, found: Recovery) -> bool:
    """Return whether the content is examined here: an inode in use is examined where all living files are."""
    return found.tier != NAME_ONLY and not entry.allocated


def _batches(files: Iterator[DeletedFile]) -> Iterator[list[DeletedFile]]:
    batch: list[DeletedFile] = []
    size = 0
    for file in files:
        batch.append(file)
        size += min(file.entry.size, LARGEST_CONTENT) + _FILE_COST
        if len(batch) >= _FILES_PER_TASK or size >= _BYTES_PER_TASK:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _deleted_file(entry: FileEntry, found: Recovery) -> DeletedFile:
    return DeletedFile(
        entry=msgspec.structs.replace(entry, extents=found.extents), tier=found.tier, reason=found.reason
    )


def _results(file: DeletedFile, message: object) -> Iterator[tuple[FileEntry, Row] | Problem]:
    entry = file.entry
    if isinstance(message, LostItem):
        reason = f"the deleted file could not be examined: {message.reason}"
        yield Problem(
            stage="deleted", reason=reason, volume=entry.volume, inode=entry.inode, **text_fields("source", entry.path)
        )
        yield entry, {"recovery": Recovery(file.tier, f"{file.reason}; it could not be examined").row()}
    elif isinstance(message, DeletedMessage):
        yield entry, _row(file, message)


def _row(file: DeletedFile, message: DeletedMessage) -> Row:
    found, entry = message.examination, file.entry
    if message.is_empty:
        reason = "its blocks hold NUL bytes only: they were discarded (TRIM), wiped or never written"
        return {"recovery": Recovery(NAME_ONLY, reason).row()}
    tier, reason = file.tier, file.reason
    expected = _FAMILY_OF.get(entry.name.rpartition(b".")[2].decode("ascii", "replace").lower(), found.family)
    if not entry.is_orphan and expected != found.family:
        tier = PARTIAL
        reason = f"{reason}; but its first bytes are those of another kind of file ({found.mime or found.family})"
    if entry.size > LARGEST_CONTENT or found.problems:
        tier = PARTIAL
        reason = f"{reason}; it was not read to its end or not whole"
    row = found.row()
    if tier != INTACT:
        row.pop("sha256")
    return row | {"recovery": Recovery(tier, reason).row(None if tier == INTACT else found.sha256)}


class _DeletedCheck:
    """The check of what the worker says of a file's bytes."""

    def refused(self, message: DeletedMessage) -> str:
        return message.examination.refused()

    def missing(self) -> str:
        return ""
