"""The inventory while a run works on it: entries on disk in a SQLite file, looked up by path and by name.

Memory stays flat however many entries there are. The file is scratch: what lasts is files.jsonl.zst.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from volforensic.evidence.attributes import Attribute
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.orphans import FOLDER
from volforensic.record import Row

_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16384;
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY, volume INTEGER, parent BLOB, name BLOB, allocated INTEGER, is_file INTEGER,
        place INTEGER, tree INTEGER, inode INTEGER, data BLOB
    );
    CREATE TABLE content (
        volume INTEGER, tree INTEGER, inode INTEGER, family TEXT, data BLOB, elf BLOB,
        PRIMARY KEY (volume, tree, inode)
    ) WITHOUT ROWID;
    CREATE TABLE recovery (
        volume INTEGER, inode INTEGER, allocated INTEGER, path BLOB, data BLOB,
        PRIMARY KEY (volume, inode, allocated, path)
    ) WITHOUT ROWID;
"""
_INDEXES = (
    "CREATE INDEX entry_by_path ON entry (volume, parent, name)",
    "CREATE INDEX entry_by_name ON entry (name)",
    "CREATE INDEX file_by_place ON entry (place) WHERE is_file = 1",
)
_LARGEST = (1 << 63) - 1
_ORPHAN_PARENTS = (b"/" + FOLDER, b"/" + FOLDER + b"\xff")


