"""The years of syslog stamps that name none (RFC 3164 section 4.1.2: ``Nov 16 10:00:00``).

The file's days are followed from its first line to its last, counting new years; then one year is pinned: by a line
of the file that names its year, else by the date in the file's name (logrotate's ``dateext``), else by the file's
modification time, which no line may pass.
"""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from volforensic.collection.content import Content, SourceFile

MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
"""``Jan`` to ``Dec``: syslog writes English month names whatever the locale."""

_STEP_BACK_DAYS = 14
"""A stamp up to so many days before the one above it is a clock set back, not a year gone by."""
_CHANGES_LIMIT = 500
"""New years counted in one file; beyond that the order of its lines means nothing."""
_EARLIEST_YEAR, _LATEST_YEAR = 1991, 2100
"""Linux began in 1991; times outside are those of a clock that was never set."""
_DAYS_BEFORE = (0, 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335)
_DAYS_IN = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_STAMP_DAY = re.compile(
    r"[\0\xef\xbb\xbf]*(?:<\d{1,3}>)?(?:1 )?"
    r"(?:(\d{4})-(\d\d)-(\d\d)[Tt ]|([A-Z][a-z]{2}) {1,2}(\d{1,2}) (?:(\d{4}) )?\d\d:\d\d:\d\d(?: ((?:19|20)\d\d) )?)",
    re.ASCII,
)
_DATE_IN_NAME = re.compile(rb"-(\d{4})-?(\d\d)-?(\d\d)(?![0-9]{3})")
_BY_MODIFICATION = "year from the file's modification time"


class YearSpan(NamedTuple):
    """From which byte offset on stamps without a year belong to ``year`` (None: no way to tell), and why."""

    position: int
    year: int | None
    basis: str


def year_spans(content: Content) -> list[YearSpan]:
    """Return the years of the file's stamps that name none, by byte offset; empty where all lines name theirs."""
    changes: list[tuple[int, int]] = []
    leap_days: set[int] = set()
    relative = before = 0
    base: int | None = None
    last = (0, 0)
    for position, year, month, day in _days(content):
        number = _DAYS_BEFORE[month] + day
        relative += _new_years(before, number) if before else 0
        before = number
        if year is not None:
            base = year - relative if base is None else base
            relative = year - base
            continue
        if len(changes) >= _CHANGES_LIMIT:
            continue
        last = (month, day)
        if last == (2, 29):
            leap_days.add(relative)
        if not changes or changes[-1][1] != relative:
            changes.append((position, relative))
    if not changes:
        return []
    basis = "year of the file's dated lines"
    if base is None:
        base, basis = _base_year(content.source, last, changes[-1][1], leap_days)
    # Only a year that comes from the modification time is held to it: that is forged more easily than a name.
    latest = _latest_year(content.source) if basis == _BY_MODIFICATION else _LATEST_YEAR
    return [YearSpan(position, _possible(base, relative, latest), basis) for position, relative in changes]


def _days(content: Content) -> Iterator[tuple[int, int | None, int, int]]:
    """Yield (byte offset, year or None, month, day) wherever the beginning of a line differs from the line above."""
    beginning = ""
    for block in content.blocks():
        position = block.position
        for line in block.data.decode("latin-1").split("\n"):
            if line[:10] != beginning:
                beginning = line[:10]
                found = _STAMP_DAY.match(line)
                if found and (parts := _date_parts(found)):
                    yield position, *parts
            position += len(line) + 1


def _date_parts(found: re.Match[str]) -> tuple[int | None, int, int] | None:
    iso_year, iso_month, iso_day, month_name, day, year, year_after = found.groups()
    if iso_year:
        parts = (int(iso_year), int(iso_month), int(iso_day))
    else:
        year = year or year_after
        parts = (int(year) if year else 0, MONTHS.get(month_name, 0), int(day))
    if not (1 <= parts[1] <= 12 and 1 <= parts[2] <= _DAYS_IN[parts[1]]):
        return None
    if not (iso_year or year):
        return None, parts[1], parts[2]
    return parts if _in_range(parts[0]) else None


def _new_years(before: int, number: int) -> int:
    """Return the new years between two days of the year, in the order of the lines: 1, 0, or -1 for a step back."""
    if (number - before) % 366 >= 366 - _STEP_BACK_DAYS:
        return -1 if number > before else 0
    return 1 if number < before else 0


def _base_year(source: SourceFile, last: tuple[int, int], relative: int, leap_days: set[int]) -> tuple[int | None, str]:
    """Return the year of relative year 0, from the latest day that the file's last line can have, and the basis."""
    bounds = list(_bounds(source))
    for respected in (leap_days, set[int]()):
        for bound, basis in bounds:
            for year in range(bound.year, bound.year - 9, -1):
                base = year - relative
                if (day := _date(year, *last)) and day <= bound and all(calendar.isleap(base + r) for r in respected):
                    return base, basis
    return None, "no year: neither a dated line, the file's name nor its modification time tells it"


def _bounds(source: SourceFile) -> Iterator[tuple[date, str]]:
    """Yield the latest day a line of the file can have, a day of grace included, the better source first."""
    found = _DATE_IN_NAME.search(source.path.rpartition(b"/")[2])
    named = _date(*(int(part) for part in found.groups())) if found else None
    if named and _in_range(named.year):
        yield named + timedelta(days=1), "year from the date in the file's name"
    if modified := _modified(source):
        yield modified.date() + timedelta(days=1), _BY_MODIFICATION


def _modified(source: SourceFile) -> datetime | None:
    """Return the modification time, or None where there is none or it is that of a clock never set."""
    try:
        modified = datetime.fromtimestamp((source.modified or 0) // 10**9, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return modified if _in_range(modified.year) else None


def _in_range(year: int) -> bool:
    return _EARLIEST_YEAR <= year <= _LATEST_YEAR


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _latest_year(source: SourceFile) -> int:
    """Return the last year that a line of the file can be of."""
    modified = _modified(source)
    return (modified + timedelta(days=1)).year if modified else _LATEST_YEAR


def _possible(base: int | None, relative: int, latest: int) -> int | None:
    return None if base is None or base + relative < 1 else min(base + relative, latest)
