"""The write journal of a level 4, 5 or 6 array: whether it holds data that the array does not have yet.

Source: the kernel's drivers/md/raid5-cache.c and ``struct r5l_meta_block`` in include/uapi/linux/raid/md_p.h.
"""

import struct

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.md_sets import ArraySet
from volforensic.medium import Medium

_META_MAGIC, _META = 0x6433C509, struct.Struct("<IIBBHIQQ")


def journal_note(space: Medium, made: ArraySet) -> tuple[str, bool]:
    """Return what is to be said of the array's write journal, and whether bytes are lost with it."""
    if not made.journals:
        return "its write journal is not there: what was written last may be lost", True
    for part in made.journals:
        window = Window(space, part.member.address, part.member.length)
        place = part.superblock.data_offset + part.superblock.journal_tail
        try:
            raw = window.read_at(place, _META.size)
        except OSError:
            raw = b""
        if len(raw) < _META.size:
            return "its write journal cannot be read: what was written last may be lost", True
        magic, _, _, _, _, size, _, position = _META.unpack(raw)
        if magic == _META_MAGIC and size > _META.size and position * 512 == part.superblock.journal_tail:
            return "its write journal holds blocks that the array may not have yet: they are not read", True
    return "it has a write journal, which holds nothing that the array does not have", False
