"""Which package databases were read on the disk."""

from volforensic.record import Row
from volforensic.report.bounds import chosen, listing

DATABASE_LIMIT = 50
_COLUMNS = ("manager", "path", "volume", "packages", "claims", "missing", "is_complete")


def describe_packages(said: object) -> Row:
    """Return the databases; ``said`` is the key ``packages`` of evidence.json."""
    given = said if isinstance(said, dict) else {}
    databases = given.get("databases")
    rows = [row for row in databases if isinstance(row, dict)] if isinstance(databases, list) else []
    return {"databases": listing((chosen(row, _COLUMNS) for row in rows), DATABASE_LIMIT)}
