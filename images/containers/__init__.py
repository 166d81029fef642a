"""Builders of disk containers: the same bytes each time, in pure Python."""
