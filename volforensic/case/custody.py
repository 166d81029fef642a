"""The custody log: who did what, when, on which bytes, each entry bound to the one before it by its hash.

A line of ``custody.jsonl`` is one JSON object in canonical form (keys sorted, no spaces, ASCII) with ``sequence``,
``time``, ``user``, ``host``, ``act``, ``details``, ``previous`` and ``hash``: the SHA-256 of the canonical form without
``hash``. The first entry's ``previous`` is bound to the case id. The chain alone does not show that its end was cut or
that everything was written anew: the manifest, and the head hash that the examiner noted elsewhere, do.
"""

import errno
import hashlib
import json
import os
import pwd
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from volforensic.case.files import FILE_MODE, host_error, naming_errors, sync_folder, write_all
from volforensic.errors import HostError, IntegrityError, UsageError
from volforensic.record import timestamp_text

CUSTODY_NAME = "custody.jsonl"
ENTRY_LIMIT = 1 << 20
"""Bytes of the longest line."""

_KEYS = frozenset({"sequence", "time", "user", "host", "act", "details", "previous", "hash"})


class CustodyEntry(NamedTuple):
    """One act. ``end`` is the offset of the byte after its line, ``log_digest`` the SHA-256 of the log up to there."""

    sequence: int
    time: str
    user: str
    host: str
    act: str
    details: dict[str, Any]
    hash: str
    end: int
    log_digest: str


class ChainBreak(NamedTuple):
    """Where the chain ends badly. ``torn`` is a last line without its end: an append that was never acknowledged."""

    sequence: int
    offset: int
    reason: str
    torn: bool


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the one way in which an entry is written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def first_previous(case_id: str) -> str:
    """Return what the first entry of this case has as ``previous``."""
    return hashlib.sha256(b"volforensic case " + case_id.encode("utf-8", "backslashreplace")).hexdigest()


