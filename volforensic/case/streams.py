"""Streams of rows: JSON Lines, plain or compressed with Zstandard, the same bytes for the same rows.

A compressed stream is a sequence of frames (RFC 8878), each compressed at once from whole lines: at most 1 MiB of
them, more only where one line is longer. So the bytes do not depend on how the rows arrived, each frame carries its
length and checksum, and a reader needs little memory. ``zstd -dc`` reads them.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypedDict

import msgspec

from volforensic.case.files import KeptWriter, PendingFile, open_regular, reason
from volforensic.errors import HostError, IntegrityError
from volforensic.record import Row

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESSED_SUFFIX = ".jsonl.zst"
PLAIN_SUFFIX = ".jsonl"
LINE_LIMIT = 16 << 20
"""Bytes of the longest line that is written or read."""

_VALUE_LIMIT = 64 << 10
_FRAME_SIZE = 1 << 20
_BATCH_ROWS = 512
_OPTIONS: dict[int, int] = {zstd.CompressionParameter.compression_level: 3, zstd.CompressionParameter.checksum_flag: 1}
_READ_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 24}
_ENCODER = msgspec.json.Encoder()


class RowWriter(KeptWriter):
    """Writes rows to a stream that appears, whole, when the block ends well, and not at all when it ends badly.

    ``count`` is the number of rows so far. Keys keep the order they have in the row. ``publish`` gives the finished
    file its name; without it the file publishes itself.
    """

    def __init__(
        self, pending: PendingFile, *, compressed: bool, publish: Callable[[PendingFile], None] | None = None
    ) -> None:
        """Write to ``pending``."""
        self.count = 0
        self._pending = pending
        self._publish = publish or PendingFile.publish
        self._buffer = bytearray()
        self._compressor = zstd.ZstdCompressor(options=_OPTIONS) if compressed else None

    def keep(self) -> None:
        """Publish the stream: all its rows have come."""
        try:
            self._write_frame(len(self._buffer))
            self._publish(self._pending)
        except BaseException:
            self._pending.discard()
            raise

    def discard(self) -> None:
        """Leave nothing of the stream."""
        self._pending.discard()

    def write(self, rows: Iterable[Row | msgspec.Struct]) -> None:
        """Append the rows, each a dictionary or a struct."""
        source = iter(rows)
        while batch := list(islice(source, _BATCH_ROWS)):
            self.write_lines(encoded_lines(batch), len(batch))

    def write_lines(self, lines: bytes, count: int) -> None:
        """Append ``count`` rows that are lines of JSON already, each ended, none longer than ``LINE_LIMIT``."""
        self._buffer += lines
        self.count += count
        while len(self._buffer) >= _FRAME_SIZE:
            end = self._buffer.rfind(b"\n", 0, _FRAME_SIZE) + 1 or self._buffer.index(b"\n") + 1
            self._write_frame(end)

    def _write_frame(self, end: int) -> None:
        """Write the first ``end`` bytes of the buffer; an empty stream is one empty frame, so that it is valid too."""
        if not end and (self._pending.size or not self._compressor):
            return
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._pending.write(self._compressor.compress(data, self._compressor.FLUSH_FRAME) if self._compressor else data)


def encoded_lines(rows: list[Row | msgspec.Struct]) -> bytes:
    """Return the rows as JSON Lines; a row that JSON cannot hold as it is, is written as ``_adapted`` gives it."""
    try:
        data = _ENCODER.encode_lines(rows)
    except UnicodeEncodeError:
        data = _ENCODER.encode_lines([_adapted(row) for row in rows])
    if len(data) > LINE_LIMIT and any(len(line) >= LINE_LIMIT for line in data.split(b"\n")):
        data = _ENCODER.encode_lines([_shortened(_adapted(row)) for row in rows])
    return data


def _adapted(value: Any) -> Any:
    r"""Return the value with half surrogate pairs written as ``\\udcNN`` is: JSON in UTF-8 has no other way."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_adapted(key): _adapted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_adapted(item) for item in value]
    return _adapted(msgspec.to_builtins(value)) if isinstance(value, msgspec.Struct) else value


def _shortened(row: Row) -> Row:
    """Return a row that fits a line: without its longest values, and with their names in ``left_out``."""
    if len(_ENCODER.encode(row)) < LINE_LIMIT:
        return row
    long = [key for key, value in row.items() if len(_ENCODER.encode(value)) > _VALUE_LIMIT]
    return {**{key: value for key, value in row.items() if key not in long}, "left_out": long}


class _Chunk(NamedTuple):
    position: int  # in the file as it lies on the disk: where a reader finds the damage
    data: bytes


def read_rows(root: Path, name: str, keys: Collection[str] = ()) -> Iterator[Row]:
    """Yield the rows of the stream ``root/name``, reading as they are asked for.

    ``keys`` limits each row to these of its keys, which is twice as fast where they are few; without it a row is whole.

    Raises:
        IntegrityError: The stream is damaged, cut or no stream; the message has the file and the offset.
        HostError: The file cannot be read.
    """
    path = root / name
    # A typed dictionary made for the keys: what it does not name is passed over, not decoded.
    make: Any = TypedDict
    row_type = make("RowPart", dict.fromkeys(keys, Any), total=False) if keys else dict[str, Any]
    decoder = msgspec.json.Decoder(row_type)
    try:
        with open_regular(root, name) as file:
            chunks = _decompressed(path, file) if name.endswith(".zst") else _plain(file)
            for chunk in _whole_lines(path, chunks):
                try:
                    yield from decoder.decode_lines(chunk.data)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise _damaged(path, chunk.position, f"a row is not what was written: {error}") from error
    except OSError as error:
        raise HostError(str(path), reason(error)) from error


def _whole_lines(path: Path, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
    rest = b""
    position = 0
    for chunk in chunks:
        position = chunk.position
        data = rest + chunk.data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if len(rest) > LINE_LIMIT:
            raise _damaged(path, position, f"a line is longer than {LINE_LIMIT} bytes")
        if end:
            yield _Chunk(position, data[:end])
    if rest:
        raise _damaged(path, position, "the last row is cut")


def _plain(file: BinaryIO) -> Iterator[_Chunk]:
    position = 0
    while data := file.read(_FRAME_SIZE):
        yield _Chunk(position, data)
        position += len(data)


def _decompressed(path: Path, file: BinaryIO) -> Iterator[_Chunk]:
    decompressor = zstd.ZstdDecompressor(options=_READ_OPTIONS)
    begin = position = 0
    data = b""
    started = False
    while data := data or file.read(_FRAME_SIZE):
        try:
            plain = decompressor.decompress(data, max_length=_FRAME_SIZE)
            started = True
            position += len(data)
            data = b""
            while plain or not (decompressor.eof or decompressor.needs_input):
                yield _Chunk(begin, plain)
                plain = b"" if decompressor.eof else decompressor.decompress(b"", max_length=_FRAME_SIZE)
        except zstd.ZstdError as error:
            raise _damaged(
                path, begin, f"the Zstandard frame that begins there does not decompress: {error}"
            ) from error
        if decompressor.eof:
            data = decompressor.unused_data
            begin = position - len(data)
            position = begin
            decompressor = zstd.ZstdDecompressor(options=_READ_OPTIONS)
            started = False
    if started or not begin:
        raise _damaged(path, begin, "the Zstandard frame that begins there is cut")


def _damaged(path: Path, position: int, wrong: str) -> IntegrityError:
    return IntegrityError(str(path), f"damaged at byte {position}: {wrong}", "Run volforensic verify on the case")
