"""Containers: how a disk lies in one or more files. Each format is a module with the three functions of container.py."""
