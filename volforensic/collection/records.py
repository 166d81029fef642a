"""Rows of a parser become records: numbered, with their provenance, holding only declared fields of declared types.

A row comes from a worker that read hostile bytes, as one line of JSON. It is decoded into a type made from the
artifact's definition, which checks its keys and values, and encoded again behind the record's own keys: no byte of a
worker reaches the case unchecked, and a record costs microseconds.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from volforensic.collection.definitions import COMMON_FIELDS, Artifact
from volforensic.inventory.entry import FileEntry
from volforensic.record import text_fields, timestamp_text

_TYPES: dict[str, Any] = {"string": str | None, "integer": int | None, "boolean": bool | None, "list": list[str] | None}
_ENCODER = msgspec.json.Encoder()


class Batch(NamedTuple):
    """Records as lines of JSON, the rows that they were made of, and how many lines were no rows of this artifact."""

    lines: bytes
    rows: list[Any]
    refused: int

    @property
    def unparsed(self) -> int:
        """How many of the records are lines that the parser did not understand."""
        return sum(row.unparsed is not None for row in self.rows)


class Records:
    """Holds the artifact's counter: the same evidence and definitions give the same ids."""

    def __init__(self, artifact: Artifact) -> None:
        """Begin at 1."""
        self._artifact = artifact.name
        self._number = 0
        self._decoder = msgspec.json.Decoder(_row_type(artifact))

    def of(self, entry: FileEntry, host_path: bytes, lines: bytes, skipped: int = 0) -> Batch:
        """Return rows, lines of JSON, as records of the file at ``host_path``; the first ``skipped`` are left out."""
        rows, refused = self._decoded(lines)
        rows = rows[skipped:]
        source = _ENCODER.encode(text_fields("source", host_path))[1:-1].decode()
        middle = f',"artifact":"{self._artifact}","volume":{entry.volume},{source},"inode":{entry.inode},"position":'
        heads = [self._head(row, middle) for row in rows]
        tails = _ENCODER.encode_lines(rows).split(b"\n")
        joined = [
            b"%b}\n" % head if tail == b"{}" else b"%b,%b\n" % (head, tail[1:])
            for head, tail in zip(heads, tails, strict=False)  # behind the last line end stands an empty tail
        ]
        return Batch(b"".join(joined), rows, refused)

    def _decoded(self, lines: bytes) -> tuple[list[Any], int]:
        try:
            return self._decoder.decode_lines(lines), 0
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        rows, refused = [], 0
        for line in lines.splitlines():
            try:
                rows.append(self._decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                refused += 1
        return rows, refused

    def _head(self, row: Any, middle: str) -> bytes:
        """Return the record's own keys, and clear them in the row: what is left of it are the artifact's fields."""
        self._number += 1
        moment, described = timestamp_text(row.timestamp), _described(row.timestamp_desc)
        shown = "null" if moment is None else f'"{moment}"'
        number = f"{self._artifact}:{self._number}"
        head = f'{{"record_id":"{number}","timestamp":{shown},"timestamp_desc":{described}{middle}{row.position}'
        row.timestamp, row.timestamp_desc, row.position = None, "", 0
        return head.encode()


def encoded_rows(rows: list[Any]) -> bytes:
    """Return rows as lines of JSON."""
    return _ENCODER.encode_lines(rows)


def _row_type(artifact: Artifact) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = [("position", int, 0), ("timestamp", int | None, None)]
    fields.append(("timestamp_desc", str, ""))
    common = dict.fromkeys(COMMON_FIELDS, "string") | {"unparsed": "boolean"}
    for name, kind in {**artifact.fields, **common}.items():
        fields.append((name, _TYPES[kind], None))
        if kind == "string":
            fields.append((f"{name}_bytes", str | None, None))
    return msgspec.defstruct("ParsedRow", fields, omit_defaults=True, forbid_unknown_fields=True, gc=False)


@lru_cache(maxsize=256)
def _described(text: str) -> str:
    return _ENCODER.encode(text).decode()
