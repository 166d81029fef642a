"""Evidence text on its way out, over all of Unicode: what acts or cannot be seen is written as its number."""

import sys
import unicodedata

import pytest

from volforensic.sanitiser import csv_cell, visible

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]
ACTING_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Controls, format characters, halves of surrogate pairs, the separators of lines and paragraphs."""

IGNORED_WHEN_DRAWN = {
    *range(0x180B, 0x1810),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0xE0000, 0xE1000),
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
}
"""Default_Ignorable_Code_Point of Unicode beside the format characters, unassigned ones with them."""

FORMAT_IN_LATER_VERSIONS = set(range(0x13439, 0x13440))
"""Category Cf since Unicode 15, which the oldest Python does not know."""


def acts(character: str) -> bool:
    """Say by the Unicode of this Python whether a character acts or is not drawn."""
    code = ord(character)
    in_tables = code in IGNORED_WHEN_DRAWN or code in FORMAT_IN_LATER_VERSIONS
    return in_tables or unicodedata.category(character) in ACTING_CATEGORIES


def test_what_acts_or_cannot_be_seen_is_written_as_its_number() -> None:
    acting = [character for character in EVERY_CHARACTER if acts(character)]
    assert len(acting) > 4000
    assert [shown for shown in map(visible, acting) if not (shown.isascii() and shown.isprintable())] == []
    assert [eval(f"'{visible(character)}'") for character in acting] == acting  # noqa: S307 - our own escapes


def test_everything_else_stays_as_it_is() -> None:
    assert [character for character in EVERY_CHARACTER if not acts(character) and visible(character) != character] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J", "a\\x1b[2J"),
        ("soft\u00adhyphen", "soft\\xadhyphen"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("root\u3164", "root\\u3164"),
        ("x\ufe0f\U000e0100", "x\\ufe0f\\U000e0100"),
        ("naïve 日本 \U0001f600", "naïve 日本 \U0001f600"),
    ],
)
def test_the_rest_of_the_text_stays_readable(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    assert csv_cell(f"{start}1+1") == f"'{visible(start)}1+1"
    assert csv_cell(f"a{start}1") == f"a{visible(start)}1"
