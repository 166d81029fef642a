"""The signature table knows the common types by their first bytes and says None where it does not."""

import bz2
import gzip
import io
import lzma
import py_compile
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yara_samples import elf

from volforensic.inventory.signatures import HEAD_SIZE, FileType, identify


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return stream.getvalue()


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "mime", "family"),
    [
        (b"", "inode/x-empty", "empty"),
        (gzip.compress(b"x", mtime=0), "application/gzip", "gzip"),
        (lzma.compress(b"x"), "application/x-xz", "xz"),
        (bz2.compress(b"x"), "application/x-bzip2", "bzip2"),
        (bz2.compress(b""), "application/x-bzip2", "bzip2"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "application/zstd", "zstd"),
        (zipped("a.txt"), "application/zip", "zip"),
        (zipped("META-INF/MANIFEST.MF"), "application/java-archive", "jar"),
        (tar(), "application/x-tar", "tar"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "image"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "image"),
        (b"GIF89a", "image/gif", "image"),
        (b"%PDF-1.7\n", "application/pdf", "pdf"),
        (b"\x00\x01something before it\n%PDF-1.7\n", "application/pdf", "pdf"),
        (b"!<arch>\ndebian-binary   ", "application/vnd.debian.binary-package", "deb"),
        (b"!<arch>\n/      ", "application/x-archive", "ar"),
        (b"\xed\xab\xee\xdb\x03\x00", "application/x-rpm", "rpm"),
        (b"SQLite format 3\x00", "application/vnd.sqlite3", "sqlite"),
        (b"LPKSHHRH\x00\x00", "application/x-journal", "journal"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x34", "application/x-java-applet", "class"),
        (b"MZ\x90\x00\x03", "application/vnd.microsoft.portable-executable", "pe"),
        (b"<?xml version='1.0'?>", "text/xml", "xml"),
        (b"\n<!DOCTYPE html>\n<html>", "text/html", "html"),
        (b"<?php echo 1;", "text/x-php", "php"),
        (b'\n {"a": 1}', "application/json", "json"),
        (b"{ // comment\n", "application/json", "json"),
        (b"[1, 2]", "application/json", "json"),
        (b"[Unit]\nDescription=x\n", "text/plain", "text"),
        (b"{ echo a; }\n", "text/plain", "text"),
        (b"root:x:0:0:\x1b[0m\r\n", "text/plain", "text"),
        ("Grüße".encode(), "text/plain", "text"),
        ("Grüße".encode("latin-1"), "text/plain", "text"),
        ("Grüße".encode("utf-16"), "text/plain", "text"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "image/svg+xml", "xml"),
        (b"#include <stdio.h>\n", "text/x-c", "text"),
        (b"<table class='a'>", "text/html", "html"),
        (b"\x7fELF", "application/x-elf", "elf"),
        (elf(kind=1), "application/x-object", "elf"),
        (elf(kind=2), "application/x-executable", "elf"),
        (elf(kind=3), "application/x-sharedlib", "elf"),
        (elf(kind=4), "application/x-coredump", "elf"),
    ],
)
def test_a_type_is_told_from_the_head(data: bytes, mime: str, family: str) -> None:
    assert identify(data) == FileType(mime, family)


@pytest.mark.parametrize(
    ("line", "interpreter", "mime"),
    [
        (b"#!/bin/sh\n", "sh", "text/x-shellscript"),
        (b"#! /usr/bin/env bash\n", "bash", "text/x-shellscript"),
        (b"#!/usr/bin/env -S LANG=C python3.11 -u\n", "python3.11", "text/x-script.python"),
        (b"#!/usr/bin/perl -w\r\n", "perl", "text/x-perl"),
        (b"#!/tmp/.x/run", "run", "text/plain"),
    ],
)
def test_a_script_names_its_interpreter(line: bytes, interpreter: str, mime: str) -> None:
    assert identify(line) == FileType(mime, "script", interpreter)


@pytest.mark.parametrize("line", [b"#!", b"#!\n", b"#!" + b" " * 5000, b"#!" + b"/" * 5000])
def test_a_broken_first_line_is_still_a_script(line: bytes) -> None:
    kind = identify(line)
    assert kind is not None
    assert kind.family == "script"


def test_a_program_and_compiled_python_of_this_host(tmp_path: Path) -> None:
    program = identify(Path(sys.executable).resolve().read_bytes()[:HEAD_SIZE])
    assert program is not None
    assert program.mime in {"application/x-executable", "application/x-pie-executable"}
    (tmp_path / "a.py").write_text("x = 1\n")
    compiled = py_compile.compile(str(tmp_path / "a.py"), str(tmp_path / "a.pyc"))
    assert identify(Path(str(compiled)).read_bytes()) == FileType("application/x-bytecode.python", "pyc")


def test_a_database_of_this_library(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (x)")
    kind = identify((tmp_path / "a.db").read_bytes()[:HEAD_SIZE])
    assert kind is not None
    assert kind.family == "sqlite"


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02", b"text\x00", b"\xff\xfea\x00\x01\x00", b"Gr\xfc\xdfe\x00", b"MZ is text\x01"]
)
def test_what_the_table_does_not_know_is_none(data: bytes) -> None:
    assert identify(data) is None


def test_a_character_cut_by_the_end_of_the_head_is_text() -> None:
    text = b"a" * (HEAD_SIZE - 1)
    assert identify(text + "ü".encode()) == FileType("text/plain", "text")
    assert identify(text + b"\x00") is None


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x7fELF\x02\x01", b"\x7fELF\x01\x02", b"#!", b"PK\x03\x04", b"BZh"]),
)
def test_any_bytes_give_a_type_or_none(data: bytes, start: bytes) -> None:
    kind = identify(start + data)
    assert kind is None or "/" in kind.mime


def test_absurd_program_headers_of_an_elf_file_end() -> None:
    head = bytearray(elf(kind=3).ljust(HEAD_SIZE, b"\x00"))
    head[54:58] = b"\xff\xff\xff\xff"
    assert identify(bytes(head)) == FileType("application/x-sharedlib", "elf")
    head[32:40] = b"\xff" * 8
    assert identify(bytes(head)) == FileType("application/x-sharedlib", "elf")
