"""Generators of hostile disks, one module for each class of damage and deceit; ``ALL`` has every one by name."""

from images.hostile import cuts, directories, extents, inodes, journals, sizes, special_files, superblocks, tables
from images.hostile.kit import Builder

_CLASSES = (cuts, directories, extents, inodes, journals, sizes, special_files, superblocks, tables)
ALL: dict[str, Builder] = {name: build for each in _CLASSES for name, build in each.GENERATORS.items()}
