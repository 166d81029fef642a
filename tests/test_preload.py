"""ld.so.preload."""

from hypothesis import given
from parser_checks import chosen, noise, parse

from volforensic.collection.parsers import preload


def test_names_stand_between_blanks_colons_and_nul_and_comments_are_left_out() -> None:
    data = b"# /no.so\n/a.so:/b.so\t/c.so # /no.so\r\n$LIB/d.so\0/e.so"
    assert chosen(parse(preload.libraries, data), "position", "library") == [
        (9, "/a.so"),
        (15, "/b.so"),
        (21, "/c.so"),
        (37, "$LIB/d.so"),
        (47, "/e.so"),
    ]


def test_empty_and_blank_files_give_nothing() -> None:
    assert parse(preload.libraries, b"") == []
    assert parse(preload.libraries, b" \n\t\n#x\n\0") == []


def test_a_name_that_is_no_path_is_unparsed() -> None:
    rows = parse(preload.libraries, b"/" + b"a" * 5000 + b" /b\xff.so")
    assert chosen(rows, "unparsed", "library", "library_bytes") == [
        (True, None, None),
        (None, "/b\\xff.so", "L2L/LnNv"),
    ]


@given(noise([b"/lib/x.so", b" # ", b":"]))
def test_any_bytes(data: bytes) -> None:
    parse(preload.libraries, data)
