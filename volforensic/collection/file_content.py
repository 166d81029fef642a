"""A file of the evidence as a parser's content: decompressed where it is compressed. Runs in a worker."""

from collections.abc import Callable, Iterable, Iterator

from volforensic.collection.content import Block, Content, Loss, SourceFile
from volforensic.collection.decompression import decompressed, is_compressed
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import OpenFilesystem, stored_chunks

_MAGIC_SIZE = 16


def open_content(
    descriptor: int,
    entry: FileEntry,
    source: SourceFile,
    filesystem: OpenFilesystem,
    sign_of_life: Callable[[], None] = lambda: None,
) -> Content:
    """Return the file's content, decompressed where it is compressed; ``sign_of_life`` is called for each block."""

    def chunks(losses: list[Loss]) -> Iterable[Block]:
        stored = _signed(stored_chunks(descriptor, entry, filesystem, losses), sign_of_life)
        first = next(stored, None)
        if first is None:
            return iter(())
        whole = _again(first, stored)
        if first.position == 0 and is_compressed(first.data[:_MAGIC_SIZE]):
            return decompressed(whole, losses)
        return whole

    return Content(source, chunks)


def _signed(blocks: Iterator[Block], sign_of_life: Callable[[], None]) -> Iterator[Block]:
    for block in blocks:
        sign_of_life()
        yield block


def _again(first: Block, rest: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from rest
