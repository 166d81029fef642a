"""qcow2 and qcow 1 as qemu-img writes them: every byte compared with the disk they were made from."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from container_files import assert_reads, disk_bytes, open_path

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")

SIZE = 3_000_000 // 512 * 512 + 512


def run(*arguments: str | Path) -> None:
    subprocess.run([*map(str, arguments)], check=True, capture_output=True)


def converted(folder: Path, data: bytes, form: str, options: str = "", *flags: str) -> Path:
    raw, path = folder / "disk.raw", folder / f"disk.{form}"
    raw.write_bytes(data)
    wanted = ["-o", options] if options else []
    run("qemu-img", "convert", "-t", "unsafe", "-f", "raw", "-O", form, *wanted, *flags, raw, path)
    raw.unlink()
    return path


OPTIONS = [
    ("compat=0.10", ()),
    ("compat=0.10,cluster_size=512", ()),
    ("compat=1.1,cluster_size=4096", ("-c",)),
    ("compat=0.10", ("-c",)),
    ("compat=1.1,cluster_size=512", ("-c",)),
    ("compat=1.1,compression_type=zstd", ("-c",)),
    ("compat=1.1,compression_type=zstd,cluster_size=2M", ("-c",)),
    ("compat=1.1,cluster_size=2M", ()),
    ("compat=1.1,extended_l2=on,cluster_size=16k", ()),
    ("compat=1.1,extended_l2=on,cluster_size=128k", ("-c",)),
    ("compat=1.1,lazy_refcounts=on,preallocation=metadata", ()),
]


@pytest.mark.parametrize(("options", "flags"), OPTIONS)
def test_qcow2_is_the_disk_it_was_made_from(options: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    data = disk_bytes(SIZE, len(options) + len(flags))
    opened = open_path(converted(tmp_path, data, "qcow2", options, *flags))
    assert_reads(opened.medium, data)
    assert opened.facts.kind == "qcow2"
    assert opened.facts.problems == []
    assert opened.faults == []


@pytest.mark.parametrize("is_raw", ["on", "off"])
def test_an_external_data_file_is_found_by_its_name(is_raw: str, tmp_path: Path) -> None:
    data = disk_bytes(SIZE, 5)
    path, beside = tmp_path / "disk.qcow2", tmp_path / "disk.data"
    (tmp_path / "raw").write_bytes(data)
    options = f"data_file={beside},data_file_raw={is_raw}"
    run("qemu-img", "convert", "-t", "unsafe", "-f", "raw", "-O", "qcow2", "-o", options, tmp_path / "raw", path)
    opened = open_path(path)
    assert [reference.role for reference in opened.facts.references] == ["data"]
    assert_reads(opened.medium, data)


def test_qcow_1(tmp_path: Path) -> None:
    data = disk_bytes(SIZE, 9)
    opened = open_path(converted(tmp_path, data, "qcow"))
    assert opened.facts.kind == "qcow"
    assert_reads(opened.medium, data)


def test_qcow_1_compressed(tmp_path: Path) -> None:
    data, raw, path = disk_bytes(SIZE, 9), tmp_path / "disk.raw", tmp_path / "disk.qcow"
    raw.write_bytes(data)
    # qemu-img 7.2 ends with status 1 and no message after it wrote all of it: its own comparison says whether it did
    subprocess.run(["qemu-img", "convert", "-t", "unsafe", "-f", "raw", "-O", "qcow", "-c", raw, path], check=False)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow", raw, path)
    assert_reads(open_path(path).medium, data)


@pytest.mark.parametrize(
    ("forms", "options"),
    [
        (("raw", "qcow2", "qcow2"), ""),
        (("qcow2", "qcow2", "qcow2"), ""),
        (("qcow2", "qcow2", "qcow2"), "extended_l2=on,cluster_size=64k"),
        (("qcow", "qcow", "qcow"), ""),
        (("vmdk", "qcow2", "qcow"), ""),
    ],
)
def test_a_chain_of_three_with_sizes_that_grow(forms: tuple[str, ...], options: str, tmp_path: Path) -> None:
    sizes = [1_000_448, 1_500_160, 2_222_592]
    paths = [tmp_path / f"{number}.{form}" for number, form in enumerate(forms)]
    expected = bytearray(disk_bytes(sizes[0], 1))
    (tmp_path / "first").write_bytes(expected)
    run("qemu-img", "convert", "-t", "unsafe", "-f", "raw", "-O", forms[0], tmp_path / "first", paths[0])
    for number in (1, 2):
        wanted = ["-o", options] if options else []
        backing = ["-b", str(paths[number - 1]), "-F", forms[number - 1]]
        run("qemu-img", "create", "-f", forms[number], *wanted, *backing, paths[number], str(sizes[number]))
        expected.extend(bytes(sizes[number] - len(expected)))
        write(paths[number], forms[number], expected, number)
    opened = open_path(paths[2])
    assert_reads(opened.medium, bytes(expected))
    assert [reference.role for reference in opened.facts.references] == ["parent"]


def write(path: Path, form: str, expected: bytearray, seed: int) -> None:
    """Write random places of an image with qemu-io, zeros among them, and the same in ``expected``."""
    chance = random.Random(seed)  # noqa: S311  # the same each time
    commands: list[str | Path] = []
    for _ in range(12):
        size = chance.choice([512, 1024, 4096, 66_048, 131_072])
        place = chance.randrange((len(expected) - size) // 512) * 512
        value = chance.randrange(1, 256)
        is_zero = chance.random() < 0.3 and form == "qcow2"
        commands += ["-c", f"write -z {place} {size}" if is_zero else f"write -P {value} {place} {size}"]
        expected[place : place + size] = bytes([0 if is_zero else value]) * size
    run("qemu-io", "-t", "unsafe", "-f", form, *commands, path)


def test_internal_snapshots_are_listed_and_the_newest_state_is_read(tmp_path: Path) -> None:
    data = bytearray(disk_bytes(SIZE, 11))
    path = converted(tmp_path, bytes(data), "qcow2")
    run("qemu-img", "snapshot", "-c", "before the update", path)
    write(path, "qcow2", data, 3)
    run("qemu-img", "snapshot", "-c", "after", path)
    opened = open_path(path)
    assert_reads(opened.medium, bytes(data))
    assert opened.facts.details["internal snapshots"] == "2"
    assert opened.facts.details["snapshot 1"].startswith("id 1, name 'before the update', taken 20")
    assert opened.facts.details["snapshot 2"].endswith(f"VM state of 0 bytes, disk of {SIZE} bytes")
