"""VMDK as qemu-img writes it: every byte compared with the disk it was made from."""

import shutil
from pathlib import Path

import pytest
from container_files import assert_reads, disk_bytes, open_path
from test_qcow_tools import run, write

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")

SUBFORMATS = ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "streamOptimized"]


@pytest.mark.parametrize("subformat", SUBFORMATS)
@pytest.mark.parametrize("size", [3_000_320, 2 << 20, 512, 12_000_000 // 512 * 512])
def test_vmdk_is_the_disk_it_was_made_from(subformat: str, size: int, tmp_path: Path) -> None:
    data = disk_bytes(size, size % 97)
    (tmp_path / "raw").write_bytes(data)
    path = tmp_path / "disk.vmdk"
    run(
        "qemu-img",
        "convert",
        "-t",
        "unsafe",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        f"subformat={subformat}",
        tmp_path / "raw",
        path,
    )
    opened = open_path(path)
    assert_reads(opened.medium, data)
    assert opened.facts.details["create type"] == subformat
    assert opened.facts.problems == []
    assert opened.faults == []


def test_zeroed_grains(tmp_path: Path) -> None:
    path, parent = tmp_path / "disk.vmdk", tmp_path / "parent.vmdk"
    data = bytearray(disk_bytes(3_000_320, 4))
    (tmp_path / "raw").write_bytes(data)
    run("qemu-img", "convert", "-t", "unsafe", "-f", "raw", "-O", "vmdk", tmp_path / "raw", parent)
    run("qemu-img", "create", "-f", "vmdk", "-o", "zeroed_grain=on", "-b", parent, "-F", "vmdk", path)
    run("qemu-io", "-t", "unsafe", "-c", "write -z 0 1M", "-c", "write -P 7 1200k 3k", path)
    data[: 1 << 20] = bytes(1 << 20)
    data[1200 << 10 : 1203 << 10] = b"\7" * 3072
    assert_reads(open_path(path).medium, bytes(data))


def test_a_chain_of_three(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.vmdk" for number in range(3)]
    expected = bytearray(disk_bytes(2_500_096, 8))
    (tmp_path / "raw").write_bytes(expected)
    run("qemu-img", "convert", "-t", "unsafe", "-f", "raw", "-O", "vmdk", tmp_path / "raw", paths[0])
    for number in (1, 2):
        run("qemu-img", "create", "-f", "vmdk", "-b", paths[number - 1], "-F", "vmdk", paths[number])
        write(paths[number], "vmdk", expected, number)
    opened = open_path(paths[2])
    assert [reference.name for reference in opened.facts.references] == [bytes(paths[1])]
    assert_reads(opened.medium, bytes(expected))


def test_a_split_disk_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    raw, path = tmp_path / "raw", tmp_path / "disk.vmdk"
    with raw.open("wb") as file:
        file.truncate((4 << 30) + 512)
        for place in (0, (2 << 30) - 512, 2 << 30, (4 << 30) - 512, 4 << 30):
            file.seek(place)
            file.write(place.to_bytes(8, "little") * 64)
    run(
        "qemu-img",
        "convert",
        "-t",
        "unsafe",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        "subformat=twoGbMaxExtentSparse",
        raw,
        path,
    )
    raw.unlink()
    opened = open_path(path)
    assert opened.medium.size == (4 << 30) + 512
    assert opened.facts.details["extents"] == "3 (SPARSE)"
    for place in (0, 2 << 30, 4 << 30):
        wanted = (bytes(512) if place % (2 << 30) else place.to_bytes(8, "little") * 64)[:512]
        assert opened.medium.read_at(place, 512) == wanted
    middle = opened.medium.read_at((2 << 30) - 512, 1024)
    assert middle == ((2 << 30) - 512).to_bytes(8, "little") * 64 + (2 << 30).to_bytes(8, "little") * 64
