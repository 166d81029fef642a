"""Passphrases and keys, read from the files that the examiner names: never from the command line, never told."""

from collections.abc import Sequence
from pathlib import Path

from volforensic.errors import HostError, UsageError
from volforensic.evidence.volumes.unlock_messages import Secrets

_LARGEST = 8 << 20  # what cryptsetup takes of a key file


def read_secrets(passphrase_files: Sequence[Path], key_files: Sequence[Path]) -> Secrets:
    """Return what may open encrypted volumes: of a passphrase file its first line, of a key file every byte.

    Raises:
        HostError: A file cannot be read.
        UsageError: A file is empty, or larger than any key.
    """
    return Secrets(
        passphrases=tuple(_checked(path, _read(path).partition(b"\n")[0]) for path in passphrase_files),
        key_files=tuple(_checked(path, _read(path)) for path in key_files),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        raise HostError(str(path), f"cannot be read: {error.strerror}") from error


def _checked(path: Path, secret: bytes) -> bytes:
    if not secret or len(secret) > _LARGEST:
        wrong = "holds no key" if not secret else f"is larger than any key ({_LARGEST >> 20} MiB)"
        raise UsageError(str(path), wrong, "Name the file that holds the passphrase or the key")
    return secret
