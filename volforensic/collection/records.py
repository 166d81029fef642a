"""Rows of a parser become records: numbered, with their provenance, holding only declared fields of declared types.

A row comes from a worker that read hostile bytes, as one line of JSON. It is decoded into a type made from the
artifact's definition, which checks its keys and values, and encoded again behind the record's own keys: no byte of a
worker reaches the case unchecked, and a record costs microseconds.
"""

from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from volforensic.collection.definitions import COMMON_FIELDS, Artifact
from volforensic.inventory.entry import FileEntry
from volforensic.record import text_fields, timestamp_text

_TYPES: dict[str, Any] = {"string": str, "integer": int, "boolean": bool, "list": list[str]}
_ENCODER = msgspec.json.Encoder()


class Batch(NamedTuple):
    """Records as lines of JSON, the rows that they were made of, and how many lines were no rows of this artifact."""

    lines: bytes
    rows: list[Any]
    refused: int

    @property
    def unparsed(self) -> int:
        """How many of the records are lines that the parser did not understand."""
        return sum(row.unparsed is True for row in self.rows)


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
        source = text_fields("source", host_path)
        path, path_bytes = source["source"], source.get("source_bytes", UNSET)
        for number, row in enumerate(rows, self._number + 1):
            row.record_id = f"{self._artifact}:{number}"
            row.timestamp = timestamp_text(row.timestamp)
            row.artifact, row.volume, row.source, row.inode = self._artifact, entry.volume, path, entry.inode
            row.source_bytes = path_bytes
        self._number += len(rows)
        return Batch(_ENCODER.encode_lines(rows), rows, refused)

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


def encoded_rows(rows: list[Any]) -> bytes:
    """Return rows as lines of JSON."""
    return _ENCODER.encode_lines(rows)


def _row_type(artifact: Artifact) -> type[msgspec.Struct]:
    """Return a type with the keys of a record in their order: the record's own, then the artifact's fields.

    A worker may give position, timestamp (microseconds), its description and fields; the other keys are ours to set,
    and decoding takes nothing but their empty values.
    """
    fields: list[tuple[str, Any, Any]] = [
        ("record_id", Literal[""], ""),
        ("timestamp", int | None, None),
        ("timestamp_desc", str, ""),
        ("artifact", Literal[""], ""),
        ("volume", Literal[0], 0),
        ("source", Literal[""], ""),
        ("source_bytes", UnsetType | Literal[""], UNSET),
        ("inode", Literal[0], 0),
        ("position", int, 0),
    ]
    common = dict.fromkeys(COMMON_FIELDS, "string") | {"unparsed": "boolean"}
    for name, kind in {**artifact.fields, **common}.items():
        fields.append((name, _TYPES[kind] | UnsetType, UNSET))
        if kind == "string":
            fields.append((f"{name}_bytes", str | UnsetType, UNSET))
    return msgspec.defstruct("Record", fields, forbid_unknown_fields=True, gc=False)
