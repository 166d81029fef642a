"""The metadata of a dm-thin pool: its superblock, its two-level tree from device and block to a block of the data.

Source: the kernel's drivers/md/dm-thin-metadata.c and Documentation/admin-guide/device-mapper/thin-provisioning.rst.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.volumes.metadata_trees import BLOCK_SIZE, Leaf, MetadataTrees, TreeError
from volforensic.medium import Medium

_MAGIC = 27022010
_SUPERBLOCK_MIX = 160774
_NEEDS_CHECK = 1
_MOST_DEVICES = 1 << 16
_DETAIL = struct.Struct("<QQII")


class PoolFacts(NamedTuple):
    """What a pool's superblock says; ``chunk`` in bytes, ``held`` the block of a metadata snapshot, 0 for none."""

    needs_check: bool
    transaction: int
    held: int
    mappings: int
    details: int
    chunk: int


class Detail(NamedTuple):
    """What the pool keeps of a thin device."""

    mapped_blocks: int
    transaction: int
    created: int
    snapshotted: int


class ThinPool:
    """Holds the medium of a pool's metadata and the nodes read last. Reads nothing before it is asked."""

    def __init__(self, metadata: Medium, chunk: int) -> None:
        """Take the metadata and the size in bytes that the pool's blocks should have."""
        self._trees = MetadataTrees(metadata, "thin pool")
        self.chunk = chunk
        self._roots: dict[int, int] = {}
        self._facts: PoolFacts | None = None

    def facts(self) -> PoolFacts:
        """Return what the superblock says. TreeError where it is damaged."""
        if self._facts is None:
            self._facts = self._read_facts()
        return self._facts

    def root_of(self, device: int) -> int:
        """Return the block at which a device's own tree begins. TreeError where the pool has no such device."""
        if device not in self._roots:
            found = next(iter(self.leaf(self.facts().mappings, device).entries), None)
            if found is None or found[0] != device:
                raise TreeError(f"the thin pool has no device {device}")
            self._roots[device] = int.from_bytes(found[1][:8], "little")
        return self._roots[device]

    def devices(self) -> Iterator[tuple[int, Detail]]:
        """Yield the pool's devices by number, with what it keeps of them. TreeError where that is damaged."""
        key, count = 0, 0
        while key < 1 << 64 and count < _MOST_DEVICES:
            leaf = self.leaf(self.facts().details, key)
            for number, value in leaf.entries:
                if len(value) < _DETAIL.size:
                    raise TreeError("the details of the thin pool's devices are damaged")
                yield number, Detail(*_DETAIL.unpack_from(value))
            count += len(leaf.entries) + 1
            key = leaf.until

    def leaf(self, root: int, key: int) -> Leaf:
        """Return a leaf of one of the pool's trees, see ``MetadataTrees``."""
        return self._trees.leaf(root, key)

    def _read_facts(self) -> PoolFacts:
        raw = self._trees.block(0, _SUPERBLOCK_MIX)
        flags, number = struct.unpack_from("<IQ", raw, 4)
        magic, version = struct.unpack_from("<QI", raw, 32)
        if magic != _MAGIC or number or version not in {1, 2}:
            raise TreeError(f"the thin pool's superblock is none, or of version {version}")
        transaction, held = struct.unpack_from("<QQ", raw, 48)
        mappings, details, sectors, block_sectors = struct.unpack_from("<QQII", raw, 320)
        incompatible = struct.unpack_from("<I", raw, 360)[0]
        if sectors * 512 != self.chunk or block_sectors * 512 != BLOCK_SIZE or incompatible:
            raise TreeError(f"the thin pool's superblock says blocks of {sectors} sectors, features {incompatible:#x}")
        return PoolFacts(bool(flags & _NEEDS_CHECK), transaction, held, mappings, details, self.chunk)
