"""Hash sets in SQLite: the NSRL's Reference Data Set 3, minimal and full.

The minimal set has a table FILE (sha256, sha1, md5, crc32, file_name, file_size, package_id); the full one has FILE as
a view and the hashes in METADATA (NSRL, "RDSv3"). Any table of these names with a column named after an algorithm will
do.
"""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from volforensic.errors import DefinitionError, HostError
from volforensic.inventory.hash_lists import ALGORITHMS, PREFERENCE

MAGIC = b"SQLite format 3\x00"
"""First bytes of a SQLite file."""

_TABLES = ("metadata", "file")
_WIDTHS = {name: digits for digits, name in ALGORITHMS.items()}
_ROWS_AT_ONCE = 20_000
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)


class HashDatabase:
    """A database of the NSRL, opened read-only, as a file that nobody changes. Close it."""

    def __init__(self, path: Path) -> None:
        """Open the file and find the hashes in it.

        Raises:
            DefinitionError: It is no such database, or changes to it wait in a write-ahead log beside it.
        """
        self._path = path
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise DefinitionError(str(path), "changes wait in its write-ahead log", "Close it where it is open first")
        try:
            self._connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._table, self._columns = self._find()
            self.indexed = next((name for name in self._columns if self._is_indexed(name)), None)
        except sqlite3.Error as error:
            raise DefinitionError(str(path), f"cannot be read: {error}") from error

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that it has columns for, the preferred one first."""
        return self._columns

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def holds(self, digest: str) -> bool:
        """Return whether the hash is in the indexed column; hexadecimal digits in any case.

        Raises:
            HostError: The file cannot be read there: without it nobody can say that the hash is not known.
        """
        statement = f'SELECT 1 FROM "{self._table}" WHERE "{self.indexed}" IN (?, ?) LIMIT 1'  # noqa: S608 - names from the list above
        try:
            return self._connection.execute(statement, (digest.upper(), digest.lower())).fetchone() is not None
        except sqlite3.Error as error:
            wrong = f"the hash set cannot be read: {error}"
            raise HostError(str(self._path), wrong, "Check it with PRAGMA integrity_check") from error

    def digests(self) -> Iterator[tuple[str, bytes]]:
        """Yield the hashes: an algorithm, digests side by side. Of a row's hashes the preferred one is taken.

        Raises:
            DefinitionError: A row has no hash, or the file cannot be read to its end; the row is named.
        """
        names = ", ".join(f'"{name}"' for name in self._columns)
        statement = f'SELECT {names} FROM "{self._table}"'  # noqa: S608 - names from the list above
        number = 0
        try:
            cursor = self._connection.execute(statement)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from self._converted(rows, number)
                number += len(rows)
        except sqlite3.Error as error:
            raise DefinitionError(str(self._path), f"cannot be read after row {number}: {error}") from error

    def _converted(self, rows: list[tuple[object, ...]], number: int) -> Iterator[tuple[str, bytes]]:
        collected: dict[str, list[str]] = {}
        for count, row in enumerate(rows, number + 1):
            cells = zip(self._columns, row, strict=True)
            name, value = next((cell for cell in cells if cell[1]), ("", ""))
            if not isinstance(value, str) or len(value) != _WIDTHS.get(name) or not _HEX.fullmatch(value):
                raise DefinitionError(str(self._path), f"row {count} of {self._table}: {value!r:.60} is no hash")
            collected.setdefault(name, []).append(value)
        for name, values in collected.items():
            yield name, bytes.fromhex("".join(values))

    def _find(self) -> tuple[str, tuple[str, ...]]:
        """Return the table with hashes and its columns of them; a table before a view, which may join others."""
        known = self._connection.execute("SELECT lower(name) FROM sqlite_master WHERE type IN ('table', 'view')"
                                         " ORDER BY type, lower(name) DESC").fetchall()  # fmt: skip
        for (table,) in known:
            if table in _TABLES:
                rows = self._connection.execute(f'PRAGMA table_info("{table}")').fetchall()
                names = {str(row[1]).lower() for row in rows}
                columns = tuple(name for name in PREFERENCE if name in names)
                if columns:
                    return table, columns
        raise DefinitionError(str(self._path), "has no table FILE or METADATA with hashes", "Name an RDS 3 of the NSRL")

    def _is_indexed(self, column: str) -> bool:
        statement = f'EXPLAIN QUERY PLAN SELECT 1 FROM "{self._table}" WHERE "{column}" IN (?, ?)'  # noqa: S608 - names from the list above
        steps = [str(row[3]) for row in self._connection.execute(statement, ("", "")).fetchall()]
        return any("SEARCH" in step for step in steps) and not any("SCAN" in step for step in steps)
