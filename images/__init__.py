"""Recipes of test disks and what builds them, byte for byte the same each time."""
