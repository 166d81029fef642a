"""The inventory on disk: looked up by path, by name, in the order of the disk."""

from pathlib import Path

import pytest
from inventory_samples import entry, inventory_of

from volforensic.evidence.node import Extent
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory


def stored(folder: Path, *entries: FileEntry) -> Inventory:
    inventory = Inventory(folder / "inventory.sqlite")
    inventory.add(entries)
    inventory.index()
    return inventory


def at(path: bytes, place: int) -> FileEntry:
    return entry(path, extents=(Extent(0, place, 10),), size=10)


def test_entries_come_back_as_they_were_and_in_their_order(tmp_path: Path) -> None:
    odd = [
        entry(b"/b\xff\n\x1b"),
        entry(b"/a", size=(1 << 64) - 1, inode=(1 << 64) - 1, uid=(1 << 32) - 1, links=(1 << 32) - 1),
        entry(b"/a", modified=-(1 << 70) // 256, created=(1 << 63) - 1, problems=("one", "two")),
        entry(b"/x\0y//z", extents=None, link_target=b"\xff"),
        entry(b"/deep" * 10_000),
    ]
    with stored(tmp_path, *odd) as inventory:
        assert list(inventory) == odd
        assert len(inventory) == len(odd)


def test_of_two_entries_at_a_path_the_first_that_is_allocated_is_found(tmp_path: Path) -> None:
    entries = [entry(b"/a", inode=1, allocated=False), entry(b"/a", inode=2), entry(b"/a", inode=3)]
    with stored(tmp_path, *entries) as inventory:
        found = inventory.at(1, b"/a")
        assert found is not None
        assert found.inode == 2
        assert inventory.at(2, b"/a") is None
        assert inventory.at(1, b"/b") is None


def test_children_and_names(tmp_path: Path) -> None:
    paths = ["/etc/passwd", "/etc/cron.d/one", "/home/a/.bash_history", "/etc/passwd-", "/home/b/.bash_history"]
    with inventory_of(tmp_path, paths) as inventory:
        names = [found.path for found in inventory.children(1, b"/etc")]
        assert names == [b"/etc/cron.d", b"/etc/passwd", b"/etc/passwd-"]
        assert [found.path for found in inventory.children(1, b"")] == [b"/etc", b"/home"]
        histories = inventory.named(b".bash_history", is_prefix=False)
        assert [found.path for found in histories] == [b"/home/a/.bash_history", b"/home/b/.bash_history"]
        assert [found.path for found in inventory.named(b"passwd", is_prefix=True)] == [b"/etc/passwd", b"/etc/passwd-"]
        assert not list(inventory.named(b"%", is_prefix=True))


def test_files_come_in_the_order_of_the_disk(tmp_path: Path) -> None:
    entries = [
        at(b"/third", 3 << 40),
        entry(b"/through-the-filesystem", extents=None),
        at(b"/first", 1),
        entry(b"/deleted", allocated=False, extents=(Extent(0, 2, 1),)),
        entry(b"/directory", type="directory"),
        at(b"/second", 2),
    ]
    with stored(tmp_path, *entries) as inventory:
        order = [found.path for found in inventory.in_physical_order()]
    assert order == [b"/first", b"/second", b"/third", b"/through-the-filesystem"]


def test_what_was_noted_is_in_the_rows(tmp_path: Path) -> None:
    entries = [
        entry(b"/a", inode=5, problems=("of the walk",)),
        entry(b"/b", inode=6),
        entry(b"/a", inode=5, allocated=False),
    ]
    with stored(tmp_path, *entries) as inventory:
        inventory.note_content(entries[0], {"sha256": "00", "problems": ["of the bytes"]})
        rows = list(inventory.rows(lambda found: b"/host" + found.path))
    assert [row["path"] for row in rows] == ["/host/a", "/host/b", "/host/a"]
    assert [row.get("sha256") for row in rows] == ["00", None, None]
    assert list(rows[0]["problems"]) == ["of the walk", "of the bytes"]
    assert rows[0]["volume_path"] == "/a"


def test_an_inventory_overwrites_nothing(tmp_path: Path) -> None:
    stored(tmp_path).__exit__(None, None, None)
    with pytest.raises(Exception, match="already exists"):
        Inventory(tmp_path / "inventory.sqlite")


def test_a_deleted_entry_keeps_its_own_note_beside_a_living_one_of_its_path(tmp_path: Path) -> None:
    living = entry(b"/tmp/x", inode=1)
    deleted = [entry(b"/tmp/x", inode=number, allocated=False) for number in (1, 2, (1 << 64) - 1)]
    orphan = entry(b"/$OrphanFiles/OrphanFile-7", inode=7, is_orphan=True)
    with Inventory(tmp_path / "inventory.sqlite") as inventory:
        inventory.add([living, *deleted, orphan])
        inventory.index()
        for number, each in enumerate([*deleted, orphan]):
            inventory.note_recovery(each, {"recovery": number})
        assert list(inventory.nameless_and_deleted()) == [*deleted, orphan]
        assert [row.get("recovery") for row in inventory.rows(lambda each: each.path)] == [None, 0, 1, 2, 3]
