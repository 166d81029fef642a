"""Bounds on what a report holds: an adversary decides how many rows there are and how long each is.

Every list of the report is a listing: how many there are in all and the first of them. Nothing is cut without a
trace: a cut text ends with how many characters were left out, a listing gives its total.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeAlias

from volforensic.record import Row

Records: TypeAlias = Callable[[str], Iterator[Row]]
"""Gives the stored records of the artifact of that name; none where it was not collected. May be called again."""

TEXT_LIMIT = 1_000
"""Characters kept of one text."""
ITEM_LIMIT = 50
"""Items kept of one list or object inside a row."""
DEPTH_LIMIT = 5
"""Levels kept of an object inside a row."""
KEY_LIMIT = 200
"""Characters that tell two keys of a tally apart."""
TALLY_LIMIT = 20_000
"""Different keys that a tally holds."""
NAME_LIMIT = 8
"""Different names that a tally holds beside a key."""

_INTEGER_LIMIT = 1 << 63


def cut(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Return the text as UTF-8 can hold it, at most ``limit`` characters, and how many more there were.

    Half of a surrogate pair, which no encoder takes, becomes ``\\uNNNN``.
    """
    kept = text[:limit].encode("utf-8", "backslashreplace").decode()
    return kept if len(text) <= limit else f"{kept}… ({len(text) - limit} more characters)"


def bounded(value: object, depth: int = DEPTH_LIMIT) -> Any:
    """Return the plain value with its texts, lists, objects and depth bounded."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -_INTEGER_LIMIT <= value < _INTEGER_LIMIT else cut(hex(value))
    if isinstance(value, dict | list | tuple):
        return _bounded_container(value, depth) if depth else "… (nested deeper)"
    return cut(str(value))


def _bounded_container(value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    rest = len(value) - ITEM_LIMIT
    if isinstance(value, dict):
        kept = {cut(str(key), KEY_LIMIT): bounded(item, depth - 1) for key, item in islice(value.items(), ITEM_LIMIT)}
        return kept | ({"…": f"{rest} more keys"} if rest > 0 else {})
    items = [bounded(item, depth - 1) for item in value[:ITEM_LIMIT]]
    return [*items, f"… ({rest} more)"] if rest > 0 else items


def texts(value: object, limit: int = ITEM_LIMIT) -> list[str]:
    """Return a list of texts from a row's value (a list, one text or nothing), bounded, with the rest counted."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    shown = [cut(str(item)) for item in items[:limit]]
    return shown if len(items) <= limit else [*shown, f"… ({len(items) - limit} more)"]


def chosen(row: Row, keys: Iterable[str]) -> Row:
    """Return these keys of the row in this order, bounded; a key without a value is left out."""
    return {key: bounded(row[key]) for key in keys if row.get(key) not in (None, "", [])}


def listing(rows: Iterable[Row], limit: int) -> Row:
    """Return ``{total, listed}``: the first ``limit`` rows in the order given, and how many there were."""
    listed: list[Row] = []
    total = 0
    for row in rows:
        total += 1
        if total <= limit:
            listed.append(row)
    return {"total": total, "listed": listed}


class Best:
    """The ``limit`` rows with the smallest keys among any number, in bounded memory."""

    def __init__(self, limit: int) -> None:
        """Start with none."""
        self.total = 0
        self._limit = limit
        self._rows: list[tuple[tuple[Any, ...], int, Callable[[], Row]]] = []

    def add(self, key: tuple[Any, ...], row: Callable[[], Row]) -> None:
        """Count one more; ``row`` is called for those that are listed. Equal keys stay in the order they came."""
        self.total += 1
        self._rows.append((key, self.total, row))
        if len(self._rows) >= 2 * self._limit:
            self._rows = heapq.nsmallest(self._limit, self._rows, key=_rank)

    def listing(self) -> Row:
        """Return ``{total, listed}``, the smallest key first."""
        best = sorted(self._rows, key=_rank)[: self._limit]
        return {"total": self.total, "listed": [row() for _, _, row in best]}


class Count:
    """How often one key was seen, by kind; first and last; some of the names beside it."""

    __slots__ = ("first", "kinds", "last", "names")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.kinds: dict[str, int] = {}
        self.first: str | None = None
        self.last: str | None = None
        self.names: dict[str, None] = {}

    @property
    def total(self) -> int:
        """How often in all."""
        return sum(self.kinds.values())


class Tally:
    """Counts by key over any number of rows, in bounded memory.

    Where there are more than ``limit`` keys the rarer half is let go: the counts that remain are then lower bounds
    and ``exact`` is false. A key that is frequent comes back and stays.
    """

    def __init__(self, limit: int = TALLY_LIMIT) -> None:
        """Start with nothing counted."""
        self.exact = True
        self.kinds: dict[str, int] = {}
        self._limit = limit
        self._counts: dict[tuple[str, ...], Count] = {}

    def add(self, key: tuple[str, ...], kind: str, seen: str | None, weight: int = 1, name: str = "") -> None:
        """Count ``weight`` more of ``kind`` for ``key``, seen at this time (ISO 8601), with this name beside it."""
        self.kinds[kind] = self.kinds.get(kind, 0) + weight
        count = self._counts.get(key)
        if count is None:
            count = self._new(key)
        count.kinds[kind] = count.kinds.get(kind, 0) + weight
        if seen is not None:
            count.first = seen if count.first is None or seen < count.first else count.first
            count.last = seen if count.last is None or seen > count.last else count.last
        if name and len(count.names) <= NAME_LIMIT:
            count.names[cut(name, KEY_LIMIT)] = None

    def __contains__(self, key: tuple[str, ...]) -> bool:
        """Whether this key was counted (and was not let go)."""
        return _short(key) in self._counts

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Go through the keys."""
        return iter(self._counts)

    def listing(
        self, limit: int, row: Callable[[tuple[str, ...], Count], Row], order: Callable[[Count], Any] | None = None
    ) -> Row:
        """Return ``{total, exact, events, listed}``, the keys with the largest ``order`` (their count) first."""
        rank = order or (lambda count: count.total)
        # sorted by key first: the order of two equal ranks does not depend on the order of the records
        ranked = heapq.nlargest(limit, sorted(self._counts.items()), key=lambda item: rank(item[1]))
        return {
            "total": len(self._counts),
            "exact": self.exact,
            "events": dict(sorted(self.kinds.items())),
            "listed": [row(key, count) for key, count in ranked],
        }

    def _new(self, key: tuple[str, ...]) -> Count:
        key = _short(key)
        if key in self._counts:
            return self._counts[key]
        if len(self._counts) >= self._limit:
            self.exact = False
            kept = heapq.nlargest(self._limit // 2, self._counts.items(), key=lambda item: item[1].total)
            self._counts = dict(kept)
        return self._counts.setdefault(key, Count())


def _short(key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cut(part, KEY_LIMIT) for part in key)


def _rank(item: tuple[tuple[Any, ...], int, object]) -> tuple[tuple[Any, ...], int]:
    return item[0], item[1]
