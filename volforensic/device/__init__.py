"""The examiner's own Linux: trees that are mounted, loop devices, what the kernel reads."""
