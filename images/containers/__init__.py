"""Disks in containers, written from raw bytes in plain Python: the same bytes each time, any variant."""
