"""An extension that says another kind than the content is said; what stands on plain servers is not."""

import pytest

from volforensic.inventory.extensions import EXPECTATIONS, mismatch

ELF = ("application/x-pie-executable", "elf")
SCRIPT = ("text/x-shellscript", "script")
PHP = ("text/x-php", "php")
TEXT = ("text/plain", "text")


@pytest.mark.parametrize("extension", sorted(EXPECTATIONS.keys() - {"so", "ko"}))
def test_a_program_is_said_under_every_extension_but_a_library_s(extension: str) -> None:
    found = mismatch(f"a.{extension}".encode(), *ELF)
    assert found == {"extension": extension, "expected": EXPECTATIONS[extension].mime}


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "ico", "svg", "pdf", "docx", "mp3", "woff2", "zip", "gz"])
@pytest.mark.parametrize("kind", [SCRIPT, PHP])
def test_a_script_is_said_under_the_extension_of_a_document_or_an_image(extension: str, kind: tuple[str, str]) -> None:
    assert mismatch(f"a.{extension}".encode(), *kind)


def test_the_extension_is_the_last_one_in_any_case() -> None:
    assert mismatch(b"/x/photo.JPG", *ELF) == {"extension": "jpg", "expected": "image/jpeg"}
    assert mismatch(b"a.jpg.sh", *SCRIPT) is None
    assert mismatch(b"a\xff\n.png", *TEXT)


@pytest.mark.parametrize(
    ("name", "mime", "family"),
    [
        (b"a.js", "application/json", "json"),
        (b"libc.so", "text/plain", "text"),
        (b"libc.so.6", "application/x-sharedlib", "elf"),
        (b"builtins.7.gz", "text/plain", "text"),
        (b"a.dat", None, "other"),
        (b"a.conf", "text/html", "html"),
        (b"a.log", "text/x-c", "text"),
        (b"xterm.js", "application/x-terminfo", "data"),
        (b"a.jpg", "inode/x-empty", "empty"),
        (b"a.docx", "application/zip", "zip"),
        (b"a.jar", "application/java-archive", "jar"),
        (b"a.ico", "image/png", "image"),
        (b"a.svg", "image/svg+xml", "text"),
        (b"a.mp3", None, "other"),
        (b".jpg", *ELF),
        (b"jpg", *ELF),
        (b"a.", *ELF),
        (b"a.\xff\xff", *ELF),
        (b"a." + b"g" * 200, *ELF),
        (b"", *ELF),
    ],
)
def test_what_is_usual_is_not_said(name: bytes, mime: str | None, family: str) -> None:
    assert mismatch(name, mime, family) is None


def test_a_picture_of_another_kind_and_unknown_bytes_are_said() -> None:
    assert mismatch(b"a.jpg", "image/png", "image")
    assert mismatch(b"a.png", None, "other")
    assert mismatch(b"a.php", "image/gif", "image")
    assert mismatch(b"a.txt", "application/zip", "zip")
