"""What kind of text a text is: told from how its first bytes begin and from how its lines do.

The signs are those that magic(5) names for source code and markup (file 5.44, Magdir: c-lang, python, ruby, javascript,
assembler, make, troff, sgml, tex and others), in the order of strength that file(1) gives them, so that the answers are
its answers. Each is a guess: what a text is called here says how it looks, not that it would compile.
"""

import re
from itertools import islice

PLAIN = "text/plain"

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"<svg", "image/svg+xml"),
    (b'.\\"', "text/troff"),
    (b"'\\\"", "text/troff"),
    (b"'.\\\"", "text/troff"),
    (b'\\"', "text/troff"),
    (b"%!", "application/postscript"),
    (b"\x04%!", "application/postscript"),
    (b"*PPD-Adobe: ", "application/vnd.cups-ppd"),
    (b"-----BEGIN PGP PUBLIC KEY BLOCK-", "application/pgp-keys"),
    (b"-----BEGIN PGP PRIVATE KEY BLOCK-", "application/pgp-keys"),
    (b"-----BEGIN PGP MESSAGE-", "application/pgp-encrypted"),
    (b"-----BEGIN PGP SIGNED MESSAGE-", "text/PGP"),
    (b"-----BEGIN PGP SIGNATURE-", "application/pgp-signature"),
    (b"/* XPM */", "image/x-xpixmap"),
    (b"\\input texinfo", "text/x-texinfo"),
    (b"This is Info file", "text/x-info"),
    (b'"use strict"', "application/javascript"),
    (b"'use strict'", "application/javascript"),
    (b"GIMP Gradient", "text/x-gimp-ggr"),
    (b"GIMP Palette", "text/x-gimp-gpl"),
    (b"@echo off", "text/x-msdos-batch"),
    (b"@ECHO OFF", "text/x-msdos-batch"),
    (b"{\\rtf", "text/rtf"),
    (b"BEGIN:VCARD", "text/vcard"),
    (b"BEGIN:VCALENDAR", "text/calendar"),
    (b"WEBVTT", "text/vtt"),
    (b"diff ", "text/x-diff"),
    (b"Only in ", "text/x-diff"),
    (b"Common subdirectories: ", "text/x-diff"),
    (b"Index:", "text/x-diff"),
    (b"Relay-Version: ", "message/rfc822"),
    (b"Forward to ", "message/rfc822"),
    (b"Pipe to ", "message/rfc822"),
    (b"From:", "message/rfc822"),
    (b"Date:", "message/rfc822"),
    (b"Received:", "message/rfc822"),
    (b"Path:", "message/news"),
    (b"Xref:", "message/news"),
    (b"Article ", "message/news"),
)
_STARTING = {
    first: tuple(entry for entry in _STARTS if entry[0][:1] == first) for first in {start[:1] for start, _ in _STARTS}
}
_MAIL = re.compile(rb"(?:delivered-to|return-path):", re.IGNORECASE)

# The words that lines of source code begin with. Ordered by first letter, so that most lines cost one comparison each.
_WORDS = re.compile(
    rb"""\n[ \t]*+(?=[\#.acdefilmnprstuvACVLS(-])(
      \#(?:include|import|[ \t]*(?:ifn?def|pragma))
    | \.[A-Za-z][A-Za-z0-9]
    | c(?:lass[ \t]|onst\ |har\ ?\*) | d(?:ef\ |ouble\ ?\*|nl\ ) | e(?:xtern|xport\ ) | f(?:rom[ \t]|loat\ ?\*)
    | i(?:mport\ |nt[ \t]+main|f\ __name__) | let\  | m(?:odule[ .\[]|ain\(|sgid) | namespace | a(?:ll:)
    | p(?:ackage[ \t]|ublic:|rivate:|rotected:) | require | struct\s | t(?:emplate|ry:) | u(?:nion\s|sing\s)
    | v(?:irtual[ \t]|ar\ |oid[ \t]+main) | AC_DEFUN | CFLAGS | VPATH | LDFLAGS | SUBDIRS | ---\ [^\n]*\n\+\+\+
    | \((?:setq|defvar|defparam|defun|autoload|custom-set-variables)\x20
    )""",
    re.VERBOSE,
)


