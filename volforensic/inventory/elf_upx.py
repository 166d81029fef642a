"""UPX in an ELF file, also where its magic was overwritten: by the structures that its loader needs to unpack.

A packed file holds, in the byte order of its machine (UPX: src/stub/src/include/linux.h, src/p_lx_elf.cpp,
src/packhead.cpp):

- behind the program headers ``l_info`` (checksum, "UPX!", size of the loader, version, format) and ``p_info`` (program
  id, size of the original file, largest block); the loader looks at neither of them closely, so authors of malware
  overwrite both, and ``upx -d`` refuses the file then;
- a chain of blocks, each behind a ``b_info`` (size unpacked, size packed, method, filter, parameter, zero). The loader
  walks it, so it must be whole. The first one unpacks to the headers of the original file: 64 + n * 56 or 52 + n * 32
  bytes;
- near the end of the file a pack header: "UPX!" again, version, format, method.
"""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from volforensic.inventory.elf_format import DYNAMIC, Image
from volforensic.inventory.elf_measures import sections_cover

_MAGIC = b"UPX!"
_BLOCK = 12
_INFORMATION = 24  # l_info and p_info
_MOST_BLOCKS = 16
_HEAD, _TAIL = 4096, 64 << 10
_SEARCHED = 4 << 20  # in a file without sections: libraries hold their blocks far behind the headers
_MOST_PLACES = 64
_METHODS = {
    2: "NRV2B",
    3: "NRV2B",
    4: "NRV2B",
    5: "NRV2D",
    6: "NRV2D",
    7: "NRV2D",
    8: "NRV2E",
    9: "NRV2E",
    10: "NRV2E",
    11: "CL1B",
    12: "CL1B",
    13: "CL1B",
    14: "LZMA",
    15: "deflate",
    16: "Zstandard",
}
# The first block's description: unpacked and packed size below 8 KiB, method, no filter, no parameter, zero.
_FIRST_BLOCKS = {
    "<": re.compile(rb"[^\0][\0-\x1f]\0\0[^\0][\0-\x1f]\0\0[\x02-\x10]\0\0\0", re.DOTALL),
    ">": re.compile(rb"\0\0[\0-\x1f][^\0]\0\0[\0-\x1f][^\0][\x02-\x10]\0\0\0", re.DOTALL),
}
_INFORMATION_TEXT = b"$Info: This file is packed with the UPX executable packer"
_VERSION = re.compile(rb"\$Id: UPX (\d{1,2}\.\d{1,3}) Copyright")


class Chain(NamedTuple):
    """The blocks that follow each other from an offset: how many, their method, their sizes in all."""

    offset: int
    blocks: int
    method: str
    packed: int
    unpacked: int


class Upx(NamedTuple):
    """What speaks for UPX. ``is_altered`` where the structure is whole and its magic is not."""

    confidence: str
    signs: list[str]
    version: str
    is_altered: bool


def find_upx(image: Image) -> Upx | None:
    """Return what speaks for UPX; None where nothing does."""
    is_bare = not sections_cover(image)  # what a packer leaves is described by no section
    head = image.data.read(0, _SEARCHED if is_bare else _HEAD)
    end = max((one.offset + one.file_size for one in image.loads()), default=image.data.size)
    tail = image.data.read(max(0, min(end, image.data.size) - _TAIL), 2 * _TAIL)
    magic = head.find(_MAGIC)
    trailer = tail.rfind(_MAGIC)
    chain = _chain(image, head, magic, is_bare=is_bare)
    has_text = _INFORMATION_TEXT in tail or _INFORMATION_TEXT in head
    version = _VERSION.search(tail) or _VERSION.search(head)
    if chain is None and not (is_bare and (magic >= 0 or trailer >= 0 or has_text)):
        return None
    signs = _signs(image, chain, magic, has_trailer=trailer >= 0, has_text=has_text)
    is_cut = any(one.offset + one.file_size > image.data.size for one in image.loads())
    is_library = any(one.type == DYNAMIC for one in image.segments)  # UPX 3 leaves its data segment behind the trailer
    lacks_trailer = trailer < 0 and not (is_cut or is_library)
    is_altered = chain is not None and (magic < 0 or lacks_trailer or _is_wiped(image, chain))
    several = sum((magic >= 0, trailer >= 0, has_text)) >= 2
    confidence = "certain" if chain is not None else "likely" if several else "possible"
    return Upx(confidence, signs, version[1].decode() if version else "", is_altered)


def _signs(image: Image, chain: Chain | None, magic: int, *, has_trailer: bool, has_text: bool) -> list[str]:
    signs = []
    if chain is not None:
        signs.append(
            f"{chain.blocks} compressed blocks ({chain.method}) from offset {chain.offset}: "
            f"{chain.packed} bytes packed, {chain.unpacked} unpacked"
        )
        if _is_wiped(image, chain):
            signs.append("the size of the original file before them was overwritten")
    signs.append("UPX! before the blocks" if magic >= 0 else "no UPX! before the blocks")
    signs.append("UPX! near the end" if has_trailer else "no UPX! near the end")
    if has_text:
        signs.append("the text of the UPX loader")
    if not image.sections:
        signs.append("no section headers")
    return signs


def _is_wiped(image: Image, chain: Chain) -> bool:
    """Return whether p_info, before the first block, is too small for what the blocks unpack to."""
    raw = image.data.read(chain.offset - 8, 8)
    return len(raw) < 8 or struct.unpack(image.header.order + "II", raw)[0] < chain.unpacked


def _chain(image: Image, head: bytes, magic: int, *, is_bare: bool) -> Chain | None:
    """Return the chain of blocks: where the magic says, behind the program headers, or wherever its shape is found."""
    header = image.header
    if magic >= 4 and (chain := _blocks(image, magic - 4 + _INFORMATION, has_magic=True)) is not None:
        return chain
    table = header.segments_offset + len(image.segments) * (56 if header.bits == 64 else 32)
    places = [table + _INFORMATION]
    if is_bare:
        found = (match.start() for match in _FIRST_BLOCKS[header.order].finditer(head))
        places += list(islice(found, _MOST_PLACES))
    chains = (_blocks(image, place, has_magic=False) for place in places)
    return next((chain for chain in chains if chain is not None), None)


def _blocks(image: Image, offset: int, *, has_magic: bool) -> Chain | None:
    """Return the chain of blocks from an offset: behind a magic any, else two, the first one an ELF file's headers."""
    blocks = list(_walk(image, offset))
    if not blocks or not (has_magic or (len(blocks) >= 2 and _is_header_size(blocks[0][0]))):
        return None
    packed, unpacked = sum(block[1] for block in blocks), sum(block[0] for block in blocks)
    return Chain(offset, len(blocks), _METHODS[blocks[0][2]], packed, unpacked) if packed < unpacked else None


def _walk(image: Image, offset: int) -> Iterator[tuple[int, int, int]]:
    form = struct.Struct(image.header.order + "IIBBBB")
    first_method = 0
    for _ in range(_MOST_BLOCKS):
        raw = image.data.read(offset, _BLOCK)
        if len(raw) < _BLOCK:
            return
        unpacked, packed, method, _, _, unused = form.unpack(raw)
        is_block = 0 < packed <= unpacked and method in _METHODS and not unused
        if not is_block or method != (first_method or method) or offset + _BLOCK + packed > image.data.size:
            return
        first_method = method
        yield unpacked, packed, method
        offset += _BLOCK + packed


def _is_header_size(size: int) -> bool:
    return any(size > table and size <= 8192 and not (size - table) % entry for table, entry in ((64, 56), (52, 32)))
