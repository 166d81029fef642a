"""What the package databases of the disk said, and what that is worth."""

from volforensic.inventory.packages.claims import DATABASE_CAVEAT
from volforensic.record import Row
from volforensic.report.bounds import chosen, listing

DATABASE_LIMIT = 50
VERDICTS = ("proved", "altered", "config changed", "unverified", "unowned")
_COLUMNS = ("manager", "path", "volume", "packages", "claims", "missing", "is_complete")


def describe_packages(said: object) -> Row:
    """Return the databases, how many entries got which verdict, and the sentence that no reader may miss.

    ``said`` is the key ``packages`` of evidence.json, as ``inventory.packages.stage.described`` makes it.
    """
    given = said if isinstance(said, dict) else {}
    databases = given.get("databases")
    rows = [row for row in databases if isinstance(row, dict)] if isinstance(databases, list) else []
    counted = given.get("verdicts")
    counts = counted if isinstance(counted, dict) else {}
    return {
        "caveat": DATABASE_CAVEAT,
        "databases": listing((chosen(row, _COLUMNS) for row in rows), DATABASE_LIMIT),
        "verdicts": {verdict: count for verdict in VERDICTS if isinstance(count := counts.get(verdict), int)},
    }
