"""What a stored row says, taken with care: the values are the evidence's, of any type and length."""

from collections.abc import Mapping
from typing import Any

from volforensic.record import RECORD_KEYS

VALUE_LIMIT = 300
"""Characters of one value in a statement or an evidence line."""

MAIN_TEXTS = ("raw", "command", "library", "options", "key", "value", "link_target")
"""Fields that show what a record says, the first that it has."""

_ITEMS_LIMIT = 10


def integer(value: object) -> int | None:
    """Return the value where it is an integer."""
    return value if type(value) is int else None


def string(value: object) -> str | None:
    """Return the value where it is text."""
    return value if isinstance(value, str) else None


def main_text(row: Mapping[str, Any]) -> str:
    """Return the line that shows what a record says: its raw or main text, else its own fields."""
    for name in MAIN_TEXTS:
        value = row.get(name)
        if isinstance(value, str) and value:
            return cut(value)
    own = (f"{name}={value}" for name, value in row.items() if name not in RECORD_KEYS and value is not None)
    return cut(" ".join(own))


def cut(value: str) -> str:
    """Return the text, at most ``VALUE_LIMIT`` characters of it."""
    return value if len(value) <= VALUE_LIMIT else f"{value[: VALUE_LIMIT - 1]}…"


def shown(value: Any) -> str:
    """Return a field's value as it stands in a sentence; ``-`` where there is none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return cut(", ".join(str(item)[:VALUE_LIMIT] for item in value[:_ITEMS_LIMIT])) or "-"
    return cut(str(value))
