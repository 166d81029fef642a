"""The custody log: nothing acknowledged is lost, nothing edited goes unseen, and where that cannot be, it is said."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from volforensic.case import custody
from volforensic.case.custody import ChainBreak, CustodyEntry, CustodyLog, canonical, entries, first_previous
from volforensic.errors import HostError, IntegrityError, UsageError

CASE_ID = "3d0f6b0e-0000-4000-8000-000000000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "custody.jsonl"


def filled(path: Path, count: int) -> bytes:
    log = CustodyLog(path, CASE_ID)
    for number in range(count):
        log.append("step", {"number": number, "name": "é\udcff"})
    log.close()
    return path.read_bytes()


def scan(path: Path) -> tuple[list[CustodyEntry], ChainBreak | None]:
    with path.open("rb") as file:
        found = list(entries(file, CASE_ID))
    breaks = [entry for entry in found if isinstance(entry, ChainBreak)]
    assert breaks == found[len(found) - len(breaks) :]
    return [entry for entry in found if isinstance(entry, CustodyEntry)], breaks[0] if breaks else None


def test_an_entry_is_what_the_document_says(path: Path) -> None:
    lines = filled(path, 2).splitlines()
    previous = hashlib.sha256(b"volforensic case " + CASE_ID.encode()).hexdigest()
    for number, line in enumerate(lines):
        entry = json.loads(line)
        assert sorted(entry) == ["act", "details", "hash", "host", "previous", "sequence", "time", "user"]
        assert (entry["sequence"], entry["act"], entry["previous"]) == (number, "step", previous)
        claimed = entry.pop("hash")
        body = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        assert hashlib.sha256(body).hexdigest() == claimed
        assert line.isascii()
        previous = claimed


def test_the_log_goes_on_where_it_ended(path: Path) -> None:
    filled(path, 3)
    log = CustodyLog(path, CASE_ID)
    head = log.append("more", {})
    assert (log.count, log.head) == (4, head)
    assert log.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    log.close()
    found, chain_break = scan(path)
    assert chain_break is None
    assert [entry.hash for entry in found][-1] == head
    assert found[-1].log_digest == log.digest


def test_every_flipped_byte_is_seen(path: Path) -> None:
    data = filled(path, 3)
    for index in range(len(data)):
        for flip in (1, 32, 128):
            path.write_bytes(data[:index] + bytes([data[index] ^ flip]) + data[index + 1 :])
            assert scan(path)[1] is not None, index


def test_every_cut_within_a_line_is_a_torn_tail(path: Path) -> None:
    data = filled(path, 3)
    ends = [index + 1 for index, byte in enumerate(data) if byte == 10]
    for length in range(len(data)):
        path.write_bytes(data[:length])
        found, chain_break = scan(path)
        assert len(found) == sum(end <= length for end in ends)
        assert (chain_break is None) == (length in {0, *ends})
        assert chain_break is None or chain_break.torn


def edited(lines: list[bytes], index: int, edit: Callable[[dict[str, Any]], None], *, rehash: bool) -> list[bytes]:
    result = list(lines)
    entry = json.loads(lines[index])
    edit(entry)
    if rehash:
        body = {name: value for name, value in entry.items() if name != "hash"}
        entry["hash"] = hashlib.sha256(canonical(body)).hexdigest()
    result[index] = canonical(entry) + b"\n"
    return result


ATTACKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "first line removed": lambda lines: lines[1:],
    "line removed": lambda lines: lines[:2] + lines[3:],
    "line doubled": lambda lines: lines[:2] + lines[1:],
    "line added": lambda lines: [*lines[:2], b"{}\n", *lines[2:]],
    "empty line added": lambda lines: [*lines, b"\n"],
    "lines swapped": lambda lines: [lines[1], lines[0], *lines[2:]],
    "edited": lambda lines: edited(lines, 2, lambda entry: entry.update(user="eve"), rehash=False),
    "edited and hashed again": lambda lines: edited(lines, 2, lambda entry: entry.update(user="eve"), rehash=True),
    "key added": lambda lines: edited(lines, 4, lambda entry: entry.update(more=1), rehash=True),
    "key removed": lambda lines: edited(lines, 4, lambda entry: entry.pop("user"), rehash=True),
    "details are text": lambda lines: edited(lines, 4, lambda entry: entry.update(details="x"), rehash=True),
    "sequence is true": lambda lines: edited(lines, 1, lambda entry: entry.update(sequence=True), rehash=True),
    "sequence is 4.0": lambda lines: edited(lines, 4, lambda entry: entry.update(sequence=4.0), rehash=True),
    "a space more": lambda lines: [*lines[:4], lines[4].replace(b",", b", ", 1)],
    "key twice": lambda lines: [*lines[:4], lines[4].replace(b"{", b'{"act":"x",', 1)],
    "deep": lambda lines: [*lines, b"[" * 100_000 + b"\n"],
    "long number": lambda lines: [*lines, b"9" * 5_000 + b"\n"],
    "not a number": lambda lines: [*lines, b"NaN\n"],
    "other encoding": lambda lines: [*lines, "{}\n".encode("utf-16")],
    "long line": lambda lines: [*lines, b"x" * (custody.ENTRY_LIMIT + 2) + b"\n"],
    "long line without end": lambda lines: [*lines, b"x" * (custody.ENTRY_LIMIT + 2)],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_tampered_log_is_seen_and_never_opened(path: Path, attack: str) -> None:
    data = b"".join(ATTACKS[attack](filled(path, 5).splitlines(keepends=True)))
    path.write_bytes(data)
    chain_break = scan(path)[1]
    assert chain_break is not None
    assert not chain_break.torn
    with pytest.raises(IntegrityError):
        CustodyLog(path, CASE_ID)
    assert path.read_bytes() == data


def test_the_log_of_another_case_is_refused(path: Path) -> None:
    filled(path, 1)
    with pytest.raises(IntegrityError):
        CustodyLog(path, "another case")
    assert first_previous(CASE_ID) != first_previous("another case")


def test_a_torn_tail_is_cut_and_that_is_logged(path: Path) -> None:
    data = filled(path, 2)
    path.write_bytes(data + b'{"act":"st')
    CustodyLog(path, CASE_ID).close()
    found, chain_break = scan(path)
    assert chain_break is None
    assert (found[2].act, found[2].details) == ("log recovered", {"removed_bytes": 10, "kept_bytes": len(data)})


def test_a_torn_tail_stays_where_the_rest_is_refused(path: Path) -> None:
    data = filled(path, 2) + b'{"act":"st'
    path.write_bytes(data)

    def refuse() -> None:
        raise IntegrityError("manifest", "does not belong")

    with pytest.raises(IntegrityError, match="does not belong"):
        CustodyLog(path, CASE_ID, check=refuse)
    assert path.read_bytes() == data


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_append_leaves_the_log_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    data = filled(path, 2)
    log = CustodyLog(path, CASE_ID)

    def failing(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(HostError, match=os.strerror(code).lower()) as caught:
            log.append("step", {})
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data
    log.append("step", {})
    log.close()
    assert (len(scan(path)[0]), scan(path)[1]) == (3, None)


def test_a_short_write_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = filled(path, 2)
    log = CustodyLog(path, CASE_ID)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, rest: real(descriptor, rest[:7]) if len(rest) > 100 else 0)
        with pytest.raises(HostError, match="no space left"):
            log.append("step", {})
    assert path.read_bytes() == data
    log.close()


def test_a_write_that_cannot_be_taken_back_ends_the_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CustodyLog(path, CASE_ID)

    def failing(*_arguments: object) -> int:
        raise OSError(errno.EIO, "gone")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        patch.setattr(os, "ftruncate", failing)
        with pytest.raises(HostError):
            log.append("step", {})
    with pytest.raises(HostError, match="could not be undone"):
        log.append("step", {})
    log.close()


def test_a_log_that_someone_else_writes_is_noticed(path: Path) -> None:
    filled(path, 1)
    log = CustodyLog(path, CASE_ID)
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(IntegrityError, match="was changed"):
        log.append("step", {})
    log.close()


def test_details_that_are_too_long_are_refused_before_a_byte_is_written(path: Path) -> None:
    data = filled(path, 1)
    log = CustodyLog(path, CASE_ID)
    with pytest.raises(UsageError):
        log.append("step", {"pad": "x" * custody.ENTRY_LIMIT})
    log.close()
    assert path.read_bytes() == data


def test_the_log_is_not_read_again_for_an_append(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 5)
    log = CustodyLog(path, CASE_ID)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the log was read")

    monkeypatch.setattr(custody, "entries", refuse)
    monkeypatch.setattr(os, "read", refuse)
    log.append("step", {})
    log.close()
    assert log.count == 6


def test_the_caller_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    assert custody.present_user().startswith("alice as ")
    monkeypatch.delenv("SUDO_USER")
    assert " as " not in custody.present_user()
