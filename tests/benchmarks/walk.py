"""Walk one volume of a disk as a worker does, in this process, and print how many entries there are.

``walk.py DISK KIND OFFSET LENGTH``: what ``fls -r -m`` does, for the comparison of the two.
"""

import os
import sys

import msgspec

from volforensic.evidence.raw_medium import RawMedium
from volforensic.inventory.walk import WalkArguments, walk_filesystem


class _Place:
    """What a worker is given, without a worker: the source, and nobody who wants signs of life."""

    def __init__(self, source: RawMedium) -> None:
        self.source = source
        self.prepared = None

    def begin_item(self, item: int) -> None:
        """Take the sign of life."""


def main(path: str, kind: str, offset: str, length: str) -> None:
    """Walk, and encode every batch as it would go to the parent."""
    descriptor = os.open(path, os.O_RDONLY)
    source = RawMedium(descriptor, os.lseek(descriptor, 0, os.SEEK_END))
    given = msgspec.to_builtins(WalkArguments(volume=0, offset=int(offset), length=int(length), kind=kind))
    encoder = msgspec.msgpack.Encoder()
    count = 0
    for message in walk_filesystem(_Place(source), given):  # type: ignore[arg-type]  # all that the walk asks for
        encoder.encode(message)
        count += len(message.entries)
    sys.stdout.write(f"{count}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
