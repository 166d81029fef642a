"""What is read of a group's pools and exception stores before their volumes are: whether they can be what they say."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm_group import Built, Group, Remark
from volforensic.evidence.volumes.lvm_metadata import MetadataError, Section, number, string
from volforensic.evidence.volumes.lvm_segments import segment_type
from volforensic.evidence.volumes.opening import open_map
from volforensic.evidence.volumes.snapshot import read_store_header
from volforensic.evidence.volumes.thin_pool import ThinPool
from volforensic.medium import Medium

_MOST_NAMED = 20


class Stores(NamedTuple):
    """What is to be said of a group's stores, and which volumes cannot be read for them, with the reason."""

    remarks: list[Remark]
    unreadable: dict[str, str]


def check_stores(
    space: Medium, group: Group, built: Mapping[str, Built | str], snapshots: Mapping[str, Built | str]
) -> Stores:
    """Return what is wrong with the thin pools and the exception stores of a group."""
    stores = Stores([], {})
    for name, found in snapshots.items():
        if isinstance(found, Built) and isinstance(found.map, maps.Snapshot):
            reason = _store_fault(space, found.map)
            if reason:
                stores.unreadable[name] = reason
    for name, volume in group.volumes.items():
        pool = volume.get("segment1")
        if segment_type(volume) == "thin-pool" and isinstance(pool, dict):
            metadata = built.get(string(pool, "metadata"), "it is not in the metadata")
            _check_pool(space, group, (name, pool, metadata), stores)
    return stores


def _store_fault(space: Medium, found: maps.Snapshot) -> str:
    try:
        header = read_store_header(open_map(found.store, space))
    except (OSError, ValueError) as error:
        return _text(error)
    if not header.is_valid:
        return "the snapshot is invalid: its exception store was full, and what changed later is lost"
    return "" if header.chunk == found.chunk else f"its exception store has chunks of {header.chunk} bytes"


def _text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _check_pool(space: Medium, group: Group, named_pool: tuple[str, Section, Built | str], stores: Stores) -> None:
    name, pool, metadata = named_pool
    named: dict[int, str] = {}
    label = f"thin pool {name:.128}"
    try:
        named.update(_devices(group, name))
        if isinstance(metadata, str):
            raise MetadataError(f"its metadata cannot be read: {metadata}")
        found = ThinPool(open_map(metadata.map, space), number(pool, "chunk_size", most=1 << 21) * 512)
        stores.remarks.extend(Remark(f"{label}: {said}", lost=False) for said in _oddities(found, pool))
        inside = dict(found.devices())
    except (OSError, ValueError) as error:
        stores.remarks.append(Remark(f"{label}: {_text(error)}", lost=True))
        stores.unreadable.update((volume, f"its thin pool {name:.128} cannot be read") for volume in named.values())
        return
    for device in named.keys() - inside.keys():
        stores.unreadable[named[device]] = f"its thin pool {name:.128} has no device {device}"
    for device in sorted(inside.keys() - named.keys())[:_MOST_NAMED]:
        said = f"its device {device} with {inside[device].mapped_blocks} blocks is no logical volume and was not read"
        stores.remarks.append(Remark(f"{label}: {said}", lost=True))


def _oddities(found: ThinPool, pool: Section) -> Iterator[str]:
    facts = found.facts()
    if facts.needs_check:
        yield "it is marked as damaged (needs_check)"
    if facts.held:
        yield f"it holds a snapshot of its metadata in block {facts.held}; the current metadata was read"
    transaction = number(pool, "transaction_id")
    if facts.transaction != transaction:
        yield f"its metadata is of transaction {facts.transaction}, LVM's of {transaction}"


def _devices(group: Group, pool: str) -> Iterator[tuple[int, str]]:
    """Yield (device number, name) of a pool's volumes."""
    for name, volume in group.volumes.items():
        segment = volume.get("segment1")
        if isinstance(segment, dict) and segment_type(volume) == "thin" and string(segment, "thin_pool") == pool:
            yield number(segment, "device_id", most=1 << 24), name
