"""Times as they stand in records (ISO 8601, UTC) and as numbers that can be compared."""

import functools
from datetime import UTC, datetime
from typing import Any

from volforensic.record import epoch_microseconds

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


def microseconds(stamp: Any) -> int | None:
    """Return a record's or an inventory row's time as microseconds since 1970; None where it is none.

    The form is the case's own (``2024-05-01T10:00:00.000000Z``, with six or nine digits), so slices will do: this runs
    once for each login of a log.
    """
    if not isinstance(stamp, str) or len(stamp) < 27:
        return None
    try:
        seconds = int(stamp[11:13]) * 3600 + int(stamp[14:16]) * 60 + int(stamp[17:19])
        return _midnight(stamp[:10]) + seconds * SECOND + int(stamp[20:26])
    except ValueError:
        return None


def shown_time(stamp: str | None) -> str:
    """Return a time as a sentence shows it: to the second."""
    return f"{stamp[:10]} {stamp[11:19]} UTC" if stamp else "an unknown time"


@functools.lru_cache(maxsize=4096)
def _midnight(day: str) -> int:
    return epoch_microseconds(datetime.fromisoformat(day).replace(tzinfo=UTC))
