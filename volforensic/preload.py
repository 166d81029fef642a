"""Which modules the fork server loads before it forks: a worker that is locked in can load none."""

import sys
from collections.abc import Sequence

from volforensic.collection.definitions import Artifact


def preloaded_modules(artifacts: Sequence[Artifact], *, second_reader: bool = False) -> list[str]:
    """Return the modules that workers need for these artifacts; the second readers only where they are asked for."""
    sources = [source for artifact in artifacts for source in artifact.sources]
    libraries = [f"volforensic.evidence.library_{kind}" for kind in ("xfs", "btrfs", "squashfs")]
    libraries.append("volforensic.inventory.comparison_worker")
    # dissect.squashfs imports these when it meets a filesystem that is packed with them.
    libraries += ["zlib", "lzma", "dissect.util.compression.lz4", "dissect.util.compression.lzo"]
    libraries.append("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    parsers = {source.parser.partition(".")[0] for source in sources if source.parser}
    return [
        "volforensic.evidence.discovery",
        "volforensic.evidence.disks",
        "volforensic.evidence.volumes.unlocking",
        "volforensic.evidence.spaces",
        "volforensic.evidence.btrfs_free",
        "volforensic.evidence.ext_free",
        "volforensic.evidence.fat_free",
        "volforensic.evidence.free_space",
        "volforensic.evidence.tsk",
        "volforensic.evidence.xfs",
        "volforensic.evidence.xfs_free",
        "volforensic.evidence.btrfs",
        "volforensic.evidence.iso",
        "volforensic.evidence.squashfs",
        "volforensic.evidence.erofs",
        "volforensic.evidence.archives",
        "volforensic.evidence.packed",
        "volforensic.inventory.walk",
        "volforensic.inventory.elf_stage",
        "volforensic.inventory.file_worker",
        "volforensic.inventory.carving",
        "volforensic.inventory.deleted_stage",
        "volforensic.inventory.magic_edge",
        "volforensic.inventory.packages.reading",
        "volforensic.collection.parsing",
        "volforensic.collection.host_facts",
        "volforensic.collection.container_worker",
        *(f"volforensic.collection.parsers.{module}" for module in sorted(parsers)),
        *(libraries if second_reader else []),
        "Crypto.Hash.keccak",
        "blake3",
        "yara_x",
        "magic",
    ]
