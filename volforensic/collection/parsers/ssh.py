r"""What sshd reads: authorized_keys (sshd(8): options, key type, base64 key, comment) and sshd_config(5).

A Redis dump written over authorized_keys works for sshd because lines that are no key are passed over; so it does
here, and they are kept as unparsed.
"""

import base64
import binascii
import hashlib
import posixpath
import re
from collections.abc import Iterator

from volforensic.collection.content import Content, lines
from volforensic.collection.parsers.plain_text import file_name, unparsed
from volforensic.record import Row, text, text_fields

_KEY = re.compile(
    rb"((?:ssh-(?:rsa|dss|ed25519|ed448|xmss)|rsa-sha2-(?:256|512)|ecdsa-sha2-[A-Za-z0-9.-]{1,32}"
    rb"|(?:webauthn-)?sk-(?:ssh|ecdsa)-[A-Za-z0-9-]{1,32})(?:-cert-v0[01])?(?:@openssh\.com)?)"
    rb"[ \t]+([^ \t]+)(?:[ \t]+(.*))?",
    re.DOTALL | re.IGNORECASE,
)
_SSH1_KEY = re.compile(rb"([0-9]{3,6}[ \t]+[0-9]{1,10}[ \t]+[0-9]{20,10000})(?:[ \t]+(.*))?", re.DOTALL)
_QUOTED = rb"\"(?:[^\"\\]|\\\"|\\(?!\"))*\""  # only a backslash before a quote is an escape
_OPTIONS = re.compile(rb"((?:[^ \t\"\\]|\\\"|\\(?!\")|%s)+)[ \t]+([^ \t].*)" % _QUOTED, re.DOTALL)
_OPTION = re.compile(rb"(?:[^,\"\\]|\\\"|\\(?!\")|%s)+" % _QUOTED, re.DOTALL)
_FORCED_COMMAND = re.compile(rb"command=(%s)" % _QUOTED, re.DOTALL | re.IGNORECASE)
_BLOB_LIMIT = 48 << 10
_CERTIFICATE_KEY_PARTS = {
    b"ssh-rsa": 2,
    b"ssh-dss": 4,
    b"ssh-ed25519": 1,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"ecdsa-sha2-nistp521": 2,
    b"sk-ssh-ed25519@openssh.com": 2,
    b"sk-ecdsa-sha2-nistp256@openssh.com": 3,
}

_SETTING = re.compile(rb"([A-Za-z0-9]{1,64})(?:[ \t]*=[ \t]*|[ \t]+)([^ \t].*)", re.DOTALL)
_ARGUMENT = re.compile(rb"#.*|(?:\"[^\"]*\"?|'[^']*'?|\\[ \"'\\]|[^ \t\"'\\]|\\)+", re.DOTALL)
_QUOTED_OR_ESCAPED = re.compile(rb"\"([^\"]*)\"?|'([^']*)'?|\\([ \"'\\])")
_HOME = b"\0"  # stands for %h: no path holds it
_TOKENS = {b"%h": _HOME, b"%u": b"*", b"%U": b"*", b"%%": b"%"}
_TOKEN = re.compile(rb"%[huU%]")


def authorized_keys(content: Content) -> Iterator[Row]:
    """Yield the keys with which a user may log in; outside homes the user is the file's name."""
    user = content.source.user or ("" if content.source.home else text(file_name(content.source.path)))
    for position, line in lines(content.blocks()):
        stripped = line.strip(b" \t")
        if not stripped or stripped.startswith(b"#"):
            continue
        row = _entry(stripped)
        if row is None:
            yield unparsed(position, line)
        else:
            yield {"position": position, **({"user": user} if user else {}), **row}


def sshd_config(content: Content) -> Iterator[Row]:
    """Yield one row a setting; below a Match line every row names its criteria in ``match``.

    ``include`` and ``authorized_keys_patterns`` are globs: a relative Include lies in /etc/ssh, a relative
    AuthorizedKeysFile in each home.
    """
    block: Row = {}
    for position, line in lines(content.blocks()):
        stripped = line.strip(b" \t\f")
        if not stripped or stripped.startswith(b"#"):
            continue
        match = _SETTING.fullmatch(stripped)
        if match is None:
            yield unparsed(position, line)
            continue
        keyword, arguments = match[1].lower(), _arguments(match[2])
        if keyword == b"match":
            block = text_fields("match", b" ".join(arguments)[:1024])
        row: Row = {"position": position, "keyword": match[1].decode("ascii"), **text_fields("value", _value(match[2]))}
        if keyword == b"include":
            row["include"] = [text(_include(argument)) for argument in arguments]
        elif keyword == b"authorizedkeysfile":
            row["authorized_keys_patterns"] = [text(found) for found in map(_pattern, arguments) if found]
        yield row | block


