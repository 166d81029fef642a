"""libmagic says what the table does not know, and its absence or failure costs nothing but that."""

import builtins
from typing import Any

import pytest

from volforensic.inventory import magic_edge


def test_libmagic_tells_a_type_or_nothing() -> None:
    cookie = magic_edge.prepare()
    if cookie is None:
        pytest.skip("this host has no libmagic")
    assert magic_edge.identify(cookie, b"\x00\x00\x01\xba") == "video/mpeg"
    assert magic_edge.identify(cookie, b"\x01\x02\x03\x04nothing") is None


def test_without_libmagic_there_is_no_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name == "magic":
            raise ImportError("failed to find libmagic")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert magic_edge.prepare() is None
    assert magic_edge.identify(None, b"x") is None


def test_a_failure_of_libmagic_costs_the_type_only() -> None:
    class Broken:
        """A cookie that fails on every buffer."""

        def from_buffer(self, data: bytes) -> str:
            """Fail."""
            raise ValueError(data)

    assert magic_edge.identify(Broken(), b"x") is None