def _sign(name: str, pattern: bytes) -> tuple[str, re.Pattern[bytes]]:
    return name, re.compile(pattern)


_MAKE = _sign("make", rb"\n(?:CFLAGS|VPATH|LDFLAGS|all:|SUBDIRS\s+=|\.(?:PRECIOUS|BEGIN|endif|include))")
_IMPORTS = _sign("javascript", rb"\n(?:import|export)(?:[^\n]{0,300}? from | [\"']\./)")
_WEAK = _sign("weak", rb"\n[ \t]*(?:extern\s|(?:char|double|float) ?\*[^\n]+;[ \t]*(?=\n))")
_MAIN = _sign("main", rb"\n[ \t]*(?:int[ \t]+|void[ \t]+)?main\(")
_LOADED = _sign("javascript", rb"\n(?:const|var|let)[^\n=]{0,300}=[^\n]{0,300}?require\(")
_MEMBER = _sign(
    "plus",
    rb"\n[ \t]*(?:(?:public|private|protected):|template[ \t]*<[^\n]*>[ \t]*(?=\n)|virtual[ \t][^\n]*[};][ \t]*(?=\n))",
)
_LISP = _sign("lisp", rb"\n[ \t]*\(")
_SIGNS: dict[bytes, tuple[tuple[str, re.Pattern[bytes]], ...]] = {
    b"#inclu": (_sign("include", rb"\n#include"),),
    b"#impor": (_sign("objective_c", rb"\n#import[ \t]+[\"<]"),),
    b"#": (_sign("pragma", rb"\n[ \t]*#[ \t]*pragma"), _sign("condition", rb"\n[ \t]*#[ \t]*ifn?def")),
    b".": (
        _sign("asm", rb"\n[ \t]*\.(?:asciiz|byte|even|globl|text|file|type)"),
        _sign("troff", rb"\n\.[A-Za-z][A-Za-z0-9][ \t\n]"),
        _MAKE,
    ),
    b"class ": (
        _sign("python", rb"\nclass [A-Za-z_]+(?:\([^\n]*\))? *:(?:[ \t]+pass)?\r?(?=\n)"),
        _sign("class", rb"\n[ \t]*class[ \t]+[\w:]+\s{0,99}\{"),
        _sign("module", rb"\n[ \t]*class\s[A-Z]"),
    ),
    b"module": (
        _sign("module", rb"\n[ \t]*module\s[A-Z]"),
        _sign("javascript", rb"\nmodule(?:\.|\[[\"'])exports[^\n]*="),
    ),
    b"def ": (
        _sign("initial", rb"\n[ \t]*def __init__[^\n]{0,64}self"),
        _sign("define", rb"\n[ \t]*def +[A-Za-z_]"),
    ),
    b"if __n": (_sign("initial", rb"\n[ \t]*if __name__[^\n]{0,64}?['\"]__main__"),),
    b"from ": (_sign("python", rb"\nfrom[ \t]+[\w.]+[ \t]+import"),),
    b"import": (_IMPORTS, _sign("java", rb"\nimport[^\n]*;(?=\n)")),
    b"export": (_IMPORTS, _sign("javascript", rb"\nexport (?:function|class|default|const|var|let|async) ")),
    b"requir": (
        _sign("javascript", rb"\nrequire\([\"']"),
        _sign("require", rb"\n[ \t]*require\s'[A-Za-z_/.]+'"),
    ),
    b"const ": (_LOADED,),
    b"let ": (_LOADED,),
    b"var ": (_LOADED,),
    b"packag": (_sign("perl", rb"\npackage[ \t]+[0-9A-Za-z_:]+ *;"),),
    b"-": (_sign("diff", rb"\n--- [^\n]*\n\+\+\+ [^\n]*\n@@"),),
    b"msgid": (_sign("po", rb"\nmsgid[ \t\"]"),),
    b"namesp": (_sign("plus", rb"\nnamespace\s{1,99}\w{1,30}\s{0,99}\{"),),
    b"using ": (_sign("plus", rb"\nusing\s{1,99}(?:namespace )?std(?:::)?[A-Za-z]{0,99}\s{0,99};"),),
    b"public": (_MEMBER,),
    b"privat": (_MEMBER,),
    b"protec": (_MEMBER,),
    b"templa": (_MEMBER,),
    b"virtua": (_MEMBER,),
    b"try:": (_sign("attempt", b""),),
    b"struct": (_sign("record", rb"\nstruct\s"),),
    b"union ": (_sign("record", rb"\nunion\s"),),
    b"extern": (_WEAK,),
    b"char": (_WEAK,),
    b"double": (_WEAK,),
    b"float": (_WEAK,),
    b"int": (_MAIN,),
    b"void": (_MAIN,),
    b"main(": (_MAIN,),
    b"dnl ": (_sign("m4", rb"\ndnl "),),
    b"AC_DEF": (_sign("configure", rb"\nAC_DEFUN\(\["),),
    b"all:": (_MAKE,),
    b"CFLAGS": (_MAKE,),
    b"VPATH": (_MAKE,),
    b"LDFLAG": (_MAKE,),
    b"SUBDIR": (_MAKE,),
    b"(": (_LISP,),
}
_KEY_SIZE = 6
_PLUS = re.compile(
    rb"\n(?:[ \t]*(?:public:|private:|protected:|template[ \t]*<[^\n]*>[ \t]*(?=\n)|virtual[ \t][^\n]*[};][ \t]*(?=\n))"
    rb"|namespace\s{1,99}\w{1,30}\s{0,99}\{|using\s{1,99}(?:namespace )?std(?:::)?[A-Za-z]{0,99}\s{0,99};)"
)
_PREPROCESSED = frozenset({"include", "condition"})
_SETTLING = frozenset({"javascript", "diff", "po", "perl", "plus", "python", "initial"})
_MOST_WORDS = 60
_TYPE_TEST = re.compile(rb"typeof[^\n]{0,300}?[!=]==")
_MARKUP = re.compile(
    rb"<(?:!doctype[ \t\r\n]+(?:html|(svg))|(?:head|title|html|script|style|table)(?:>|[ \t\r\n])|a\s+href=)",
    re.IGNORECASE,
)
_TEX = re.compile(
    rb"\\(?:input|begin|section|setlength|documentstyle|chapter|documentclass|relax|contentsline|setup[a-z]+\[)"
)
_END = re.compile(rb"\n[ \t]*end(?:[ \t]+[;#][^\n]*)?(?=\n)")
_RUBY_BODY = re.compile(rb"(?:modul|includ)e [A-Z]|def [a-z]")
_SECOND_SIGNS = {
    "po": re.compile(rb"\nmsgstr"),
    "define": re.compile(rb"\([A-Za-z*_, ]{0,255}\):(?=\n)"),
    "attempt": re.compile(rb"\n[ \t]*except[^\n]*:(?=\n)"),
    "condition": re.compile(rb"\n[ \t]*#[ \t]*(?:define|endif(?=\n))"),
    "main": re.compile(rb"\)\s{0,99}\{"),
}
_LINE_LIMITS = {"troff": 20, "make": 100}
_STRONG = (
    ("po", "text/x-po"),
    ("diff", "text/x-diff"),
    ("perl", PLAIN),
    ("javascript", "application/javascript"),
    ("plus", "text/x-c++"),
    ("ruby", "text/x-ruby"),
    ("initial", "text/x-script.python"),
    ("configure", "text/x-m4"),
)
"""Signs that count more than those of HTML and TeX."""
_SOURCE = (
    ("objective_c", "text/x-objective-c"),
    ("include", "text/x-c"),
    ("python", "text/x-script.python"),
    ("define", "text/x-script.python"),
    ("attempt", "text/x-script.python"),
    ("class", "text/x-c++"),
    ("require", "text/x-ruby"),
    ("asm", "text/x-asm"),
    ("troff", "text/troff"),
    ("java", "text/x-java"),
    ("condition", "text/x-c"),
    ("pragma", "text/x-c"),
    ("record", "text/x-c"),
    ("weak", "text/x-c"),
    ("main", "text/x-c"),
    ("lisp", "text/x-lisp"),
    ("m4", "text/x-m4"),
    ("make", "text/x-makefile"),
)
"""Signs that count less."""


