"""Trees and images made for the packages stage, and what the stage makes of them, hashes included."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from collection_runs import MEBIBYTE
from media import handle_of, medium_of

from volforensic.collection.host import find_hosts
from volforensic.collection.namespace import Namespace
from volforensic.evidence.layout import Layout, LayoutArguments
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import filesystem_opener, stored_chunks
from volforensic.inventory.packages.proof import PackageProof
from volforensic.inventory.packages.stage import PackageDatabase, Sources, read_packages
from volforensic.inventory.stage import walk_volumes
from volforensic.inventory.store import Inventory
from volforensic.preload import preloaded_modules
from volforensic.record import Problem
from volforensic.sandbox.pool import Pool, Task


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip, and say so, where a program is not installed, or files could not be made with other owners."""
    missing = [program for program in programs if shutil.which(program) is None]
    reason = f"not installed: {', '.join(missing)}" if missing else "needs root: packages own files as root"
    return pytest.mark.skipif(bool(missing) or os.geteuid() != 0, reason=reason)


def run(*command: str | Path) -> str:
    """Run a tool, which must succeed; return what it said."""
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return done.stdout


def image_of(root: Path, *, mebibytes: int = 32) -> Path:
    """Make an ext4 image of a tree; /home makes a host of it wherever the tree has /etc."""
    for folder in ("etc", "home", "usr", "var"):
        (root / folder).mkdir(exist_ok=True)
    image = root.with_suffix(".raw")
    with image.open("wb") as file:
        file.truncate(mebibytes * MEBIBYTE)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, image)
    return image


class Proved:
    """What the stage said: a verdict for each path, the missing files, databases, problems, digests asked for."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.rows: dict[str, dict[str, Any]] = {}
        self.missing: list[dict[str, Any]] = []
        self.databases: list[PackageDatabase] = []
        self.problems: list[Problem] = []
        self.algorithms: dict[str, frozenset[str]] = {}

    def of(self, *verdicts: str) -> dict[str, str]:
        """Return path and verdict of all that have one of these verdicts, without the databases' own files."""
        return {
            path: row["verdict"]
            for path, row in self.rows.items()
            if row["verdict"] in verdicts and not path.startswith(("/var/lib/", "/lib/apk/"))
        }

    def gone(self) -> dict[str, str]:
        """Return path and package of the missing files."""
        return {row["path"]: row["package"] for row in self.missing}


def proved(image: Path, folder: Path, *, doubtful: frozenset[int] = frozenset()) -> Proved:
    """Run layout, inventory, hosts and packages over an image, hash what has to be, and ask for every verdict."""
    result = Proved()
    descriptor = os.open(image, os.O_RDONLY)
    with (
        Pool(preload=preloaded_modules([]), jobs=2) as pool,
        Inventory(folder / "inventory.sqlite") as inventory,
        PackageProof(folder / "packages.sqlite") as proof,
    ):
        layout = _walked(pool, descriptor, image, inventory, result)
        hosts = _hosts(pool, descriptor, inventory, layout)
        for found in read_packages(
            Sources(pool, handle_of(descriptor), layout.facts(), inventory, hosts, doubtful), proof
        ):
            (result.problems if isinstance(found, Problem) else result.databases).append(found)  # type: ignore[arg-type]
        result.missing = list(proof.missing())
        for entry in inventory:
            path = entry.path.decode("utf-8", "replace")
            result.algorithms[path] = proof.algorithms(entry)
            row = proof.verdict(entry, _hashes(descriptor, entry, layout, result.algorithms[path]))
            if row is not None:
                result.rows[path] = row
    os.close(descriptor)
    return result


def _walked(pool: Pool, descriptor: int, image: Path, inventory: Inventory, result: Proved) -> Layout:
    arguments = LayoutArguments(sizes=[image.stat().st_size])
    function = "volforensic.evidence.discovery:read_layout"
    (layout,) = pool.run(
        Task(function=function, arguments=arguments, message_type=Layout, source=handle_of(descriptor))
    )
    assert isinstance(layout, Layout)
    for batch in walk_volumes(pool, handle_of(descriptor), layout.volumes):
        if isinstance(batch, Problem):
            result.problems.append(batch)
        else:
            inventory.add(batch)
    inventory.index()
    return layout


def _hosts(pool: Pool, descriptor: int, inventory: Inventory, layout: Layout) -> Sequence[Namespace]:
    hosts = [
        host for host in find_hosts(pool, handle_of(descriptor), inventory, layout, []) if not isinstance(host, Problem)
    ]
    trees = [tree for host in hosts for tree in host.trees]
    return [Namespace(inventory, host.trees, tuple(set(trees) - set(host.trees))) for host in hosts]


def _hashes(descriptor: int, entry: FileEntry, layout: Layout, algorithms: frozenset[str]) -> dict[str, str]:
    if entry.type != "file":
        return {}
    data = bytearray(entry.size)
    for block in stored_chunks(
        medium_of(descriptor), entry, filesystem_opener(medium_of(descriptor), layout.facts()), []
    ):
        data[block.position : block.position + len(block.data)] = block.data
    return {name: hashlib.new(name, data[: entry.size]).hexdigest() for name in ("sha256", *algorithms)}


def tree_paths(root: Path) -> Iterator[str]:
    """Yield every path of a tree that is no directory, from ``/``."""
    for folder, _, names in os.walk(root):
        yield from (f"/{Path(folder, name).relative_to(root)}" for name in names)