def fingerprint(key: bytes) -> str:
    """Return ``SHA256:…`` as ssh-keygen(1) prints it for a base64 key; empty where it is none.

    For a certificate it is the fingerprint of the key in it (PROTOCOL.certkeys of OpenSSH), which is what sshd logs.
    """
    try:
        blob = base64.b64decode(key[:_BLOB_LIMIT], validate=True)
    except (binascii.Error, ValueError):
        return ""
    if len(blob) < 8 or len(key) > _BLOB_LIMIT:
        return ""
    digest = hashlib.sha256(_certified_key(blob) or blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def _entry(line: bytes) -> Row | None:
    key, options = _key(line), b""
    if key is None:
        match = _OPTIONS.fullmatch(line)
        if match is None:
            return None
        options, key = match[1], _key(match[2])
    if key is None:
        return None
    if options:
        listed = _OPTION.findall(options)
        key["options"] = [text(option) for option in listed]
        forced = next((found for found in map(_FORCED_COMMAND.fullmatch, listed) if found), None)
        if forced:
            key |= text_fields("command", forced[1][1:-1].replace(b'\\"', b'"'))
    return key


def _key(words: bytes) -> Row | None:
    match = _KEY.fullmatch(words)
    if match:
        row: Row = {"key_type": match[1].decode("ascii"), **text_fields("key", match[2])}
        digest = fingerprint(match[2])
        row |= {"fingerprint": digest} if digest else {}
        return row | (text_fields("comment", match[3]) if match[3] else {})
    match = _SSH1_KEY.fullmatch(words)
    if match:
        row = {"key_type": "rsa1", **text_fields("key", match[1])}
        return row | (text_fields("comment", match[2]) if match[2] else {})
    return None


def _certified_key(blob: bytes) -> bytes:
    """Return the public key that a certificate's blob holds, in the form of a key of its own; empty for other blobs."""
    kind, position = _string(blob, 0)
    plain = re.sub(rb"-cert-v01@openssh\.com\Z", b"", kind)
    if plain == kind:
        return b""
    plain = plain + b"@openssh.com" if plain.startswith(b"sk-") else plain
    position = _string(blob, position)[1]  # past the nonce
    start = position
    for _ in range(_CERTIFICATE_KEY_PARTS.get(plain, 0)):
        position = _string(blob, position)[1]
    return len(plain).to_bytes(4, "big") + plain + blob[start:position] if position > start else b""


def _string(blob: bytes, position: int) -> tuple[bytes, int]:
    """Return the string at a position (RFC 4251 section 5) and the position after it, within the blob."""
    start = position + 4
    end = min(start + int.from_bytes(blob[position:start], "big"), len(blob))
    return blob[start:end], max(start, end)


def _arguments(rest: bytes) -> list[bytes]:
    found = []
    for match in _ARGUMENT.finditer(rest):
        if match[0].startswith(b"#"):
            break
        found.append(_QUOTED_OR_ESCAPED.sub(lambda part: part[1] or part[2] or part[3] or b"", match[0]))
    return found


def _value(rest: bytes) -> bytes:
    """Return a setting's value as written, without the quotes where all of it is one quoted argument."""
    quoted = re.fullmatch(rb"\"([^\"]*)\"", rest)
    return quoted[1] if quoted else rest


def _include(argument: bytes) -> bytes:
    path = argument if argument.startswith((b"/", b"~")) else b"/etc/ssh/" + argument
    return _one_star(path)


def _pattern(argument: bytes) -> bytes:
    """Return the glob of an AuthorizedKeysFile argument; empty for ``none`` and for paths out of every home."""
    if argument.lower() == b"none" or not argument:
        return b""
    path = _one_star(_TOKEN.sub(lambda token: _TOKENS[token[0]], argument.replace(_HOME, b"")))
    if path.startswith(b"/"):
        return posixpath.normpath(path).replace(_HOME, b"/**")
    path = posixpath.normpath(path.removeprefix(_HOME).lstrip(b"/"))
    return b"" if path.startswith(b"..") or _HOME in path else b"~/" + path


def _one_star(glob: bytes) -> bytes:
    return re.sub(rb"\*+", b"*", glob)