def present_time() -> str:
    """Return the time now as ISO 8601 UTC with microseconds."""
    return timestamp_text(time.time_ns() // 1000) or ""


def present_user() -> str:
    """Return the account that runs this, and behind sudo the one who called it."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = f"uid {number}"
    caller = os.environ.get("SUDO_USER")
    return f"{caller} as {name}" if caller else name


def entries(file: BinaryIO, case_id: str | None) -> Iterator[CustodyEntry | ChainBreak]:
    """Yield each entry that verifies, from the start; where one does not, a ``ChainBreak`` ends it.

    Without a case id (where case.json is lost) the first entry's ``previous`` is taken on trust.
    """
    head = None if case_id is None else first_previous(case_id)
    sequence = offset = 0
    log = hashlib.sha256()
    while line := file.readline(ENTRY_LIMIT + 1):
        if not line.endswith(b"\n"):
            torn = len(line) <= ENTRY_LIMIT
            reason = "the last line has no end" if torn else f"a line is longer than {ENTRY_LIMIT} bytes"
            yield ChainBreak(sequence, offset, reason, torn)
            return
        try:
            fields = _verified(line, sequence, head)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            yield ChainBreak(sequence, offset, str(error) or "it is no entry", torn=False)
            return
        offset += len(line)
        log.update(line)
        head = fields["hash"]
        values = {name: fields[name] for name in ("sequence", "time", "user", "host", "act", "details", "hash")}
        yield CustodyEntry(**values, end=offset, log_digest=log.hexdigest())
        sequence += 1


def _verified(line: bytes, sequence: int, head: str | None) -> dict[str, Any]:
    """Return the entry if its line is byte for byte the one expected here; else raise ``ValueError``."""
    fields = json.loads(line)
    if not isinstance(fields, dict) or fields.keys() != _KEYS or not isinstance(fields["details"], dict):
        raise ValueError("it is no entry")
    if not all(isinstance(fields[name], str) for name in ("time", "user", "host", "act", "previous", "hash")):
        raise ValueError("it is no entry")
    if type(fields["sequence"]) is not int or fields["sequence"] != sequence:
        raise ValueError("its number does not follow")
    if head is not None and fields["previous"] != head:
        raise ValueError("it does not follow the entry before it")
    if _hash(fields) != fields["hash"]:
        raise ValueError("its hash is not that of its content")
    if canonical(fields) + b"\n" != line:
        raise ValueError("it is not in canonical form")
    return fields


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical({name: value for name, value in fields.items() if name != "hash"})).hexdigest()


class CustodyLog:
    """The log of one case, open for appending; whoever opens it holds the case's lock.

    ``head`` is the last entry's hash, ``count`` the number of entries, ``digest`` the SHA-256 of the file.
    """

    def __init__(
        self,
        path: Path,
        case_id: str,
        take: Callable[[CustodyEntry], None] = lambda _entry: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Read the chain once; cut a torn tail and log that.

        ``take`` is given each entry, ``check`` is called after the last and before anything is changed.

        Raises:
            IntegrityError: A line does not verify.
        """
        self.path = path
        self.head = first_previous(case_id)
        self.count = 0
        self._size = 0
        self._log = hashlib.sha256()
        self._broken = False
        self._host = socket.gethostname()
        new = not os.path.lexists(path)
        with naming_errors(path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, FILE_MODE)
            if new:
                sync_folder(path.parent)
        try:
            self._recover(case_id, take, check)
        except BaseException:
            self.close()
            raise

    @property
    def digest(self) -> str:
        """The SHA-256 of the whole log, in hexadecimal."""
        return self._log.hexdigest()

    def append(self, act: str, details: Mapping[str, Any]) -> str:
        """Return the entry's hash once the entry is on the disk; after an error the log is as it was."""
        if self._broken:
            raise HostError(str(self.path), "an earlier write failed and could not be undone", "Check the disk")
        fields: dict[str, Any] = {"sequence": self.count, "time": present_time(), "user": present_user()}
        fields |= {"host": self._host, "act": act, "details": dict(details), "previous": self.head}
        fields["hash"] = _hash(fields)
        line = canonical(fields) + b"\n"
        if len(line) > ENTRY_LIMIT:
            raise UsageError(act, f"the act's details are longer than {ENTRY_LIMIT} bytes")
        self._write(line)
        self._log.update(line)
        self.head = fields["hash"]
        self.count += 1
        self._size += len(line)
        return self.head

    def close(self) -> None:
        """Close the file; every entry is on the disk already."""
        os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        if os.fstat(self._descriptor).st_size != self._size:
            raise IntegrityError(
                str(self.path), "was changed while this run held the case", "Run volforensic verify on the case"
            )
        try:
            write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            self._broken = True
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                self._broken = False
            raise host_error(self.path, error) from error

    def _recover(self, case_id: str, take: Callable[[CustodyEntry], None], check: Callable[[], None]) -> None:
        chain_break: ChainBreak | None = None
        with naming_errors(self.path), os.fdopen(os.dup(self._descriptor), "rb") as file:
            for found in entries(file, case_id):
                if isinstance(found, ChainBreak):
                    chain_break = found
                    break
                self.head, self.count, self._size = found.hash, found.sequence + 1, found.end
                take(found)
            self._log = _prefix_digest(file, self._size)
        if chain_break and not chain_break.torn:
            raise IntegrityError(
                str(self.path),
                f"entry {chain_break.sequence}: {chain_break.reason}",
                "Run volforensic verify on the case",
            )
        check()
        if chain_break:
            with naming_errors(self.path):
                removed = os.fstat(self._descriptor).st_size - self._size
                os.ftruncate(self._descriptor, self._size)
                os.fsync(self._descriptor)
            self.append("log recovered", {"removed_bytes": removed, "kept_bytes": self._size})


def _prefix_digest(file: BinaryIO, size: int) -> "hashlib._Hash":
    """Return the running SHA-256 of the file's first ``size`` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while size and (data := file.read(min(size, 1 << 20))):
        digest.update(data)
        size -= len(data)
    if size:
        raise OSError(errno.EIO, "became shorter while it was read")
    return digest
