"""500 mutants of each filesystem and table: no death, nothing over its budget, no loss that is not said."""

from pathlib import Path

import pytest
from mutant_runs import judged
from seed_disks import SEEDS

COUNT = 500
SEED = 1


@pytest.mark.parametrize("name", SEEDS)
def test_mutants_end_and_lose_nothing_silently(tmp_path: Path, name: str) -> None:
    seed = SEEDS[name]
    if seed.missing:
        pytest.skip(f"{seed.missing} is not installed: no {name} disk can be built")
    disk = seed.build(tmp_path / name).read_bytes()
    verdicts = list(judged(name, disk, SEED, range(COUNT)))
    assert len(verdicts) == COUNT
    assert [one for one in verdicts if one.verdict in {"death", "silent"}] == []
    assert sum(one.verdict == "said" for one in verdicts) > COUNT // 10
