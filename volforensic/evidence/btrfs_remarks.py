"""What is to be said of a btrfs as a whole: missing devices, damaged copies, what is not verified or not read."""

from collections.abc import Iterator

from volforensic.evidence.btrfs_tree import Trees
from volforensic.evidence.node import VolumeRemark
from volforensic.evidence.superblocks import BTRFS_CHECKSUMS

_MOST_TOLD = 20
_CHECKSUM_NAMES = {1: "xxhash64"}
_FEATURES = {0x1000: "ZONED", 0x2000: "EXTENT_TREE_V2", 0x4000: "RAID_STRIPE_TREE"}
_KNOWN_FEATURES = 0x10FFF
"""All up to RAID1C34, and simple quotas: none of them changes where files lie (BTRFS_FEATURE_INCOMPAT_*)."""


def volume_remarks(trees: Trees) -> Iterator[VolumeRemark]:
    """Yield what was met while the trees were read, and what their superblock says."""
    missing, is_loss = trees.map.missing()
    if missing:
        numbers = _some(missing)
        what = "bytes that are only there are lost" if is_loss else "what is there is on the others too"
        yield VolumeRemark(
            f"devices {numbers} of the {trees.superblock.devices} of this btrfs are missing: {what}", is_loss
        )
    if trees.older:
        reason = f"the newest root of its trees is damaged: it was read as it was at transaction {trees.older}"
        yield VolumeRemark(reason, is_loss=True)
    if trees.repaired:
        count = len(trees.repaired)
        reason = f"{count} tree blocks are damaged or old in one copy and right in another: {_some(trees.repaired)}"
        yield VolumeRemark(reason, is_loss=False)
    if trees.superblock.checksum_type not in BTRFS_CHECKSUMS:
        kind = _CHECKSUM_NAMES.get(trees.superblock.checksum_type, "of an unknown kind")
        yield VolumeRemark(f"the checksums of this btrfs are {kind}: they were not verified", is_loss=False)
    features = trees.superblock.features & ~_KNOWN_FEATURES
    if features:
        names = ", ".join(_FEATURES.get(1 << bit, f"{1 << bit:#x}") for bit in range(64) if features >> bit & 1)
        yield VolumeRemark(f"this btrfs has features that are not read: {names}", is_loss=True)


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_MOST_TOLD])) + (", ..." if len(numbers) > _MOST_TOLD else "")
