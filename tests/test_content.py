"""A file's bytes as parsers see them: lines, holes, limits, losses."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from volforensic.collection.content import LINE_LIMIT, MOST_LOSSES, Block, Content, Loss, SourceFile, lines

EXBIBYTE = 1 << 60


def content_of(*blocks: tuple[int, bytes], size: int = 0) -> Content:
    def chunks(_losses: list[Loss]) -> Iterable[Block]:
        return [Block(position, data) for position, data in blocks]

    return Content(SourceFile(size=size), chunks)


def in_pieces(data: bytes, size: int) -> Content:
    return content_of(*((start, data[start : start + size]) for start in range(0, len(data), size)))


def test_a_line_that_lies_in_several_blocks_is_one_line() -> None:
    assert list(lines(in_pieces(b"one\ntwo is longer\n\nthree", 2).blocks())) == [
        (0, b"one"),
        (4, b"two is longer"),
        (19, b"three"),
    ]


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=30), st.integers(1, 50))
def test_lines_do_not_depend_on_the_blocks(texts: list[bytes], size: int) -> None:
    data = b"\n".join(texts)
    assert list(lines(in_pieces(data, size).blocks())) == list(lines([Block(0, data)]))


def test_a_hole_ends_a_line_and_positions_go_on_behind_it() -> None:
    content = content_of((0, b"head\ncut"), (EXBIBYTE, b"tail\n"), size=EXBIBYTE + 5)
    assert list(lines(content.blocks())) == [(0, b"head"), (5, b"cut"), (EXBIBYTE, b"tail")]
    assert content.losses == []


def test_a_long_line_keeps_its_head_and_costs_only_its_rest() -> None:
    data = b"before\n" + b"x" * (LINE_LIMIT + 1000) + b"\nafter\n"
    for size in (100, 4096, LINE_LIMIT, len(data)):
        content = in_pieces(data, size)
        assert list(lines(content.blocks())) == [
            (0, b"before"),
            (7, b"x" * LINE_LIMIT),
            (8 + LINE_LIMIT + 1000, b"after"),
        ]
        assert content.losses == [Loss(7 + LINE_LIMIT, 1000, f"a line of {LINE_LIMIT + 1000} bytes was cut")]


def test_what_stands_inside_a_line_of_many_megabytes_is_no_line_of_its_own() -> None:
    """Where a cut began a new line, an adversary could place a message of a daemon there."""
    pieces = [b"A" * (4 << 20)] * 5 + [b"Accepted password for root\nreal\n"]
    content = content_of(*((number << 22, piece) for number, piece in enumerate(pieces)))
    assert [line for _, line in lines(content.blocks())] == [b"A" * LINE_LIMIT, b"real"]
    assert [loss.length for loss in content.losses] == [(20 << 20) + 26 - LINE_LIMIT]


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    content = in_pieces(b"y" * LINE_LIMIT + b"\nz\n", 1000)
    assert [len(line) for _, line in lines(content.blocks())] == [LINE_LIMIT, 1]
    assert content.losses == []


def test_a_long_line_at_the_end_and_before_a_hole() -> None:
    long = b"x" * (LINE_LIMIT + 5)
    content = content_of((0, long), (1 << 30, long))
    assert [position for position, _ in lines(content.blocks())] == [0, 1 << 30]
    assert [(loss.offset, loss.length) for loss in content.losses] == [(LINE_LIMIT, 5), ((1 << 30) + LINE_LIMIT, 5)]


def test_losses_are_told_once_though_the_file_is_read_twice_and_very_many_are_counted_out() -> None:
    one = b"x" * (LINE_LIMIT + 1) + b"\n"
    content = in_pieces(one * (MOST_LOSSES + 50), 1 << 20)
    for _ in range(2):
        assert sum(1 for _ in lines(content.blocks())) == MOST_LOSSES + 50
    assert len(content.losses) == MOST_LOSSES + 1
    assert "not listed" in content.losses[-1].reason


def test_whole_fills_holes_and_stops_at_its_limit() -> None:
    content = content_of((2, b"ab"), (6, b"cdef"))
    assert content.whole() == b"\0\0ab\0\0cdef"
    assert content.whole(8) == b"\0\0ab\0\0cd"
    assert content.losses == [Loss(8, 2, "only the first 8 bytes are read")]


def test_whole_of_a_sparse_file_of_an_exbibyte_is_small() -> None:
    content = content_of((0, b"NAME=x\n"), (EXBIBYTE, b"NAME=y\n"), size=EXBIBYTE + 7)
    assert content.whole() == b"NAME=x\n"
    assert content.losses == [Loss(1 << 20, EXBIBYTE + 7 - (1 << 20), "only the first 1048576 bytes are read")]


def test_whole_endures_blocks_that_overlap() -> None:
    assert content_of((0, b"abcdef"), (3, b"XYZ123"), (1, b"..")).whole() == b"abcdef123"


def test_losses_of_the_reader_are_the_contents() -> None:
    def chunks(losses: list[Loss]) -> Iterable[Block]:
        yield Block(0, b"good\n")
        losses.append(Loss(5, 10, "read error"))

    content = Content(SourceFile(), chunks)
    assert [line for _, line in lines(content.blocks())] == [b"good"]
    assert content.losses == [Loss(5, 10, "read error")]


def test_an_empty_file_has_no_blocks() -> None:
    assert list(Content.of(b"").blocks()) == []
    assert Content.of(b"").whole() == b""
