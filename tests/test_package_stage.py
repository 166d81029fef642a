"""What the parent makes of workers that fail, or that say what cannot be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inventory_samples import entry

from volforensic.collection.namespace import Namespace, Tree
from volforensic.inventory.packages import stage
from volforensic.inventory.packages.claims import FILE, Claim, PackageName
from volforensic.inventory.packages.databases import Database
from volforensic.inventory.packages.proof import PackageProof
from volforensic.inventory.packages.reading import CLAIMS_PER_MESSAGE, ClaimBatch, DatabaseLoss
from volforensic.inventory.packages.stage import PackageDatabase, Sources, _DatabaseCheck, read_packages
from volforensic.inventory.store import Inventory
from volforensic.record import Problem
from volforensic.sandbox.pool import Failure, Task

TOOL = PackageName("tool", "1", "dpkg")
MINE = ClaimBatch(TOOL, [Claim(b"/usr/bin/tool", FILE, "md5", bytes(16))])
"""A claim that the file of the tests keeps: its MD5 is said to be zeros."""


class Workers:
    """Stands in for the pool: the messages are given."""

    def __init__(self, *messages: Any) -> None:
        """Keep them."""
        self.messages = messages
        self.tasks: list[Task] = []

    def run(self, task: Task) -> Iterator[Any]:
        """Yield them."""
        self.tasks.append(task)
        yield from self.messages


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    """Return an inventory with a dpkg database, a program of it and a stranger."""
    folders = (b"/", b"/usr", b"/usr/bin", b"/var", b"/var/lib", b"/var/lib/dpkg")
    with Inventory(tmp_path / "inventory.sqlite") as made:
        made.add(entry(path, type="directory", inode=number) for number, path in enumerate(folders, start=2))
        made.add([entry(b"/var/lib/dpkg/status", inode=20), entry(b"/usr/bin/tool", inode=21, size=1)])
        made.add([entry(b"/usr/bin/stranger", inode=22, size=1)])
        made.index()
        yield made


def staged(inventory: Inventory, folder: Path, *messages: Any) -> tuple[list[Any], dict[str, str]]:
    """Return what the stage yielded and the verdicts on the two programs."""
    host = Namespace(inventory, (Tree(1, b"", b""),))
    with PackageProof(folder / "packages.sqlite") as proof:
        given = Sources(Workers(*messages), -1, {}, inventory, [host])  # type: ignore[arg-type]
        found = list(read_packages(given, proof))
        rows = {one.path.decode(): proof.verdict(one, {"md5": "0" * 32}) for one in inventory if b"/bin/" in one.path}
        return found, {path: row["verdict"] for path, row in rows.items() if row is not None}


def test_what_a_worker_said_before_it_died_stays(inventory: Inventory, tmp_path: Path) -> None:
    (problem, database), verdicts = staged(inventory, tmp_path, MINE, Failure(reason="it died"))
    assert isinstance(problem, Problem)
    assert problem.reason == (
        "the package database could not be read to its end: it died;"
        " no file of this host is called unowned because of it"
    )
    assert (problem.stage, problem.volume, problem.source, problem.lost) == ("packages", 1, "/var/lib/dpkg", True)
    assert isinstance(database, PackageDatabase)
    assert (database.claims, database.is_complete) == (1, False)
    assert verdicts == {"/usr/bin/tool": "proved"}


def test_a_database_without_claims_calls_nothing_unowned(inventory: Inventory, tmp_path: Path) -> None:
    (database,), verdicts = staged(inventory, tmp_path)
    assert database.is_complete
    assert verdicts == {}


def test_a_loss_that_hides_nothing_leaves_the_verdicts(inventory: Inventory, tmp_path: Path) -> None:
    loss = DatabaseLoss("odd", "status", hides=False, offset=7, length=9)
    (problem, database), verdicts = staged(inventory, tmp_path, MINE, loss)
    assert (problem.reason, problem.inode, problem.offset, problem.length) == ("odd", 20, 7, 9)
    assert database.is_complete
    assert verdicts == {"/usr/bin/tool": "proved", "/usr/bin/stranger": "unowned"}


def test_a_flood_of_losses_is_counted(inventory: Inventory, tmp_path: Path) -> None:
    found, _ = staged(inventory, tmp_path, MINE, *[DatabaseLoss(f"loss {number}") for number in range(500)])
    assert len(found) == 102
    assert found[100].reason.startswith("400 more places of the dpkg database were lost")


def test_very_many_missing_files_are_counted(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "MOST_MISSING", 10)
    claims = [Claim(b"/usr/bin/gone-%d" % number, FILE, "md5", bytes(16)) for number in range(30)]
    (problem, database), _ = staged(inventory, tmp_path, MINE, ClaimBatch(TOOL, claims))
    assert problem.reason == "20 missing files more than 10 are not listed"
    assert (database.missing, database.is_complete) == (30, True)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (MINE, ""),
        (DatabaseLoss("x", "status"), ""),
        (DatabaseLoss("x", "shadow"), "a loss in a file that is none"),
        (ClaimBatch(PackageName("a", "1", "rpm"), []), "a package's manager or name is none"),
        (ClaimBatch(PackageName("a" * 401, "1", "dpkg"), []), "a package's manager or name is none"),
        (ClaimBatch(TOOL, [Claim(b"relative")]), "a claim's path or digest is none"),
        (ClaimBatch(TOOL, [Claim(b"/" * 20_000)]), "a claim's path or digest is none"),
        (ClaimBatch(TOOL, [Claim(b"/a", algorithm="md5", digest=b"short")]), "a claim's path or digest is none"),
        (ClaimBatch(TOOL, [Claim(b"/a", algorithm="md4", digest=b"x" * 16)]), "a claim's path or digest is none"),
        (ClaimBatch(TOOL, [Claim(b"/a", targets=(b"x",) * 1001)]), "a claim's path or digest is none"),
        (ClaimBatch(TOOL, [Claim(b"/a")] * (CLAIMS_PER_MESSAGE + 1)), "more than 10000000 claims, or 5001 at once"),
        (ClaimBatch(TOOL, [], "elsewhere"), "claims of a file that is none"),
    ],
)
def test_a_message_that_cannot_be_an_honest_workers_is_refused(message: Any, reason: str) -> None:
    check = _DatabaseCheck(Database("dpkg", b"/var/lib/dpkg", 1, {"status": entry(b"/s")}, {}))
    assert check.refused(message) == reason


def test_claims_of_pip_name_the_file_that_holds_them() -> None:
    check = _DatabaseCheck(Database("pip", b"", 1, {"0": entry(b"/r")}, {"0": b"/r"}))
    named = PackageName("a", "1", "pip")
    assert check.refused(ClaimBatch(named, [], "0")) == ""
    assert check.refused(ClaimBatch(named, [])) == "claims of a file that is none"
