"""What the tests of several files share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from volforensic.sandbox.pool import Pool


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Two workers that have the functions of ``sandbox_workers`` loaded."""
    folders = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
        with Pool(preload=["sandbox_workers"], jobs=2) as running:
            yield running
