"""The programs that are compared: how each is called, and what it gave."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import volforensic

TRIAGE, HASH, FILES, WALK = "triage", "hash", "files", "walk"
TARGET_QUERY, OPENSSL, FLS = "target-query", "openssl", "fls"
NAMES = (TRIAGE, HASH, FILES, WALK, TARGET_QUERY, OPENSSL, FLS)

FUNCTIONS = (
    "authlog", "wtmp", "btmp", "lastlog", "cronjobs", "commandhistory", "users", "ssh.authorized_keys",
)  # fmt: skip
"""target-query's functions for the artifacts that a triage reads; it has none for shadow, groups, sudoers, at jobs,
sshd_config and ld.so.preload."""

_RECORD_TYPE = re.compile(rb'"_recorddescriptor": \["([^"]{1,200})"')
_RECORD_TAIL = 400
_FLS_FILESYSTEMS = ("ext2", "ext3", "ext4", "ntfs", "fat")
_TYPES = {"ext2": "ext", "ext3": "ext", "ext4": "ext"}


class Product(NamedTuple):
    """What a run gave: records by kind, and a digest of the results (none where two runs never give the same bytes).

    Where the program tells them, also the source's SHA-256, its size, and its file systems by type and byte offset.
    """

    records: dict[str, int]
    digest: str = ""
    source_digest: str = ""
    size: int = 0
    volumes: tuple[tuple[str, int], ...] = ()


class Program(NamedTuple):
    """One program: its name, the command for a source and a scratch folder, what it printed or wrote as a product.

    ``exit_statuses`` are those of a run that counts.
    """

    name: str
    version: str
    command: Callable[[Path, Path], Sequence[str | Path]]
    product: Callable[[Path, Path], Product]
    exit_statuses: tuple[int, ...] = (0,)


def triage() -> Program:
    """Return ``volforensic triage``, as anybody runs it. Exit status 3 (something could not be read) counts too."""
    return Program(TRIAGE, f"volforensic {volforensic.__version__}", _triage_command, _triage_product, (0, 3))


def hash_everything() -> Program:
    """Return ``volforensic hash``: image and files, types, YARA, a row an entry."""
    return Program(HASH, f"volforensic {volforensic.__version__}", _hash_command(), _hash_product, (0, 3))


def hash_files() -> Program:
    """Return ``volforensic hash --files-only``: what it reads cold is what the files and the metadata take."""
    return Program(
        FILES, f"volforensic {volforensic.__version__}", _hash_command("--files-only"), _hash_product, (0, 3)
    )


def walk(volumes: Sequence[tuple[str, int]], size: int) -> Program:
    """Return our own walk of the first volume, names, inodes and extents, in one process (``walk.py``)."""
    kind, offset = volumes[0]

    def command(source: Path, _scratch: Path) -> list[str | Path]:
        return [sys.executable, Path(__file__).with_name("walk.py"), source, kind, str(offset), str(size - offset)]

    def product(output: Path, _scratch: Path) -> Product:
        return Product({"entries": int(output.read_text())})

    return Program(WALK, f"volforensic {volforensic.__version__}", command, product)


def target_query() -> Program | None:
    """Return dissect's ``target-query`` of the same functions in one process, or None where it is not installed."""
    tool = Path(sys.executable).with_name("target-query")
    if not tool.exists():
        return None

    def command(source: Path, _scratch: Path) -> list[str | Path]:
        return [tool, "--quiet", "--no-cache", "--json", "--function", ",".join(FUNCTIONS), source]

    return Program(TARGET_QUERY, _first_line([tool, "--version"]), command, _target_query_product)


def openssl() -> Program | None:
    """Return ``openssl dgst -sha256`` of the whole source, the yardstick for every host, or None."""
    tool = shutil.which("openssl")
    if tool is None:
        return None

    def command(source: Path, _scratch: Path) -> list[str | Path]:
        return [tool, "dgst", "-sha256", "-r", source]

    def product(output: Path, _scratch: Path) -> Product:
        return Product({}, source_digest=output.read_text().partition(" ")[0])

    return Program(OPENSSL, _first_line([tool, "version"]).partition(" (")[0], command, product)


