"""What the parent asks of a map before it believes it: the worker that made it has read hostile metadata."""

from collections.abc import Iterator

from volforensic.evidence import maps
from volforensic.evidence.volumes.map_facts import children

MOST_DEPTH = 32
MOST_NODES = 1 << 16
MOST_MEMBERS = 512
LONGEST = 1 << 62
_LONGEST_TEXT = 1000
_LARGEST_CHUNK = 1 << 40
_LARGEST_THIN_CHUNK = 1 << 30
_PARITY = {0: 0, 1: 0, 4: 1, 5: 1, 6: 2, 10: 0}
_SECTOR_SIZES = {512, 1024, 2048, 4096}


def check_map(found: maps.Map, space_size: int) -> str:
    """Return why a map cannot be, "" where it can.

    All its leaves lie in the first ``space_size`` bytes of the address space, every length is above 0 and below
    ``LONGEST``, depth, number of nodes and members are bounded, and each node's length fits what it is made of.
    """
    nodes: list[maps.Map] = []
    waiting = [(found, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes.append(node)
        below = children(node)
        if depth > MOST_DEPTH:
            return f"a map of more than {MOST_DEPTH} levels"
        if len(nodes) + len(waiting) + len(below) > MOST_NODES:
            return f"a map of more than {MOST_NODES} parts"
        waiting += [(child, depth + 1) for child in below]
    lengths: dict[int, int] = {}
    for node in reversed(nodes):  # what a node is made of comes before it
        lengths[id(node)] = (
            sum(lengths[id(part)] for part in node.parts) if isinstance(node, maps.Joined) else node.length
        )
        for reason in _faults(node, space_size, lengths):
            return reason
    return ""


def _faults(node: maps.Map, space_size: int, lengths: dict[int, int]) -> Iterator[str]:
    length = lengths[id(node)]
    if not 0 < length <= LONGEST:
        yield f"a part of {length} bytes"
    match node:
        case maps.Run() | maps.Missing():
            yield from _leaf_faults(node, space_size)
        case maps.Striped() | maps.Mirrored():
            yield from _member_faults(node, lengths)
        case maps.Raid():
            yield from _raid_faults(node, lengths)
        case maps.Thin():
            yield from _thin_faults(node)
        case maps.Snapshot():
            yield from _snapshot_faults(node, lengths)
        case maps.Crypt():
            yield from _crypt_faults(node, lengths)


def _leaf_faults(node: maps.Run | maps.Missing, space_size: int) -> Iterator[str]:
    if isinstance(node, maps.Missing):
        if len(node.reason) > _LONGEST_TEXT:
            yield "a reason that is too long"
    elif node.address < 0 or node.address + node.length > space_size:
        yield f"a part from byte {node.address} on lies outside the evidence"


def _thin_faults(node: maps.Thin) -> Iterator[str]:
    if not 0 < node.chunk <= _LARGEST_THIN_CHUNK or node.chunk % 512 or node.device < 0:
        yield f"a thin volume with blocks of {node.chunk} bytes"


def _snapshot_faults(node: maps.Snapshot, lengths: dict[int, int]) -> Iterator[str]:
    chunk = node.chunk
    if not 512 <= chunk <= _LARGEST_THIN_CHUNK or chunk & (chunk - 1) or node.length > lengths[id(node.origin)]:
        yield f"a snapshot of {node.length} bytes in chunks of {chunk}"


def _member_faults(node: maps.Striped | maps.Mirrored, lengths: dict[int, int]) -> Iterator[str]:
    count = len(node.members)
    if not 0 < count <= MOST_MEMBERS:
        yield f"a part with {count} members"
        return
    if isinstance(node, maps.Mirrored):
        needed = [node.length] * count
    elif not 0 < node.chunk <= _LARGEST_CHUNK:
        yield f"stripes of {node.chunk} bytes"
        return
    else:
        rows, rest = divmod(node.length, node.chunk * count)
        needed = [rows * node.chunk + min(max(rest - place * node.chunk, 0), node.chunk) for place in range(count)]
    for member, least in zip(node.members, needed, strict=True):
        if lengths[id(member)] < least:
            yield f"a member has {lengths[id(member)]} bytes where {least} are needed"


def _raid_faults(node: maps.Raid, lengths: dict[int, int]) -> Iterator[str]:
    count = len(node.members)
    present = [lengths[id(member)] for member in node.members if member is not None]
    copies = (node.layout & 0xFF) * max(1, node.layout >> 8 & 0xFF) if node.level == 10 else 1
    if node.level not in _PARITY or not 0 <= node.layout < 1 << 32 or not copies:
        yield f"an array of level {node.level} and layout {node.layout}"
    elif not _PARITY[node.level] < count <= MOST_MEMBERS or not present:
        yield f"an array of level {node.level} with {len(present)} of {count} members"
    elif node.level != 1 and not 0 < node.chunk <= _LARGEST_CHUNK:
        yield f"an array with chunks of {node.chunk} bytes"
    elif node.level == 0:
        if len(present) == count and sum(present) < node.length:
            yield f"an array of {node.length} bytes on members of {sum(present)}"
    else:
        data = {1: 1, 10: count}.get(node.level, count - _PARITY[node.level])
        if node.length * copies > data * min(present):
            yield f"an array of {node.length} bytes on members of {min(present)}"


def _crypt_faults(node: maps.Crypt, lengths: dict[int, int]) -> Iterator[str]:
    if node.sector_size not in _SECTOR_SIZES or node.key < 0 or node.first_sector < 0:
        yield f"an encrypted volume with sectors of {node.sector_size} bytes and key {node.key}"
    elif node.length > lengths[id(node.data)] or len(node.cipher) > _LONGEST_TEXT:
        yield f"an encrypted volume of {node.length} bytes on {lengths[id(node.data)]}"
