"""volforensic: from a disk image of a Linux server to findings that can be checked."""

__version__ = "0.1.0"
