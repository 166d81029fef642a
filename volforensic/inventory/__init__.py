"""Every entry of every filesystem, from one walk."""
