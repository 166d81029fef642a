"""One disk in every container, below every kind of volume, and as a tree: the files and their hashes are the same."""

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import zstandard
from test_hostile_stages import Silence

from images import luks, lvm, md
from images.containers import ewf, qcow1, qcow2, vdi, vhd, vhdx, vmdk
from volforensic.errors import HostError, SourceError
from volforensic.evidence.image import ImageOptions
from volforensic.evidence.layout import Layout
from volforensic.evidence.signatures import Filesystem
from volforensic.evidence.volumes.unlock_messages import Secrets
from volforensic.hashing import HashOptions, hashed_source
from volforensic.record import Problem, Row

PASSPHRASE = b"correct horse"
FILES = {
    "etc/fstab": b"LABEL=root / ext4 defaults 0 1\n",
    "etc/hostname": b"web1\n",
    "usr/bin/tool": b"\x7fELF" + bytes(range(256)) * 40,
    "var/log/auth.log": b"Oct 10 10:10:01 web sshd[11]: Accepted password for alice from 192.0.2.7 port 40 ssh2\n" * 99,
}
KEYS = ("path", "type", "mode", "uid", "gid", "size", "sha256", "mtime", "nlink", "link_target")


class Read(NamedTuple):
    """What a source gave: its disk's hash, the rows of its files, problems, layout."""

    sha256: str
    rows: list[Row]
    problems: list[Problem]
    layout: Layout


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("disk")
    tree = good_tree(folder / "tree")
    image = folder / "disk.raw"
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-L", "root", "-d", str(tree), str(image), "4M"]
    subprocess.run(make, check=True, capture_output=True)
    return image.read_bytes()


def good_tree(root: Path) -> Path:
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "usr/bin/link").symlink_to("tool")
    return root


def read(path: Path, image: ImageOptions = ImageOptions()) -> Read:  # noqa: B008 - a frozen value
    options = HashOptions(rules=b"", jobs=1, image=image)
    with hashed_source(path, options, Silence()) as hashed:
        rows = [{key: row.get(key) for key in KEYS} for row in hashed.rows()]
        assert hashed.digest is not None
        return Read(hashed.digest.sha256, rows, list(hashed.problems), hashed.layout)


@pytest.fixture(scope="module")
def plain(disk: bytes, tmp_path_factory: pytest.TempPathFactory) -> Read:
    path = tmp_path_factory.mktemp("plain") / "disk.raw"
    path.write_bytes(disk)
    found = read(path)
    assert found.problems == []
    hashes = {row["path"]: row["sha256"] for row in found.rows}
    assert {path: hashes["/" + path] for path in FILES} == {
        path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()
    }
    return found


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files and return the first one's path."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def flat(disk: bytes, more: str = "") -> dict[str, bytes]:
    half = len(disk) // 2 // 512
    extents = [f'RW {half} FLAT "d-f001.vmdk" 0', f'RW {len(disk) // 512 - half} FLAT "d-f002.vmdk" 0']
    text = vmdk.descriptor(extents, "twoGbMaxExtentFlat", more=more)
    return {"d.vmdk": text, "d-f001.vmdk": disk[: half * 512], "d-f002.vmdk": disk[half * 512 :]}


def chain(disk: bytes) -> dict[str, bytes]:
    """Return a qcow2 that has every second cluster, on one that has all."""
    odd = frozenset(range(0, len(disk) >> 16, 2))
    above = qcow2.Variant(backing_file=b"/images/of/another host/below.qcow2", absent=odd, has_zero_clusters=True)
    below = qcow2.build(disk, qcow2.Variant(compression="zlib"))
    return {"above.qcow2": qcow2.build(disk, above).image, "below.qcow2": below.image}


def segments(disk: bytes) -> dict[str, bytes]:
    return {f"d.E{number:02}": data for number, data in enumerate(ewf.build(disk, ewf.Form(segment_chunks=40)), 1)}


def parts(disk: bytes) -> dict[str, bytes]:
    size = 1_000_000
    pieces = [disk[start : start + size] for start in range(0, len(disk), size)]
    return {f"d.{number:03}": piece for number, piece in enumerate(pieces, 1)}


