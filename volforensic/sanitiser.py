"""The one way of evidence text to a terminal or a CSV file.

Every byte of a name or a log line is written by an adversary: escape sequences drive terminals, bidirectional
overrides turn names round, spreadsheet cells that begin with ``=`` are run. What could act is made visible instead.
"""

import re

_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: the escape sequences of terminals
    "\u061c\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"  # direction, zero width
    "\U000e0000-\U000e007f"  # invisible tags
    "\ud800-\udfff]"  # half of a surrogate pair
)
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Return the text on one line with every acting character as ``\\xNN`` or ``\\uNNNN``."""
    return _ACTING.sub(_escape, text)


def csv_cell(text: str) -> str:
    """Return the text for a CSV cell: visible, with an apostrophe where a spreadsheet would see a formula."""
    shown = visible(text)
    return f"'{shown}" if text.startswith(_FORMULA_START) else shown


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
