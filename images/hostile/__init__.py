"""Generators of hostile disks, one module for each class of damage and deceit; ``ALL`` has every one by name."""

from images.hostile import (
    contents,
    cuts,
    directories,
    erofs_disks,
    extents,
    inodes,
    journals,
    other_filesystems,
    sizes,
    special_files,
    superblocks,
    tables,
)
from images.hostile.kit import Builder

CLASSES: dict[str, dict[str, Builder]] = {
    "4.1 cut": cuts.GENERATORS,
    "4.2 tables": tables.GENERATORS,
    "4.3 superblocks": superblocks.GENERATORS,
    "4.4 inodes": inodes.GENERATORS,
    "4.5 extents": extents.GENERATORS,
    "4.6 directories": directories.GENERATORS,
    "4.7 and 4.8 special files and links": special_files.GENERATORS,
    "4.9 to 4.16 contents": contents.GENERATORS,
    "4.11 sizes": sizes.GENERATORS,
    "4.13 journals": journals.GENERATORS,
    "4.3 to 4.6 of other filesystems": other_filesystems.GENERATORS,
    "4.1 to 4.6 of erofs": erofs_disks.GENERATORS,
}
"""By the classes of the fact sheet on hostile inputs."""
ALL: dict[str, Builder] = {name: build for each in CLASSES.values() for name, build in each.items()}
