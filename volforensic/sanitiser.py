"""The one way of evidence text to a terminal or a CSV file.

Every byte of a name or a log line is written by an adversary: escape sequences drive terminals, bidirectional
overrides turn names round, characters that nobody sees make two names look like one, spreadsheet cells that begin with
``=`` are run. What could act or hide is made visible instead.

Sources: category Cf (UnicodeData.txt) and Default_Ignorable_Code_Point (DerivedCoreProperties.txt) of Unicode 16.
"""

import re

_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: the escape sequences of terminals
    "\u061c\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff"  # direction, zero width, line ends
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufff0-\ufffb"  # fillers, joiners, annotations
    "\ufe00-\ufe0f\U000e0000-\U000e0fff"  # variation selectors, tags
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # signs that enclose the digits behind them
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # layout of hieroglyphs, shorthand, music
    "\ud800-\udfff]"  # half of a surrogate pair
)
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Return the text on one line, acting and invisible characters as ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``."""
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
