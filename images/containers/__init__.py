"""Builders of containers around given bytes, the same each time: what the readers of containers are tested with."""
