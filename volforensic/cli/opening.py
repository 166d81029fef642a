"""How an image is opened, from the options that the verbs share."""

from collections.abc import Sequence
from pathlib import Path

from volforensic.cli.secrets import read_secrets
from volforensic.evidence.image import ImageOptions


def image_options(
    parents: Sequence[Path] | None,
    passphrase_files: Sequence[Path] | None,
    key_files: Sequence[Path] | None,
    *,
    kernel_view: bool,
    as_raw: bool,
) -> ImageOptions:
    """Return the options; what ``read_secrets`` raises where a file of a key cannot be taken."""
    return ImageOptions(
        parents=tuple(parents or ()),
        as_raw=as_raw,
        kernel_view=kernel_view,
        secrets=read_secrets(passphrase_files or (), key_files or ()),
    )
