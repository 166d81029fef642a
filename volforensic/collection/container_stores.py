"""Where the container engines of a host keep their images and containers.

Sources: dockerd(8), containers-storage.conf(5), containerd-config.toml(5), the documentation of k3s, RKE2, k0s and the
snaps of Docker and MicroK8s.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from volforensic.collection.container_books import Books
from volforensic.collection.container_worker import ContainerFile
from volforensic.collection.globbing import Allowance, expand

Kind = Literal["docker", "storage", "containerd"]
_DOCKER = (b"/var/lib/docker", b"/var/snap/docker/common/var-lib-docker", b"/var/lib/docker-engine")
_STORAGE = (b"/var/lib/containers/storage",)
_CONTAINERD = (
    b"/var/lib/containerd",
    b"/var/lib/docker/containerd/daemon",
    b"/var/lib/docker/containerd",
    b"/var/lib/rancher/k3s/agent/containerd",
    b"/var/lib/rancher/rke2/agent/containerd",
    b"/var/lib/k0s/containerd",
    b"/var/snap/microk8s/common/var/lib/containerd",
)
_STRAY: dict[Kind, tuple[bytes, ...]] = {
    "docker": (b"/", b"/docker"),
    "storage": (b"/", b"/storage", b"/containers/storage"),
    "containerd": (b"/", b"/containerd"),
}
"""Where a volume has them that was mounted nobody knows where."""
_SETTINGS: tuple[tuple[Kind, str, str], ...] = (
    ("docker", "daemon.json", "/etc/docker/daemon.json"),
    ("docker", "daemon.json", "/var/snap/docker/current/config/daemon.json"),
    ("docker", "daemon.json", "~/.config/docker/daemon.json"),
    ("storage", "toml", "/etc/containers/storage.conf"),
    ("storage", "toml", "~/.config/containers/storage.conf"),
    ("containerd", "toml", "/etc/containerd/config.toml"),
)
_USERS: tuple[tuple[Kind, str], ...] = (
    ("docker", "~/.local/share/docker"),
    ("storage", "~/.local/share/containers/storage"),
    ("containerd", "~/.local/share/containerd"),
)
_DOCKERS_OWN = (b"/containers", b"/image", b"/network", b"/volumes", b"/buildkit", b"/overlay2")
_ENOUGH = 2
_MOST_NAMES = 200_000
_MOST_STORES = 200


class Store(NamedTuple):
    """A store: whose, and its directory on the host. ``is_users``: without root's rights, or through fuse-overlayfs."""

    kind: Kind
    home: bytes
    is_users: bool = False


def find_stores(books: Books, *, is_stray: bool) -> list[Store]:
    """Return the stores that are on a host, each once; ``is_stray``: perhaps a volume of which no host is known."""
    found: dict[tuple[Kind, int, bytes], Store] = {}
    allowance = Allowance(_MOST_NAMES)
    for store in (*_candidates(books, allowance), *(_stray_candidates() if is_stray else ())):
        entry = books.directory(store.home)
        if entry is not None and _is_store(books, store):
            found.setdefault((store.kind, entry.volume, entry.path), store)
    root = books.directory(b"/")
    if root is not None and (len(found) > _MOST_STORES or allowance.is_spent):
        books.problem(root, f"more than {_MOST_STORES} stores of containers, or too many homes to look for them")
    return list(found.values())[:_MOST_STORES]


def _stray_candidates() -> Iterator[Store]:
    for kind, places in _STRAY.items():
        yield from (Store(kind, place) for place in places)


def _candidates(books: Books, allowance: Allowance) -> Iterator[Store]:
    kinds: list[Kind] = []
    files: list[ContainerFile] = []
    is_users: list[bool] = []
    for kind, form, pattern in _SETTINGS:
        for match in expand(books.namespace, pattern, allowance):
            entry = books.file(match.host_path)
            if entry is not None and len(files) < _MOST_STORES:
                kinds.append(kind)
                files.append(ContainerFile(form, entry))
                is_users.append(bool(match.home))
    fuse = False
    for kind, of_user, answer in zip(kinds, is_users, books.read(files), strict=True):
        settings = answer.settings
        if settings is not None:
            fuse = fuse or (kind == "storage" and settings.is_fuse and not of_user)
            for root in settings.roots:
                yield Store(kind, root.encode("utf-8", "surrogateescape"), of_user or settings.is_fuse)
    yield from (Store("docker", home) for home in _DOCKER)
    yield from (Store("storage", home, fuse) for home in _STORAGE)
    yield from (Store("containerd", home) for home in _CONTAINERD)
    for kind, pattern in _USERS:
        for match in expand(books.namespace, pattern, allowance):
            yield Store(kind, match.host_path, is_users=True)


def _is_store(books: Books, store: Store) -> bool:
    def has(name: bytes) -> bool:
        return books.directory(store.home.rstrip(b"/") + name) is not None

    if store.kind == "docker":
        return sum(map(has, _DOCKERS_OWN)) >= _ENOUGH
    ending, beginning = (b"-containers", b"") if store.kind == "storage" else (b"", b"io.containerd.")
    names = (entry.name for entry in books.children(store.home))
    return any(name.endswith(ending) and name.startswith(beginning) for name in names)
