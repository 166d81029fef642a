"""Host paths over the inventory: links stay inside the evidence, mounts are crossed, hosts are told apart."""

from pathlib import Path

import pytest
from inventory_samples import inventory_of

from volforensic.collection.namespace import MOST_LINKS, HostPaths, Namespace, Tree

ROOT = Tree(1, b"", b"")


def resolved(namespace: Namespace, path: str) -> tuple[int, str] | None:
    entry = namespace.resolve(path.encode()).entry
    return None if entry is None else (entry.volume, entry.path.decode())


@pytest.mark.parametrize(
    ("links", "asked", "found"),
    [
        ([], "/etc/passwd", "/etc/passwd"),
        ([], "/", "/"),
        ([], "//etc///./passwd", "/etc/passwd"),
        ([], "/../../etc/passwd", "/etc/passwd"),
        (["/l -> /etc/passwd"], "/l", "/etc/passwd"),
        (["/a/l -> ../etc/passwd"], "/a/l", "/etc/passwd"),
        (["/a/l -> ../../../../../etc/passwd"], "/a/l", "/etc/passwd"),
        (["/d -> etc"], "/d/passwd", "/etc/passwd"),
        (["/d -> /etc/"], "/d/../etc/passwd", "/etc/passwd"),
        (["/run/", "/var/run -> /run", "/run/utmp"], "/var/run/utmp", "/run/utmp"),
        (["/l -> /nowhere/at/all"], "/l", None),
        (["/l -> /etc/passwd/x"], "/l", None),
        ([], "/etc/nothing", None),
        (["/a -> /b", "/b -> /a"], "/a", None),
        (["/x/self -> ."], "/x/self/self/self", "/x"),
        (["/x/me -> me"], "/x/me", None),
    ],
)
def test_where_a_path_leads(tmp_path: Path, links: list[str], asked: str, found: str | None) -> None:
    namespace = Namespace(inventory_of(tmp_path, ["/etc/passwd", *links]), (ROOT,))
    assert resolved(namespace, asked) == (None if found is None else (1, found))


def test_a_chain_of_links_ends_where_the_kernel_ends_it(tmp_path: Path) -> None:
    links = [f"/l{number} -> /l{number + 1}" for number in range(MOST_LINKS + 5)]
    links.append(f"/l{MOST_LINKS + 5} -> /etc/passwd")
    namespace = Namespace(inventory_of(tmp_path, ["/etc/passwd", *links]), (ROOT,))
    assert resolved(namespace, "/l6") == (1, "/etc/passwd")
    assert resolved(namespace, "/l5") is None
    assert namespace.resolve(b"/l5").is_loop


def test_links_that_grow_are_bounded(tmp_path: Path) -> None:
    long = "a/" * 2000
    links = [f"/l{number} -> l{number + 1}/{long}" for number in range(40)]
    assert Namespace(inventory_of(tmp_path, links), (ROOT,)).resolve(b"/l0").is_loop


def test_at_does_not_follow_the_last_link(tmp_path: Path) -> None:
    namespace = Namespace(inventory_of(tmp_path, ["/d/l -> /etc/passwd", "/e -> d", "/etc/passwd"]), (ROOT,))
    entry = namespace.at(b"/e/l")
    assert entry is not None
    assert (entry.path, entry.type) == (b"/d/l", "symlink")
    assert namespace.at(b"/none/l") is None
    assert namespace.at(b"/etc/passwd/l") is None


def mounted(tmp_path: Path) -> Namespace:
    inventory = inventory_of(
        tmp_path,
        ["/etc/fstab", "/var/log/old.log", "/var/only-root", "/logs -> /var/log", "/home/"],
        ["/log/new.log", "/run -> /etc", "/lib/docker/"],
        ["/containers/x"],
        ["/@home/alice/.bash_history", "/@snapshots/1/alice/.bash_history"],
    )
    trees = (ROOT, Tree(2, b"", b"/var"), Tree(3, b"", b"/var/lib/docker"), Tree(4, b"/@home", b"/home"))
    return Namespace(inventory, trees)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/var/log/new.log", (2, "/log/new.log")),
        ("/logs/new.log", (2, "/log/new.log")),
        ("/var", (2, "/")),
        ("/var/run/fstab", (1, "/etc/fstab")),
        ("/var/lib/docker/containers/x", (3, "/containers/x")),
        ("/home/alice/.bash_history", (4, "/@home/alice/.bash_history")),
        ("/home", (4, "/@home")),
        ("/variable", None),
    ],
)
def test_mounts_are_crossed(tmp_path: Path, asked: str, found: tuple[int, str] | None) -> None:
    assert resolved(mounted(tmp_path), asked) == found


def test_the_host_path_of_an_entry(tmp_path: Path) -> None:
    namespace = mounted(tmp_path)
    inventory = namespace.inventory
    for volume, path, host_path in [
        (1, b"/", b"/"),
        (2, b"/", b"/var"),
        (2, b"/log/new.log", b"/var/log/new.log"),
        (4, b"/@home/alice", b"/home/alice"),
        (4, b"/@snapshots/1", None),
    ]:
        entry = inventory.at(volume, path)
        assert entry is not None
        assert namespace.host_path(entry) == host_path


def test_what_belongs_to_another_host_is_not_this_ones(tmp_path: Path) -> None:
    """A snapshot lies inside the subvolume that it was taken of, as snapper has it."""
    inventory = inventory_of(tmp_path, ["/@/etc/passwd", "/@/.snapshots/1/snapshot/etc/passwd"])
    here, snapshot = Tree(1, b"/@", b""), Tree(1, b"/@/.snapshots/1/snapshot", b"")
    entry = inventory.at(1, b"/@/.snapshots/1/snapshot/etc/passwd")
    assert entry is not None
    assert Namespace(inventory, (here,), (snapshot,)).host_path(entry) is None
    assert Namespace(inventory, (snapshot,), (here,)).host_path(entry) == b"/etc/passwd"
    paths = HostPaths([[here], [snapshot]])
    assert paths.path_of(entry) == entry.path


def test_paths_of_a_volume_that_no_host_had(tmp_path: Path) -> None:
    inventory = inventory_of(tmp_path, ["/etc/passwd"], ["/a/b"])
    entry = inventory.at(2, b"/a/b")
    assert entry is not None
    assert HostPaths([[ROOT]]).path_of(entry) == b"/a/b"
    assert HostPaths([[ROOT, Tree(2, b"", b"/data")]]).path_of(entry) == b"/data/a/b"
