"""Package proof: what the host's own package databases say of each file, and whether the file still is so."""
