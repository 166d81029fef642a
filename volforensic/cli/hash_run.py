"""What ``hash`` does with its options: read the source once, write the files in the format that was asked for."""

import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import msgspec

from volforensic import __version__
from volforensic.case.files import PendingFile
from volforensic.cli.garbage import collect_garbage_seldom
from volforensic.cli.output import Format, print_rows
from volforensic.cli.standard_output import as_text, discard_the_rest
from volforensic.cli.terminal import Terminal
from volforensic.errors import EXIT_COMPLETE, EXIT_PARTIAL, HostError
from volforensic.evidence.image import ImageOptions
from volforensic.hashing import HashedSource, HashOptions, hashed_source
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.rule_files import is_worth_a_gate, load_yara_rules
from volforensic.report.bodyfile import bodyfile_lines
from volforensic.report.dfxml import DfxmlSource, dfxml_parts
from volforensic.report.sha256sum import sha256sum_lines

_COLUMNS = ("sha256", "size", "mime", "yara", "path")


class HashRequest(NamedTuple):
    """The options of the command line."""

    source: Path
    image: ImageOptions
    hashes: tuple[str, ...]
    output_format: str
    output: Path | None
    yara: Sequence[Path]
    without_yara: bool
    known_good: Sequence[Path]
    known_bad: Sequence[Path]
    with_image: bool
    jobs: int
    clobber: bool
    command_line: Sequence[str]


def run_hash(request: HashRequest, terminal: Terminal) -> int:
    """Hash the source, write the listing and return the exit status."""
    collect_garbage_seldom()
    with HashSets(request.known_good, request.known_bad) as sets:
        return _run(request, terminal, sets)


def _run(request: HashRequest, terminal: Terminal, sets: HashSets) -> int:
    gated = is_worth_a_gate([request.source])
    options = HashOptions(
        sets=sets if sets.sets else None,
        rules=b"" if request.without_yara else load_yara_rules(request.yara, gated=gated).compiled,
        hashes=_hashes(request),
        with_image=request.with_image,
        jobs=request.jobs,
        image=request.image,
    )
    with _output(request) as stream, hashed_source(request.source, options, terminal) as hashed:
        left_out: Counter[str] = Counter()
        _write(request, hashed, stream, left_out)
        for reason, count in left_out.items():
            terminal.message(f"left out of the listing: {count:,} {reason}")
        for line in _image_lines(hashed):
            terminal.message(line)
        return EXIT_COMPLETE if hashed.is_complete else EXIT_PARTIAL


def _hashes(request: HashRequest) -> tuple[str, ...]:
    """Return the algorithms to compute: mactime shows an MD5 where there is one."""
    if request.output_format == "bodyfile" and "md5" not in request.hashes:
        return ("md5", *request.hashes)
    return request.hashes


def _write(request: HashRequest, hashed: HashedSource, stream: BinaryIO, left_out: Counter[str]) -> None:
    rows = hashed.rows()
    if request.output_format == "sha256sum":
        stream.writelines(sha256sum_lines(rows, left_out))
    elif request.output_format == "bodyfile":
        stream.writelines(bodyfile_lines(rows, left_out))
    elif request.output_format == "dfxml":
        stream.writelines(dfxml_parts(rows, _dfxml_source(request, hashed), hashed.layout.facts()))
    elif request.output_format == "jsonl" and request.output is not None:
        encoder = msgspec.json.Encoder()
        stream.writelines(encoder.encode(row) + b"\n" for row in rows)
    else:
        columns = (*_COLUMNS[:1], *request.hashes, *_COLUMNS[1:])
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)
        print_rows(rows, columns, cast("Format", request.output_format), text)
        text.detach()


def _dfxml_source(request: HashRequest, hashed: HashedSource) -> DfxmlSource:
    digest = hashed.digest
    return DfxmlSource(
        image=as_text(str(hashed.image.path)),
        size=hashed.image.size,
        digests={"sha256": digest.sha256, **digest.others} if digest else {},
        version=__version__,
        command_line=" ".join(request.command_line),
    )


def _image_lines(hashed: HashedSource) -> Iterator[str]:
    if hashed.digest is None:
        return
    yield f"sha256  {hashed.digest.sha256}  {hashed.image.path}"
    for name, digest in hashed.digest.others.items():
        yield f"{name}  {digest}  {hashed.image.path}"


@contextmanager
def _output(request: HashRequest) -> Iterator[BinaryIO]:
    """Yield where the listing goes: a file that appears when it is whole, or standard output."""
    if request.output is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            discard_the_rest(sys.stdout)
        except OSError as error:
            discard_the_rest(sys.stdout)
            raise HostError("standard output", (error.strerror or str(error)).lower(), "Write it elsewhere") from error
        return
    pending = PendingFile(request.output, clobber=request.clobber)
    try:
        with io.BufferedWriter(_Pending(pending), 1 << 20) as buffered:
            yield cast("BinaryIO", buffered)
        pending.publish()
    finally:
        pending.discard()


class _Pending(io.RawIOBase):
    """A pending file as a raw stream."""

    def __init__(self, pending: PendingFile) -> None:
        super().__init__()
        self._pending = pending

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        taken = bytes(cast("bytes", data))
        self._pending.write(taken)
        return len(taken)
