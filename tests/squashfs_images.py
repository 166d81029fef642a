"""Squashfs images for tests, made by mksquashfs: a test that needs one is skipped, and says so, where it is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest

COMPRESSIONS = ("gzip", "xz", "zstd", "lz4", "lzo")


def squashfs_image(tree: Path, image: Path, *options: str, compression: str = "gzip") -> Path:
    """Pack the tree; ``options`` are further ones of mksquashfs(1)."""
    command = shutil.which("mksquashfs")
    if command is None:
        pytest.skip("mksquashfs is not installed (package squashfs-tools)")
    image.unlink(missing_ok=True)
    made = subprocess.run(
        [command, str(tree), str(image), "-quiet", "-no-progress", "-comp", compression, *options],
        check=False,
        capture_output=True,
        text=True,
    )
    if "Invalid compressor" in made.stderr or "is not supported" in made.stderr:
        pytest.skip(f"this mksquashfs has no {compression}")
    assert made.returncode == 0, made.stderr
    return image
