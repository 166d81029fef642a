"""A partition and a partition table: what the readers of each kind of table give, and what all of them check."""

from collections.abc import Iterable, Iterator

import msgspec

from volforensic.evidence.reader import Window
from volforensic.record import Problem

_MOST_TOLD = 20


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: where it is in the source (bytes), and what the table says of it.

    ``number`` is the kernel's, 0 where Linux makes no device of it (a table inside a partition, an entry of a second
    table); ``entry`` is its number in its own table. ``inside`` is the entry of the partition it lies in, 0 for the
    disk itself; ``holds`` names the table that stands inside this partition, "" for none.
    """

    offset: int
    length: int
    table: str
    number: int
    type: str
    label: str = ""
    uuid: str = ""
    entry: int = 0
    inside: int = 0
    holds: str = ""

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length

    @property
    def description(self) -> str:
        """What an examiner reads: the table, the number, the type last."""
        place = f" inside partition {self.inside}" if self.inside else ""
        return f"{self.table} partition {self.number or self.entry}{place}, type {self.type}"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A partition table: its kind (gpt, mbr, none), sector size in bytes, partitions, and what was odd about it.

    The partitions that Linux would show come first, in the order of the table; those of second readings and of tables
    inside partitions come last.
    """

    kind: str
    sector_size: int
    partitions: list[Partition]
    problems: list[Problem]


def note(
    problems: list[Problem], reason: str, *, lost: bool = False, offset: int | None = None, length: int | None = None
) -> None:
    """Add what was odd about a table; ``offset`` and ``length`` are bytes of the window."""
    problems.append(Problem(stage="layout", reason=reason, lost=lost, offset=offset, length=length))


def read_or_note(window: Window, position: int, size: int, problems: list[Problem]) -> bytes:
    """Return bytes of the window, none where they cannot be had: that is noted."""
    try:
        return window.read_at(position, size)
    except OSError as error:
        reason = f"bytes of a partition table cannot be read: {error.strerror or error}"
        note(problems, reason, lost=True, offset=position, length=size)
        return b""


def clamped(window: Window, partition: Partition, problems: list[Problem]) -> Iterator[Partition]:
    """Yield the partition cut to the source; one that is empty or begins outside is only noted."""
    name = f"partition {partition.number or partition.entry}"
    if partition.length <= 0:
        note(problems, f"{name} ends before it begins", lost=True)
        return
    if partition.offset >= window.length:
        note(problems, f"{name} begins at byte {partition.offset}, the source ends at {window.length}", lost=True)
        return
    beyond = partition.end - window.length
    if beyond > 0:
        note(problems, f"{name} goes {beyond} bytes past the end of the source at {window.length}", lost=True)
        partition = msgspec.structs.replace(partition, length=partition.length - beyond)
    yield partition


def each_once(partitions: Iterable[Partition], problems: list[Problem]) -> list[Partition]:
    """Return the partitions with one for each first byte, the longest: a filesystem is known by where it begins.

    An adversary's table may name one filesystem a thousand times, each time with another end.
    """
    kept: dict[int, Partition] = {}
    dropped: dict[int, list[int]] = {}
    for partition in partitions:
        first = kept.setdefault(partition.offset, partition)
        if first is not partition:
            dropped.setdefault(partition.offset, []).append(partition.entry)
            if partition.length > first.length:
                kept[partition.offset] = msgspec.structs.replace(first, length=partition.length)
    for offset, others in list(dropped.items())[:_MOST_TOLD]:
        names = ", ".join(map(str, others[:_MOST_TOLD])) + (" and others" if len(others) > _MOST_TOLD else "")
        reason = f"partition {kept[offset].entry} begins where partition {names} begins too: it was read once"
        note(problems, reason, offset=offset, length=kept[offset].length)
    return list(kept.values())


def note_overlaps(partitions: Iterable[Partition], problems: list[Problem]) -> None:
    """Note each partition that begins before another one has ended: both are read, one of them is not what it was."""
    told, widest = 0, None
    for partition in sorted(partitions, key=lambda one: (one.offset, -one.length)):
        if widest is not None and partition.offset < widest.end:
            told += 1
            how = "lies inside" if partition.end <= widest.end else "overlaps"
            if told <= _MOST_TOLD:
                reason = f"the {_named(partition)} {how} the {_named(widest)}: both were read"
                note(
                    problems, reason, offset=partition.offset, length=min(widest.end, partition.end) - partition.offset
                )
        if widest is None or partition.end > widest.end:
            widest = partition
    if told > _MOST_TOLD:
        note(problems, f"{told - _MOST_TOLD} more partitions overlap")


def _named(partition: Partition) -> str:
    return partition.description.rpartition(", type ")[0]
