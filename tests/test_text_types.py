"""Source code, markup and other kinds of text are told as file(1) tells them."""

import pytest

from volforensic.inventory.text_types import text_mime


@pytest.mark.parametrize(
    ("text", "mime"),
    [
        (b"just a note\nfrom me to you\n", "text/plain"),
        (b"# classes and imports\nclassic = 1\nusing the struct\n", "text/plain"),
        (b"/* a */\n#include <stdio.h>\n", "text/x-c"),
        (b"/* a */\n#ifndef A_H\n#define A_H\n#endif\n", "text/x-c"),
        (b"#ifdef alone\n", "text/plain"),
        (b"struct a {\n int b;\n};\n", "text/x-c"),
        (b"int main(void) {\n return 0; }\n", "text/x-c"),
        (b"#include <a>\nnamespace a\n{\n", "text/x-c++"),
        (b"#include <a>\n  template <typename T>\n", "text/x-c++"),
        (b"class Foo {\n public:\n  int a;\n};\n", "text/x-c++"),
        (b"using namespace std;\n", "text/x-c++"),
        (b"import os\nfrom os import path\n", "text/x-script.python"),
        (b"class A(B):\n    pass\n", "text/x-script.python"),
        (b"def f(a, b):\n    return 1\n", "text/x-script.python"),
        (b"try:\n    a()\nexcept ValueError:\n    pass\n", "text/x-script.python"),
        (b"try: it is a word\n", "text/plain"),
        (b'"""<a href=x>"""\n', "text/plain"),
        (b"require 'a/b'\nclass A\n  def b\n  end\nend\n", "text/x-ruby"),
        (b"package Foo::Bar;\nuse strict;\n", "text/plain"),
        (b"const a = require('b');\n", "application/javascript"),
        (b"(function () { return typeof a === 'b'; })();\n", "application/javascript"),
        (b"'use strict';\n", "application/javascript"),
        (b"import a from './b.js';\n", "application/javascript"),
        (b"import java.util.List;\n", "text/x-java"),
        (b'\t.file "a.c"\n\t.text\n', "text/x-asm"),
        (b"CFLAGS = -O2\nall: a\n", "text/x-makefile"),
        (b'.\\" a comment\n.TH A 1\n', "text/troff"),
        (b"\n.TH A 1\n", "text/troff"),
        (b"dnl a macro\n", "text/x-m4"),
        (b"AC_DEFUN([A], [B])\n", "text/x-m4"),
        (b"(defun a () nil)\n", "text/x-lisp"),
        (b'msgid ""\nmsgstr ""\n', "text/x-po"),
        (b"--- a\n+++ b\n@@ -1 +1 @@\n", "text/x-diff"),
        (b"<p>x</p><A HREF='a'>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b"<!DOCTYPE svg PUBLIC>", "image/svg+xml"),
        (b"<svg xmlns='x'>", "image/svg+xml"),
        (b"% a\n\\documentclass{article}\n", "text/x-tex"),
        (b"%!PS-Adobe-3.0\n", "application/postscript"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "application/pgp-keys"),
        (b"Return-Path: <a@b>\n", "message/rfc822"),
    ],
)
def test_a_text_is_told_by_its_lines(text: bytes, mime: str) -> None:
    assert text_mime(text) == mime


@pytest.mark.parametrize("line", range(100))
def test_troff_requests_count_in_the_first_lines_only(line: int) -> None:
    assert text_mime(b"text\n" * line + b".TH A 1\n") == ("text/troff" if line < 20 else "text/plain")


@pytest.mark.parametrize(
    "unit",
    [
        b"char *",
        b"template <>",
        b"\nvar a=",
        b"\nimport a",
        b"def a(",
        b"\nnamespace   ",
        b"\nclass a ",
        b"typeof ",
        b" \n",
    ],
)
def test_repeated_signs_end(unit: bytes) -> None:
    assert "/" in text_mime(unit * (1 << 16))
