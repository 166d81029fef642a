"""Small disks and what the collection stage makes of them, without a case."""

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from media import handle_of

from volforensic.collection import containers
from volforensic.collection.definitions import Artifact
from volforensic.collection.host import Host, find_hosts
from volforensic.collection.loader import load_definitions
from volforensic.collection.namespace import HostPaths
from volforensic.collection.stage import CollectionEvent, Evidence, FileEnd, RecordBatch, StoredBytes, collect
from volforensic.evidence.layout import Layout, LayoutArguments
from volforensic.inventory.stage import walk_volumes
from volforensic.inventory.store import Inventory
from volforensic.preload import preloaded_modules
from volforensic.record import Coverage, Problem
from volforensic.sandbox.pool import Pool, Task

MEBIBYTE = 1 << 20
Files = Mapping[str, bytes | str]


def artifacts(*names: str) -> list[Artifact]:
    """Return the built-in definitions of these names."""
    found = [definition.artifact for definition in load_definitions()]
    return [artifact for artifact in found if artifact.name in names]


def write_tree(root: Path, files: Files) -> Path:
    """Write files: bytes are a file's, text is a link's target; a name that ends in / is a directory."""
    root.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, str):
            path.symlink_to(value)
        elif name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(value)
    return root


def ext4(image: Path, files: Files, *, label: str = "", mebibytes: int = 16) -> Path:
    """Make an ext4 image that holds the files."""
    root = write_tree(image.with_suffix(".tree"), files)
    with image.open("wb") as file:
        file.truncate(mebibytes * MEBIBYTE)
    command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", label, "-d", str(root), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return image


def disk(image: Path, partitions: Sequence[Path]) -> Path:
    """Make a disk with an MBR whose partitions are these images."""
    table, offset = "label: dos\n", MEBIBYTE
    with image.open("wb") as file:
        for partition in partitions:
            size = partition.stat().st_size
            table += f"start={offset // 512}, size={size // 512}, type=83\n"
            file.seek(offset)
            file.write(partition.read_bytes())
            offset += size
        file.truncate(offset + MEBIBYTE)
    subprocess.run(["sfdisk", "-q", str(image)], input=table.encode(), check=True, capture_output=True)
    return image


class Collected:
    """What collection yielded: hosts, records by artifact, coverage, problems, the SHA-256 of each whole file."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.hosts: list[Host] = []
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.coverage: dict[tuple[str, int], Coverage] = {}
        self.contained: dict[tuple[str, str], Coverage] = {}
        self.problems: list[Problem] = []
        self.ends: list[FileEnd] = []
        self.stored: dict[bytes, str] = {}

    def sources(self, artifact: str) -> list[str]:
        """Return the files of an artifact's records, each once, in order."""
        return list(dict.fromkeys(record["source"] for record in self.records.get(artifact, [])))

    def take(self, events: Iterator[CollectionEvent]) -> None:
        """Sort what comes."""
        digest = hashlib.sha256()
        for event in events:
            if isinstance(event, RecordBatch):
                lines = event.batch.lines.splitlines()
                self.records.setdefault(event.artifact, []).extend(msgspec.json.decode(line) for line in lines)
            elif isinstance(event, StoredBytes):
                digest.update(event.data)
            elif isinstance(event, FileEnd):
                self.ends.append(event)
                self.stored[event.path] = digest.hexdigest()
                digest = hashlib.sha256()
            elif isinstance(event, Coverage):
                if event.container:
                    self.contained[event.artifact, event.container] = event
                else:
                    self.coverage[event.artifact, event.volume] = event
            else:
                self.problems.append(event)


def collected(
    image: Path, folder: Path, chosen: Sequence[Artifact], *, doubtful: frozenset[int] = frozenset()
) -> Collected:
    """Run layout, inventory, hosts and collection over an image."""
    result = Collected()
    descriptor = os.open(image, os.O_RDONLY)
    modules = ["parsing_workers", *preloaded_modules(chosen)]
    with (
        tests_importable(),
        Pool(preload=modules, jobs=2) as pool,
        Inventory(folder / "inventory.sqlite") as inventory,
    ):
        layout = _layout(pool, descriptor, image)
        subvolumes = []
        for batch in walk_volumes(pool, handle_of(descriptor), layout.volumes):
            if isinstance(batch, Problem):
                result.problems.append(batch)
            else:
                inventory.add(batch)
                subvolumes += [one for one in batch if one.tree >= 256 and one.inode == 256]
        inventory.index()
        for found in find_hosts(pool, handle_of(descriptor), inventory, layout, subvolumes):
            (result.problems if isinstance(found, Problem) else result.hosts).append(found)  # type: ignore[arg-type]
        paths = HostPaths([host.trees for host in result.hosts])
        around = containers.Evidence(pool, handle_of(descriptor), layout.facts(), inventory, result.problems.append)
        result.hosts += containers.find_containers(around, result.hosts)
        evidence = Evidence(pool, handle_of(descriptor), inventory, result.hosts, layout.facts(), paths)
        result.take(collect(evidence, chosen, doubtful))
    os.close(descriptor)
    return result


@contextmanager
def tests_importable() -> Iterator[None]:
    """Let the fork server load modules of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield


def _layout(pool: Pool, descriptor: int, image: Path) -> Layout:
    arguments = LayoutArguments(sizes=[image.stat().st_size])
    function = "volforensic.evidence.discovery:read_layout"
    (layout,) = pool.run(
        Task(function=function, arguments=arguments, message_type=Layout, source=handle_of(descriptor))
    )
    assert isinstance(layout, Layout)
    return layout
