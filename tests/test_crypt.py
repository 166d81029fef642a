"""dm-crypt's sectors: against another way of encrypting them, and against IEEE 1619's own vector."""

import pytest
from byte_media import ByteMedium, all_of

from images.luks import KEY, encrypted
from volforensic.evidence.maps import Crypt, Run
from volforensic.evidence.volumes.ciphers import CipherError, sector_cipher
from volforensic.evidence.volumes.crypt import CryptMedium, open_crypt

PLAIN = bytes(range(251)) * 200
CIPHERS = [
    ("aes-xts-plain64", 64), ("aes-xts-plain64", 32), ("aes-xts-plain", 48), ("aes-cbc-plain64", 32),
    ("aes-cbc-plain", 16), ("aes-cbc-essiv:sha256", 32), ("aes-cbc-essiv:sha256", 16),
]  # fmt: skip


def crypt(cipher: str, length: int, sector_size: int = 512, first: int = 0) -> Crypt:
    return Crypt(data=Run(0, length), cipher=cipher, key=0, sector_size=sector_size, first_sector=first, length=length)


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize(("cipher", "key_size"), CIPHERS)
def test_every_cipher_gives_the_plain_bytes(cipher: str, key_size: int, sector_size: int) -> None:
    plain = PLAIN[: 40960 + sector_size]
    key = KEY[:key_size]
    data = ByteMedium(encrypted(cipher, key, plain, 7, sector_size))
    medium = open_crypt(crypt(cipher, len(plain), sector_size, 7), data, key)
    assert all_of(medium) == plain
    assert medium.read_at(0, 1 << 20) == plain


def test_the_vector_of_ieee_1619() -> None:
    key = bytes.fromhex("27182818284590452353602874713526" + "31415926535897932384626433832795")
    sector = encrypted("aes-xts-plain64", key, bytes(range(256)) * 2)
    assert sector.hex().startswith("27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c")
    assert sector_cipher("aes-xts-plain64", key).read(sector, 0, 512) == bytes(range(256)) * 2


@pytest.mark.parametrize(("position", "size"), [(0, 1), (511, 2), (1000, 5000), (9728, 9999), (10239, 1), (3, 10237)])
def test_any_range_can_be_read(position: int, size: int) -> None:
    medium = open_crypt(
        crypt("aes-xts-plain64", 10240), ByteMedium(encrypted("aes-xts-plain64", KEY, PLAIN[:10240])), KEY
    )
    assert medium.read_at(position, size) == PLAIN[:10240][position : position + size]


def test_nothing_lies_outside() -> None:
    medium = open_crypt(crypt("aes-cbc-plain64", 1024), ByteMedium(bytes(1024)), KEY[:32])
    assert [medium.read_at(-1, 5), medium.read_at(1024, 5), medium.read_at(0, 0)] == [b"", b"", b""]


def test_plain_counts_sectors_in_32_bits_and_plain64_in_64() -> None:
    key, first = KEY[:32], (1 << 32) + 5
    sector = encrypted("aes-cbc-plain64", key, PLAIN[:512], 5)
    assert sector_cipher("aes-cbc-plain", key).read(sector, first, 512) == PLAIN[:512]
    assert sector_cipher("aes-cbc-plain64", key).read(sector, first, 512) != PLAIN[:512]


def test_a_cut_or_a_bad_sector_is_an_error_and_no_zeros() -> None:
    cut = open_crypt(crypt("aes-xts-plain64", 2048), ByteMedium(bytes(1500)), KEY)
    with pytest.raises(OSError, match="end at byte 1500"):
        cut.read_at(1024, 512)
    assert len(cut.read_at(0, 1024)) == 1024
    bad = open_crypt(crypt("aes-xts-plain64", 2048), ByteMedium(bytes(2048), ((600, 601),)), KEY)
    with pytest.raises(OSError, match="a bad sector"):
        bad.read_at(512, 1)
    assert len(bad.read_at(1024, 1024)) == 1024


@pytest.mark.parametrize(
    ("cipher", "key_size"),
    [
        ("serpent-xts-plain64", 64), ("twofish-cbc-essiv:sha256", 32), ("aes-lrw-benbi", 32), ("aes", 32), ("", 0),
        ("aes-xts-plain64", 16), ("aes-cbc-plain64", 64), ("aes-xts-essiv:sha256", 64), ("aes-cbc-essiv:sha1", 32),
        ("aes-xts-plain64:x", 64), ("capi:xts(aes)-plain64", 64), ("aes-xts-\x1b[2J", 64),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(cipher: str, key_size: int) -> None:
    with pytest.raises(CipherError) as caught:
        sector_cipher(cipher, KEY[:key_size])
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(("length", "sector_size"), [(1024, 0), (1024, 513), (1000, 512), (1 << 20, 8192)])
def test_sectors_have_the_sizes_of_dm_crypt(length: int, sector_size: int) -> None:
    with pytest.raises(CipherError):
        open_crypt(crypt("aes-xts-plain64", length, sector_size), ByteMedium(b""), KEY)


def test_no_repr_shows_the_key() -> None:
    cipher = sector_cipher("aes-xts-plain64", KEY)
    medium = open_crypt(crypt("aes-xts-plain64", 512), ByteMedium(bytes(512)), KEY)
    assert isinstance(medium, CryptMedium)
    assert repr(cipher) == "SectorCipher()"