def fls(volumes: Sequence[tuple[str, int]]) -> Program | None:
    """Return The Sleuth Kit's ``fls -r -m`` of the first volume that it can read, or None where there is none.

    ``volumes`` are the file systems' types and their offsets in bytes.
    """
    tool = shutil.which("fls")
    known = [(kind, offset) for kind, offset in volumes if kind in _FLS_FILESYSTEMS]
    if tool is None or not known:
        return None
    kind, offset = known[0]

    def command(source: Path, _scratch: Path) -> list[str | Path]:
        return [tool, "-r", "-m", "/", "-f", _TYPES.get(kind, kind), "-o", str(offset // 512), source]

    def product(output: Path, _scratch: Path) -> Product:
        data = output.read_bytes()
        return Product({"entries": data.count(b"\n")}, hashlib.sha256(data).hexdigest())

    return Program(FLS, _first_line([tool, "-V"]), command, product)


def _triage_command(source: Path, scratch: Path) -> list[str | Path]:
    tool = Path(sys.executable).with_name("volforensic")
    case = scratch / "case"
    return [tool, "triage", source, "--case", case, "--progress", "json", "--format", "json"]


def _triage_product(_output: Path, scratch: Path) -> Product:
    """Count the records and digest what a run must give again byte for byte: records, files, findings, problems."""
    item = _item(scratch)
    coverage = json.loads((item / "coverage.json").read_bytes())
    records: Counter[str] = Counter()
    for part in coverage["artifacts"]:
        records[part["artifact"]] += part["records"]
    digest = hashlib.sha256()
    named = [item / name for name in ("files.jsonl.zst", "findings.jsonl", "problems.jsonl", "coverage.json")]
    for path in sorted([*named, *item.glob("records/*")]):
        with path.open("rb") as stream:
            digest.update(f"{path.relative_to(item)} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    identity = json.loads((item / "evidence.json").read_bytes())
    return Product(
        dict(sorted(records.items())),
        digest.hexdigest(),
        identity["sha256_before"],
        identity["size"],
        tuple(_volumes(identity["layout"]["volumes"])),
    )


def _hash_command(*options: str) -> Callable[[Path, Path], Sequence[str | Path]]:
    tool = Path(sys.executable).with_name("volforensic")
    return lambda source, scratch: [
        *(tool, "hash", source, "--format", "jsonl", "--output", scratch / "files.jsonl"),
        *("--progress", "json", *options),
    ]


def _hash_product(_output: Path, scratch: Path) -> Product:
    data = (scratch / "files.jsonl").read_bytes()
    counts = {"entries": data.count(b"\n"), "hashed": data.count(b'"sha256":')}
    return Product(counts, hashlib.sha256(data).hexdigest())


def _volumes(described: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield type and offset of every file system, the largest first."""
    for volume in sorted(described, key=lambda volume: -int(volume["length"])):
        if volume["filesystem"]:
            yield volume["filesystem"]["type"], volume["offset"]


def _target_query_product(output: Path, _scratch: Path) -> Product:
    """Count the records by type. Every record carries the time of the run, so there is no digest to compare."""
    counted: Counter[str] = Counter()
    with output.open("rb") as stream:
        for line in stream:
            if found := _RECORD_TYPE.search(line, max(0, len(line) - _RECORD_TAIL)):
                counted[found[1].decode(errors="replace")] += 1
    return Product(dict(sorted(counted.items())))


def _item(scratch: Path) -> Path:
    items = list((scratch / "case" / "evidence").iterdir())
    if len(items) != 1:
        raise FileNotFoundError(f"{scratch}: {len(items)} evidence items instead of one")
    return items[0]


def _first_line(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return next(iter((done.stdout or done.stderr).strip().splitlines()), "unknown version")
