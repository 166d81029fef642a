"""A container's merged view: as the kernel mounts it, and what hides what."""

import random
from pathlib import Path

import pytest
from collection_runs import ext4
from inventory_samples import entry, inventory_of
from layer_trees import (
    OPTIONS,
    change,
    debugfs,
    inventory_of_image,
    overlay,
    shown_by_kernel,
    shown_by_view,
    view_of,
)
from loop_mounts import mounted

from volforensic.collection.globbing import expand
from volforensic.collection.layered import Hiding, LayeredNamespace, LayerIndex
from volforensic.collection.namespace import Tree
from volforensic.evidence.attributes import Attribute
from volforensic.inventory.store import Inventory


@pytest.mark.parametrize(
    ("seed", "options"), [*((seed, OPTIONS) for seed in range(6)), (7, "userxattr"), (8, "userxattr")]
)
def test_it_shows_what_the_kernel_shows(tmp_path: Path, seed: int, options: str) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same changes each time
    image = ext4(tmp_path / "disk.raw", {}, mebibytes=24)
    with mounted(image, tmp_path / "disk") as disk:
        layers = [disk / "base"]
        layers[0].mkdir()
        change(layers[0], dice)
        change(layers[0], dice)
        for number in range(5):
            upper = disk / f"layer{number}"
            with overlay(tmp_path / "merged", layers, upper, options) as merged:
                change(merged, dice)
            layers.insert(0, upper)
        with overlay(tmp_path / "merged", layers, options=options) as merged:
            expected = shown_by_kernel(merged)
    with inventory_of_image(image) as inventory:
        is_users = options == "userxattr"
        view = view_of(inventory, [f"/{layer.name}" for layer in layers], Hiding(is_users=is_users))
        assert shown_by_view(view, image) == expected
        kinds = {
            "whiteout": any(one.device == (0, 0) for one in inventory),
            "opaque": any(f"{'user_' * is_users}overlay_opaque" in one.attributes for one in inventory),
            "linked": any(one.links > 1 and one.type == "file" for one in inventory),
        }
    assert all(kinds.values()), kinds
    assert len(expected) > 20


def test_marks_of_a_layer_are_read_without_the_kernel(tmp_path: Path) -> None:
    files = {"low/etc/a": b"low", "low/etc/b": b"low", "low/opt/x": b"low", "low/srv/s": b"low", "up/": b"",
             "up/etc/c": b"up", "up/opt/y": b"up", "up/srv/": b""}  # fmt: skip
    image = ext4(tmp_path / "disk.raw", files)
    debugfs(image, ["cd /up/etc", "mknod b c 0 0", "ea_set /up/opt trusted.overlay.opaque y",
                    "ea_set /up/srv user.overlay.opaque y"])  # fmt: skip
    with inventory_of_image(image) as inventory:
        roots = view_of(inventory, ["/up", "/low"])
        users = view_of(inventory, ["/up", "/low"], Hiding(is_users=True))
        roots_shown, users_shown = shown_by_view(roots, image), shown_by_view(users, image)
    files_of = [sorted(path for path, row in shown.items() if row[0] == "file") for shown in (roots_shown, users_shown)]
    assert files_of[0] == ["/etc/a", "/etc/c", "/opt/y", "/srv/s"]  # in a trusted mount user.* is nobody's word
    assert files_of[1] == ["/etc/a", "/etc/c", "/opt/y"]


def made(*rows: tuple[str, str, tuple[Attribute, ...]]) -> Inventory:
    """Return an inventory of volume 0: paths with their type and attributes; ``whiteout`` is a type here."""
    inventory = Inventory()
    inventory.add([
        entry(path.encode(), volume=0, inode=number, type="character_device" if kind == "whiteout" else kind,
              device=(0, 0) if kind == "whiteout" else None, attributes=marks, size=0)
        for number, (path, kind, marks) in enumerate(rows, start=11)
    ])  # fmt: skip
    inventory.index()
    return inventory


def names(inventory: Inventory, pattern: str, hiding: Hiding) -> list[tuple[str, str]]:
    view = view_of(inventory, ["/u", "/m", "/l"], hiding)
    return [(match.host_path.decode(), match.entry.path.decode()) for match in expand(view, pattern)]


Row = tuple[str, str, tuple[Attribute, ...]]
DIRECTORIES: list[Row] = [(f"/{top}{rest}", "directory", ()) for top in "uml" for rest in ("", "/d")]


