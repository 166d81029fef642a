"""Damaged LZO is an error like any other, whatever the library throws."""

import random

import pytest
from dissect.util.compression import lzo

from volforensic.evidence.lzo_edge import LzoError, decompress


def test_damaged_bytes_are_an_error_of_ours() -> None:
    chance = random.Random(5)  # noqa: S311 - the same bytes each time
    panics = refused = 0
    for _ in range(400):
        raw = chance.randbytes(chance.randrange(1, 80))
        try:
            decompress(raw, 4096)
        except LzoError:
            refused += 1
        try:
            lzo.decompress(raw, False, 4096)  # noqa: FBT003 - the library's signature
        except Exception:  # noqa: BLE001, S110 - only what is none of these is counted
            pass
        except BaseException:  # noqa: BLE001 - this is what the edge is for
            panics += 1
    assert refused >= panics > 0


def test_what_ends_the_program_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("volforensic.evidence.lzo_edge.lzo.decompress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decompress(b"", 1)
