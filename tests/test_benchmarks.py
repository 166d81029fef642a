"""The benchmarks measure what they say they measure: the whole tree, the stages, the results."""

import json
import sys
import time
from pathlib import Path

import pytest
from benchmarks import programs
from benchmarks.command_line import main
from benchmarks.comparison import Comparison, Run, _differences
from benchmarks.disks import DiskError, counted_device
from benchmarks.figures import figures, lines
from benchmarks.meter import Measured, measure
from benchmarks.stages import Cost, StageClock

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"
ORPHAN = f"""
import os
reader, writer = os.pipe()
if os.fork() == 0:  # a child, gone at once
    if os.fork() == 0:  # its child, an orphan by then
        {BURN.replace(chr(10), chr(10) + "        ")}
        os._exit(0)
    os._exit(0)
os.close(writer)
os.wait()
os.read(reader, 1)  # returns when the orphan, the last one that could write, has ended
"""


def run(code: str, folder: Path, timeout: float = 20.0, **options: object) -> Measured:
    return measure([sys.executable, "-c", code], folder / "output", timeout=timeout, **options)  # type: ignore[arg-type]


def measured(cpu: float, wall: float = 1.0) -> Measured:
    return Measured(cpu, 0.0, wall, 1 << 20, 0, 0, ())


def triage_run(*, digest: str = "d", source_digest: str = "s") -> Run:
    stages = {"start-up": 1.0, "hash before": 4.0, "collect": 2.0, "files": 3.0, "hash after": 4.0, "report": 1.0}
    product = programs.Product({"auth_log": 7}, digest, source_digest, 1 << 33, (("ext4", 1 << 20),))
    return Run(measured(15.0), {name: Cost(cpu, cpu) for name, cpu in stages.items()}, product, 0.5)


def compared(**runs: list[Run]) -> Comparison:
    made = {name.replace("_", "-"): each for name, each in runs.items()}
    known = [programs.Program(name, "1", lambda *_: [], lambda *_: programs.Product({})) for name in made]
    return Comparison(
        Path("disk.raw"), 1 << 33, ["ext4"], known, made, {}, {}, {"fls": "not installed"}, list(_differences(made))
    )


def test_cpu_of_children_counts_and_so_does_that_of_an_orphan(tmp_path: Path) -> None:
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    assert run(child, tmp_path).cpu_seconds >= 0.4
    assert run(ORPHAN, tmp_path).cpu_seconds >= 0.4


def test_a_time_out_ends_the_whole_tree(tmp_path: Path) -> None:
    sleeper = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    ended = run(sleeper, tmp_path, timeout=0.5)
    assert ended.exit_status is None
    assert ended.wall_seconds < 30


def test_an_interruption_ends_the_program(tmp_path: Path) -> None:
    def interrupt(_line: bytes, process: int) -> None:
        running.append(process)
        raise KeyboardInterrupt

    running: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run("import sys, time; sys.stderr.write('x\\n'); time.sleep(60)", tmp_path, on_line=interrupt)
    assert not Path(f"/proc/{running[0]}").exists()


def test_output_goes_to_the_file_and_the_last_lines_are_kept(tmp_path: Path) -> None:
    ended = run("import sys; print('out'); sys.stderr.write('one\\ntwo\\n'); sys.exit(3)", tmp_path)
    assert (tmp_path / "output").read_bytes() == b"out\n"
    assert (ended.exit_status, ended.last_lines) == (3, ("one", "two"))


def test_stages_add_up_to_the_whole(tmp_path: Path) -> None:
    clock = StageClock()
    said = [
        {"event": "stage", "stage": "inventory"},
        {"event": "progress", "stage": "inventory"},
        {"event": "end", "stage": "inventory"},
        {"event": "stage", "stage": "collect"},
        {"event": "end", "stage": "collect"},
        ["no event"],
    ]
    code = "import sys, time\n" + "".join(
        f"sys.stderr.write({json.dumps(event)!r} + chr(10))\n{BURN}" for event in said[:1]
    )
    code += "".join(f"sys.stderr.write({json.dumps(event)!r} + chr(10))\n" for event in said[1:])
    whole = run(code, tmp_path, on_line=clock.read)
    parts = clock.parts(whole)
    assert list(parts) == ["start-up", "inventory", "hosts", "collect"]
    assert sum(cost.cpu_seconds for cost in parts.values()) == pytest.approx(whole.cpu_seconds, abs=0.05)
    assert parts["inventory"].cpu_seconds > 0.2


def test_ratios_say_what_is_divided_by_what() -> None:
    query = Run(measured(50.0, 60.0), {}, programs.Product({"linux/log/auth": 7}), 0.1)
    found = figures(compared(triage=[triage_run()], target_query=[query]))
    values = {each["name"]: each["value"] for each in found["ratios"]}
    assert values["triage / target-query"] == pytest.approx(0.3)
    assert values["triage without hashes / target-query"] == pytest.approx(7 / 50)
    assert values["records / target-query"] == pytest.approx(3 / 50)
    text = "\n".join(lines(found))
    assert "skipped: fls: not installed" in text
    assert "WRONG" not in text


@pytest.mark.parametrize("other", [triage_run(digest="e"), triage_run(source_digest="t")])
def test_results_that_differ_are_told(other: Run) -> None:
    found = figures(compared(triage=[triage_run(), other]))
    assert found["differences"]
    assert "WRONG" in "\n".join(lines(found))


def test_records_of_target_query_are_counted_by_type(tmp_path: Path) -> None:
    tool = programs.target_query()
    assert tool is not None
    record = {"message": '"_recorddescriptor": ["forged", 1]' * 40, "_recorddescriptor": ["linux/log/auth", 5]}
    described = {"_type": "recorddescriptor", "_data": ["linux/log/auth", []]}
    (tmp_path / "output").write_text("".join(json.dumps(line) + "\n" for line in (described, record, record)))
    assert tool.product(tmp_path / "output", tmp_path).records == {"linux/log/auth": 2}


def test_a_source_that_is_no_disk_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--image", str(tmp_path / "absent")])
    assert ended.value.code == 2
    assert "no disk image" in capsys.readouterr().err


def test_without_root_no_reads_are_counted_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DiskError, match="needs root"), counted_device(tmp_path):
        time.sleep(0)
