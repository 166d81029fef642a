"""What a file names: paths on the host, mining pools, Monero addresses, addresses it downloads from.

Every pattern is linear: each quantifier is bounded or its class excludes what follows, and a match consumes what it
looked at. Everything found is capped, for the bytes are an adversary's.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from volforensic.record import text

TEXT_LIMIT = 1 << 20
"""Bytes of a script, a configuration or a text that are searched."""
BINARY_LIMIT = 64 << 20
"""Bytes of a program that are searched."""
REFERENCE_LIMIT = 200
"""Paths kept of one file."""
INDICATOR_LIMIT = 50
"""Indicators kept of one kind (pools, wallets, downloads) and file."""
_CANDIDATE_LIMIT = 1000

# A pattern that begins with its own letter is looked for by that letter; what must not stand before it comes second.
_PATH = re.compile(rb"/(?<![\w.~:/+\x80-\xff-]/)[\w./+@\x80-\xff-]{2,255}")
_CHANGE = re.compile(rb"cd[ \t]{1,8}[\"']?/")
_CHANGE_AND_START = re.compile(
    rb"(?<![\w-])cd[ \t]{1,8}[\"']?(/[\w./+@\x80-\xff-]{1,255})|(?<![\w./])\./([\w.+@\x80-\xff-]{1,128})"
    rb"|(?<![\w-])(?:-c|--config)[ \t=]{1,4}[\"']?(?:\./)?([\w.+@\x80-\xff-]{1,128})"
)

_ASSIGNED_PATH = re.compile(rb"(?<![\w$])([A-Za-z_]\w{0,31})=[\"']?(/[\w./+@-]{1,255})")
_VARIABLE_PATH = re.compile(rb"\$\{?([A-Za-z_]\w{0,31})\}?[\"']?(/[\w./+@-]{1,255})")
_ASSIGNMENT_MARKS = (b"=/", b'="/', b"='/")
_VARIABLE_LIMIT = 100

_SCHEME_MARK = b"://"
_MINING_SCHEME = re.compile(
    rb"(?:stratum[12]?(?:\+[a-z]{3})?|eth(?:proxy|stratum)[\w+-]{0,16}|daemon\+https?)\Z", re.IGNORECASE
)
_LONGEST_SCHEME = 32
_ADDRESS = re.compile(rb"[\w.@%:\[\]$\{\}/+-]{3,255}")
POOL_DOMAINS = tuple(
    b"supportxmr.com minexmr.com nanopool.org moneroocean.stream hashvault.pro c3pool.com c3pool.org 2miners.com"
    b" f2pool.com herominers.com xmrpool.eu xmrpool.net xmrpool.com monerohash.com miningocean.org fastpool.xyz"
    b" luckpool.net luckypool.io hashcity.org gntl.co.uk monerpool.org minergate.com crypto-pool.fr crypto-pool.info"
    b" dwarfpool.com nicehash.com unmineable.com zergpool.com zpool.ca prohashing.com antpool.com viabtc.com"
    b" ethermine.org woolypooly.com rplant.xyz kryptex.network skypool.org donate.graef.in walpool.com miner.rocks"
    b" semipool.com moneropool.com moneropool.ru".split()
)
"""Domains of mining pools; a host under one of them is a pool."""
_LONGEST_HOST = 253
_PORT = re.compile(rb":[0-9]{2,5}(?![0-9])")
_HOST_BACKWARDS = re.compile(rb"[a-zA-Z0-9.-]{4,253}")
_POOL_KEY = re.compile(rb'"(?:url|pool_address)"[ \t]{0,16}:[ \t]{0,16}"([^"\s]{1,250}:[0-9]{2,5})"')
_USER_KEY = re.compile(rb'"(?:user|wallet_address)"[ \t]{0,16}:[ \t]{0,16}"')
_POOL_OPTION = re.compile(
    rb"-(?<![\w-]-)(?:o|-url)(?:[ \t]{1,4}|=)[\"']?([a-zA-Z0-9][\w.+:/-]{2,200}:[0-9]{2,5})(?![\w.])"
)
_USER_OPTION = re.compile(rb"-(?<![\w-]-)(?:u|-user|O|-userpass)[ \t=]")

_WALLET = re.compile(
    rb"[48](?<![1-9A-HJ-NP-Za-km-z].)[1-9A-HJ-NP-Za-km-z]{94}(?:[1-9A-HJ-NP-Za-km-z]{11})?(?![1-9A-HJ-NP-Za-km-z])",
    re.DOTALL,
)

_DOWNLOADERS = (
    *(b"curl", b"wget", b"aria2c", b"lwp-download", b"lwp-request", b"ftpget", b"tftp"),
    *(b"urlopen", b"urlretrieve", b"requests.get", b"LWP::Simple"),
)
_DOWNLOAD = re.compile(rb"(?<![\w-])(?:" + b"|".join(map(re.escape, _DOWNLOADERS)) + rb")(?![\w-])([^\n;`]{1,2048})")
_URL = re.compile(rb"(?:https?|ftp|tftp)://[^\s\"'<>|;`)(\\]{3,512}")
_BARE_ADDRESS = re.compile(
    rb"(?<![\w./:@=-])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,5})(?::[0-9]{1,5})?"
    rb"/[^\s\"'<>|;`)(\\]{1,256}"
)
_ASSIGNED_URL = re.compile(rb"=[ \t]{0,4}[\"']?((?:https?|ftp)://[^\s\"'<>|;`)(\\]{3,512})")


def references(data: bytes) -> list[str]:
    """Return the absolute paths that a script or a configuration names, each once, in the order they stand there.

    What is started as ``./name`` after ``cd /directory``, or given there as configuration (``-c name``), is named by
    its whole path, after the others; so is ``$D/name`` below ``D=/directory``. ``..`` and doubled slashes are resolved
    as text.
    """
    data = data[:TEXT_LIMIT]
    found = chain((match[0] for match in _PATH.finditer(data)), _started_after_change(data), _below_variables(data))
    paths = (_normal(path) for path in found)
    return _first(REFERENCE_LIMIT, (path for path in paths if len(path) > 2 and path != b"/dev/null"))


def _normal(path: bytes) -> bytes:
    """Return the path without what only ends a sentence; ``//word`` is a comment more often than a path."""
    path = path.rstrip(b"./-+@")
    if path.startswith(b"//"):
        return b"/" + posixpath.normpath(path).lstrip(b"/") if b"/" in path.lstrip(b"/") else b""
    return posixpath.normpath(path) if path else b""


