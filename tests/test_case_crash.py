"""kill -9 at any instant: what was acknowledged is there, the chain holds, and the next run completes the case."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from volforensic.case.custody import ChainBreak, entries
from volforensic.case.facts import read_case_facts
from volforensic.case.folder import Case
from volforensic.case.verification import Discrepancy, verify

KILLS = 20

WRITER = """
import itertools, os, sys
from pathlib import Path
from volforensic.case.folder import Case

path, run = Path(sys.argv[1]), sys.argv[2]
for number in itertools.count():
    with Case.create_or_open(path, number="", examiner="", command_line=[], versions={}) as case:
        for step in range(5):
            case.log("step", {"run": run, "pad": "x" * 200})
            os.write(1, f"act {case.custody.head}\\n".encode())
        evidence = case.evidence(f"disk{number % 3}")
        evidence.begin(clobber=True, resume=True)
        with evidence.rows("records/auth_log") as writer:
            writer.write({"position": position, "run": run} for position in range(2_000))
        with evidence.extract() as extracted:
            extracted.write(run.encode() * 10_000)
        evidence.write_json("evidence", {"run": run, "number": number})
        evidence.finish()
        os.write(1, f"evidence {evidence.id} {run} {number}\\n".encode())
        case.write("report.html", f"{run} {number}".encode(), clobber=True)
        head = case.close(0)
        os.write(1, f"head {head}\\n".encode())
"""


def chain(path: Path) -> tuple[list[str], ChainBreak | None]:
    hashes: list[str] = []
    with (path / "custody.jsonl").open("rb") as file:
        for entry in entries(file, read_case_facts(path).case_id):
            if isinstance(entry, ChainBreak):
                return hashes, entry
            hashes.append(entry.hash)
    return hashes, None


def discrepancies(path: Path) -> list[Discrepancy]:
    """Return what verification finds beyond a run that was cut off.

    A first run that was cut off between its closing entry and its manifest looks like one whose manifest was removed.
    """
    found = [each for each in verify(path) if each.kind not in {"unfinished", "truncated"}]
    return [each for each in found if (each.kind, each.path) != ("removed", "MANIFEST.sha256")]


def killed_after(path: Path, run: int, seconds: float) -> list[list[str]]:
    """Run the writer, kill it so many seconds after its first act, and return what it acknowledged."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, str(run)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    first = os.read(writer.stdout.fileno(), 1 << 16)
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    output = first + writer.stdout.read()
    writer.wait()
    writer.stdout.close()
    return [line.decode().split() for line in output.split(b"\n")[:-1]]


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "case"
    instants = random.Random(7)  # noqa: S311 (the same instants each time)
    acknowledged: list[str] = []
    evidence: dict[str, tuple[str, int]] = {}
    for run in range(KILLS):
        lines = killed_after(path, run, instants.random() * 0.1)
        assert lines, "the writer did not come to its first act"
        acknowledged += [words[1] for words in lines if words[0] in {"act", "head"}]
        evidence |= {words[1]: (words[2], int(words[3])) for words in lines if words[0] == "evidence"}
        hashes, chain_break = chain(path)
        assert chain_break is None or chain_break.torn
        assert set(acknowledged) <= set(hashes)
        assert discrepancies(path) == []
        for name, done in evidence.items():
            # Between two names: what was replaced is aside already, and the whole new one not in its place yet.
            places = [path / folder / name for folder in ("evidence", ".partial")]
            place = next(folder for folder in places if folder.is_dir())
            value = json.loads((place / "evidence.json").read_bytes())
            assert (int(value["run"]), value["number"]) >= (int(done[0]), done[1])
    with Case.open(path, command_line=[], versions={}) as case:
        for name in ("disk0", "disk1", "disk2"):
            if case.evidence(name).interrupted:
                case.evidence(name).begin(clobber=True, resume=True)
                case.evidence(name).write_json("evidence", {})
                case.evidence(name).finish()
        case.write("report.html", b"", clobber=True)
        case.close(0)
    assert list(verify(path)) == []
    assert len(acknowledged) > KILLS


STEPS = ("write", "fsync", "rename", "open", "unlink", "mkdir", "rmdir")

DYING = """
import os, signal, sys
from pathlib import Path
from volforensic.case.folder import Case

left = int(sys.argv[2])
def dying(real):
    def call(*arguments, **options):
        global left
        if real is not os.open or arguments[1] & os.O_CREAT:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call
for name in sys.argv[3].split():
    setattr(os, name, dying(getattr(os, name)))
with Case.create_or_open(Path(sys.argv[1]), number="", examiner="", command_line=[], versions={}) as case:
    evidence = case.evidence("disk")
    evidence.begin(clobber=True, resume=True)
    with evidence.rows("findings", compressed=False) as writer:
        writer.write([{"left": sys.argv[2]}])
    evidence.write_json("evidence", {})
    evidence.finish()
    case.write("report.html", sys.argv[2].encode(), clobber=True)
    case.close(0)
"""


def test_a_death_before_any_step_of_a_replacing_run_leaves_a_case_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "case"
    deaths = 0
    for left in range(1, 200, 3):  # every third step: the runs differ by what the one before left
        ended = subprocess.run([sys.executable, "-c", DYING, path, str(left), " ".join(STEPS)], check=False)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        deaths += 1
        if (path / "custody.jsonl").exists() and (path / "custody.jsonl").stat().st_size:
            assert discrepancies(path) == [], left
    else:
        pytest.fail("the run never ended")
    assert deaths > 15
    assert list(verify(path)) == []
