"""rpm's SQLite database: the write-ahead log is applied to the bytes, then SQLite reads them from memory.

Nothing is opened: a worker that is locked in could not. WAL format: https://www.sqlite.org/fileformat2.html, section 4.
"""

import itertools
import sqlite3
import struct
from collections.abc import Iterator

from volforensic.inventory.packages.claims import Lost

_MAGIC = b"SQLite format 3\0"
_WAL_MAGIC = 0x377F0682
_FRAME_HEADER = 24
LARGEST = 256 << 20
"""Bytes of a database that is read: SQLite's copy and ours must fit a worker."""
_LARGEST_BLOB = 256 << 20
_MOST_STEPS = 2_000_000_000
_STEPS_PER_LOOK = 1_000_000


def headers(data: bytes, wal: bytes = b"") -> Iterator[bytes | Lost]:
    """Yield the header of each package, and what is lost. ``wal`` are the bytes of the -wal file."""
    database = bytearray(data)
    if wal:
        yield from apply_wal(database, wal)
    if not database.startswith(_MAGIC) or len(database) < 512:
        yield Lost("rpmdb.sqlite is no SQLite database")
        return
    database[18:20] = b"\x01\x01"  # "no WAL": SQLite refuses a database in memory that wants one
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(bytes(database))
        del database
        _guard(connection)
        yield from _blobs(connection)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        yield Lost(f"rpmdb.sqlite could not be read: {error}"[:300])
    finally:
        connection.close()


def _guard(connection: sqlite3.Connection) -> None:
    """Have SQLite do nothing but read tables: the schema is the evidence's own and may hold views and triggers."""
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY)
    looks = itertools.count()
    connection.set_progress_handler(lambda: next(looks) > _MOST_STEPS // _STEPS_PER_LOOK, _STEPS_PER_LOOK)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_BLOB)


def _blobs(connection: sqlite3.Connection) -> Iterator[bytes | Lost]:
    """Yield the blobs from the front; where a page is damaged, then those behind it from the end."""
    statement = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'Packages'"
    found = connection.execute(statement).fetchone()
    if found is None or not str(found[0]).upper().startswith("CREATE TABLE"):
        yield Lost("rpmdb.sqlite has no table Packages")
        return
    last = -1
    try:
        for last, blob in connection.execute("SELECT hnum, blob FROM Packages ORDER BY hnum"):
            yield blob if isinstance(blob, bytes) else Lost(f"package number {last} of rpmdb.sqlite has no header")
    except sqlite3.DatabaseError as error:
        yield Lost(f"rpmdb.sqlite is damaged behind package number {last}: {error}"[:300])
        yield from _from_the_end(connection, last)


def _from_the_end(connection: sqlite3.Connection, last: int) -> Iterator[bytes | Lost]:
    try:
        for number, blob in connection.execute("SELECT hnum, blob FROM Packages ORDER BY hnum DESC"):
            if number <= last:
                return
            if isinstance(blob, bytes):
                yield blob
    except sqlite3.DatabaseError:
        return  # the damage was told when it was met from the front


def apply_wal(database: bytearray, wal: bytes) -> Iterator[Lost]:
    """Write the committed frames of a write-ahead log into the database's bytes; yield what is lost of them."""
    if len(wal) < 32:
        return
    magic, _, size, restarts, salt1, salt2, sum1, sum2 = struct.unpack_from(">8I", wal)
    if magic & ~1 != _WAL_MAGIC or size not in {1 << power for power in range(9, 17)}:
        yield Lost("rpmdb.sqlite-wal is no write-ahead log: what it holds was not read", hides=True)
        return
    words = f"{'>' if magic & 1 else '<'}%dI"
    sums = _checksum(wal[:24], words, (0, 0))
    if sums != (sum1, sum2):
        yield Lost("the header of rpmdb.sqlite-wal is damaged: what it holds was not read")
        return
    pending: dict[int, int] = {}
    for start in range(32, len(wal) - size - _FRAME_HEADER + 1, size + _FRAME_HEADER):
        page, pages, *rest = struct.unpack_from(">6I", wal, start)
        if rest[:2] != [salt1, salt2]:
            # Each restart of a log counts its first salt up by one: an old frame may stand behind the new ones.
            if not 0 < (salt1 - rest[0]) % (1 << 32) <= restarts or rest[1] == salt2:
                yield Lost("a frame of rpmdb.sqlite-wal is damaged: it and what follows were not read", offset=start)
            break
        body = start + _FRAME_HEADER
        sums = _checksum(wal[start : start + 8] + wal[body : body + size], words, sums)
        if sums != (rest[2], rest[3]) or not 0 < page <= LARGEST // size:
            yield Lost("a frame of rpmdb.sqlite-wal is damaged: it and what follows were not read", offset=start)
            break
        pending[page] = body
        if pages:
            _write_pages(database, wal, pending, size, min(pages, LARGEST // size))
            pending = {}


def _write_pages(database: bytearray, wal: bytes, pending: dict[int, int], size: int, pages: int) -> None:
    length = pages * size
    if len(database) < length:
        database.extend(bytes(length - len(database)))
    for page, body in pending.items():
        if page <= pages:
            database[(page - 1) * size : page * size] = wal[body : body + size]
    del database[length:]


def _checksum(data: bytes, words: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    numbers = struct.unpack(words % (len(data) // 4), data)
    for left, right in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return first, second
