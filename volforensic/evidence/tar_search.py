"""Looking for the next header of a tar behind damage or behind its end."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from volforensic.evidence.archive import steps
from volforensic.evidence.reader import Window
from volforensic.evidence.tar_header import BLOCK, is_header

_SECTOR = 4096
_MAGIC, _MAGIC_PLACE = b"ustar", 257


def next_header(window: Window, position: int, sign: Callable[[], None], *, with_v7: bool) -> int | None:
    """Return where the next valid header stands, at ``position`` or behind it, None where there is none.

    ``with_v7`` takes headers without a magic too. Sectors that do not read are passed over.
    """
    for start, size in steps(position, window.length):
        sign()
        for place, data in _parts(window, start, size):
            for candidate in _candidates(data, with_v7=with_v7):
                if is_header(data[candidate : candidate + BLOCK]):
                    return place + candidate
    return None


def _parts(window: Window, start: int, size: int) -> Iterator[tuple[int, bytes]]:
    try:
        yield start, window.read_at(start, size)
    except OSError:
        place, end = start, start + size
        while place < end:
            length = min(_SECTOR - place % _SECTOR, end - place)
            with suppress(OSError):
                yield place, window.read_at(place, length)
            place += length


def _candidates(data: bytes, *, with_v7: bool) -> Iterator[int]:
    """Yield the blocks that may be headers."""
    if with_v7:
        for place in range(0, len(data), BLOCK):
            if data[place + 148 : place + 156].strip(b" \0").isdigit():
                yield place
        return
    found = data.find(_MAGIC)
    while found >= 0:
        if found % BLOCK == _MAGIC_PLACE:
            yield found - _MAGIC_PLACE
        found = data.find(_MAGIC, found + 1)
