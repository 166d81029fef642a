"""What the discovery of volumes gives: members in, volumes with their maps out."""

from typing import NamedTuple

import msgspec

from volforensic.evidence.maps import Map
from volforensic.record import Problem


class Member(NamedTuple):
    """A volume that is a part of others: its index in the layout, where it begins (address) and its length in bytes."""

    volume: int
    address: int
    length: int


class MappedVolume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume above others: what it is made of, and the device names by which its host knew it."""

    kind: str
    name: str
    uuid: str
    description: str
    map: Map
    length: int
    members: list[int]
    names: list[str] = []


class Found(NamedTuple):
    """The volumes that some members make up, and what was odd, missing or could not be read."""

    volumes: list[MappedVolume]
    problems: list[Problem]
