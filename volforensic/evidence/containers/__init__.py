"""Containers: how a disk lies in files. Each format is a module with the three functions of container.py."""
