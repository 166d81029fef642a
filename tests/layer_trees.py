"""Layers of an overlay: made by the kernel itself, or written with debugfs, and what our view of them shows."""

import hashlib
import mmap
import os
import random
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from media import medium_of

from volforensic.collection.layered import Hiding, LayeredNamespace, LayerIndex
from volforensic.collection.namespace import Tree
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory
from volforensic.inventory.walk import WalkArguments, walk_filesystem
from volforensic.sandbox.worker import Workplace

Shown = dict[str, tuple[object, ...]]
_PLAIN = Hiding()
OPTIONS = "redirect_dir=off,metacopy=off,index=off"


@contextmanager
def overlay(place: Path, layers: Sequence[Path], upper: Path | None = None, options: str = OPTIONS) -> Iterator[Path]:
    """Mount layers, the upper ones first, with ``upper`` to write to; skipped where the kernel does not."""
    place.mkdir(exist_ok=True)
    wanted = f"{options},lowerdir={':'.join(map(str, layers))}"
    if upper is not None:
        work = upper.with_name(upper.name + ".work")
        work.mkdir()
        upper.mkdir()
        wanted += f",upperdir={upper},workdir={work}"
    done = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", wanted, str(place)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"this kernel mounts no overlay: {done.stderr.decode(errors='replace').strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def change(root: Path, dice: random.Random) -> None:
    """Do some thirty random things to a tree: files, links, directories come, go and take each other's place."""
    for number in range(30):
        places = sorted(Path(top) for top, _, _ in os.walk(root))
        folder = dice.choice(places)
        target = folder / f"n{dice.randrange(6)}"
        _remove(target, dice)
        if target.exists() or target.is_symlink():
            continue
        match dice.randrange(7):
            case 0 | 1:
                target.mkdir()
            case 2:
                target.symlink_to(dice.choice(("/n1/n2", "n3", "../n0")))
            case 3:
                os.mkfifo(target)
            case 4:
                files = sorted(Path(top, name) for top, _, names in os.walk(root) for name in names)
                files = [file for file in files if stat.S_ISREG(file.lstat().st_mode)]
                if files:
                    os.link(dice.choice(files), target)
            case _:
                target.write_bytes(f"{number} {dice.random()}".encode() * dice.randrange(1, 400))


def _remove(target: Path, dice: random.Random) -> None:
    if target.is_dir() and not target.is_symlink():
        if dice.random() < 0.5:
            subprocess.run(["rm", "-rf", str(target)], check=True)
    elif target.is_symlink() or target.exists():
        target.unlink()


def shown_by_kernel(root: Path) -> Shown:
    """Return what a mounted tree shows."""
    shown: Shown = {}
    for top, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(top, name)
            status = path.lstat()
            key = "/" + str(path.relative_to(root))
            if path.is_symlink():
                shown[key] = "symlink", str(path.readlink())
            elif path.is_file():
                shown[key] = "file", status.st_size, hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                shown[key] = ("directory" if path.is_dir() else "fifo", status.st_uid, stat.S_IMODE(status.st_mode))
    return shown


def shown_by_view(view: LayeredNamespace, image: Path) -> Shown:
    """Return what our view shows: by listing, by path, and back from the entry to the path."""
    shown: Shown = {}
    top = view.resolve(b"/").entry
    waiting = [(b"", top)]
    while waiting:
        base, folder = waiting.pop()
        assert folder is not None
        for entry in view.children(folder):
            path = base + b"/" + entry.name
            assert view.at(path) == entry, path
            assert view.host_path(entry) == path
            shown[path.decode()] = _described(entry, image)
            if entry.type == "directory":
                waiting.append((path, entry))
    return shown


def _described(entry: FileEntry, image: Path) -> tuple[object, ...]:
    if entry.type == "symlink":
        return "symlink", (entry.link_target or b"").decode()
    if entry.type != "file":
        return entry.type, entry.uid, entry.mode
    data = bytearray(entry.size)
    with image.open("rb") as file:
        for offset, place, length in entry.extents or ():
            file.seek(place)
            data[offset : offset + length] = file.read(length)
    return "file", entry.size, hashlib.sha256(data).hexdigest()


@contextmanager
def inventory_of_image(image: Path) -> Iterator[Inventory]:
    """Walk an ext4 image in this process."""
    with image.open("rb") as file, Inventory() as inventory:
        place = Workplace(medium_of(file.fileno()), mmap.mmap(-1, mmap.PAGESIZE), None)
        given = WalkArguments(volume=0, offset=0, length=image.stat().st_size, kind="ext4")
        for message in walk_filesystem(place, given):
            assert not message.problems
            inventory.add(message.entries)
        inventory.index()
        yield inventory


def debugfs(image: Path, commands: Sequence[str]) -> None:
    """Run debugfs commands; any word of complaint is a failure."""
    script = "".join(f"{command}\n" for command in commands)
    done = subprocess.run(
        ["debugfs", "-w", "-f", "-", str(image)], input=script, check=True, capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")]
    assert not complaints


def view_of(inventory: Inventory, layers: Sequence[str], hiding: Hiding = _PLAIN) -> LayeredNamespace:
    """Return the view of layers of volume 0, the upper ones first."""
    index = LayerIndex(inventory)
    return LayeredNamespace(index, tuple(Tree(0, layer.encode(), b"") for layer in layers), hiding)
