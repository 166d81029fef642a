"""Builds a real Debian server as a disk: ``python -m images.server --output DIR``.

The tree is what mmdebstrap installs from the sources that this host's own apt uses; so it needs root, the network and
a few minutes, its bytes differ from build to build, and it is no part of the tests. ``--logs`` adds a month of busy
logs, ``--plant`` an intrusion with an ``.expected.json`` beside the disk.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from images import partitions, server_logs, server_plants, tools
from images.story import Disk, Partition, StoryError, byte_size

PACKAGES = (
    "openssh-server,cron,at,nginx-light,python3,rsyslog,sudo,build-essential,ca-certificates,logrotate,curl,wget,git,vim,"
    "redis-server,fail2ban,unattended-upgrades,linux-image-cloud-amd64,man-db,locales,htop,tmux,rsync"
)
FILESYSTEMS = ("ext4", "xfs")
_IDENTIFIER = "A1B2C3D4-E5F6-4789-8ABC-DEF012340900"
_RESERVED = 2 << 20  # the first MiB before the partitions, the last one for the backup of the table


def server_tree(folder: Path) -> Path:
    """Install the server into ``folder/tree`` with mmdebstrap, unless it stands there already."""
    tree = folder / "tree"
    if not tree.exists():
        unfinished = folder / "tree.unfinished"
        options = ["--mode=root", "--variant=important", f"--include={PACKAGES}"]
        tools.run(
            ["mmdebstrap", *options, _codename(), unfinished, *_apt_sources()],
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
        unfinished.rename(tree)
    return tree


def build(  # noqa: PLR0913 - the options of the command line
    tree: Path, image: Path, filesystem: str, size: str, *, logs: bool, plant: bool
) -> None:
    """Put the tree on a GPT disk with a BIOS boot partition and one filesystem; add logs and an intrusion if asked."""
    rest = f"{(byte_size(size) - _RESERVED >> 20) - 1}MiB"
    boot = Partition(size="1MiB", type="bios-boot", name="bios")
    root = Partition(size=rest, name="root", filesystem="ext4" if filesystem == "ext4" else "xfs", mount="/")
    start = partitions.write_table(
        Disk(table="gpt", size=size, identifier=_IDENTIFIER, partitions=[boot, root]), image
    )[1]
    with _loop_device(image, start, byte_size(rest)) as device:
        tools.run([f"mkfs.{filesystem}", "-q", "-L", "root", device])
        with _mounted(device) as mount:
            tools.run(["cp", "-a", f"{tree}/.", mount])
            _finish(mount)
            if logs:
                server_logs.write(mount)
            if plant:
                expected = server_plants.write(mount)
                image.with_suffix(".expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def _finish(mount: Path) -> None:
    """Do what an administrator does after the installation: a name, an account with a key, a file made and deleted."""
    (mount / "etc/hostname").write_text(f"{server_logs.HOST}\n")
    tools.run(["chroot", mount, "useradd", "-m", "-s", "/bin/bash", "-G", "sudo,adm", server_logs.ADMINISTRATOR])
    server_plants.write_administrator(mount)
    for number in range(8):
        scrap = mount / f"var/tmp/scrap-{number}"
        scrap.write_bytes(os.urandom(20000 * number))
        scrap.unlink()


def _codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise tools.ToolError("mmdebstrap: /etc/os-release of this host names no release of Debian")


def _apt_sources() -> Iterator[Path]:
    """Yield the files of this host that say where Debian's packages come from."""
    folder = Path("/etc/apt")
    candidates = [folder / "sources.list", folder / "sources.list.d/debian.sources"]
    found = [path for path in candidates if path.is_file() and path.read_text().strip()]
    if not found:
        raise tools.ToolError("mmdebstrap: this host's apt names no source of Debian packages")
    yield from found[:1]


@contextmanager
def _loop_device(image: Path, start: int, length: int) -> Iterator[str]:
    options = ["--find", "--show", "--offset", str(start), "--sizelimit", str(length)]
    device = tools.run(["losetup", *options, image]).stdout.strip()
    try:
        yield device
    finally:
        tools.run(["losetup", "--detach", device])


@contextmanager
def _mounted(device: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="server-") as name:
        tools.run(["mount", device, name])
        try:
            yield Path(name)
        finally:
            tools.run(["umount", name])


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the disks that the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m images.server", description="Build a real Debian server as a disk."
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the folder for the tree and the disks"
    )
    parser.add_argument("--size", default="8GiB", help="size of the disk (8GiB)")
    parser.add_argument("--flavour", choices=[*FILESYSTEMS, "both"], default="both", help="the filesystem (both)")
    parser.add_argument("--logs", action="store_true", help="add a month of busy logs, 1.1 million lines")
    parser.add_argument("--plant", action="store_true", help="add an intrusion, and what must be found in a JSON file")
    options = parser.parse_args(arguments)
    try:
        _build_all(options)
    except (StoryError, tools.ToolError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _build_all(options: argparse.Namespace) -> None:
    if os.geteuid() != 0:
        raise tools.ToolError("images.server: needs root, for mmdebstrap and for mounting; try it with sudo")
    options.output.mkdir(parents=True, exist_ok=True)
    tree = server_tree(options.output)
    for filesystem in FILESYSTEMS if options.flavour == "both" else [options.flavour]:
        kind = ("planted" if options.plant else "clean") + ("-logs" if options.logs else "")
        image = options.output / f"server-{kind}-{filesystem}.raw"
        build(tree, image, filesystem, options.size, logs=options.logs, plant=options.plant)
        sys.stdout.write(f"{image}\n")


if __name__ == "__main__":
    sys.exit(main())
