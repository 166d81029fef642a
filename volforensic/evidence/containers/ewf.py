"""EWF: the disk images of EnCase, FTK Imager, SMART and libewf (.E01, .s01), in one file or many.

Source: ASR Data's "Expert Witness Compression Format Specification" (2002) and libewf's documentation of the format.
Version 2 (.Ex01) and logical evidence (.L01, .Lx01) are not read.
"""

from collections.abc import Sequence

from volforensic.evidence.containers.container import ContainerError, ContainerFacts, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.ewf_disk import EwfDisk
from volforensic.evidence.containers.ewf_names import segment_names
from volforensic.evidence.containers.ewf_sections import SIGNATURE, segment_number
from volforensic.evidence.containers.ewf_set import SegmentSet, pieces_of, segment_set, table_problems
from volforensic.evidence.containers.ewf_text import acquisition, read_errors, stored_hashes, volume_details
from volforensic.medium import Medium

_FIRST_NAMES = 99


def recognises(first: NamedFile) -> bool:
    """Say whether the file begins with the signature of the first version; ``unsupported`` names its relatives."""
    return first.medium.read_at(0, 8) == SIGNATURE


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Return what the image says of itself, and the names of its segments: more until the last one is found.

    Raises:
        ContainerError: For a segment that is not the first, and where nothing says how large the disk is.
    """
    _check(files[0])
    found = segment_set(files)
    pieces, problems = pieces_of(found)
    hashes, hash_problems = stored_hashes(found.segments)
    problems = [
        *found.problems,
        *problems,
        *table_problems(found.volume, pieces),
        *hash_problems,
        *read_errors(found.segments, found.volume),
    ]
    details = acquisition(found.segments[:1]) | volume_details(found.volume) | {"segments": f"{len(found.segments)}"}
    return ContainerFacts(
        kind="EWF (first version, as SMART writes it)" if found.volume.is_old else "EWF (E01)",
        size=found.volume.size,
        references=[Reference(name=name, role="segment", is_optional=True) for name in _names(files[0].name, found)],
        hashes=hashes,
        details=details,
        problems=problems,
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the logical disk of the segments that are there; chunks of others raise ``EIO``."""
    if parent is not None:
        raise ContainerError("an EWF image has no parent")
    _check(files[0])
    found = segment_set(files)
    pieces, _ = pieces_of(found)
    return EwfDisk(found.volume, pieces, note)


def _check(first: NamedFile) -> None:
    number = segment_number(first.medium)
    if number != 1:
        raise ContainerError(f"this is segment {number} of an EWF image; name the first one (.E01)")


def _names(first: bytes, found: SegmentSet) -> list[bytes]:
    """Return the names to look for: up to the last segment where it was found, else twice as many as there are."""
    last = max(segment.number for segment in found.segments)
    if any(segment.is_last for segment in found.segments):
        return segment_names(first, last)
    return segment_names(first, max(_FIRST_NAMES, 2 * len(found.segments)))
