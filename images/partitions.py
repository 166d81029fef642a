"""Writes partition tables with sfdisk and puts filesystems into their places."""

import json
from collections.abc import Iterator
from pathlib import Path

from images import tools
from images.story import Disk, Partition, StoryError, byte_size

_SECTOR = 512
_ALIGNMENT = 1 << 20
_GPT_TYPES = {
    "linux": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    "bios-boot": "21686148-6449-6E6F-744E-656564454649",
    "efi": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
}
_MBR_TYPES = {"linux": "83", "efi": "ef", "swap": "82"}


def write_table(disk: Disk, image: Path) -> list[int]:
    """Make the disk's file with its partition table; return where each partition begins, in bytes."""
    with image.open("wb") as file:
        file.truncate(byte_size(disk.size))
    if disk.table == "none":
        return [0]
    tools.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "never", image], text=_script(disk))
    return _starts(disk, image)


def copy_into(filesystem: Path, image: Path, offset: int) -> None:
    """Copy a filesystem to its place, leaving holes where it holds zeros."""
    zeros = bytes(_ALIGNMENT)
    with filesystem.open("rb") as source, image.open("r+b") as target:
        position = offset
        while chunk := source.read(_ALIGNMENT):
            if chunk != zeros[: len(chunk)]:
                target.seek(position)
                target.write(chunk)
            position += len(chunk)


def _script(disk: Disk) -> str:
    label = "gpt" if disk.table == "gpt" else "dos"
    header = f"label: {label}\nlabel-id: {disk.identifier}\n"
    return header + "".join(f"{line}\n" for line in _script_lines(disk))


def _script_lines(disk: Disk) -> Iterator[str]:
    """Yield a line a partition; the extended partition takes what is left, before the first logical one."""
    start, extended = _ALIGNMENT, False
    for number, partition in enumerate(disk.partitions):
        if partition.logical and not extended:
            extended = True
            yield f"start={start // _SECTOR}, type=5"
        start += _ALIGNMENT if partition.logical else 0
        yield _script_line(disk, partition, number, start)
        start += byte_size(partition.size)


def _script_line(disk: Disk, partition: Partition, number: int, start: int) -> str:
    place = f"start={start // _SECTOR}, size={byte_size(partition.size) // _SECTOR}"
    if disk.table == "mbr":
        if partition.type not in _MBR_TYPES:
            raise StoryError(f"{partition.type}: no such type in an MBR")
        return f"{place}, type={_MBR_TYPES[partition.type]}" + (", bootable" if number == 0 else "")
    identifier = f"{disk.identifier[:-2]}{number + 1:02x}".upper()
    return f'{place}, type={_GPT_TYPES[partition.type]}, uuid={identifier}, name="{partition.name}"'


def _starts(disk: Disk, image: Path) -> list[int]:
    table = json.loads(tools.run(["sfdisk", "--json", image]).stdout)["partitiontable"]["partitions"]
    starts = [entry["start"] * _SECTOR for entry in table if entry["type"].lower() not in ("5", "f", "85")]
    if len(starts) != len(disk.partitions):
        raise StoryError(f"sfdisk made {len(starts)} partitions of {len(disk.partitions)}")
    return starts
