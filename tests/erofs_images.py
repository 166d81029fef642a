"""Erofs images for tests, made by mkfs.erofs: a test that needs one is skipped, and says so, where it is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest


def erofs_image(tree: Path, image: Path, *options: str) -> Path:
    """Pack the tree; ``options`` are further ones of mkfs.erofs(1)."""
    command = shutil.which("mkfs.erofs")
    if command is None:
        pytest.skip("mkfs.erofs is not installed (package erofs-utils)")
    image.unlink(missing_ok=True)
    made = subprocess.run(
        [command, "--quiet", *options, str(image), str(tree)], check=False, capture_output=True, text=True
    )
    if made.returncode and ("Cannot find a valid compressor" in made.stderr or "invalid" in made.stderr):
        pytest.skip(f"this mkfs.erofs has no {' '.join(options)}")
    assert made.returncode == 0, made.stderr
    return image
