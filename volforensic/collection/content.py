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
NO_ZONE = "UTC: the evidence names no zone"
"""Where the zone of a host comes from that says nothing of it."""
MOST_LOSSES = 200
"""Losses of one file that are told one by one."""


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """Which file it is: what a parser may know beside the bytes.

    ``path`` is the path on the host that was imaged. ``modified`` is nanoseconds since 1970, or None. ``home`` is the
    directory that ``~`` of the definition's path stood for, ``user`` the account whose home it is (or its last
    component). ``mode`` is the inode's type and permission bits, or None. ``time_zone`` is the host's zone as the
    bytes of a TZif file (tzfile(5)); empty means UTC. ``time_zone_basis`` says where the zone comes from.
    """

    path: bytes = b"/unknown"
    modified: int | None = None
    inode: int = 0
    size: int = 0
    owner: int = 0
    mode: int | None = None
    home: bytes = b""
    user: str = ""
    time_zone: bytes = b""
    time_zone_basis: str = NO_ZONE


class Content:
    """One file's bytes. ``chunks`` may be called again and gives the same chunks from the start.

    ``chunks`` yields the allocated ranges in rising order, at most ``BLOCK_SIZE`` bytes each; what is missing
    between two of them is a hole of the file. It appends to the list it is given what could not be read.
    """

    def __init__(self, source: SourceFile, chunks: Callable[[list[Loss]], Iterable[Block]]) -> None:
        """Hold the file's facts and the way to its bytes."""
        self.source = source
        self.losses: list[Loss] = []
        self._known_losses: set[Loss] = set()
        self._chunks = chunks

    @classmethod
    def of(cls, data: bytes, source: SourceFile | None = None) -> "Content":
        """Return a content over bytes in memory: for examples and tests."""

        def chunks(_losses: list[Loss]) -> Iterator[Block]:
            for start in range(0, len(data), BLOCK_SIZE):
                yield Block(start, data[start : start + BLOCK_SIZE])

        return cls(source or SourceFile(size=len(data)), chunks)

    def lose(self, loss: Loss) -> None:
        """Note a loss once, also where the bytes are read twice; of very many only the first are told one by one."""
        if loss in self._known_losses:
            return
        if len(self.losses) < MOST_LOSSES:
            self._known_losses.add(loss)
            self.losses.append(loss)
        elif len(self.losses) == MOST_LOSSES:
            reason = f"more than {MOST_LOSSES} places were lost: those behind this one are not listed"
            self.losses.append(Loss(loss.offset, loss.length, reason))

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
            if chunk.position < limit:
                buffer.extend(bytes(max(0, chunk.position - len(buffer))))
                buffer.extend(chunk.data[len(buffer) - chunk.position :][: limit - len(buffer)])
            end = chunk.position + len(chunk.data)
            if end > limit:
                self.lose(Loss(limit, max(end, self.source.size) - limit, f"only the first {limit} bytes are read"))
                break
        return bytes(buffer)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks that end at a line's end (or at the end of a range); no line is longer than ``LINE_LIMIT``.

        A longer line is cut: its head is kept as a line of its own and the rest is a loss. A hole ends a line.
        """
        unfinished = _UnfinishedLine()
        for chunk in self.chunks():
            if chunk.position != unfinished.end:
                yield from self._finish(unfinished)
                unfinished = _UnfinishedLine(chunk.position)
            data = chunk.data
            if unfinished.is_too_long:  # its head went out; what follows is dropped up to the line's end
                rest = data.find(b"\n") + 1
                unfinished.pass_over(rest - 1 if rest else len(data))
                if not rest:
                    continue
                yield from self._finish(unfinished)
                unfinished = _UnfinishedLine(chunk.position + rest)
                data = data[rest:]
            end = data.rfind(b"\n") + 1
            if end:
                position = unfinished.position
                yield from self._within_limit(Block(position, unfinished.take() + data[:end]))
                unfinished = _UnfinishedLine(chunk.position + len(chunk.data) - len(data) + end)
            unfinished.add(data[end:])
            if unfinished.is_too_long:
                yield unfinished.head()
        yield from self._finish(unfinished)

    def _finish(self, unfinished: "_UnfinishedLine") -> Iterator[Block]:
        if unfinished.is_too_long:
            self._lose_rest(unfinished.position, unfinished.end - unfinished.position)
        elif unfinished.end > unfinished.position:
            yield Block(unfinished.position, unfinished.take())

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
            yield Block(block.position + start, data[start : position + LINE_LIMIT])
            self._lose_rest(block.position + position, line_end - position)
            start = position = min(line_end + 1, len(data))
        if start < len(data):
            yield Block(block.position + start, data[start:])

    def _lose_rest(self, position: int, length: int) -> None:
        self.lose(Loss(position + LINE_LIMIT, length - LINE_LIMIT, f"a line of {length} bytes was cut"))


class _UnfinishedLine:
    """Holds what is known of a line whose end has not come yet: where it begins, and its bytes up to the limit."""

    def __init__(self, position: int = 0) -> None:
        self.position = self.end = position
        self._parts: list[bytes] = []

    @property
    def is_too_long(self) -> bool:
        return self.end - self.position > LINE_LIMIT

    def add(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self.end += len(data)

    def pass_over(self, length: int) -> None:
        self.end += length

    def take(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def head(self) -> Block:
        data = self.take()[:LINE_LIMIT]
        self._parts.clear()
        return Block(self.position, data)


def lines(blocks: Iterable[Block]) -> Iterator[tuple[int, bytes]]:
    r"""Yield every line with its byte offset, without its ``\\n`` and a ``\\r`` before it."""
    for block in blocks:
        position = block.position
        for line in block.data.split(b"\n"):
            if line:
                yield position, line.removesuffix(b"\r")
            position += len(line) + 1
