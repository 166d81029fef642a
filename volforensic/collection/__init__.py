"""Artifact definitions, and the way from the inventory to records."""
