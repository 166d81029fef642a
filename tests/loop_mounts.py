"""Loop mounts for tests that ask the kernel: they need root, and a kernel that knows the filesystem."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(image: Path, folder: Path, *options: str) -> Iterator[Path]:
    """Mount the image at ``folder``; the test is skipped, and says why, where that cannot be."""
    if os.geteuid():
        pytest.skip("a loop mount needs root")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", ",".join(["loop", *options]), str(image), str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"this kernel does not mount it: {done.stderr.decode(errors='replace').strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
