"""An encrypted volume as a medium: dm-crypt's sectors, decrypted as they are read.

Source: the kernel's drivers/md/dm-crypt.c and Documentation/admin-guide/device-mapper/dm-crypt.rst. IVs are counted in
sectors of 512 bytes whatever the encryption's own sector size is: LUKS never sets dm-crypt's ``iv_large_sectors``.
"""

import errno

from volforensic.evidence.maps import Crypt
from volforensic.evidence.volumes.ciphers import CipherError, SectorCipher, sector_cipher
from volforensic.medium import Medium

SECTOR_SIZES = (512, 1024, 2048, 4096)


class CryptMedium:
    """The plain bytes of an encrypted medium."""

    def __init__(self, data: Medium, cipher: SectorCipher, crypt: Crypt) -> None:
        """Take where the sectors lie, how they are decrypted, and the map that says how they are counted."""
        self.size = crypt.length
        self._data = data
        self._cipher = cipher
        self._sector_size = crypt.sector_size
        self._first = crypt.first_sector

    def read_at(self, position: int, size: int) -> bytes:
        """Return the plain bytes, fewer at the end; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        start = position - position % self._sector_size
        end = -(-(position + size) // self._sector_size) * self._sector_size
        raw = self._data.read_at(start, end - start)
        if len(raw) < end - start:
            raise OSError(errno.EIO, f"the encrypted data end at byte {start + len(raw)}")
        plain = self._cipher.read(raw, self._first + start // 512, self._sector_size)
        return plain[position - start : position - start + size]


def open_crypt(crypt: Crypt, data: Medium, key: bytes) -> Medium:
    """Return the medium that dm-crypt would make of ``data`` (the encrypted sectors alone) under the key.

    Raises:
        CipherError: The cipher is not supported, or the key or the sector size is none of it.
    """
    if crypt.sector_size not in SECTOR_SIZES:
        raise CipherError(f"an encryption sector of {crypt.sector_size} bytes")
    if crypt.length % crypt.sector_size:
        raise CipherError(f"{crypt.length} bytes are no whole number of encryption sectors")
    return CryptMedium(data, sector_cipher(crypt.cipher, key), crypt)
