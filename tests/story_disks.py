"""The disks of the stories, built once, and their hashes."""

import hashlib
from pathlib import Path

import pytest

from images.build import cached
from images.tools import ToolError


def disk(name: str) -> Path:
    """Return the disk of a story; skip where this host cannot build it."""
    try:
        return cached(name)
    except ToolError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