@pytest.mark.parametrize(
    ("rows", "hiding", "shown"),
    [
        ([("/l/d/x", "file", ())], Hiding(), [("/d/x", "/l/d/x")]),
        ([("/l/d/x", "file", ()), ("/m/d/x", "whiteout", ())], Hiding(), []),
        ([("/l/d/x", "file", ()), ("/m/d/x", "whiteout", ()), ("/u/d/x", "file", ())], Hiding(), [("/d/x", "/u/d/x")]),
        ([("/l/d/x", "file", ()), ("/u/d/.wh.x", "file", ())], Hiding(has_names=True), []),
        ([("/l/d/x", "file", ()), ("/u/d/.wh.x", "file", ())], Hiding(),
         [("/d/.wh.x", "/u/d/.wh.x"), ("/d/x", "/l/d/x")]),
        ([("/l/d/x", "file", ()), ("/m/d/.wh..wh..opq", "file", ())], Hiding(has_names=True), []),
        ([("/l/d/x", "file", ()), ("/u/d/x", "file", ("overlay_whiteout",))], Hiding(), []),
        ([("/l/d/x", "file", ()), ("/u/d/x", "file", ("overlay_metacopy",))], Hiding(), [("/d/x", "/l/d/x")]),
        ([("/u/d/x", "file", ("overlay_metacopy",))], Hiding(), []),
        ([("/l/d/x", "file", ()), ("/u/d/x", "file", ("user_overlay_metacopy",))], Hiding(), [("/d/x", "/u/d/x")]),
        ([("/l/d/x", "directory", ()), ("/u/d/x", "symlink", ())], Hiding(), [("/d/x", "/u/d/x")]),
    ],
)  # fmt: skip
def test_what_hides_what(rows: list[Row], hiding: Hiding, shown: list[tuple[str, str]]) -> None:
    assert names(made(*DIRECTORIES, *rows), "/d/*", hiding) == shown


def test_homes_are_found_in_the_layers_and_hidden_ones_are_not() -> None:
    rows: list[Row] = [*DIRECTORIES, ("/l/d/.ssh", "directory", ()), ("/l/d/.ssh/k", "file", ()),
            ("/m/d/.ssh", "directory", ()),
            ("/m/d/.ssh/j", "file", ()), ("/u/.ssh", "directory", ()), ("/l/.ssh", "file", ()), ("/x/.ssh", "file", ()),
            ("/l/e", "directory", ()), ("/l/e/.ssh", "directory", ()), ("/l/e/.ssh/z", "file", ()),
            ("/u/e", "directory", ("overlay_opaque",))]  # fmt: skip
    assert names(made(*rows), "~/.ssh/*", Hiding()) == [("/d/.ssh/j", "/m/d/.ssh/j"), ("/d/.ssh/k", "/l/d/.ssh/k")]


def test_links_lead_inside_the_container(tmp_path: Path) -> None:
    links = ["/u/l -> /etc/passwd", "/u/m -> ../../../l", "/u/n -> /etc/shadow"]
    inventory = inventory_of(tmp_path, ["/l/etc/passwd", "/u/etc/", *links, "/etc/shadow"])
    layers = (Tree(1, b"/u", b""), Tree(1, b"/l", b""))
    view = LayeredNamespace(LayerIndex(inventory), layers, Hiding())
    found = [view.resolve(path).entry for path in (b"/l", b"/m", b"/n", b"/../../etc/passwd")]
    assert [one.path if one else None for one in found] == [b"/l/etc/passwd", b"/l/etc/passwd", None, b"/l/etc/passwd"]


def test_no_layers_show_nothing() -> None:
    view = view_of(made(*DIRECTORIES), [])
    assert view.resolve(b"/").entry is None
    assert view.at(b"/d") is None


def test_marks_are_looked_for_below_a_directory() -> None:
    mark: tuple[Attribute, ...] = ("overlay_redirect",)
    rows: list[Row] = [("/u", "directory", mark), ("/u/a", "directory", mark), ("/u/a/b", "file", mark),
                       ("/u-x/a", "file", mark), ("/u0", "file", mark),
                       ("/u/overlay_redirect", "file", ())]  # fmt: skip
    found = made(*rows).marked(0, b"/u", "overlay_redirect")
    assert [one.path for one in found] == [b"/u/a", b"/u/a/b"]
    assert len(list(made(*rows).marked(0, b"", "overlay_redirect"))) == 5
