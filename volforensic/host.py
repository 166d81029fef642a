"""What this host has and lacks for triage: probing only, nothing is printed, changed or asked over the network."""

import importlib
import os
import platform
import shutil
import sys
import zoneinfo
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

import volforensic
from volforensic.sandbox import confinement

Status = Literal["ok", "degraded", "missing"]

OLDEST_PYTHON = (3, 11)
GIBIBYTE = 1 << 30
ENOUGH_MEMORY = 2 * GIBIBYTE  # two workers at their limit
ENOUGH_SPACE = GIBIBYTE  # the case of a server with a million log lines takes a tenth of it

LIBRARIES = {
    "pytsk3": "reads FAT, exFAT, NTFS and ISO 9660, and ext a second time",
    "dissect.util": "decompresses LZO and LZ4",
    "dissect.xfs": "reads XFS a second time",
    "dissect.btrfs": "reads btrfs a second time",
    "dissect.squashfs": "reads squashfs a second time",
    "google_crc32c": "verifies the checksums of filesystems",
    "yara_x": "finds miner binaries",
    "magic": "names file types",
    "ruamel.yaml": "reads artifact definitions",
    "zstandard": "decompresses logs, btrfs, squashfs and erofs",
    "Crypto": "checks wallet addresses",
    "jinja2": "writes the report",
}
"""Modules that triage needs, by name of import."""

DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "google_crc32c": "google-crc32c",
    "yara_x": "yara-x",
    "magic": "python-magic",
}
"""The distribution of a module where it has another name."""

DISK_TOOLS = ("mke2fs", "debugfs", "sfdisk", "mkfs.xfs", "mkfs.btrfs", "mksquashfs", "mkfs.erofs")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REINSTALL = "run make setup again"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: what was found, whether triage needs it, what to do where it is not ok."""

    name: str
    status: Status
    value: str
    needed: bool = False
    remedy: str = ""


def examine(folder: Path) -> Iterator[Check]:
    """Yield every check; ``folder`` is where a case would be written."""
    yield python()
    yield Check(name="volforensic", status="ok", value=volforensic.__version__)
    yield from (library(name, purpose) for name, purpose in LIBRARIES.items())
    yield time_zones()
    yield processors()
    yield memory(Path("/proc/meminfo"))
    yield space(folder)
    yield Check(name="kernel", status="ok", value=f"{platform.system()} {platform.release()} {platform.machine()}")
    yield from protection()
    yield privilege()
    yield cloud(Path("/sys"))
    yield disk_tools()
    yield browser()


def is_ready(checks: list[Check]) -> bool:
    """Return whether everything that triage needs is there."""
    return not any(check.needed and check.status == "missing" for check in checks)


def python() -> Check:
    """Look at the running interpreter."""
    fits = sys.version_info >= OLDEST_PYTHON
    return Check(
        name="Python",
        status="ok" if fits else "missing",
        value=f"{platform.python_version()} {sys.executable}",
        needed=True,
        remedy="" if fits else "volforensic needs 3.11 or newer: make setup PYTHON=/path/to/python3",
    )


def library(module: str, purpose: str) -> Check:
    """Import the module: that it is installed does not say that it loads."""
    try:
        loaded = importlib.import_module(module)
        version = metadata.version(DISTRIBUTIONS.get(module, module))
    except (ImportError, OSError, AttributeError) as error:  # OSError, AttributeError: ctypes and its C library
        remedy = "run make system-packages: libmagic is the system's" if module == "magic" else REINSTALL
        value = f"{purpose}; does not load: {error}"
        return Check(name=module, status="missing", value=value, needed=True, remedy=remedy)
    if module == "pytsk3":
        version = f"{version}, TSK {loaded.TSK_VERSION_STR}"
    elif module == "magic":
        number = loaded.version()
        version = f"{version}, libmagic {number // 100}.{number % 100}"
    return Check(name=module, status="ok", value=f"{version} ({purpose})", needed=True)


def time_zones() -> Check:
    """Look for time zone data: logs without an offset are read in the evidence's own zone."""
    try:
        zoneinfo.ZoneInfo("Pacific/Chatham")
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        value = "no data for named zones"
        return Check(name="time zones", status="missing", value=value, needed=True, remedy=REINSTALL)
    return Check(name="time zones", status="ok", value=f"{len(zoneinfo.available_timezones())} zones", needed=True)


