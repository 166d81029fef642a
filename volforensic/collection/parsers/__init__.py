"""Pure functions: a file's content in, rows out."""
