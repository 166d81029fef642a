"""The bytes of one file of the evidence, as a parser sees them: bounded, holes skipped, every loss noted.

A parser is a pure function ``(Content) -> Iterator[Row]``. It never opens anything; what it cannot be given (a byte
range that does not read, a line too long, a compressed tail that is damaged) is a ``Loss`` in ``content.losses``.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from volforensic.inventory.file_bytes import BLOCK_SIZE, Block, Loss

__all__ = ["BLOCK_SIZE", "Block", "Content", "Loss", "SourceFile", "lines"]

CONFIGURATION_LIMIT = 1 << 20
"""Bytes of a configuration file that are read; a larger one is cut and said."""
LINE_LIMIT = 64 << 10
"""Bytes kept of one line."""


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """Which file it is: what a parser may know beside the bytes.

    ``path`` is the path on the host that was imaged. ``modified`` is nanoseconds since 1970, or None. ``home`` is the
    directory that ``~`` of the definition's path stood for, ``user`` the account whose home it is (or its last
    component). ``time_zone`` is the host's zone as the bytes of a TZif file (tzfile(5)); empty means UTC.
    ``time_zone_basis`` says where the zone comes from.
    """

    path: bytes = b"/unknown"
    modified: int | None = None
    inode: int = 0
    size: int = 0
    owner: int = 0
    home: bytes = b""
    user: str = ""
    time_zone: bytes = b""
    time_zone_basis: str = "UTC: the evidence names no zone"


class Content:
    """One file's bytes. ``chunks`` may be called again and gives the same chunks from the start.

    ``chunks`` yields the allocated ranges in rising order, at most ``BLOCK_SIZE`` bytes each; what is missing
    between two of them is a hole of the file. It appends to the list it is given what could not be read.
    """

    def __init__(self, source: SourceFile, chunks: Callable[[list[Loss]], Iterable[Block]]) -> None:
        """Hold the file's facts and the way to its bytes."""
        self.source = source
        self.losses: list[Loss] = []
        self._chunks = chunks

    @classmethod
    def of(cls, data: bytes, source: SourceFile | None = None) -> "Content":
        """Return a content over bytes in memory: for examples and tests."""

        def chunks(_losses: list[Loss]) -> Iterator[Block]:
            for start in range(0, len(data), BLOCK_SIZE):
                yield Block(start, data[start : start + BLOCK_SIZE])

        return cls(source or SourceFile(size=len(data)), chunks)

    def lose(self, loss: Loss) -> None:
        """Note a loss once, also where the bytes are read twice."""
        if loss not in self.losses:
            self.losses.append(loss)

    def chunks(self) -> Iterator[Block]:
        """Yield the allocated ranges of the file in rising order."""
        losses: list[Loss] = []
        try:
            yield from self._chunks(losses)
        finally:
            for loss in losses:
                self.lose(loss)

    def whole(self, limit: int = CONFIGURATION_LIMIT) -> bytes:
        """Return the file's bytes up to ``limit``; holes inside read as NUL bytes, the rest is a loss."""
        buffer = bytearray()
        for chunk in self.chunks():
            if chunk.position >= limit:
                self.lose(
                    Loss(limit, chunk.position + len(chunk.data) - limit, f"only the first {limit} bytes are read")
                )
                break
            buffer.extend(bytes(chunk.position - len(buffer)))
            buffer.extend(chunk.data[: limit - chunk.position])
            if chunk.position + len(chunk.data) > limit:
                excess = chunk.position + len(chunk.data) - limit
                self.lose(Loss(limit, excess, f"only the first {limit} bytes are read"))
                break
        return bytes(buffer)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks that end at a line's end (or at the end of a range); no line is longer than ``LINE_LIMIT``.

        A longer line is cut: its head is kept as a line of its own and the rest is a loss. A hole ends a line.
        """
        rest = Block(0, b"")
        for chunk in self.chunks():
            if chunk.position == rest.position + len(rest.data):
                current = Block(rest.position, rest.data + chunk.data) if rest.data else chunk
            else:
                if rest.data:
                    yield from self._within_limit(rest)
                current = chunk
            end = current.data.rfind(b"\n") + 1
            if not end and len(current.data) < 2 * BLOCK_SIZE:
                rest = current
                continue
            end = end or len(current.data)
            yield from self._within_limit(Block(current.position, current.data[:end]))
            rest = Block(current.position + end, current.data[end:])
        if rest.data:
            yield from self._within_limit(rest)

    def _within_limit(self, block: Block) -> Iterator[Block]:
        start = position = 0
        data = block.data
        while len(data) - position > LINE_LIMIT:
            end = data.rfind(b"\n", position, position + LINE_LIMIT + 1)
            if end >= 0:
                position = end + 1
                continue
            line_end = data.find(b"\n", position)
            line_end = len(data) if line_end < 0 else line_end
            kept = position + LINE_LIMIT
            yield Block(block.position + start, data[start:kept])
            self.lose(Loss(block.position + kept, line_end - kept, f"a line of {line_end - position} bytes was cut"))
            start = position = min(line_end + 1, len(data))
        if start < len(data):
            yield Block(block.position + start, data[start:])


def lines(blocks: Iterable[Block]) -> Iterator[tuple[int, bytes]]:
    r"""Yield every line with its byte offset, without its ``\\n`` and a ``\\r`` before it."""
    for block in blocks:
        position = block.position
        for line in block.data.split(b"\n"):
            if line:
                yield position, line.removesuffix(b"\r")
            position += len(line) + 1