CONTAINERS: dict[str, Callable[[bytes], dict[str, bytes]]] = {
    "E01": segments,
    "qcow2": lambda disk: {"d.qcow2": qcow2.build(disk, qcow2.Variant(compression="zstd")).image},
    "qcow2 chain": chain,
    "qcow": lambda disk: {"d.qcow": qcow1.build(disk, qcow1.Variant())},
    "VMDK sparse": lambda disk: {"d.vmdk": vmdk.sparse(disk, vmdk.Sparse())},
    "VMDK stream": lambda disk: {"d.vmdk": vmdk.stream(disk, vmdk.Sparse())},
    "VMDK flat": flat,
    "VMDK from another country": lambda disk: flat(disk, 'encoding="GBK"\n'),
    "VHD": lambda disk: {"d.vhd": vhd.dynamic(disk)},
    "VHD fixed": lambda disk: {"d.vhd": vhd.fixed(disk)},
    "VHDX": lambda disk: {"d.vhdx": vhdx.dynamic(disk)},
    "VDI": lambda disk: {"d.vdi": vdi.build(disk)},
    "split": parts,
    "gzip": lambda disk: {"d.raw.gz": gzip.compress(disk, 1)},
    "xz": lambda disk: {"d.raw.xz": lzma.compress(disk, preset=0)},
    "zstd": lambda disk: {"d.raw.zst": zstandard.compress(disk)},
    "gzip of qcow2": lambda disk: {"d.qcow2.gz": gzip.compress(qcow2.build(disk, qcow2.Variant()).image, 1)},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_disk_is_the_same_in_every_container(name: str, disk: bytes, plain: Read, tmp_path: Path) -> None:
    found = read(written(tmp_path, CONTAINERS[name](disk)))
    assert found.sha256 == plain.sha256
    assert found.rows == plain.rows
    assert not any(problem.lost for problem in found.problems)


def physical(volume: bytes, *, extent: int = 64 << 10) -> bytes:
    """Return a physical volume with one logical volume that holds the bytes, its two halves in the wrong order."""
    count = len(volume) // extent
    half = count // 2
    segments_ = [lvm.linear(0, half, "pv0", count - half), lvm.linear(half, count - half, "pv0", 0)]
    one = lvm.Physical(lvm.identity("disk"), count)
    text = lvm.group_text("vg0", [one], [lvm.Logical("root", segments_)], extent_size=extent)
    disk = lvm.physical_volume(one.uuid, one.start + len(volume), text)
    disk[one.start : one.start + (count - half) * extent] = volume[half * extent :]
    disk[one.start + (count - half) * extent :] = volume[: half * extent]
    return bytes(disk)


def mirrored(volume: bytes) -> bytes:
    """Return the one member that is left of a mirror of two."""
    return md.member(md.Array(level=1, disks=2, component=len(volume)), 1, volume)


def sealed(volume: bytes) -> bytes:
    return luks.luks2(volume, [PASSPHRASE])


VOLUMES: dict[str, Sequence[Callable[[bytes], bytes]]] = {
    "lvm": [physical],
    "luks": [sealed],
    "md": [mirrored],
    "lvm in luks": [physical, sealed],
    "luks in lvm": [sealed, lambda volume: physical(volume.ljust(-(-len(volume) // 65536) * 65536, b"\0"))],
    "lvm in luks on md": [physical, sealed, mirrored],
}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_filesystem_is_the_same_below_every_kind_of_volume(
    name: str, disk: bytes, plain: Read, tmp_path: Path
) -> None:
    for wrap in VOLUMES[name]:
        disk = wrap(disk)
    options = ImageOptions(secrets=Secrets(passphrases=(b"wrong", PASSPHRASE)))
    found = read(written(tmp_path, {"d.raw": disk}), options)
    assert found.rows == plain.rows
    assert [problem.reason for problem in found.problems if problem.lost] == []
    kinds = [volume.kind for volume in found.layout.volumes]
    assert sorted(kinds) == sorted(["whole", *name.replace(" in ", " ").replace(" on ", " ").split()])


def test_what_stays_closed_is_said(disk: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, {"d.raw": disk + bytes(65536) + sealed(disk)})
    # A filesystem and, behind it in another volume, what nobody can open: reading goes on, and the loss is told.
    table = subprocess.run(["sfdisk", "-q", str(tmp_path / "t.raw")], input="", capture_output=True, check=False)
    del table
    content = bytearray(1 << 20) + disk + sealed(disk)
    first, second = (1 << 20) // 512, ((1 << 20) + len(disk)) // 512
    for number, (start, size) in enumerate([(first, len(disk)), (second, len(sealed(disk)))]):
        entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + start.to_bytes(4, "little") + (size // 512).to_bytes(4, "little")
        content[446 + 16 * number : 462 + 16 * number] = entry
    content[510:512] = b"\x55\xaa"
    path.write_bytes(content)
    found = read(path)
    assert any("no key was given; use --passphrase-file" in problem.reason for problem in found.problems)
    assert any(problem.lost for problem in found.problems)
    wrong = read(path, ImageOptions(secrets=Secrets(passphrases=(b"wrong",))))
    assert any("the key given does not open it" in problem.reason for problem in wrong.problems)
    assert not any("wrong" in problem.reason.split() for problem in wrong.problems)


def test_a_tree_has_the_files_of_the_disk_that_it_lay_on(plain: Read, tmp_path: Path) -> None:
    found = read(Path(f"dir:{good_tree(tmp_path / 'root')}"))
    hashes = {row["path"]: row["sha256"] for row in found.rows}
    assert {path: hashes["/" + path] for path in FILES} == {
        path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()
    }
    names = {row["path"] for row in plain.rows if not row["path"].startswith("/lost+found")}
    assert {row["path"] for row in found.rows} == names


def test_a_disk_named_raw_is_read_byte_for_byte_whatever_it_begins_with(disk: bytes, tmp_path: Path) -> None:
    # The first 1024 bytes of an ext filesystem are free: its owner may write a qcow2 header there.
    forged = qcow2.build(bytes(1 << 20), qcow2.Variant()).image[:512]
    path = written(tmp_path, {"d.raw": forged + disk[512:]})
    found = read(path)
    assert any("looks like a qcow2 container" in problem.reason for problem in found.problems)
    assert any(row["path"] == "/etc/hostname" for row in found.rows)
    other = tmp_path / "d.img"
    shutil.copy(path, other)
    assert read(other, ImageOptions(as_raw=True)).rows == found.rows


def test_a_parent_is_looked_for_beside_and_nowhere_else(disk: bytes, plain: Read, tmp_path: Path) -> None:
    files = chain(disk)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    above = written(tmp_path, {"above.qcow2": files["above.qcow2"]})
    below = written(elsewhere, {"renamed.qcow2": files["below.qcow2"]})
    with pytest.raises(SourceError, match=r"stands on below\.qcow2, which is not beside it"):
        read(above)
    assert read(above, ImageOptions(parents=(below,))).sha256 == plain.sha256


def test_a_disk_that_stands_on_itself_is_an_error(disk: bytes, tmp_path: Path) -> None:
    variant = qcow2.Variant(backing_file=b"d.qcow2", absent=frozenset({3}))
    with pytest.raises(SourceError, match="stands on itself"):
        read(written(tmp_path, {"d.qcow2": qcow2.build(disk, variant).image}))


def test_no_file_of_the_host_is_opened_for_a_name_in_a_container(disk: bytes, tmp_path: Path) -> None:
    for name in (b"/etc/passwd", b"../../../../etc/passwd", b"..", b"json:{}", b"C:\\etc\\passwd"):
        image = qcow2.build(disk, qcow2.Variant(backing_file=name, absent=frozenset({3}))).image
        with pytest.raises(SourceError, match="stands on"):
            read(written(tmp_path, {"d.qcow2": image}))


def test_a_stored_hash_that_is_another_disks_is_a_loss(disk: bytes, tmp_path: Path) -> None:
    (image,) = ewf.build(disk, ewf.Form(level=None))
    place = image.index(FILES["var/log/auth.log"][:100])
    found = read(written(tmp_path, {"d.E01": image[:place] + b"?" + image[place + 1 :]}))
    told = [problem for problem in found.problems if problem.lost]
    assert any("the md5 that the container stores is" in problem.reason for problem in told)
    position = disk.index(FILES["var/log/auth.log"][:100])
    located = [problem for problem in found.problems if problem.offset is not None and problem.length]
    assert any((problem.offset or 0) <= position < (problem.offset or 0) + (problem.length or 0) for problem in located)


def test_what_a_container_lacks_is_said_without_classes_and_lines_of_code(disk: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, {"d.E02": segments(disk)["d.E02"]})
    with pytest.raises(
        SourceError, match=r"cannot be read: this is segment 2 of an EWF image; name the first one \(\.E01\)\."
    ):
        read(path)


def test_a_fifo_is_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a block device"):
        read(tmp_path / "pipe")


def test_disks_that_mirror_each_other_whole_are_read_as_their_array(disk: bytes, plain: Read, tmp_path: Path) -> None:
    volume = bytearray(1 << 20) + disk
    volume[446:462] = (
        bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (len(disk) // 512).to_bytes(4, "little")
    )
    volume[510:512] = b"\x55\xaa"
    array = md.Array(level=1, disks=2, component=len(volume), version="1.0")
    found = read(written(tmp_path, {"d.raw": md.member(array, 0, bytes(volume))}))
    assert found.rows == plain.rows
    kinds = [(volume.kind, volume.is_readable) for volume in found.layout.volumes]
    assert kinds == [("whole", False), ("md", False), ("mbr", True)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have the kernel mount")
def test_the_kernel_is_asked_by_name_alone_and_what_it_shows_is_read(
    disk: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A filesystem that this kernel reads, and that is taken for one that is newer than our reader.
    monkeypatch.setattr(Filesystem, "has_unknown_features", property(lambda found: found.type == "ext4"))
    path = written(tmp_path, {"d.raw": disk})
    before = hashlib.sha256(disk).hexdigest()
    assert [volume.kind for volume in read(path).layout.volumes] == ["whole"]
    try:
        found = read(path, ImageOptions(kernel_view=True))
    except HostError as error:
        pytest.skip(f"this kernel gives no view: {error}")
    assert any("was read by the kernel" in problem.reason for problem in found.problems)
    hashes = {row["path"]: row["sha256"] for row in found.rows}
    assert hashes["/etc/hostname"] == hashlib.sha256(FILES["etc/hostname"]).hexdigest()
    assert [(volume.index, volume.parts) for volume in found.layout.volumes] == [(0, [1]), (1, [])]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before == found.sha256
