"""A source as a read-only byte stream, its volumes and its filesystems."""