def _started_after_change(data: bytes) -> Iterator[bytes]:
    directory = b""
    if not _CHANGE.search(data):
        return
    for match in _CHANGE_AND_START.finditer(data):
        if match[1]:
            directory = match[1].rstrip(b"/")
        elif directory:
            yield directory + b"/" + (match[2] or match[3])


def _below_variables(data: bytes) -> Iterator[bytes]:
    if not any(mark in data for mark in _ASSIGNMENT_MARKS):  # the pattern begins at every word: that is dear
        return
    values = {match[1]: match[2] for match in islice(_ASSIGNED_PATH.finditer(data), _VARIABLE_LIMIT)}
    if values:
        yield from (values[match[1]] + match[2] for match in _VARIABLE_PATH.finditer(data) if match[1] in values)


def text_indicators(data: bytes) -> list[str]:
    """Return what a script, a configuration or a text says of mining and downloads.

    ``pool:`` and an address as it stands there, ``wallet:`` and a Monero address whose checksum is right, ``url:`` and
    an address that a download command is given.
    """
    data = data[:TEXT_LIMIT]
    return _pools(data, _text_pools) + _wallets(data) + _prefixed("url:", _first(INDICATOR_LIMIT, _downloads(data)))


def binary_indicators(data: bytes) -> list[str]:
    """Return the pools and wallets in a program's bytes, as ``text_indicators`` writes them."""
    data = data[:BINARY_LIMIT]
    return _pools(data, _named_pools) + _wallets(data)


def _prefixed(prefix: str, found: Iterable[str]) -> list[str]:
    return [f"{prefix}{item}" for item in found]


def _first(limit: int, found: Iterable[bytes]) -> list[str]:
    unique: dict[bytes, None] = {}
    for item in found:
        unique.setdefault(item)
        if len(unique) >= limit:
            break
    return [text(item) for item in unique]