def processors() -> Check:
    """Count the processors that this process may use."""
    return Check(name="processors", status="ok", value=str(len(os.sched_getaffinity(0))))


def memory(information: Path) -> Check:
    """Read the memory that can be had without swapping from /proc/meminfo (proc(5))."""
    amounts = {}
    for line in information.read_text().splitlines():
        key, _, rest = line.partition(":")
        amounts[key] = int(rest.split()[0]) * 1024
    available = amounts["MemAvailable"]
    value = f"{_gibibytes(available)} free of {_gibibytes(amounts['MemTotal'])}"
    return _wanted("memory", value, "use one worker: triage -j 1", is_met=available >= ENOUGH_MEMORY)


def space(folder: Path) -> Check:
    """Look at the free space where a case would be written."""
    free = shutil.disk_usage(folder).free
    value = f"{_gibibytes(free)} in {folder.absolute()}"
    return _wanted("free space", value, "write the case elsewhere: --case DIR", is_met=free >= ENOUGH_SPACE)


def protection() -> Iterator[Check]:
    """Yield what the kernel offers to lock workers in."""
    offered = confinement.probe()
    version = offered.landlock_version
    value = f"version {version}" if version else "not in this kernel"
    remedy = "workers are held by seccomp and limits alone; use Linux 5.13 or newer"
    yield _wanted("Landlock", value, remedy, is_met=bool(version))
    value = "filters" if offered.seccomp else "no filters on this kernel or architecture"
    remedy = "workers can make any system call; use a kernel with CONFIG_SECCOMP_FILTER"
    yield _wanted("seccomp", value, remedy, is_met=offered.seccomp)


def privilege() -> Check:
    """Say whether block devices can be opened."""
    user = os.geteuid()
    value = "root" if user == 0 else f"user {user}: image files; a block device needs root"
    return Check(name="privilege", status="ok", value=value)


def cloud(system: Path) -> Check:
    """Say whether this is an EC2 instance, from what the firmware says (sysfs), without the network.

    Nitro instances have "Amazon EC2" as the vendor, the instance type as the product and the instance id as the
    asset tag; Xen instances have a hypervisor UUID that begins with ``ec2``.
    """
    firmware = system / "class" / "dmi" / "id"
    if _first_line(firmware / "sys_vendor") == "Amazon EC2":
        parts = [_first_line(firmware / "product_name"), _first_line(firmware / "board_asset_tag")]
        return Check(name="EC2", status="ok", value=", ".join(["yes", *filter(None, parts)]))
    if _first_line(system / "hypervisor" / "uuid").lower().startswith("ec2"):
        return Check(name="EC2", status="ok", value="yes, on Xen")
    return Check(name="EC2", status="ok", value="no")


def disk_tools() -> Check:
    """Look for what builds the test disks; triage itself runs no program."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    absent = [tool for tool in DISK_TOOLS if shutil.which(tool, path=path) is None]
    value = f"without {', '.join(absent)}" if absent else ", ".join(DISK_TOOLS)
    return _wanted("disk tools", value, "some test disks cannot be built: make system-packages", is_met=not absent)


def browser() -> Check:
    """Look for the browser that a test opens the report in."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    remedy = "only one test needs it: make test TEST_PACKAGES=chromium"
    return _wanted("browser", found or "no chromium", remedy, is_met=found is not None)


def _wanted(name: str, value: str, remedy: str, *, is_met: bool) -> Check:
    """Return the check of what triage is better off with and can do without."""
    return Check(name=name, status="ok" if is_met else "degraded", value=value, remedy="" if is_met else remedy)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def _gibibytes(amount: int) -> str:
    return f"{amount / GIBIBYTE:.1f} GiB"
