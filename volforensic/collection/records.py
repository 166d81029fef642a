"""Rows of a parser become records: numbered, with their provenance, holding only declared fields."""

from functools import lru_cache

from volforensic.collection.definitions import COMMON_FIELDS, Artifact
from volforensic.inventory.entry import FileEntry
from volforensic.record import Row, text_fields, timestamp_text

_ROW_KEYS = ("position", "timestamp", "timestamp_desc")
_SECOND = 1_000_000


class Records:
    """Holds the artifact's counter: the same evidence and definitions give the same ids."""

    def __init__(self, artifact: Artifact) -> None:
        """Begin at 1."""
        self._artifact = artifact.name
        self._number = 0
        fields = (*artifact.fields, *COMMON_FIELDS)
        self._allowed = frozenset((*_ROW_KEYS, *fields, *(f"{field}_bytes" for field in fields)))

    def of(self, entry: FileEntry, host_path: bytes, rows: list[Row]) -> list[Row]:
        """Return the rows as records of the file at ``host_path``.

        A key that is not declared is dropped: its worker read hostile bytes.
        """
        source = text_fields("source", host_path)
        return [self._record(entry, source, row) for row in rows]

    def _record(self, entry: FileEntry, source: Row, row: Row) -> Row:
        self._number += 1
        if not row.keys() <= self._allowed:
            row = {key: value for key, value in row.items() if key in self._allowed}
        position, moment = row.pop("position", 0), row.pop("timestamp", None)
        return {
            "record_id": f"{self._artifact}:{self._number}",
            "timestamp": _moment_text(moment),
            "timestamp_desc": row.pop("timestamp_desc", ""),
            "artifact": self._artifact,
            "volume": entry.volume,
            **source,
            "inode": entry.inode,
            "position": position if isinstance(position, int) else 0,
            **row,
        }


def _moment_text(moment: object) -> str | None:
    if not isinstance(moment, int):
        return None
    seconds, fraction = divmod(moment, _SECOND)
    whole = _second_text(seconds)
    return None if whole is None else f"{whole}.{fraction:06}Z"


@lru_cache(maxsize=4096)  # neighbouring records share their second
def _second_text(seconds: int) -> str | None:
    whole = timestamp_text(seconds * _SECOND)
    return None if whole is None else whole[:19]
