"""Encodings have the names that ``file --mime-encoding`` gives them; what is no text has none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from volforensic.inventory.text_encodings import ENCODING_SIZE, text_encoding

SAMPLES = [
    (b"plain\r\n", "us-ascii"),
    (b"a form feed \f and an escape \x1b[0m\n", "us-ascii"),
    (b"+/v8-text in UTF-7\n", "utf-7"),
    ("Grüße\n".encode(), "utf-8"),
    (b"\xef\xbb\xbfwith a mark\n", "utf-8"),
    ("Grüße 😀\n".encode("utf-16"), "utf-16le"),
    (b"\xfe\xff" + "Grüße\n".encode("utf-16-be"), "utf-16be"),
    ("Grüße\n".encode("utf-32"), "utf-32le"),
    (b"\x00\x00\xfe\xff" + "abc\n".encode("utf-32-be"), "utf-32be"),
    ("Grüße\n".encode("latin-1"), "iso-8859-1"),
    ("“Grüße”\n".encode("cp1252"), "unknown-8bit"),
    (b"a line with a NUL\x00\n", None),
    (b"\xff\xfea\x00\x00\x00", None),
    (b"\xff\xfe\x00\xd8a\x00", None),
    ("Grüße\x01\n".encode(), None),
    (bytes(range(256)), None),
]


@pytest.mark.parametrize(("data", "encoding"), SAMPLES)
def test_an_encoding_is_told(data: bytes, encoding: str | None) -> None:
    assert text_encoding(data) == encoding


@pytest.mark.skipif(shutil.which("file") is None, reason="this host has no file(1)")
@pytest.mark.parametrize(("data", "encoding"), SAMPLES)
def test_file_says_the_same(data: bytes, encoding: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    said = subprocess.run(["file", "-b", "--mime-encoding", path], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == (encoding or "binary")


def test_no_module_is_imported_to_tell_an_encoding() -> None:
    code = (
        "import sys; from volforensic.inventory.signatures import content_type; before = set(sys.modules)\n"
        f"for data in {[data for data, _ in SAMPLES]}: content_type(data)\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_empty_file_has_no_encoding() -> None:
    assert text_encoding(b"") is None


def test_a_character_may_be_cut_by_the_end() -> None:
    assert text_encoding("a ü".encode()[:-1]) == "utf-8"
    assert text_encoding(b"a" * (ENCODING_SIZE - 1) + "ü".encode()) == "utf-8"


def test_what_lies_beyond_the_limit_says_nothing() -> None:
    assert text_encoding(b"a" * ENCODING_SIZE + b"\x00\xff") == "us-ascii"
