"""rpm's databases made byte by byte: headers, and the three files that hold them."""

import hashlib
import sqlite3
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STRING, ARRAY, CHARACTER, SHORT, LONG = 6, 8, 1, 3, 4
PAGE = 4096
_PLACES = 26


def header(tags: Mapping[int, tuple[int, Any]]) -> bytes:
    """Return a header: by tag its type, and a string, a list of strings, or a list of numbers."""
    index, data = [], bytearray()
    for tag, (kind, value) in tags.items():
        if kind in (SHORT, LONG):
            data += bytes(-len(data) % 4)
        offset = len(data)
        if kind in (STRING, ARRAY):
            values = [value] if kind == STRING else value
            data += b"".join(one + b"\0" for one in values)
        else:
            values = value
            letter = {CHARACTER: "B", SHORT: "H", LONG: "I"}[kind]
            data += struct.pack(f">{len(values)}{letter}", *values)
        index.append(struct.pack(">IIII", tag, kind, offset, len(values)))
    return struct.pack(">II", len(index), len(data)) + b"".join(index) + bytes(data)


def package(name: bytes, files: Mapping[bytes, bytes], *, algorithm: int = 8, **columns: list[int]) -> bytes:
    """Return the header of a package: by path the digest in hexadecimal; ``columns`` are modes, flags, states."""
    folders = sorted({path.rpartition(b"/")[0] + b"/" for path in files})
    count = len(files)
    return header(
        {
            1000: (STRING, name),
            1001: (STRING, b"1.0"),
            1002: (STRING, b"1"),
            1028: (LONG, [0] * count),
            1029: (CHARACTER, columns.get("states", [0] * count)),
            1030: (SHORT, columns.get("modes", [0o100644] * count)),
            1035: (ARRAY, list(files.values())),
            1037: (LONG, columns.get("flags", [0] * count)),
            1045: (LONG, columns.get("verify", [0xFFFFFFFD] * count)),
            1116: (LONG, [folders.index(path.rpartition(b"/")[0] + b"/") for path in files]),
            1117: (ARRAY, [path.rpartition(b"/")[2] for path in files]),
            1118: (ARRAY, folders),
            5011: (LONG, [algorithm]),
        }
    )


def sealed(blob: bytes, tag: int, algorithm: str) -> bytes:
    """Return a header as rpmbuild and rpm leave it: an immutable region, and behind it a digest of the region."""
    count, size = struct.unpack_from(">II", blob)
    index, data = blob[8 : 8 + 16 * count], blob[8 + 16 * count :]
    index = struct.pack(">IIII", 63, 7, size, 16) + index
    data += struct.pack(">IIiI", 63, 7, -len(index), 16)
    region = struct.pack(">II", count + 1, len(data)) + index + data
    digest = hashlib.new(algorithm, bytes.fromhex("8eade80100000000") + region).hexdigest().encode()
    index += struct.pack(">IIII", tag, STRING, len(data), 1)
    data += digest + b"\0"
    return struct.pack(">II", count + 2, len(data)) + index + data


def sqlite_database(path: Path, blobs: Sequence[bytes], *, later: Sequence[bytes] = ()) -> None:
    """Write rpmdb.sqlite; ``later`` are packages that only the write-ahead log holds, which stays beside it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.execute("CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in later])
    connection.commit()
    log = path.with_name(path.name + "-wal")
    kept = log.read_bytes()
    database = path.read_bytes()
    connection.close()  # SQLite moves the log into the database now and removes it
    path.write_bytes(database)
    if later:
        log.write_bytes(kept)


def ndb(blobs: Sequence[bytes]) -> bytes:
    """Return Packages.db as rpm's ndb writes it; the slot after the last package is free."""
    pages = 1 + (len(blobs) + 3) * 16 // PAGE
    slots, body = [struct.pack("<4sIIII", b"RpmP", 0, 1, pages, len(blobs) + 1).ljust(32, b"\0")], bytearray()
    for number, blob in enumerate(blobs, start=1):
        start = pages * PAGE + len(body)
        data = struct.pack("<4sIII", b"BlbS", number, 1, len(blob)) + blob
        data += bytes(-(len(data) + 12) % 16)
        data += struct.pack("<II4s", zlib.adler32(data), len(blob), b"BlbE")
        slots.append(struct.pack("<4sIII", b"Slot", number, start // 16, len(data) // 16))
        body += data
    table = b"".join(slots)
    return table + struct.pack("<4sIII", b"Slot", 0, 0, 0) * ((pages * PAGE - len(table)) // 16) + bytes(body)


def berkeley(blobs: Sequence[bytes], order: str = "<") -> bytes:
    """Return Packages as Berkeley DB writes a hash database: one bucket a package, its header in overflow pages."""
    pages = [b""]  # the metadata comes last
    counter = _hash_page(order, 1, b"\1" + bytes(4), b"\1" + struct.pack(f"{order}I", len(blobs)))
    pages.append(counter)
    for key, blob in enumerate(blobs, start=1):
        number = len(pages)
        value = struct.pack(f"{order}B3xII", 3, number + 1, len(blob))
        pages.append(_hash_page(order, number, b"\1" + struct.pack(f"{order}I", key), value))
        room = PAGE - _PLACES
        parts = [blob[start : start + room] for start in range(0, len(blob), room)]
        for count, part in enumerate(parts, start=1):
            before = number + count - 1 if count > 1 else 0
            following = number + count + 1 if count < len(parts) else 0
            head = struct.pack(f"{order}8xIIIHHBB", number + count, before, following, 1, len(part), 0, 7)
            pages.append((head + part).ljust(PAGE, b"\0"))
    meta = struct.pack(f"{order}8xIIIIBBBxII", 0, 0x061561, 9, PAGE, 0, 8, 0, 0, len(pages) - 1)
    pages[0] = meta.ljust(PAGE, b"\0")
    return b"".join(pages)


def _hash_page(order: str, number: int, key: bytes, value: bytes) -> bytes:
    places = (PAGE - len(key), PAGE - len(key) - len(value))
    head = struct.pack(f"{order}8xIIIHHBBHH", number, 0, 0, 2, places[1], 1, 13, *places)
    return head.ljust(places[1], b"\0") + value + key


def convert(folder: Path, backend: str) -> None:
    """Turn the SQLite database of a folder into another one."""
    if backend == "sqlite":
        return
    connection = sqlite3.connect(folder / "rpmdb.sqlite")
    blobs = [blob for (blob,) in connection.execute("SELECT blob FROM Packages ORDER BY hnum")]
    connection.close()
    for path in folder.glob("rpmdb.sqlite*"):
        path.unlink()
    name, write = {"ndb": ("Packages.db", ndb), "berkeley": ("Packages", berkeley)}[backend]
    (folder / name).write_bytes(write(blobs))