class Inventory:
    """Holds the SQLite file. Add entries, ``index()`` once, then ask. Use it as a context manager."""

    def __init__(self, path: Path | None = None) -> None:
        """Create the file; it must not exist. Without a path it has no name and goes with the inventory."""
        self._connection = sqlite3.connect(path or "", isolation_level=None)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")  # one transaction from the first row to the last note: nothing is kept
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(FileEntry)

    def __enter__(self) -> Self:
        """Return the inventory."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, entries: Iterable[FileEntry]) -> None:
        """Add entries; they keep this order."""
        self._connection.executemany(
            "INSERT INTO entry (volume, parent, name, allocated, is_file, place, tree, inode, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            map(self._values, entries),
        )

    def index(self) -> None:
        """Build the indexes: after the last ``add``."""
        for statement in _INDEXES:
            self._connection.execute(statement)

    def note_content(self, entry: FileEntry, row: Row) -> None:
        """Keep what was found out about an inode's bytes: it stands in the row of every path that leads to them."""
        self.note_contents([(entry, row)])

    def note_contents(self, notes: Iterable[tuple[FileEntry, Row]]) -> None:
        """Keep many notes as ``note_content`` does."""
        encode = self._encoder.encode
        self._connection.executemany(
            "INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?, ?, NULL)",
            [
                (entry.volume, _signed(entry.tree), _signed(entry.inode), row.get("family"), encode(row))
                for entry, row in notes
            ],
        )

    def note_recovery(self, entry: FileEntry, row: Row) -> None:
        """Keep what was found out about a deleted entry or an orphan: it may share its path with others."""
        self._connection.execute(
            "INSERT OR REPLACE INTO recovery VALUES (?, ?, ?, ?, ?)",
            (entry.volume, _signed(entry.inode), entry.allocated, entry.path, self._encoder.encode(row)),
        )

    def note_elf(self, entry: FileEntry, row: Row) -> None:
        """Keep more about an inode whose bytes were noted before."""
        self._connection.execute(
            "UPDATE content SET elf = ? WHERE volume = ? AND tree = ? AND inode = ?",
            (self._encoder.encode(row), entry.volume, _signed(entry.tree), _signed(entry.inode)),
        )

    def rows(
        self,
        host_path: Callable[[FileEntry], bytes],
        judge: Callable[[FileEntry, Row], None] = lambda _entry, _row: None,
    ) -> Iterator[Row]:
        """Yield every entry as a row of files.jsonl.zst, with what was noted about it, in the order of the walk.

        ``judge`` is given each entry with its row, and may add keys.
        """
        statement = (
            "SELECT entry.data, content.data, content.elf, recovery.data FROM entry"
            " LEFT JOIN content ON entry.allocated = 1 AND content.volume = entry.volume"
            " AND content.tree = entry.tree AND content.inode = entry.inode"
            " LEFT JOIN recovery ON recovery.volume = entry.volume AND recovery.inode = entry.inode"
            " AND recovery.allocated = entry.allocated"
            " AND recovery.path = CAST(entry.parent || x'2f' || entry.name AS BLOB)"
            " ORDER BY entry.id"
        )
        for data, *notes in self._connection.execute(statement):
            entry = self._decoder.decode(data)
            row = entry.row(host_path(entry))
            for noted in notes:
                if noted is not None:
                    extra: Row = msgspec.msgpack.decode(noted)
                    row["problems"] = [*row["problems"], *extra.pop("problems", ())]
                    row.update(extra)
            judge(entry, row)
            yield row

    def programs(self) -> Iterator[tuple[FileEntry, Row]]:
        """Yield the files whose bytes are ELF, or may hold a packed kernel module, with what was noted about them.

        They come in physical order, each inode by one of its names.
        """
        statement = (
            "SELECT entry.data, content.data FROM entry JOIN content ON content.volume = entry.volume"
            " AND content.tree = entry.tree AND content.inode = entry.inode WHERE is_file = 1 AND (family = 'elf'"
            " OR (family IN ('gzip', 'xz', 'zstd') AND CAST(entry.name AS TEXT) LIKE '%.ko._%'))"
            " GROUP BY entry.volume, entry.tree, entry.inode ORDER BY MIN(place), entry.id"
        )
        for data, noted in self._connection.execute(statement):
            row: Row = msgspec.msgpack.decode(noted)
            yield self._decoder.decode(data), row

    def sha256_of(self, entry: FileEntry) -> str:
        """Return the SHA-256 that was noted of an inode's bytes; empty where none was."""
        statement = "SELECT data FROM content WHERE volume = ? AND tree = ? AND inode = ?"
        found = self._connection.execute(
            statement, (entry.volume, _signed(entry.tree), _signed(entry.inode))
        ).fetchone()
        row: Row = msgspec.msgpack.decode(found[0]) if found else {}
        return str(row.get("sha256") or "")

    def nameless_and_deleted(self) -> Iterator[FileEntry]:
        """Yield the deleted entries, and those in use to which no name leads, in the order of the walk."""
        statement = "SELECT data FROM entry WHERE allocated = 0 OR (parent >= ? AND parent < ?) ORDER BY id"
        found = self._entries(statement, _ORPHAN_PARENTS)
        return (entry for entry in found if entry.is_orphan or not entry.allocated)

    def count_files(self) -> int:
        """Return the number of allocated regular files."""
        return int(self._connection.execute("SELECT COUNT(*) FROM entry WHERE is_file = 1").fetchone()[0])

    def __len__(self) -> int:
        """Return the number of entries."""
        return int(self._connection.execute("SELECT COUNT(*) FROM entry").fetchone()[0])

    def __iter__(self) -> Iterator[FileEntry]:
        """Yield every entry in the order of the walk."""
        return self._entries("SELECT data FROM entry ORDER BY id")

    def in_physical_order(self) -> Iterator[FileEntry]:
        """Yield the allocated regular files in the order in which their first bytes lie in the source."""
        return self._entries("SELECT data FROM entry WHERE is_file = 1 ORDER BY place, id")

    def at(self, volume: int, path: bytes) -> FileEntry | None:
        """Return the allocated entry at a path of a volume; the first where an adversary made two."""
        parent, _, name = path.rpartition(b"/")
        return next(
            self._entries(
                "SELECT data FROM entry WHERE volume = ? AND parent = ? AND name = ? AND allocated = 1 ORDER BY id",
                (volume, parent, name),
            ),
            None,
        )

    def children(self, volume: int, directory: bytes) -> Iterator[FileEntry]:
        """Yield the allocated entries of a directory (``b""`` for the root) by name."""
        return self._entries(
            "SELECT data FROM entry WHERE volume = ? AND parent = ? AND name != x'' AND allocated = 1"
            " ORDER BY name, id",
            (volume, directory),
        )

    def named(self, first: bytes, *, is_prefix: bool) -> Iterator[FileEntry]:
        """Yield the allocated entries anywhere whose name is ``first``, or begins with it, by volume and path."""
        condition, end = ("name >= ? AND name < ?", first + b"\xff" * 256) if is_prefix else ("name = ?", None)
        arguments = (first, end) if end else (first,)
        return self._entries(
            f"SELECT data FROM entry WHERE {condition} AND allocated = 1 ORDER BY volume, parent, name, id",  # noqa: S608 - no text of the evidence is in the statement
            arguments,
        )

    def marked(self, volume: int, directory: bytes, mark: Attribute) -> Iterator[FileEntry]:
        """Yield the allocated entries anywhere below a directory (``b""``: the root) that have an attribute."""
        statement = (
            "SELECT data FROM entry WHERE volume = ? AND parent >= ? AND parent < ? AND allocated = 1"
            " AND instr(data, ?) ORDER BY parent, name, id"
        )
        for first, end in ((directory, directory + b"\0"), (directory + b"/", directory + b"0")):
            for entry in self._entries(statement, (volume, first, end, mark.encode())):
                if mark in entry.attributes:
                    yield entry

    def _entries(self, statement: str, arguments: tuple[object, ...] = ()) -> Iterator[FileEntry]:
        for (data,) in self._connection.execute(statement, arguments):
            yield self._decoder.decode(data)

    def _values(self, entry: FileEntry) -> tuple[object, ...]:
        parent, _, name = entry.path.rpartition(b"/")
        place = entry.extents[0].source_offset if entry.extents else _LARGEST
        is_file = entry.type == "file" and entry.allocated
        data = self._encoder.encode(entry)
        tree, inode = _signed(entry.tree), _signed(entry.inode)
        return entry.volume, parent, name, entry.allocated, is_file, place, tree, inode, data


def _signed(number: int) -> int:
    """Return a number of 64 bits as SQLite can keep it."""
    return number if number <= _LARGEST else number - (1 << 64)
