"""The edge to dissect's LZO: its compiled half panics at damaged bytes, by an exception that is no ``Exception``."""

from dissect.util.compression import lzo


class LzoError(ValueError):
    """The bytes are no LZO, or do not fit."""


def decompress(raw: bytes, most: int) -> bytes:
    """Return the bytes of one LZO stream without a header, ``most`` at most."""
    try:
        return bytes(lzo.decompress(raw, False, most))  # noqa: FBT003 - the library's signature
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__module__ == "pyo3_runtime":
            raise LzoError("LZO bytes are damaged") from None
        raise
