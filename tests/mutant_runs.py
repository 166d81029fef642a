"""Reads mutants in limited children and judges them: deaths, runs over the budget, silent losses.

A child is forked from this warm process and reads mutants until one ends it; the next child goes on behind that one.
"""

import hashlib
import json
import mmap
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutants import Mutant, MutantMedium, mutant, used_sectors

from volforensic.evidence.discovery import read_layout
from volforensic.evidence.filesystems import open_filesystem
from volforensic.evidence.layout import Layout, LayoutArguments, Volume
from volforensic.evidence.node import HARMLESS
from volforensic.evidence.reader import Window
from volforensic.inventory.file_bytes import Loss, filled, stored_chunks
from volforensic.inventory.walk import WalkArguments, walk_filesystem
from volforensic.medium import Medium
from volforensic.sandbox.messages import PAGE_USED
from volforensic.sandbox.worker import Workplace

PROCESSOR_SECONDS = 20
MEMORY = 1 << 30
_MOST_READ = 16 << 20
_AT_ONCE = 100
_SEARCHED = "the whole disk was searched for filesystems"
_BLOCK = 4096


class Content(NamedTuple):
    """A file's size and how many bytes of it were had."""

    size: int
    read: int


class Reading(NamedTuple):
    """What reading a disk gave: its files, how many names there are, what was said of losses ("" for nothing).

    Files are keyed by volume, subvolume, inode and type: a changed name is still a name.
    """

    files: dict[str, Content]
    names: int
    said: str


class Verdict(NamedTuple):
    """What came of a mutant: fine, said, silent, death; and why."""

    number: int
    verdict: str
    reason: str = ""


def read_disk(medium: Medium, *, hashes: dict[str, str] | None = None) -> Reading:
    """Read a disk as the workers do: its layout, each walk, the bytes of each file."""
    place = Workplace(medium, mmap.mmap(-1, PAGE_USED), None)
    layout: Layout = next(read_layout(place, LayoutArguments(sizes=[medium.size])))
    told = [problem.reason for problem in layout.problems if problem.lost or _SEARCHED in problem.reason]
    if not any(volume.is_readable for volume in layout.volumes):
        told.append("nothing that can be read")
    files: dict[str, Content] = {}
    names = 0
    for volume in layout.volumes:
        if volume.is_readable and volume.filesystem is not None:
            names += _walk(place, volume, files, told, hashes)
    return Reading(files, names, "; ".join(told[:3]))


def _walk(
    place: Workplace, volume: Volume, files: dict[str, Content], told: list[str], hashes: dict[str, str] | None
) -> int:
    kind = volume.filesystem.type if volume.filesystem else ""
    given = WalkArguments(volume=volume.index, offset=volume.offset, length=volume.length, kind=kind)
    names = 0
    try:
        reader = open_filesystem(kind, Window(place.source, volume.offset, volume.length), lambda _: None)
        for message in walk_filesystem(place, given):
            told += (problem.reason for problem in message.problems if problem.lost)
            for entry in message.entries:
                if not entry.allocated:
                    continue
                names += 1
                if not entry.has_inode:
                    told.append("an inode that could not be read")
                told += (problem for problem in entry.problems if problem not in HARMLESS)
                key = f"{volume.offset}:{entry.tree}:{entry.inode} {entry.type}"
                files[key] = Content(0, 0)
                if entry.type != "file" or entry.size > _MOST_READ:
                    continue
                losses: list[Loss] = []
                digest = hashlib.sha256()
                chunks = list(stored_chunks(place.source, entry, lambda _: reader, losses))
                files[key] = Content(entry.size, sum(len(chunk.data) for chunk in chunks))
                told += map(str, losses)
                if hashes is not None:
                    for part in filled(chunks, entry.size, _MOST_READ, losses, lambda: None):
                        digest.update(part)
                    hashes[entry.path.decode("utf-8", "backslashreplace")] = digest.hexdigest()
    except Exception as error:  # noqa: BLE001 - what a worker says of itself when its reader gives up
        told.append(f"the walk broke off: {type(error).__name__}: {error}"[:200])
    return names


def judged(name: str, disk: bytes, seed: int, numbers: range) -> Iterator[Verdict]:
    """Yield a verdict for each mutant of the disk.

    Raises:
        ValueError: The disk itself does not read well.
    """
    whole = read_disk(MutantMedium(disk, len(disk)))
    if whole.said or not whole.files:
        raise ValueError(f"{name}: the disk itself does not read: {whole.said}")
    used = used_sectors(disk)
    changing = bytearray(disk)
    waiting = list(numbers)
    while waiting:
        batch = waiting[:_AT_ONCE]
        damages = (mutant(disk, used, f"{seed}:{name}:{number}") for number in batch)
        verdicts = (_judged(changing, damage, whole) for damage in damages)
        for number, (verdict, reason) in zip(batch, in_child(verdicts), strict=False):
            yield Verdict(number, verdict, reason)
            waiting = waiting[1:]


def _memory_in_use() -> int:
    """Return the private memory that this process has, in bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def in_child(work: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Run an iterator in a limited child and yield what it yields; a last ("death", why) where the child died of it."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        status = 1
        try:
            limit = _memory_in_use() + MEMORY  # the test runner's own is not the reader's
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
            _limit_processor()
            with os.fdopen(writer, "w", buffering=1) as output:
                for found in work:
                    print(json.dumps(found), file=output)
                    _limit_processor()
            status = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            os.write(2, f"    {type(error).__name__}: {error}\n"[:300].encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as lines:
        for line in lines:
            first, second = json.loads(line)
            yield first, second
    ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if ended:
        yield "death", _described(ended)


def _limit_processor() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(usage.ru_utime + usage.ru_stime) + PROCESSOR_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _described(ended: int) -> str:
    if ended >= 0:
        return f"ended with {ended}"
    return f"died of {signal.Signals(-ended).name}"


def _judged(disk: bytearray, damage: Mutant, whole: Reading) -> tuple[str, str]:
    kept = [(place, bytes(disk[place : place + len(edit)])) for place, edit in damage.edits]
    for place, edit in damage.edits:
        disk[place : place + len(edit)] = edit
    found = read_disk(MutantMedium(disk, damage.size, damage.unreadable))
    for place, old in reversed(kept):
        disk[place : place + len(old)] = old
    if found.said:
        return "said", found.said[:200]
    lost = sorted(set(whole.files) - set(found.files))
    if lost or found.names < whole.names:
        return "silent", f"missing {lost[:3]}, {found.names} of {whole.names} names"
    shorter = [key for key, content in whole.files.items() if _is_shorter(content, found.files[key])]
    return ("silent", f"shorter: {shorter[:3]}") if shorter else ("fine", "")


def _is_shorter(whole: Content, found: Content) -> bool:
    """Return whether bytes are missing that somebody could miss.

    A size that is lowered by less than a block is known to its inode only; on XFS, where blocks behind the end are
    room for growth, one that is lowered by more.
    """
    if found.read >= whole.read:
        return False
    is_cut = found.size == whole.size or found.read < min(found.size, whole.read)
    return is_cut or _blocks(found) < _blocks(whole) - 1


def _blocks(content: Content) -> int:
    return -(-content.read // _BLOCK)
