"""How often this process looks for objects that hold each other."""

import gc

_AFTER_OBJECTS = 100_000


def collect_garbage_seldom() -> None:
    """Look for circles of objects less often: long work makes millions of rows, which hardly ever form one.

    Found on a disk of 214,000 files: a sixth of this process's CPU time went into looking.
    """
    gc.freeze()
    gc.set_threshold(_AFTER_OBJECTS)
