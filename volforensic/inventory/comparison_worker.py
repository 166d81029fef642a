"""The hash of files as a library reads them: the second answer about contents. Runs in a worker."""

import hashlib
from collections.abc import Iterator
from functools import partial

import msgspec

from volforensic.evidence.filesystems import open_with_library
from volforensic.evidence.reader import Window
from volforensic.inventory.comparison_messages import ComparisonArguments, LibraryHash
from volforensic.inventory.file_bytes import Loss, filled, stored_chunks
from volforensic.inventory.file_worker import LARGEST_HOLE
from volforensic.sandbox.worker import Workplace


def hash_by_library(place: Workplace, arguments: object) -> Iterator[LibraryHash]:
    """Yield the hash of each file: worker function, arguments as ``ComparisonArguments``."""
    given = msgspec.convert(arguments, ComparisonArguments)
    window = Window(place.source, given.volume.offset, given.volume.length)
    reader = open_with_library(given.volume.kind, window, lambda _: None)
    for index, entry in enumerate(given.files):
        sign = partial(place.begin_item, index)
        losses: list[Loss] = []
        digest = hashlib.sha256()
        blocks = stored_chunks(place.source, entry, lambda _: reader, losses)
        for piece in filled(blocks, entry.size, LARGEST_HOLE, losses, sign):
            digest.update(piece)
        yield LibraryHash(index, "" if losses else digest.hexdigest(), str(losses[0]) if losses else "")