def _pools(data: bytes, search: Callable[[bytes], Iterator[bytes]]) -> list[str]:
    return _prefixed("pool:", _first(INDICATOR_LIMIT, (pool.rstrip(b".:/") for pool in search(data))))


def _named_pools(data: bytes) -> Iterator[bytes]:
    """Yield addresses with a scheme of mining, and hosts of known pools that stand in no such address."""
    schemes = list(islice(_scheme_addresses(data), _CANDIDATE_LIMIT))
    yield from schemes
    within = b"\n".join(schemes)
    yield from (host for host in islice(_known_hosts(data), _CANDIDATE_LIMIT) if host not in within)


def _scheme_addresses(data: bytes) -> Iterator[bytes]:
    position = data.find(_SCHEME_MARK)
    while position >= 0:
        scheme = _MINING_SCHEME.search(data, max(0, position - _LONGEST_SCHEME), position)
        address = _ADDRESS.match(data, position + len(_SCHEME_MARK)) if scheme else None
        if scheme and address:
            yield scheme[0] + _SCHEME_MARK + address[0]
        position = data.find(_SCHEME_MARK, position + len(_SCHEME_MARK))


def _known_hosts(data: bytes) -> Iterator[bytes]:
    for port in _PORT.finditer(data):
        before = data[max(0, port.start() - _LONGEST_HOST) : port.start()]
        if before[-32:].lower().endswith(POOL_DOMAINS):
            host = _HOST_BACKWARDS.match(before[::-1])
            labels = host[0][::-1].lower() if host else b""
            if any(labels == domain or labels.endswith(b"." + domain) for domain in POOL_DOMAINS):
                yield labels + port[0]


def _text_pools(data: bytes) -> Iterator[bytes]:
    """Yield the named pools, and what a miner's configuration or command line gives as its pool beside a user."""
    yield from _named_pools(data)
    if _USER_KEY.search(data):
        yield from (match[1] for match in _POOL_KEY.finditer(data))
    if _USER_OPTION.search(data):
        yield from (match[1] for match in _POOL_OPTION.finditer(data))


def _downloads(data: bytes) -> Iterator[bytes]:
    if not any(name in data for name in _DOWNLOADERS):
        return
    for command in _DOWNLOAD.finditer(data):
        yield from (match[0] for match in _URL.finditer(command[1]))
        yield from (match[0] for match in _BARE_ADDRESS.finditer(command[1]))
    if _DOWNLOAD.search(data):
        yield from (match[1] for match in _ASSIGNED_URL.finditer(data))


def _wallets(data: bytes) -> list[str]:
    candidates = (match[0] for match in islice(_WALLET.finditer(data), _CANDIDATE_LIMIT))
    return _prefixed("wallet:", _first(INDICATOR_LIMIT, filter(is_monero_address, candidates)))


_ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: value for value, letter in enumerate(_ALPHABET)}
_BLOCK_BYTES = {11: 8, 7: 5}
_NETWORKS = frozenset({18, 19, 42})


def is_monero_address(address: bytes) -> bool:
    """Return whether the text is a Monero address of the main network: standard (18), integrated (19), subaddress (42).

    Monero's base58 works on blocks: 8 bytes are 11 letters, the last 5 bytes are 7. The last 4 bytes are the head of
    the Keccak-256 of what is before them (docs.getmonero.org/public-address/standard-address).
    """
    from Crypto.Hash import keccak  # noqa: PLC0415 - needed only where something looks like an address

    payload = _base58_blocks(address)
    if payload is None or payload[0] not in _NETWORKS:
        return False
    return keccak.new(digest_bits=256, data=payload[:-4]).digest()[:4] == payload[-4:]


def _base58_blocks(address: bytes) -> bytes | None:
    """Decode Monero's base58; None where a letter, a length or a value is not possible."""
    if len(address) not in {95, 106}:
        return None
    payload = bytearray()
    for start in range(0, len(address), 11):
        block = address[start : start + 11]
        size = _BLOCK_BYTES.get(len(block))
        number = 0
        for letter in block:
            number = number * 58 + _DIGITS.get(letter, 1 << 80)
        if size is None or number >> (8 * size):
            return None
        payload += number.to_bytes(size, "big")
    return bytes(payload)