def text_mime(head: bytes) -> str:
    """Return the MIME type of a text by its first bytes; ``text/plain`` where nothing shows that it is of a kind."""
    for magic, mime in _STARTING.get(head[:1], ()):
        if head.startswith(magic):
            return mime
    text = b"\n" + head
    signs = _signs(text)
    scripted = b"function" in head and _is_scripted(head)
    found = _confirmed(text, signs) if signs else set()
    if scripted and "perl" not in found:
        found.add("javascript")
    return _first(found, _STRONG) or _markup(head) or _first(found, _SOURCE) or _mail(head) or PLAIN


def _is_scripted(head: bytes) -> bool:
    """Return whether the text has signs of JavaScript that stand anywhere in a line."""
    if b"(function" in head and (b"(function(" in head or b"(function " in head):
        return True
    if b"use strict" in head and (b"'use strict'" in head or b'"use strict"' in head):
        return True
    return b"(async function" in head or (b"typeof" in head and _TYPE_TEST.search(head) is not None)


def _signs(text: bytes) -> dict[str, int]:
    """Return the signs of source code that the text's lines show, with the place of the first line that shows each.

    A sign that settles the matter is the last.
    """
    signs: dict[str, int] = {}
    for match in islice(_WORDS.finditer(text), _MOST_WORDS):
        word, place = match[1], match.start()
        candidates = (
            _SIGNS.get(word[:_KEY_SIZE]) or _SIGNS.get(word[:1]) or _SIGNS.get(word.split()[0].rstrip(b"*"), ())
        )
        for name, pattern in candidates:
            if name not in signs and pattern.match(text, place):
                signs[name] = place
                if name in _PREPROCESSED:
                    plus = _PLUS.search(text, place)
                    return signs | {"plus": plus.start()} if plus else signs
                if name in _SETTLING:
                    return signs
    return signs


