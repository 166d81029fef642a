"""Medians and ratios of a comparison, for people and for programs."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import programs
from .comparison import Comparison, Run
from .stages import is_like_target_query

_WALKS = (programs.WALK, programs.FLS)
Ratio = tuple[str, str, float]
"""A ratio's name, what is divided by what, and its value."""


def figures(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison of one disk as plain values: seconds, bytes, counts, digests and ratios of medians."""
    return {
        "disk": comparison.disk.name,
        "size": comparison.size,
        "file_systems": comparison.filesystems,
        "programs": [_program_figures(comparison, program.name) for program in comparison.programs],
        "stages": _stage_figures(comparison),
        "ratios": [
            {"name": name, "of": meaning, "value": round(value, 4)} for name, meaning, value in ratios(comparison)
        ],
        "skipped": comparison.skipped,
        "differences": comparison.differences,
    }


def ratios(comparison: Comparison) -> Iterator[Ratio]:
    """Yield the ratios that say how dear a triage is; CPU seconds where nothing else is said."""
    whole = _median(comparison, programs.TRIAGE, lambda run: run.measured.cpu_seconds)
    if programs.TARGET_QUERY in comparison.runs:
        yield from _beside_target_query(comparison, whole)
        yield from _bytes_beside_target_query(comparison)
    if programs.FLS in comparison.runs and programs.WALK in comparison.runs:
        walks = [_median(comparison, name, lambda run: run.measured.cpu_seconds) for name in _WALKS]
        yield "walk / fls", "every name, inode and extent, start-up with it", walks[0] / walks[1]
    if programs.OPENSSL in comparison.runs:
        yardstick = _median(comparison, programs.OPENSSL, lambda run: run.measured.cpu_seconds)
        yield "one hash / openssl", "the hash of the disk alone", _one_hash(comparison) / yardstick
        yield from _beside_openssl(comparison, yardstick)
        yield "triage / openssl", "everything, beside one hash of the disk", whole / yardstick


def _beside_openssl(comparison: Comparison, yardstick: float) -> Iterator[Ratio]:
    if programs.HASH not in comparison.runs:
        return
    cpu = _median(comparison, programs.HASH, lambda run: run.measured.cpu_seconds)
    wall = _median(comparison, programs.HASH, lambda run: run.measured.wall_seconds)
    other_wall = _median(comparison, programs.OPENSSL, lambda run: run.measured.wall_seconds)
    hashed = comparison.runs[programs.HASH][0].product.records["hashed"]
    yield "hash / openssl", "image and every file hashed, typed, scanned, beside one hash of the disk", cpu / yardstick
    yield "hash / openssl, wall", "the same", wall / other_wall
    yield "files a CPU second", "of all that it does", hashed / cpu


def _one_hash(comparison: Comparison) -> float:
    """The first hash runs beside the files; the second one is alone, and the same work."""
    return _stages_median(comparison, lambda stage: stage == "hash after")


def _beside_target_query(comparison: Comparison, whole: float) -> Iterator[Ratio]:
    query = _median(comparison, programs.TARGET_QUERY, lambda run: run.measured.cpu_seconds)
    without_hashes = whole - 2 * _one_hash(comparison)
    like = _stages_median(comparison, is_like_target_query)
    yield "triage / target-query", "everything, both hashes of the disk with it", whole / query
    yield "triage without hashes / target-query", "everything else; target-query hashes nothing", without_hashes / query
    yield "records / target-query", "from start-up to the stored records, as target-query does", like / query
    wall = _median(comparison, programs.TRIAGE, lambda run: run.measured.wall_seconds)
    query_wall = _median(comparison, programs.TARGET_QUERY, lambda run: run.measured.wall_seconds)
    yield "triage / target-query, wall", "everything", wall / query_wall


def _bytes_beside_target_query(comparison: Comparison) -> Iterator[Ratio]:
    query = comparison.reads.get(programs.TARGET_QUERY)
    if query is None or not query.bytes_read:
        return
    like = sum(cost.bytes_read for name, cost in comparison.cold_stages.items() if is_like_target_query(name))
    yield "records / target-query, bytes", "from start-up to the stored records, cold", like / query.bytes_read


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the figures of one disk as lines for people."""
    yield f"{found['disk']}: {_size(found['size'])}, {', '.join(found['file_systems'])}"
    yield ""
    head = ["program", "CPU s", "least-most", "wall s", "memory", "read cold", "requests", "records"]
    yield from _table([head, *(_program_row(program) for program in found["programs"])])
    yield ""
    yield from _table(
        [["triage by stage", "CPU s", "wall s", "read cold"]]
        + [
            [name, f"{cost['cpu']:.2f}", f"{cost['wall']:.2f}", _size(cost["cold_bytes"])]
            for name, cost in found["stages"].items()
        ]
    )
    yield ""
    yield from _table(
        [["ratio", "value", "of"]] + [[each["name"], f"{each['value']:.3f}", each["of"]] for each in found["ratios"]]
    )
    yield ""
    for program in found["programs"]:
        counts = ", ".join(f"{name} {count}" for name, count in program["records"].items() if count)
        yield from ([f"{program['name']} gave: {counts}"] if counts else [])
        yield from ([f"{program['name']}'s results: sha256 {program['digest']}"] if program["digest"] else [])
    yield from (f"skipped: {name}: {reason}" for name, reason in found["skipped"].items())
    yield from (f"WRONG: {difference}" for difference in found["differences"])


def _program_figures(comparison: Comparison, name: str) -> dict[str, Any]:
    runs = comparison.runs[name]
    reads = comparison.reads.get(name)
    seconds = sorted(round(run.measured.cpu_seconds, 2) for run in runs)
    return {
        "name": name,
        "version": next(program.version for program in comparison.programs if program.name == name),
        "runs": len(runs),
        "cpu": round(_median(comparison, name, lambda run: run.measured.cpu_seconds), 2),
        "cpu_least": seconds[0],
        "cpu_most": seconds[-1],
        "user": round(_median(comparison, name, lambda run: run.measured.user_seconds), 2),
        "system": round(_median(comparison, name, lambda run: run.measured.system_seconds), 2),
        "wall": round(_median(comparison, name, lambda run: run.measured.wall_seconds), 2),
        "peak_memory": max(run.measured.peak_memory for run in runs),
        "bytes_requested": int(_median(comparison, name, lambda run: run.measured.bytes_requested)),
        "cold_bytes": reads.bytes_read if reads else None,
        "cold_requests": reads.requests if reads else None,
        "records": runs[0].product.records,
        "digest": runs[0].product.digest,
        "source_digest": runs[0].product.source_digest,
        "exit_status": runs[0].measured.exit_status,
        "load": [round(run.load, 2) for run in runs],
    }


def _stage_figures(comparison: Comparison) -> dict[str, dict[str, Any]]:
    runs, cold = comparison.runs[programs.TRIAGE], comparison.cold_stages
    return {
        name: {
            "cpu": round(statistics.median(run.stages[name].cpu_seconds for run in runs), 2),
            "wall": round(statistics.median(run.stages[name].wall_seconds for run in runs), 2),
            "cold_bytes": cold[name].bytes_read if name in cold else None,
        }
        for name in runs[0].stages
    }


def _median(comparison: Comparison, name: str, value: Callable[[Run], float]) -> float:
    return statistics.median(value(run) for run in comparison.runs[name])


def _stages_median(comparison: Comparison, is_meant: Callable[[str], bool]) -> float:
    def total(run: Run) -> float:
        return sum(cost.cpu_seconds for name, cost in run.stages.items() if is_meant(name))

    return statistics.median(total(run) for run in comparison.runs[programs.TRIAGE])


def _program_row(program: dict[str, Any]) -> list[str]:
    return [
        program["name"],
        f"{program['cpu']:.2f}",
        f"{program['cpu_least']:.2f}-{program['cpu_most']:.2f}",
        f"{program['wall']:.2f}",
        _size(program["peak_memory"]),
        _size(program["cold_bytes"]),
        "-" if program["cold_requests"] is None else str(program["cold_requests"]),
        str(sum(program["records"].values())) if program["records"] else "-",
    ]


def _size(count: float | None) -> str:
    if count is None:
        return "-"
    return f"{count / (1 << 30):.2f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MiB"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
