"""Public keys that belong to nobody: made from a name, so that a log and an authorized_keys file agree."""

import base64
import hashlib
import struct

_TYPE = b"ssh-ed25519"


def _blob(name: str) -> bytes:
    """Return the public key as RFC 8709 section 4 writes it: the type, then 32 bytes."""
    point = hashlib.sha256(name.encode()).digest()
    return b"".join(struct.pack(">I", len(part)) + part for part in (_TYPE, point))


def public_key(name: str, options: str = "") -> bytes:
    """Return a line of authorized_keys; the name is its comment."""
    key = f"{_TYPE.decode()} {base64.b64encode(_blob(name)).decode()} {name}\n"
    return (f"{options} {key}" if options else key).encode()


def fingerprint(name: str) -> str:
    """Return the fingerprint of that key as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(_blob(name)).digest()).decode().rstrip("=")