def _markup(head: bytes) -> str | None:
    if head.startswith(b'"""'):
        return None
    match = _MARKUP.search(head) if b"<" in head else None
    if match is not None:
        return "image/svg+xml" if match[1] else "text/html"
    return "text/x-tex" if b"\\" in head and _TEX.search(head) else None


def _mail(head: bytes) -> str | None:
    return "message/rfc822" if head[:1] in b"dDrR" and _MAIL.match(head) else None


def _confirmed(text: bytes, signs: dict[str, int]) -> set[str]:
    """Return the signs without those that need a second one after them and have none; with "ruby" where it is due."""
    found = set(signs)
    for name in found & _SECOND_SIGNS.keys():
        if not _SECOND_SIGNS[name].search(text, signs[name]):
            found.discard(name)
    for name in found & _LINE_LIMITS.keys():
        if text.count(b"\n", 1, signs[name] + 1) >= _LINE_LIMITS[name]:
            found.discard(name)
    is_bodied = "module" not in signs or _RUBY_BODY.search(text)
    if signs.keys() & {"require", "module", "define"} and is_bodied and _END.search(text):
        found.add("ruby")
    return found


def _first(found: set[str], kinds: tuple[tuple[str, str], ...]) -> str | None:
    return next((mime for sign, mime in kinds if sign in found), None)
