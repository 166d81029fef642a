"""Runs the programs in turn on one disk and keeps what every run cost and gave."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from volforensic.sanitiser import visible

from . import programs
from .disks import DiskError, Reads, counted_device
from .meter import Measured, measure
from .programs import Product, Program
from .stages import Cost, StageClock


class BenchmarkError(Exception):
    """A program did not do its work: a figure of it would mean nothing."""


class Run(NamedTuple):
    """One run: what it cost, by stage where the program tells its stages, and what it gave; the host's load before."""

    measured: Measured
    stages: dict[str, Cost]
    product: Product
    load: float


class Options(NamedTuple):
    """How often each program runs, its time-out in seconds, which programs are left out, where scratch files go."""

    runs: int
    timeout: float
    without: Sequence[str]
    scratch: Path | None


class Comparison(NamedTuple):
    """Everything about one disk.

    ``reads`` are those of one run each on a cold device, ``cold_stages`` the triage's among them by stage.
    ``skipped`` is what was not run or not counted, and why; ``differences`` are results that differ and should not.
    """

    disk: Path
    size: int
    filesystems: list[str]
    programs: list[Program]
    runs: dict[str, list[Run]]
    reads: dict[str, Reads]
    cold_stages: dict[str, Cost]
    skipped: dict[str, str]
    differences: list[str]


def compare(disk: Path, options: Options) -> Comparison:
    """Run each program in turn on the disk, again and again, then once more on a cold device to count its reads.

    Raises:
        BenchmarkError: A program failed, or did not end in time.
    """
    skipped = dict.fromkeys(options.without, "left out by --without")
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.scratch) as name:
        bench = _Bench(Path(name), options)
        _warm(disk)
        triage = programs.triage()
        first = bench.run(triage, disk, f"run 1 of {options.runs}")  # it tells where the file systems lie
        chosen = [triage, *_others(first.product, options.without, skipped)]
        runs: dict[str, list[Run]] = {program.name: [] for program in chosen}
        runs[triage.name].append(first)
        for number in range(1, options.runs + 1):
            for program in chosen[1:] if number == 1 else chosen:
                runs[program.name].append(bench.run(program, disk, f"run {number} of {options.runs}"))
        reads, cold_stages = _count_reads(disk, chosen, bench, runs, skipped)
    return Comparison(
        disk=disk,
        size=first.product.size,
        filesystems=[kind for kind, _ in first.product.volumes],
        programs=chosen,
        runs=runs,
        reads=reads,
        cold_stages=cold_stages,
        skipped=skipped,
        differences=list(_differences(runs)),
    )


def _warm(disk: Path) -> None:
    """Read the disk once: else the first run alone would pay for what the others find in memory."""
    _say(f"{disk.name}: read once, not measured")
    with disk.open("rb", buffering=0) as stream:
        buffer = bytearray(1 << 20)
        while stream.readinto(buffer):
            pass


class _Bench:
    """Runs programs, each in a scratch folder of its own, and checks that they did their work."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._options = options

    def run(self, program: Program, source: Path, label: str, clock: StageClock | None = None) -> Run:
        """Run a program once.

        Raises:
            BenchmarkError: It failed, or did not end in time.
        """
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._folder) as name:
            scratch = Path(name)
            _say(f"{source.name}: {program.name}, {label}")
            load = os.getloadavg()[0]
            clock = clock or StageClock()
            measured = measure(
                program.command(source, scratch),
                scratch / "output",
                timeout=self._options.timeout,
                on_line=clock.read,
                on_tick=lambda elapsed: _say(f"  {elapsed:.0f} s"),
            )
            _check(program, measured, self._options.timeout)
            product = program.product(scratch / "output", scratch)
            _say(f"  {measured.cpu_seconds:.2f} s CPU, {measured.wall_seconds:.2f} s wall")
            return Run(measured, clock.parts(measured) if program.name == programs.TRIAGE else {}, product, load)


def _others(first: Product, without: Sequence[str], skipped: dict[str, str]) -> Iterator[Program]:
    volumes = first.volumes
    candidates = {
        programs.HASH: programs.hash_everything(),
        programs.FILES: programs.hash_files(),
        programs.WALK: programs.walk(volumes, first.size),
        programs.TARGET_QUERY: programs.target_query(),
        programs.OPENSSL: programs.openssl(),
        programs.FLS: programs.fls(volumes),
    }
    for name, program in candidates.items():
        if name in without:
            continue
        if program is None:
            kinds = ", ".join(kind for kind, _ in volumes)
            skipped[name] = f"not installed, or not for {kinds}" if name == programs.FLS else "not installed"
        else:
            yield program


def _check(program: Program, measured: Measured, timeout: float) -> None:
    if measured.exit_status in program.exit_statuses:
        return
    said = "; ".join(visible(line) for line in measured.last_lines[-3:])
    how = "did not end in {timeout:g} s" if measured.exit_status is None else f"ended with {measured.exit_status}"
    raise BenchmarkError(f"{program.name}: {how.format(timeout=timeout)} ({said or 'it said nothing'})")


def _count_reads(
    disk: Path, chosen: Sequence[Program], bench: _Bench, runs: dict[str, list[Run]], skipped: dict[str, str]
) -> tuple[dict[str, Reads], dict[str, Cost]]:
    reads: dict[str, Reads] = {}
    stages: dict[str, Cost] = {}
    try:
        with counted_device(disk) as device:
            for program in chosen:
                with device.cold():
                    before = device.reads()
                    clock = StageClock(lambda: device.reads().bytes_read, device.forget)
                    run = bench.run(program, device.path, "cold, its reads counted", clock)
                    after = device.reads()
                stages = stages or run.stages
                reads[program.name] = Reads(after.bytes_read - before.bytes_read, after.requests - before.requests)
                if run.product.records != runs[program.name][0].product.records:
                    raise BenchmarkError(f"{program.name}: other records from the device than from the image")
    except (DiskError, OSError) as error:
        skipped["bytes read"] = str(error)
    return reads, stages


def _differences(runs: dict[str, list[Run]]) -> Iterator[str]:
    for name, of_program in runs.items():
        if any(run.product != of_program[0].product for run in of_program):
            yield f"{name}: its runs did not all give the same"
    digests = {run.product.source_digest for of_program in runs.values() for run in of_program} - {""}
    if len(digests) > 1:
        yield "the programs do not agree on the SHA-256 of the disk"


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()
