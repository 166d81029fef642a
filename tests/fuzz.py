"""Mutates small disk images and reads each in a limited child: ``python tests/fuzz.py --count 300 --seed 1``.

Reported: deaths (a signal, an error that left the reader), runs over the budget, silent losses: inodes of the sound
image to which no name leads and no problem says that something was lost. Ends with 1 where there are any. A mutant is
a pure function of image, seed and number; ``--keep DIR`` writes the failing ones.
"""

import argparse
import json
import mmap
import os
import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import hostile_images  # noqa: E402 - a script: its folder and the project's come first
from media import medium_of  # noqa: E402 - same

from volforensic.evidence.discovery import read_layout  # noqa: E402 - same
from volforensic.evidence.filesystems import open_filesystem  # noqa: E402 - same
from volforensic.evidence.layout import Layout, LayoutArguments  # noqa: E402 - same
from volforensic.evidence.reader import Window  # noqa: E402 - same
from volforensic.inventory.file_bytes import Loss, stored_chunks  # noqa: E402 - same
from volforensic.inventory.walk import WalkArguments, walk_filesystem  # noqa: E402 - same
from volforensic.sandbox.messages import PAGE_USED  # noqa: E402 - same
from volforensic.sandbox.worker import Workplace  # noqa: E402 - same

PROCESSOR_SECONDS = 20
MEMORY = 1 << 30
SECTOR = 512
_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63), (1 << 64) - 1)
_MOST_READ = 64 << 20


class Outcome(NamedTuple):
    """What reading an image gave: its files, whether a loss was said, and how the child ended ("" for well)."""

    files: frozenset[str]
    is_lossy: bool
    death: str


def used_sectors(image: bytes) -> list[int]:
    """Return the numbers of the sectors that hold anything."""
    return [start // SECTOR for start in range(0, len(image), SECTOR) if any(image[start : start + SECTOR])]


def mutant(image: bytes, used: list[int], chance: random.Random) -> bytes:
    """Return a damaged copy of the image: some edits, half of them in the first tenth of what is used."""
    data = bytearray(image)
    for _ in range(chance.randint(1, 6)):
        early = chance.random() < 0.5
        sector = used[chance.randrange(max(1, len(used) // 10) if early else len(used))]
        place = sector * SECTOR + chance.randrange(SECTOR)
        kind = chance.randrange(8)
        if kind <= 1:
            data[place] ^= 1 << chance.randrange(8)
        elif kind <= 4:
            size = chance.choice((1, 2, 4, 8))
            place -= place % size
            word = chance.choice(_WORDS) & ((1 << 8 * size) - 1)
            data[place : place + size] = word.to_bytes(size, chance.choice(("little", "big")))
        elif kind == 5:
            other = chance.choice(used) * SECTOR
            data[sector * SECTOR : sector * SECTOR + SECTOR] = data[other : other + SECTOR]
        elif kind == 6:
            data[sector * SECTOR : sector * SECTOR + SECTOR] = bytes(SECTOR)
        else:
            data[sector * SECTOR : sector * SECTOR + SECTOR] = chance.randbytes(SECTOR)
    if chance.random() < 0.03:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def read_image(path: Path) -> tuple[set[str], bool]:
    """Return the files that an image gives and whether any loss was said: the readers as the workers run them."""
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size
    place = Workplace(medium_of(descriptor), mmap.mmap(-1, PAGE_USED), None)
    layout: Layout = next(read_layout(place, LayoutArguments(sizes=[size])))
    is_lossy = any(problem.lost for problem in layout.problems) or not any(v.is_readable for v in layout.volumes)
    files: set[str] = set()
    for volume in layout.volumes:
        if volume.is_readable and volume.filesystem is not None:
            window = Window(medium_of(descriptor), volume.offset, volume.length)
            is_lossy |= _walk(place, window, volume.filesystem.type, files)
    return files, is_lossy


def _walk(place: Workplace, window: Window, kind: str, files: set[str]) -> bool:
    is_lossy = False
    given = WalkArguments(volume=0, offset=window.offset, length=window.length, kind=kind)
    try:
        reader = open_filesystem(kind, window, lambda _: None)
        for message in walk_filesystem(place, given):
            is_lossy |= any(problem.lost for problem in message.problems)
            for entry in message.entries:
                if not entry.allocated:
                    continue
                is_lossy |= bool(entry.problems)
                files.add(f"{entry.tree}:{entry.inode} {entry.type}")  # a changed name is still a name
                losses: list[Loss] = []
                if entry.type == "file" and entry.size < _MOST_READ:
                    for _ in stored_chunks(place.source, entry, lambda _: reader, losses):
                        pass
                is_lossy |= bool(losses)
    except Exception as error:  # noqa: BLE001 - what a worker says of itself when its reader gives up
        print(f"    the walk broke off: {type(error).__name__}: {error}"[:200], file=sys.stderr)  # noqa: T201 - a script
        return True
    return is_lossy


def in_child(work: Callable[[], tuple[set[str], bool]]) -> Outcome:
    """Run ``work`` in a child with limits and return what came of it."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            files, is_lossy = work()
            with os.fdopen(writer, "w") as output:
                json.dump([sorted(files), is_lossy], output)
            status = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            print(f"    {type(error).__name__}: {error}"[:300], file=sys.stderr)  # noqa: T201 - a script
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if ended or not text:
        return Outcome(frozenset(), is_lossy=True, death=f"ended with {ended}")
    files_found, was_lossy = json.loads(text)
    return Outcome(frozenset(files_found), was_lossy, "")


def judged(seeds: dict[str, Path], arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (seed's name, verdict) for each mutant: fine, said, death or silent."""
    for name, path in seeds.items():
        image = path.read_bytes()
        used = used_sectors(image)
        whole = in_child(lambda path=path: read_image(path))  # type: ignore[misc]  # bound at once
        if whole.death or whole.is_lossy:
            raise SystemExit(f"{name}: the image itself does not read: {whole}")
        for number in range(arguments.first, arguments.first + arguments.count):
            chance = random.Random(f"{arguments.seed}:{name}:{number}")  # noqa: S311 - wanted: the same each time
            damaged = folder / "mutant.raw"
            damaged.write_bytes(mutant(image, used, chance))
            outcome = in_child(lambda damaged=damaged: read_image(damaged))  # type: ignore[misc]  # same
            missing = sorted(whole.files - outcome.files)
            verdict = "death" if outcome.death else "said" if outcome.is_lossy else "silent" if missing else "fine"
            if verdict in {"death", "silent"}:
                print(f"{name} {number}: {verdict} {outcome.death} {missing[:3]}")  # noqa: T201 - a script
                if arguments.keep:
                    damaged.replace(arguments.keep / f"{name}-{number}.raw")
            yield name, verdict


def main() -> int:
    """Fuzz and print the counts of each seed image."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="mutants of each image")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--only", help="one image")
    parser.add_argument("--keep", type=Path, help="where failing mutants are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seeds = hostile_images.seed_images(Path(folder))
        chosen = {name: path for name, path in seeds.items() if arguments.only in {None, name}}
        counts: dict[str, Counter[str]] = {name: Counter() for name in chosen}
        for name, verdict in judged(chosen, arguments, Path(folder)):
            counts[name][verdict] += 1
    result: dict[str, Any] = {name: dict(count) for name, count in counts.items()}
    print(json.dumps(result))  # noqa: T201 - a script
    return int(any(count["death"] or count["silent"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
