"""Stamps of syslog lines as microseconds since 1970 UTC: hours are converted once and remembered."""

import re
from datetime import UTC, datetime, tzinfo

from volforensic.collection.content import Content, SourceFile
from volforensic.collection.parsers.syslog_years import MONTHS, YearSpan, year_spans
from volforensic.collection.time_zones import loaded_zone
from volforensic.record import epoch_microseconds

OWN_YEAR_AND_ZONE = "year and zone stand in the line"
IMPOSSIBLE = "the line's stamp is no possible time"

_MICROSECONDS_OF = {
    f"{minute:02}:{second:02}": (minute * 60 + second) * 1_000_000 for minute in range(60) for second in range(61)
}
"""``MM:SS`` within its hour; a second 60 is a leap second and falls on the next minute."""
_HOURS_REMEMBERED = 50_000

CLOCKS_CHANGED = "clocks changed: this hour came twice or not at all, and is taken as the first"


class Clock:
    """Turns stamps into microseconds since 1970 UTC; remembers the hours it has met."""

    def __init__(self, content: Content) -> None:
        """Read the file's years and the host's zone."""
        self._zone, self._zone_basis = _zone_of(content.source)
        self._spans = year_spans(content)
        self._next = 0
        self._span = YearSpan(0, None, "no year")
        self._basis = self._zone_basis
        self._without_year: dict[str, int | None] = {}
        self._doubtful: set[int | None] = set()
        self._with_zone: dict[tuple[str, str], int | None] = {}

    def hour_without_year(self, position: int, hour: str) -> tuple[int | None, str]:
        """Return the start of ``Nov 16 10`` at a byte offset of the file, and where year and zone come from."""
        if self._next < len(self._spans) and position >= self._spans[self._next].position:
            self._advance(position)
        if hour not in self._without_year:
            day = hour[4:6].replace(" ", "0")
            if len(self._without_year) > _HOURS_REMEMBERED:
                self._without_year.clear()
            self._without_year[hour] = self._start_of_hour(self._span.year, MONTHS.get(hour[:3], 0), day, hour[7:9])
        start = self._without_year[hour]
        if start in self._doubtful:
            return start, f"{self._basis}; {CLOCKS_CHANGED}"
        known = start is not None or self._span.year is None
        return start, self._basis if known else IMPOSSIBLE

    def hour_with_zone(self, hour: str, zone: str) -> int | None:
        """Return the start of ``2026-11-16T10`` at ``Z`` or an offset as ``+01:00``, ``+0100``, ``+01``."""
        key = (hour, zone)
        if key not in self._with_zone:
            if len(self._with_zone) > _HOURS_REMEMBERED:
                self._with_zone.clear()
            start = _start_of_hour(int(hour[:4]), int(hour[5:7]), hour[8:10], hour[11:13], UTC)
            offset = _offset(zone)
            self._with_zone[key] = None if start is None or offset is None else start - offset
        return self._with_zone[key]

    def of_iso(self, stamp: re.Match[str]) -> tuple[int | None, bool, str]:
        """Return (timestamp, year inferred, basis) of an ISO 8601 stamp, in the host's zone where it names none."""
        day, hour, minute_and_second, fraction, zone = stamp.groups()
        if zone:
            start, basis = self.hour_with_zone(f"{day}T{hour}", zone), OWN_YEAR_AND_ZONE
        else:
            start = self._start_of_hour(int(day[:4]), int(day[5:7]), day[8:], hour)
            basis = self._with_own_year(start)
        timestamp = within_hour(start, minute_and_second, fraction)
        return timestamp, False, basis if timestamp is not None else IMPOSSIBLE

    def of_traditional(self, position: int, stamp: re.Match[str]) -> tuple[int | None, bool, str]:
        """Return (timestamp, year inferred, basis) of an RFC 3164 stamp that may have a year and a fraction."""
        month, day, year, hour, minute_and_second, fraction, year_after = stamp.groups()
        year = year or year_after
        if year:
            start = self._start_of_hour(int(year), MONTHS.get(month, 0), day, hour)
            basis = self._with_own_year(start) if start is not None else IMPOSSIBLE
        else:
            start, basis = self.hour_without_year(position, f"{month} {day:>2} {hour}")
        timestamp = within_hour(start, minute_and_second, fraction)
        return timestamp, not year, basis if timestamp is not None or start is None else IMPOSSIBLE

    def _with_own_year(self, start: int | None) -> str:
        changed = f"; {CLOCKS_CHANGED}" if start in self._doubtful else ""
        return f"year stands in the line; {self._zone_basis}{changed}"

    def _start_of_hour(self, year: int | None, month: int, day: str, hour: str) -> int | None:
        """Return an hour of the host's time; one that came twice, or never, is remembered as doubtful."""
        start = _start_of_hour(year, month, day, hour, self._zone)
        if start is not None and len(self._doubtful) < _HOURS_REMEMBERED:
            moment = datetime(year or 0, month, int(day), int(hour), tzinfo=self._zone)
            if moment.utcoffset() != moment.replace(fold=1).utcoffset():
                self._doubtful.add(start)
        return start

    def _advance(self, position: int) -> None:
        while self._next < len(self._spans) and position >= self._spans[self._next].position:
            self._span = self._spans[self._next]
            self._next += 1
        self._basis = f"{self._span.basis}; {self._zone_basis}"
        self._without_year.clear()


def _start_of_hour(year: int | None, month: int, day: str, hour: str, zone: tzinfo) -> int | None:
    """Return an hour of local time in microseconds since 1970 UTC, or None where there is no such hour."""
    try:
        return epoch_microseconds(datetime(year or 0, month, int(day), int(hour), tzinfo=zone))
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> int | None:
    """Return an offset from UTC in microseconds; None beyond the 23:59 of RFC 3339."""
    if zone in {"Z", "z"}:
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-60_000_000 if zone[0] == "-" else 60_000_000)


def _zone_of(source: SourceFile) -> tuple[tzinfo, str]:
    """Return the host's zone from its TZif bytes, UTC where they are none or damaged, and a word on which it is."""
    if not source.time_zone:
        return UTC, f"zone {source.time_zone_basis}"
    zone = loaded_zone(source.time_zone)
    if zone is None:
        return UTC, "zone UTC: the host's zone file is damaged"
    return zone, f"zone {source.time_zone_basis}"


def within_hour(start: int | None, minute_and_second: str, fraction: str | None) -> int | None:
    """Add ``MM:SS`` and a fraction (digits, with or without its point) to the start of an hour, in microseconds."""
    if start is None:
        return None
    within = _MICROSECONDS_OF.get(minute_and_second)
    if within is None:
        return None
    if fraction:
        within += int(fraction.lstrip(".")[:6].ljust(6, "0"))
    return start + within
