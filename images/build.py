"""Builds test disks from stories: ``python -m images.build [NAME...] --output DIR``.

Needs no root and no network. With the same versions of the filesystem tools the same story gives the same bytes, on
any day, for any user, in any folder.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images import btrfs, ext4, partitions, xfs
from images.story import STORIES, Partition, Story, StoryError, load, names
from images.tools import ToolError
from images.tree import Node, nodes, seconds, within

BUILT = STORIES / "built"


def build(name: str, image: Path) -> Path:
    """Build the disk of the story ``name`` as ``image``; it appears under that name only when it is whole."""
    story = load(name)
    image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=image.parent) as folder:
        unfinished = Path(folder) / "disk"
        _build_disk(story, unfinished, Path(folder))
        unfinished.rename(image)
    return image


def cached(name: str, folder: Path = BUILT) -> Path:
    """Return the disk of the story ``name``, built into ``folder`` unless one of the same recipe stands there.

    Disks of older recipes of the story are removed then.
    """
    image = folder / f"{name}-{recipe_hash(name)[:16]}.raw"
    if not image.exists():
        build(name, image)
        for other in folder.glob(f"{name}-{'[0-9a-f]' * 16}.raw"):
            if other != image:
                other.unlink(missing_ok=True)
    return image


def recipe_hash(name: str) -> str:
    """Return a SHA-256 of all that a disk is made from here: the stories, the bases and this package's code."""
    digest = hashlib.sha256(name.encode())
    for path in sorted([*STORIES.glob("*.py"), *STORIES.glob("bases/*.yaml"), STORIES / f"{name}.yaml"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _build_disk(story: Story, image: Path, folder: Path) -> None:
    starts = partitions.write_table(story.disk, image)
    everything = nodes(story)
    for number, (partition, start) in enumerate(zip(story.disk.partitions, starts, strict=True)):
        if partition.filesystem is None:
            continue
        own_folder = folder / str(number)
        own_folder.mkdir()
        partitions.copy_into(_filesystem(story, partition, everything, own_folder), image, start)


def _filesystem(story: Story, partition: Partition, everything: Sequence[Node], folder: Path) -> Path:
    moments = (seconds(story.installed), seconds(story.taken))
    if partition.filesystem == "btrfs":
        volumes = {volume.name: within(everything, volume.mount, story) for volume in partition.subvolumes}
        top = within(everything, partition.mount, story) if partition.mount else []
        return btrfs.build(partition, top, volumes, moments, folder)
    if partition.mount is None:
        raise StoryError(f"{story.name}: a {partition.filesystem} partition needs a mount")
    own = within(everything, partition.mount, story)
    if partition.filesystem == "xfs":
        return xfs.build(partition, own, moments, folder)
    return ext4.build(partition, own, moments, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the stories that the command line names, or all; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m images.build", description="Build test disks from stories.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all where none is named"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder for NAME.raw")
    options = parser.parse_args(arguments)
    for name in options.names or names():
        try:
            image = build(name, options.output / f"{name}.raw")
        except (StoryError, ToolError) as error:
            sys.stderr.write(f"{name}: {error}\n")
            return 1
        sys.stdout.write(f"{image}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
