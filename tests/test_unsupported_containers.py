"""Containers that are named and not opened."""

import pytest
from container_files import BytesMedium

from volforensic.evidence.containers.unsupported import named_by_trailer, named_unsupported


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"WithoutFreeSpace", "Parallels"),
        (b"WithouFreSpacExt", "Parallels"),
        (b"QED\0", "QED"),
        (b"EVF2\r\n\x81\0", "Ex01"),
        (b"AFF10\r\n\0", "AFF"),
        (b"ADSEGMENTEDFILE\0", "AD1"),
        (b"shdw\0\0\0\1", "ASIF"),
        (b"\x04\x22\x4d\x18", "LZ4"),
        (b"PK\3\4", "ZIP"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xeb\x58\x90-FVE-FS-", "BitLocker"),
        (bytes(424) + bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"), "BitLocker"),
    ],
)
def test_they_are_named_with_what_to_do(head: bytes, name: str) -> None:
    sentence = named_unsupported(head.ljust(512, b"\0"))
    assert name in sentence
    assert " is not supported: " in sentence


@pytest.mark.parametrize("head", [b"", bytes(512), b"KDMV" + bytes(508), b"\xeb\x58\x90mkfs.fat" + bytes(500)])
def test_others_are_not(head: bytes) -> None:
    assert named_unsupported(head) == ""


def test_a_dmg_is_known_by_its_end() -> None:
    trailer = b"koly\0\0\0\4\0\0\2\0".ljust(512, b"\0")
    assert "DMG" in named_by_trailer(BytesMedium(bytes(5000) + trailer))
    assert named_by_trailer(BytesMedium(b"koly")) == ""
