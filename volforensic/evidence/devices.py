"""The devices of a filesystem that has several: where each lies."""

import msgspec


class DeviceRange(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a filesystem: its number in the filesystem (btrfs: devid), its place in the source in bytes."""

    number: int
    offset: int
    length: int
