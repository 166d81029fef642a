"""A file of the evidence as a parser's content: decompressed where it is compressed. Runs in a worker."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from volforensic.collection.content import Block, Content, Loss, SourceFile
from volforensic.collection.decompression import decompressed, is_text
from volforensic.evidence.decompressors import is_compressed
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import OpenFilesystem, stored_chunks
from volforensic.medium import Medium

_MAGIC_SIZE = 16


def open_content(
    medium: Medium,
    entry: FileEntry,
    source: SourceFile,
    filesystem: OpenFilesystem,
    sign_of_life: Callable[[], None] = lambda: None,
) -> Content:
    """Return the file's content, decompressed where it is compressed; ``sign_of_life`` is called for each block."""

    def stored(losses: list[Loss]) -> Iterator[Block]:
        return _signed(stored_chunks(medium, entry, filesystem, losses), sign_of_life)

    def chunks(losses: list[Loss]) -> Iterable[Block]:
        blocks = stored(losses)
        first = next(blocks, None)
        if first is None:
            return ()
        if first.position or not is_compressed(first.data[:_MAGIC_SIZE]):
            return chain([first], blocks)
        expanded = _signed(decompressed(chain([first], blocks), losses), sign_of_life)
        begin = next(expanded, None)
        # The first bytes are free to choose: a log must not vanish because it begins like a compressed file.
        if losses and is_text(first.data[_MAGIC_SIZE:]):
            return stored(losses)
        return chain([] if begin is None else [begin], expanded)

    return Content(source, chunks)


def _signed(blocks: Iterator[Block], sign_of_life: Callable[[], None]) -> Iterator[Block]:
    for block in blocks:
        sign_of_life()
        yield block
