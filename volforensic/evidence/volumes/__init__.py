"""Volumes above partitions: LVM, RAID, encryption, as maps from a volume's bytes to addresses. Nothing is activated."""
