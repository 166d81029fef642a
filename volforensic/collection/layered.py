"""A container's view of its files: the layers of its overlay, merged as the kernel merges them.

Sources: the kernel's Documentation/filesystems/overlayfs.rst and fs/overlayfs/namei.c (ovl_lookup), fuse-overlayfs(1),
the OCI image specification (layer.md, "Whiteouts": the names that aufs gave them).
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from volforensic.collection.namespace import Namespace, Tree, nearest
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory

_WHITEOUT_DEVICE = (0, 0)
_HIDING, _OPAQUE_NAME = b".wh.", b".wh..wh..opq"
_MOST_STACKS = 20_000
_MOST_PATTERNS = 64
_MOST_CANDIDATES = 100_000


class Hiding(NamedTuple):
    """How layers hide what is below them: ``is_users`` and ``has_names`` as ``container_layers.Found`` has them."""

    is_users: bool = False
    has_names: bool = False


class _Layer(NamedTuple):
    """A directory of a layer, without a slash at its end."""

    volume: int
    path: bytes


Stack = tuple[_Layer, ...]


class LayerIndex:
    """Holds which containers have which layers, and the entries of a name by layer: many containers ask the same."""

    def __init__(self, inventory: Inventory) -> None:
        """Begin without containers."""
        self.inventory = inventory
        self._count = 0
        self._places: dict[tuple[int, bytes], Tree | None] = {}
        self._views: dict[tuple[int, bytes], list[LayeredNamespace]] = {}
        self._named: dict[tuple[bytes, bool], dict[tuple[int, bytes], list[FileEntry]] | None] = {}
        self._stacks: dict[tuple[int, bytes], Stack] = {}

    def stack(self, view: int, path: bytes) -> Stack | None:
        """Return what ``keep_stack`` was given of a view and a path; None where it is not known any more."""
        return self._stacks.get((view, path))

    def keep_stack(self, view: int, path: bytes, stack: Stack) -> None:
        """Keep the directories that a path of a view shows together: a bounded number for all views."""
        if len(self._stacks) >= _MOST_STACKS:
            self._stacks.clear()
        self._stacks[view, path] = stack

    def add(self, view: "LayeredNamespace", layers: Sequence[Tree]) -> int:
        """Note a container's layers; return its view's number."""
        self._count += 1
        for layer in layers:
            self._places[layer.place] = layer
            self._views.setdefault(layer.place, []).append(view)
        self._named.clear()
        return self._count

    def shows(self, entry: FileEntry) -> bool:
        """Return whether an entry is seen in a container."""
        layer = nearest(self._places, entry) if self._places else None
        return layer is not None and any(view.host_path(entry) is not None for view in self._views[layer.place])

    def candidates(self, layers: Sequence[Tree], first: bytes, *, is_prefix: bool) -> Iterator[FileEntry]:
        """Yield the entries in these layers whose name is ``first``, or begins with it; seldom some others too."""
        key = first, is_prefix
        if key not in self._named:
            if len(self._named) >= _MOST_PATTERNS:
                self._named.clear()
            self._named[key] = self._by_layer(first, is_prefix=is_prefix)
        groups = self._named[key]
        if groups is None:
            yield from self.inventory.named(first, is_prefix=is_prefix)
            return
        for layer in dict.fromkeys(layer.place for layer in layers):
            yield from groups.get(layer, ())

    def _by_layer(self, first: bytes, *, is_prefix: bool) -> dict[tuple[int, bytes], list[FileEntry]] | None:
        groups: dict[tuple[int, bytes], list[FileEntry]] = {}
        count = 0
        for entry in self.inventory.named(first, is_prefix=is_prefix):
            layer = nearest(self._places, entry)
            if layer is not None:
                groups.setdefault(layer.place, []).append(entry)
                count += 1
                if count > _MOST_CANDIDATES:
                    return None  # too many to keep: each container looks through all of them
        return groups


class LayeredNamespace(Namespace):
    """One container's layers over the inventory, the upper ones first."""

    def __init__(self, index: LayerIndex, layers: tuple[Tree, ...], hiding: Hiding) -> None:
        """Take the layers as trees that have no mount point."""
        super().__init__(index.inventory, layers)
        self._index = index
        self._layers = tuple(_Layer(*place) for place in dict.fromkeys(layer.place for layer in layers))
        self._hiding = hiding
        marks = ("overlay_", "user_overlay_") if hiding.is_users else ("overlay_",)
        self._opaque, self._white, self._elsewhere = (
            frozenset(mark + word for mark in marks) for word in ("opaque", "whiteout", "metacopy")
        )
        self._number = index.add(self, layers)

    def children(self, directory: FileEntry) -> Iterator[FileEntry]:
        """Yield what a directory shows of all layers, by name."""
        tree = nearest(self._owner, directory)
        stack = self._stack(tree.host_path(directory.path).rstrip(b"/")) if tree is not None else ()
        listings = (self._listed(number, layer) for number, layer in enumerate(stack))
        for name, entries in groupby(heapq.merge(*listings, key=lambda one: one[:2]), key=lambda one: one[0]):
            entry = next(entries)[2]
            if self._hiding.has_names or self._is_white(entry) or self._has_no_data(entry):
                found = self._look(stack, name)[0]
                if found is not None:
                    yield found
            else:
                yield entry

    def mounted_over(self, path: bytes) -> FileEntry | None:  # noqa: ARG002 - what a Namespace answers
        """Return None: what was mounted in a container is not known."""
        return None

    def host_path(self, entry: FileEntry) -> bytes | None:
        """Return where the container had the entry; None where it shows another there, or none."""
        tree = nearest(self._owner, entry)
        if tree is None:
            return None
        path = tree.host_path(entry.path)
        seen = self._plain(path)
        return path if seen is not None and (seen.volume, seen.path) == (entry.volume, entry.path) else None

    def candidates(self, first: bytes, *, is_prefix: bool) -> Iterator[FileEntry]:
        """Yield the entries of the layers whose name is ``first``, or begins with it; hidden ones among them."""
        return self._index.candidates(self.trees, first, is_prefix=is_prefix)

    def _listed(self, number: int, layer: _Layer) -> Iterator[tuple[bytes, int, FileEntry]]:
        return ((child.name, number, child) for child in self.inventory.children(layer.volume, layer.path))

    def _plain(self, path: bytes) -> FileEntry | None:
        parent, _, name = path.rstrip(b"/").rpartition(b"/")
        if not name:
            top = self._layers[0] if self._layers else None
            return self.inventory.at(top.volume, top.path or b"/") if top is not None else None
        return self._look(self._stack(parent), name)[0]

    def _stack(self, path: bytes) -> Stack:
        """Return the directories of the layers that a path (``b""`` for the root) shows together; none: it is none."""
        known = self._index.stack(self._number, path)
        if known is not None:
            return known
        stack, here = self._layers, b""
        for part in path.split(b"/")[1:]:
            here += b"/" + part
            known = self._index.stack(self._number, here)
            if known is None:
                known = self._look(stack, part)[1]
                self._index.keep_stack(self._number, here, known)
            stack = known
            if not stack:
                break
        return stack

    def _look(self, stack: Sequence[_Layer], name: bytes) -> tuple[FileEntry | None, Stack]:
        """Return what a name shows in directories that are merged, and where that is a directory, which it is made of.

        The first layer that has the name decides; a directory goes on into those below until one of them is no
        directory, or it is opaque.
        """
        if self._hiding.has_names and name.startswith(_HIDING):
            return None, ()
        found: FileEntry | None = None
        merged: list[_Layer] = []
        for layer in stack:
            entry = self.inventory.at(layer.volume, layer.path + b"/" + name)
            if entry is None:
                if self._has(layer, _HIDING + name):
                    break
                continue
            if self._is_white(entry):
                break
            if entry.type != "directory":
                if found is None and self._has_no_data(entry):
                    continue  # the bytes are those of the file below
                found = found or entry
                break
            found = found or entry
            merged.append(_Layer(entry.volume, entry.path))
            if not self._opaque.isdisjoint(entry.attributes) or self._has(merged[-1], _OPAQUE_NAME):
                break
        return found, tuple(merged)

    def _has(self, directory: _Layer, name: bytes) -> bool:
        is_asked = self._hiding.has_names
        return is_asked and self.inventory.at(directory.volume, directory.path + b"/" + name) is not None

    def _is_white(self, entry: FileEntry) -> bool:
        if entry.type == "character_device":
            return entry.device == _WHITEOUT_DEVICE
        return bool(entry.attributes) and not entry.size and not self._white.isdisjoint(entry.attributes)

    def _has_no_data(self, entry: FileEntry) -> bool:
        return bool(entry.attributes) and entry.type == "file" and not self._elsewhere.isdisjoint(entry.attributes)
